"""Commands, patches and MCP calls find the tool for them in whatever a request offers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_sdk import CodexError
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    CallMcpTool,
    CustomToolCall,
    DeleteFile,
    FunctionCall,
    ModelRequest,
    RunCommand,
    UpdateFile,
)
from codex_sdk.testing.tools import on_offered_tools, patch_text

CODE_MODE = {
    "type": "namespace",
    "name": "functions",
    "tools": [{"type": "custom", "name": "exec"}, {"type": "function", "name": "wait"}],
}


def offering(*tools: Any) -> ModelRequest:
    offered = [
        {"type": "function", "name": tool} if isinstance(tool, str) else tool for tool in tools
    ]
    return ModelRequest(number=1, method="POST", path="/", headers={}, json={"tools": offered})


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("exec_command", {"cmd": "ls", "workdir": "/tmp", "yield_time_ms": 1500}),
        ("shell_command", {"command": "ls", "workdir": "/tmp", "timeout_ms": 1500}),
        ("shell", {"command": ["bash", "-lc", "ls"], "workdir": "/tmp", "timeout_ms": 1500}),
    ],
)
def test_a_command_goes_to_the_shell_tool(tool: str, arguments: Any) -> None:
    call = RunCommand("ls", workdir="/tmp", timeout=1.5)
    assert on_offered_tools(call, offering("update_plan", tool)) == FunctionCall(tool, arguments)


def test_what_is_not_said_is_left_to_the_cli() -> None:
    call = on_offered_tools(RunCommand("ls"), offering("exec_command"))
    assert call == FunctionCall("exec_command", {"cmd": "ls"})


def test_code_mode_runs_commands_and_patches_from_a_script() -> None:
    request = offering(CODE_MODE)
    command = on_offered_tools(RunCommand('echo "\u2028"'), request)
    script = 'text(await tools.exec_command({"cmd": "echo \\"\\u2028\\""}));'
    assert command == CustomToolCall("exec", script, namespace="functions")
    patch = on_offered_tools(ApplyPatch(DeleteFile("a")), request)
    assert isinstance(patch, CustomToolCall)
    assert patch.input.startswith('text(await tools.apply_patch("*** Begin Patch\\n')


@pytest.mark.parametrize("kind", ["custom", "function"])
def test_a_patch_goes_to_apply_patch(kind: str) -> None:
    request = offering("exec_command", {"type": kind, "name": "apply_patch"})
    text = "*** Begin Patch\n*** Delete File: a\n*** End Patch\n"
    call = on_offered_tools(ApplyPatch(DeleteFile("a")), request)
    if kind == "custom":
        assert call == CustomToolCall("apply_patch", text)
    else:
        assert call == FunctionCall("apply_patch", {"input": text})


def test_a_patch_goes_through_the_shell_where_there_is_no_tool_for_it() -> None:
    call = on_offered_tools(ApplyPatch("*** Begin Patch\n*** End Patch"), offering("shell_command"))
    assert isinstance(call, FunctionCall)
    assert call.arguments == {
        "command": "apply_patch <<'END_OF_PATCH'\n*** Begin Patch\n*** End Patch\nEND_OF_PATCH"
    }


def test_a_patch_says_what_changes() -> None:
    changes = (
        AddFile("a", "1\n\n2"),
        AddFile("b", ""),
        UpdateFile("c", "x\n", "y"),
        DeleteFile("d"),
    )
    assert patch_text(ApplyPatch(*changes)).split("\n") == [
        "*** Begin Patch",
        "*** Add File: a",
        "+1",
        "+",
        "+2",
        "*** Add File: b",
        "*** Update File: c",
        "@@",
        "-x",
        "+y",
        "*** Delete File: d",
        "*** End Patch",
        "",
    ]


def test_an_mcp_tool_is_found_under_each_of_its_names() -> None:
    call = CallMcpTool("my-server", "add", {"a": 1})
    inner = {"type": "function", "name": "add"}
    flat = offering("mcp__my-server__add")
    assert on_offered_tools(call, flat) == FunctionCall("mcp__my-server__add", {"a": 1})
    for namespace in ("mcp__my_server", "mcp__my-server__"):
        nested = offering({"type": "namespace", "name": namespace, "tools": [inner]})
        assert on_offered_tools(call, nested) == FunctionCall("add", {"a": 1}, namespace=namespace)
    script = on_offered_tools(call, offering(CODE_MODE))
    assert isinstance(script, CustomToolCall)
    assert script.input == 'text(await tools.mcp__my_server__add({"a": 1}));'
    hidden = on_offered_tools(call, offering({"type": "tool_search"}))
    assert hidden == FunctionCall("add", {"a": 1}, namespace="mcp__my-server")


@pytest.mark.parametrize(
    "call", [RunCommand("ls"), ApplyPatch(DeleteFile("a")), CallMcpTool("server", "tool")]
)
def test_where_no_tool_fits_the_error_names_those_on_offer(call: Any) -> None:
    with pytest.raises(CodexError, match=r"no tool with which it could .*; it offers update_plan$"):
        on_offered_tools(call, offering("update_plan"))
    with pytest.raises(CodexError, match="it offers none"):
        on_offered_tools(call, offering())


def test_calls_by_name_are_not_touched() -> None:
    call = FunctionCall("anything", json.dumps({}))
    assert on_offered_tools(call, offering()) is call

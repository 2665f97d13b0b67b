"""Portable tool calls: what the model does, said in the terms of the tools that a request offers.

Codex's tools differ by CLI and by model. Commands go to ``exec_command`` (newer CLIs), ``shell_command``
or ``shell`` (older ones). Patches go to ``apply_patch``, or to ``apply_patch`` as a shell command, which
Codex intercepts. Models in "code mode" are offered none of them, but a tool ``exec`` that runs JavaScript
in which they are functions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Union

from ..exceptions import CodexError
from .replies import (
    AddFile,
    ApplyPatch,
    CallMcpTool,
    CustomToolCall,
    FileChange,
    FunctionCall,
    RunCommand,
    ToolCall,
    UpdateFile,
)
from .requests import ModelRequest

__all__ = ["WireCall", "on_offered_tools"]

WireCall = Union[FunctionCall, CustomToolCall]

_CODE_MODE_TOOL = "exec"
_TOOL_SEARCH = (
    "tool_search"  # where it is offered, MCP tools are not: the model is to find them first
)


def on_offered_tools(call: ToolCall, request: ModelRequest) -> WireCall:
    """Return *call* as a call of a tool that *request* offers.

    Raises:
        CodexError: the request offers no tool that could do it.
    """
    if isinstance(call, RunCommand):
        return _run_command(call, request)
    if isinstance(call, ApplyPatch):
        return _apply_patch(patch_text(call), request)
    if isinstance(call, CallMcpTool):
        return _call_mcp_tool(call, request)
    return call


def _run_command(command: RunCommand, request: ModelRequest) -> WireCall:
    for name, arguments in _COMMAND_TOOLS.items():
        found = _find(request, name)
        if found is not None and found[1].get("type") == "function":
            return FunctionCall(name, arguments(command), namespace=found[0])
    return _in_code_mode(request, "exec_command", _exec_command_arguments(command), "run a command")


def _exec_command_arguments(command: RunCommand) -> dict[str, Any]:
    return _given(
        cmd=command.command, workdir=command.workdir, yield_time_ms=_milliseconds(command.timeout)
    )


def _shell_command_arguments(command: RunCommand) -> dict[str, Any]:
    return _given(
        command=command.command, workdir=command.workdir, timeout_ms=_milliseconds(command.timeout)
    )


def _shell_arguments(command: RunCommand) -> dict[str, Any]:
    return {**_shell_command_arguments(command), "command": ["bash", "-lc", command.command]}


_COMMAND_TOOLS: Mapping[str, Callable[[RunCommand], dict[str, Any]]] = {
    "exec_command": _exec_command_arguments,
    "shell_command": _shell_command_arguments,
    "shell": _shell_arguments,
}


def _apply_patch(patch: str, request: ModelRequest) -> WireCall:
    found = _find(request, "apply_patch")
    if found is not None:
        namespace, tool = found
        if tool.get("type") == "custom":
            return CustomToolCall("apply_patch", patch, namespace=namespace)
        return FunctionCall("apply_patch", {"input": patch}, namespace=namespace)
    if _find(request, _CODE_MODE_TOOL) is not None:
        return _in_code_mode(request, "apply_patch", patch, "apply a patch")
    line = patch if patch.endswith("\n") else f"{patch}\n"
    return _run_command(RunCommand(f"apply_patch <<'END_OF_PATCH'\n{line}END_OF_PATCH"), request)


def patch_text(call: ApplyPatch) -> str:
    """Return the patch in Codex's format."""
    if isinstance(call.changes[0], str):
        return call.changes[0]
    hunks = "".join(_hunk(change) for change in call.changes if not isinstance(change, str))
    return f"*** Begin Patch\n{hunks}*** End Patch\n"


def _hunk(change: FileChange) -> str:
    if isinstance(change, AddFile):
        return f"*** Add File: {change.path}\n{_lines('+', change.content)}"
    if isinstance(change, UpdateFile):
        lines = _lines("-", change.old) + _lines("+", change.new)
        return f"*** Update File: {change.path}\n@@\n{lines}"
    return f"*** Delete File: {change.path}\n"


def _lines(prefix: str, text: str) -> str:
    if not text:
        return ""
    return "".join(f"{prefix}{line}\n" for line in text.removesuffix("\n").split("\n"))


def _call_mcp_tool(call: CallMcpTool, request: ModelRequest) -> WireCall:
    wanted = _identifier(f"mcp__{call.server}__{call.tool}")
    for namespace, tool in request.tools():
        name = str(tool.get("name"))
        if _identifier(f"{namespace}__{name}" if namespace else name) == wanted:
            return FunctionCall(name, call.arguments, namespace=namespace)
    if _TOOL_SEARCH in request.tool_names():
        return FunctionCall(call.tool, call.arguments, namespace=f"mcp__{call.server}")
    return _in_code_mode(request, wanted, call.arguments, f"call {call.tool!r} of {call.server!r}")


def _in_code_mode(
    request: ModelRequest, function: str, argument: Mapping[str, Any] | str, purpose: str
) -> CustomToolCall:
    found = _find(request, _CODE_MODE_TOOL)
    if found is None:
        raise CodexError(
            f"this request offers the model no tool with which it could {purpose}; "
            f"it offers {', '.join(request.tool_names()) or 'none'}"
        )
    script = f"text(await tools.{function}({json.dumps(argument)}));"
    return CustomToolCall(_CODE_MODE_TOOL, script, namespace=found[0])


def _find(request: ModelRequest, name: str) -> tuple[str | None, Mapping[str, Any]] | None:
    return next((found for found in request.tools() if found[1].get("name") == name), None)


def _identifier(name: str) -> str:
    """Return *name* as the CLIs write it where only identifiers are allowed."""
    return re.sub(r"__+", "__", re.sub(r"\W", "_", name))


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)

"""What the real CLI asks for during a turn, and what becomes of each answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import CodexError, protocol
from codex_sdk.app_server import AppServerClient
from codex_sdk.app_server.approvals import (
    ApprovalDecisions,
    RequestHandlers,
    UnfinishedHandlerError,
)
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    CallMcpTool,
    FunctionCall,
    ModelServer,
    RunCommand,
)

from .app_servers import Cli

PLAN = {
    "mode": "plan",
    "settings": {
        "model": "gpt-5-codex",
        "reasoning_effort": None,
        "developer_instructions": None,
    },
}
QUESTIONS = {
    "questions": [
        {
            "id": "q1",
            "header": "Pick",
            "question": "Which?",
            "options": [
                {"label": "A (Recommended)", "description": "a"},
                {"label": "B", "description": "b"},
            ],
        }
    ]
}


@pytest.fixture
def cli(codex_cli: str, mark: str, legacy: bool, workspace: Path) -> Cli:
    return Cli(codex_cli, mark, legacy, workspace)


@pytest.fixture
def current_cli(cli: Cli) -> Cli:
    if cli.legacy:
        pytest.skip("0.80 does not ask for that")
    return cli


async def run(client: AppServerClient, thread_id: str, **how: Any) -> str:
    """Run a turn; return how it ended."""
    async with client.turn_session(thread_id, "go", **how) as session:
        final = await session.wait()
    assert final is not None
    status: str = final["status"]
    return status


# Commands


@pytest.mark.parametrize(
    ("decision", "asked", "files", "status"),
    [
        ("accept", 2, ["a", "b"], "completed"),
        ("accept_for_session", 2, ["a", "b"], "completed"),
        ("decline", 2, [], "completed"),
        ("cancel", 1, [], "interrupted"),
        ("accept_with_execpolicy_amendment", 1, ["a", "b"], "completed"),
    ],
)
@pytest.mark.parametrize("by_handler", [False, True])
async def test_each_decision_about_a_command_takes_effect(
    cli: Cli, decision: str, asked: int, files: list[str], status: str, by_handler: bool
) -> None:
    amending = decision.endswith("amendment")
    decisions = ApprovalDecisions(
        command_execution=decision, execpolicy_amendment=["touch"] if amending else None
    )
    requests: list[object] = []

    def decide(request: object) -> Any:
        requests.append(request)
        return {decision: {"execpolicy_amendment": ["touch"]}} if amending else decision

    how: dict[str, Any] = {"approvals": decisions}
    if by_handler:
        how = {"handlers": RequestHandlers(on_command_approval=decide)}
    replies = [RunCommand("touch a"), RunCommand("touch b"), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        assert await run(client, await cli.thread(client), **how) == status

        assert cli.files == files
        assert len(server.requests) == (1 if status == "interrupted" else 3)
        assert len(requests) == (asked if by_handler else 0)
        home = (server.codex_options().env or {})["CODEX_HOME"]
        assert Path(home, "rules", "default.rules").exists() == amending


async def test_a_command_that_was_accepted_for_the_session_is_not_asked_for_again(cli: Cli) -> None:
    asked: list[Any] = []

    def decide(request: Any) -> str:
        asked.append(request)
        return "accept_for_session"

    replies = [RunCommand("touch a"), RunCommand("touch a"), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        handlers = RequestHandlers(on_command_approval=decide)
        assert await run(client, await cli.thread(client), handlers=handlers) == "completed"

        assert cli.files == ["a"]
        assert len(asked) == 1
        assert isinstance(asked[0], protocol.CommandExecutionRequestApprovalParams)
        assert asked[0].proposed_execpolicy_amendment == ("touch", "a")
        assert asked[0].cwd == str(cli.workspace)
        assert "touch a" in str(asked[0].command)


# Patches


@pytest.mark.parametrize(
    ("decision", "files", "status"),
    [
        ("accept", ["new.txt"], "completed"),
        ("accept_for_session", ["new.txt"], "completed"),
        ("decline", [], "completed"),
        ("cancel", [], "interrupted"),
    ],
)
async def test_each_decision_about_a_patch_takes_effect(
    cli: Cli, decision: str, files: list[str], status: str
) -> None:
    asked: list[Any] = []

    def decide(request: Any) -> str:
        asked.append(request)
        return decision

    replies = [ApplyPatch(AddFile("new.txt", "new\n")), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        handlers = RequestHandlers(on_file_change_approval=decide)
        assert await run(client, await cli.thread(client), handlers=handlers) == status

        assert cli.files == files
        assert [type(request) for request in asked] == [protocol.FileChangeRequestApprovalParams]


async def test_what_a_patch_would_change_stands_in_its_item(cli: Cli) -> None:
    changes: list[Any] = []

    def decide(request: Any) -> str:
        item = session.item(request.item_id)
        changes.append(item and item["changes"])
        return "decline"

    replies = [ApplyPatch(AddFile("new.txt", "new\n")), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        handlers = RequestHandlers(on_file_change_approval=decide)
        session = client.turn_session(await cli.thread(client), "go", handlers=handlers)
        async with session:
            await session.wait()

        [[change]] = changes
        assert Path(change["path"]).name == "new.txt"
        assert session.item("call_1_0") is None


# Permissions, questions, elicitations


@pytest.mark.parametrize(
    ("decision", "granted"),
    [
        ("accept", {"permissions": {"network": {"enabled": True}}, "scope": "turn"}),
        ("accept_for_session", {"permissions": {"network": {"enabled": True}}, "scope": "session"}),
        ("deny", {"permissions": {"network": None}, "scope": "turn"}),
    ],
)
@pytest.mark.parametrize("by_handler", [False, True])
async def test_each_decision_about_permissions_reaches_the_model(
    current_cli: Cli, decision: str, granted: dict[str, Any], by_handler: bool
) -> None:
    wanted = {"reason": "net", "permissions": {"network": {"enabled": True}}}
    how: dict[str, Any] = {"approvals": ApprovalDecisions(permissions_request=decision)}
    if by_handler:
        how = {"handlers": RequestHandlers(on_permissions=lambda _: decision)}
    replies = [FunctionCall("request_permissions", wanted), "done"]
    features = {"features.request_permissions_tool": True}
    async with (
        ModelServer(replies) as server,
        current_cli.client(server, config_overrides=features) as client,
    ):
        thread_id = await current_cli.thread(
            client, approval_policy="on-request", sandbox="read-only"
        )
        assert await run(client, thread_id, **how) == "completed"

        [output] = server.requests[-1].function_outputs()
        told = json.loads(output.text)
        told["permissions"].pop("file_system")
        assert told == granted


@pytest.mark.parametrize("answer", [{"q1": "B"}, None])
async def test_a_question_of_the_models_is_answered(
    current_cli: Cli, answer: dict[str, str] | None
) -> None:
    handlers = RequestHandlers(on_user_input=lambda _: answer) if answer else None
    replies = [FunctionCall("request_user_input", QUESTIONS), "done"]
    options = {"experimental_api_enabled": True, "unclaimed_request_timeout": 0.05}
    async with ModelServer(replies) as server, current_cli.client(server, **options) as client:
        thread_id = await current_cli.thread(client)
        status = await run(client, thread_id, handlers=handlers, collaboration_mode=PLAN)
        assert status == "completed"

        [output] = server.requests[-1].function_outputs()
        assert json.loads(output.text) == {"answers": {"q1": {"answers": ["B"]}} if answer else {}}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("accept", "sum=3"),
        ({"action": "accept", "content": {}}, "sum=3"),
        ("decline", "user rejected MCP tool call"),
        ("cancel", "user cancelled MCP tool call"),
        (None, "user rejected MCP tool call"),
    ],
)
async def test_an_elicitation_is_answered(
    current_cli: Cli, tmp_path: Path, answer: Any, said: str
) -> None:
    handlers = RequestHandlers(on_elicitation=lambda _: answer) if answer else None
    options = {
        "config_overrides": {"mcp_servers.adder": adder(tmp_path)},
        "unclaimed_request_timeout": 0.05,
    }
    replies = [CallMcpTool("adder", "add", {"a": 1, "b": 2}), "done"]
    async with ModelServer(replies) as server, current_cli.client(server, **options) as client:
        thread_id = await current_cli.thread(client, approval_policy="on-request")
        assert await run(client, thread_id, handlers=handlers) == "completed"

        [output] = server.requests[-1].function_outputs()
        assert said in output.text


def adder(tmp_path: Path) -> dict[str, Any]:
    """Return the configuration of an MCP server whose tool is not said to be harmless."""
    from ..testing import mcp_server

    source = Path(mcp_server.__file__).read_text(encoding="utf-8")
    program = tmp_path / "adder.py"
    program.write_text(source.replace('"readOnlyHint": True', ""), encoding="utf-8")
    return {"command": sys.executable, "args": [str(program)]}


# Nobody answers, or not as it should be


async def test_what_nobody_answers_is_declined_and_the_turn_goes_on(cli: Cli) -> None:
    replies = [RunCommand("touch a"), ApplyPatch(AddFile("new.txt", "new\n")), "done"]
    async with (
        ModelServer(replies) as server,
        cli.client(server, unclaimed_request_timeout=0.05) as client,
    ):
        assert await run(client, await cli.thread(client)) == "completed"

        assert cli.files == []
        assert len(server.requests) == 3


async def raising(_: object) -> str:
    await checkpoint()
    raise ValueError("mine")


async def hanging(_: object) -> str:
    await anyio.sleep_forever()
    return "accept"


@pytest.mark.parametrize("handler", [raising, hanging, lambda _: "maybe", lambda _: None])
async def test_a_handler_that_fails_has_declined(cli: Cli, handler: Callable[..., Any]) -> None:
    handlers = RequestHandlers(
        on_command_approval=handler, on_file_change_approval=handler, timeout=0.1
    )
    replies = [RunCommand("touch a"), ApplyPatch(AddFile("new.txt", "new\n")), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        with pytest.raises(CodexError, match="on_command_approval failed"):
            await run(client, await cli.thread(client), handlers=handlers)

        assert cli.files == []
        assert len(server.requests) == 3


async def test_a_turn_that_waits_for_an_approval_can_be_interrupted(cli: Cli) -> None:
    asked = anyio.Event()

    async def handler(_: object) -> str:
        asked.set()
        await anyio.sleep_forever()
        return "accept"

    handlers = RequestHandlers(on_command_approval=handler)
    async with (
        ModelServer([RunCommand("touch a"), "later"]) as server,
        cli.client(server) as client,
    ):
        thread_id = await cli.thread(client)
        async with client.turn_session(thread_id, "go", handlers=handlers) as session:
            await asked.wait()
            await session.interrupt()
            final = await session.wait()
            assert final is not None
            assert final["status"] == "interrupted"
            assert [type(error) for error in session.handler_errors] == [UnfinishedHandlerError]

        assert cli.files == []
        assert await run(client, thread_id) == "completed"


async def test_a_request_is_taken_and_answered_by_the_program(cli: Cli) -> None:
    replies = [RunCommand("touch a"), RunCommand("touch b"), "done"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        async with client.turn_session(await cli.thread(client), "go") as session:
            decisions = iter(("decline", "accept"))
            async for request in session.requests():
                assert isinstance(request.payload, protocol.CommandExecutionRequestApprovalParams)
                await client.respond(request.id, {"decision": next(decisions)})

        assert cli.files == ["b"]

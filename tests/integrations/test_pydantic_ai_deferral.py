"""Approvals that Codex asks for during a job, decided on after the run, and gone on with in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import Agent, DeferredToolRequests, ModelMessagesTypeAdapter
from pydantic_ai.messages import ModelMessage

from codex_sdk.integrations.pydantic_ai import CodexToolset
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    ModelServer,
    Reply,
    RunCommand,
)

from .conftest import Survivors, asyncio_only
from .models import tool_returns
from .toolsets import ASKING, MakeToolset, delegating

RequestsAdapter = TypeAdapter(DeferredToolRequests)

Stored = tuple[list[ModelMessage], DeferredToolRequests]


def deferring(toolset: CodexToolset, *prompts: str) -> Agent[None, str | DeferredToolRequests]:
    """Return an agent whose runs may end for somebody's decision."""
    return Agent(
        delegating(*(prompts or ("Go",))),
        toolsets=[toolset],
        output_type=[str, DeferredToolRequests],
    )


def stored(result: Any) -> Stored:
    """Return the history and the requests of a run, as they come out of a store."""
    assert isinstance(result.output, DeferredToolRequests), result.output
    history = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    return history, RequestsAdapter.validate_json(RequestsAdapter.dump_json(result.output))


async def go_on(agent: Agent[None, Any], state: Stored, **results: Any) -> Any:
    """Go on with a run that has ended for a decision."""
    history, requests = state
    decided = requests.build_results(**(results or {"approve_all": True}))
    return await agent.run(message_history=history, deferred_tool_results=decided)


def approvals(state: Stored) -> list[dict[str, Any]]:
    """Return what a run has asked to be approved."""
    [metadata] = state[1].metadata.values()
    return list(metadata["approvals"])


def denying(state: Stored) -> dict[str, Any]:
    return {"approvals": {call.tool_call_id: False for call in state[1].approvals}}


@asyncio_only
async def test_a_command_is_approved_after_the_run(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("echo once >> made"), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go"))
        [asked] = approvals(state)
        assert asked["kind"] == "command_execution"
        assert "echo once >> made" in asked["command"]
        assert asked["cwd"] == str(workspace)
        assert not (workspace / "made").exists()
        result = await go_on(agent, state)
        assert processes() == []
    assert result.output == "Reported."
    [part] = tool_returns(result.all_messages())
    assert (part.content, part.outcome) == ("Done.", "success")
    assert part.metadata["thread_id"] == state[1].metadata[part.tool_call_id]["thread_id"]
    assert (workspace / "made").read_text() == "once\n"
    assert_one_turn(server)


def assert_one_turn(server: ModelServer, prompts: int = 1) -> None:
    """Check that the job was handed over so many times on one thread."""
    assert server.requests[-1].user_texts().count("Go") == prompts


@asyncio_only
async def test_a_patch_is_approved_after_the_run(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    async with ModelServer([ApplyPatch(AddFile("made.txt", "hello\n")), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go"))
        [asked] = approvals(state)
        assert asked["kind"] == "file_change"
        assert "made.txt" in asked["changes"][0]["path"]
        assert "hello" in asked["changes"][0]["diff"]
        await go_on(agent, state)
    assert (workspace / "made.txt").read_text() == "hello\n"
    assert_one_turn(server)


@asyncio_only
async def test_a_job_that_is_denied_is_stopped(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("touch made"), "Later."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go"))
        result = await go_on(agent, state, **denying(state))
        assert result.output == "Reported."
        assert processes() == []
        [part] = tool_returns(result.all_messages())
        assert part.outcome == "denied"
        later = await agent.run("Go on", message_history=result.all_messages())
    assert tool_returns(later.new_messages())[0].content == "Later."
    assert_one_turn(server, 2)
    assert not (workspace / "made").exists()


@asyncio_only
async def test_a_job_may_ask_again_and_again(make_toolset: MakeToolset, workspace: Path) -> None:
    script = [RunCommand("echo 1 >> made"), RunCommand("echo 2 >> made"), "Done."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        first = stored(await agent.run("Go"))
        second = stored(await go_on(agent, first))
        assert "echo 2" in approvals(second)[0]["command"]
        assert (workspace / "made").read_text() == "1\n"
        await go_on(agent, second)
    assert (workspace / "made").read_text() == "1\n2\n"
    assert_one_turn(server)


@asyncio_only
async def test_what_is_asked_for_together_is_decided_on_together(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    script = [Reply(RunCommand("touch one"), RunCommand("touch two")), "Done."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go"))
        assert sorted(each["command"].split()[-1] for each in approvals(state)) == ["one'", "two'"]
        result = await go_on(agent, state)
    assert result.output == "Reported."
    assert {path.name for path in workspace.iterdir()} >= {"one", "two"}
    assert_one_turn(server)

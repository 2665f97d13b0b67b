"""Approvals that Codex asks for during a job, decided on after the run, and gone on with in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

import anyio
import pytest
from pydantic_ai import Agent, DeferredToolRequests, FunctionToolset, RunContext
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.output import NativeOutput
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import DeferredToolResults, ToolApproved
from pydantic_ai.usage import RunUsage

from codex_sdk import Usage
from codex_sdk.integrations._pydantic_ai.deferral import can_defer
from codex_sdk.integrations.pydantic_ai import CodexItemEvent
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    FunctionCall,
    ModelServer,
    Reply,
    RunCommand,
)

from ..tracing import Tracing
from .conftest import Survivors, asyncio_only
from .models import tool_returns
from .toolsets import (
    ASKING,
    MakeToolset,
    approvals,
    assert_handed_over,
    deferring,
    delegating,
    denying,
    go_on,
    stored,
    suspended,
)


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
    assert_handed_over(server)


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
    assert_handed_over(server)


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
    assert_handed_over(server, 2)
    assert not (workspace / "made").exists()


@asyncio_only
async def test_the_tokens_of_a_job_that_is_denied_count(make_toolset: MakeToolset) -> None:
    async with ModelServer([Reply(RunCommand("touch made"), usage=Usage(1000, 0, 10))]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go"))
        result = await go_on(agent, state, **denying(state))
    assert result.usage.input_tokens >= 1000


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
    assert_handed_over(server)


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
    assert_handed_over(server)


@asyncio_only
async def test_a_job_is_part_of_the_run_that_goes_on_with_it(make_toolset: MakeToolset) -> None:
    tools: FunctionToolset[str] = FunctionToolset(id="of-the-program")

    @tools.tool
    def look_up(ctx: RunContext[str]) -> str:
        return ctx.deps

    script = [
        Reply(RunCommand("echo 1 >> made"), usage=Usage(1000, 0, 0)),
        Reply(FunctionCall("look_up"), usage=Usage(20000, 0, 0)),
        Reply("Done.", usage=Usage(300000, 0, 0)),
    ]
    async with ModelServer(script) as server:
        agent = Agent(
            delegating("Go"),
            toolsets=[make_toolset(server, options=ASKING, tools=tools)],
            output_type=[str, DeferredToolRequests],
            deps_type=str,
        )
        first = await agent.run("Go", deps="first")
        history, requests = stored(first)
        results = requests.build_results(approve_all=True)
        async with agent.run_stream_events(
            message_history=history, deferred_tool_results=results, deps="second"
        ) as events:
            seen = [event async for event in events]
    items = [event.item["type"] for event in seen if isinstance(event, CodexItemEvent)]
    assert items == ["command_execution", "dynamicToolCall", "agent_message"]
    assert [output.text for output in server.requests[-1].function_outputs()][1:] == ["second"]
    result = seen[-1].result  # type: ignore[union-attr]
    used = [first.usage.input_tokens // 1000, result.usage.input_tokens // 1000]
    assert sum(used) == 321
    assert used[0] <= 1
    [part] = tool_returns(result.all_messages())
    assert part.metadata["usage"].input_tokens == 321000


@asyncio_only
async def test_what_a_handler_decides_on_ends_no_run(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    async def decide(
        ctx: RunContext[None], requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        decided = {
            call.tool_call_id: "two" not in str(call.args)
            for call in requests.approvals
            if "three" not in str(call.args) and call.tool_name != "codex"
        }
        return requests.build_results(approvals=decided) if decided else None

    script = [RunCommand(f"touch {name}") for name in ("one", "two", "three")]
    async with ModelServer([*script, "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        result = await agent.run("Go", capabilities=[HandleDeferredToolCalls(decide)])
        state = stored(result)
        assert "three" in approvals(state)[0]["command"]
        await go_on(agent, state)
    assert {path.name for path in workspace.iterdir()} >= {"one", "three"}
    assert not (workspace / "two").exists()


@asyncio_only
async def test_a_run_ends_for_a_decision_when_its_own_handler_is_done(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    async def decide(
        ctx: RunContext[None], requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        if "one" not in str(requests.approvals[0].args):
            return None
        await anyio.sleep(0.15)
        return requests.build_results(approve_all=True)

    script = [Reply(RunCommand("touch one"), RunCommand("touch two")), "Done."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        state = stored(await agent.run("Go", capabilities=[HandleDeferredToolCalls(decide)]))
        assert ["two" in each["command"] for each in approvals(state)] == [True]
        await go_on(agent, state)
    assert {path.name for path in workspace.iterdir()} >= {"one", "two"}


@asyncio_only
async def test_a_run_ends_for_a_decision_when_tools_for_codex_have_returned(
    make_toolset: MakeToolset,
) -> None:
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")

    @tools.tool_plain
    async def look_up() -> str:
        await anyio.sleep(0.15)
        return "found"

    script = [Reply(RunCommand("touch made"), FunctionCall("look_up")), "Done."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING, tools=tools))
        await go_on(agent, stored(await agent.run("Go")))
    outputs = [output.text for output in server.requests[-1].function_outputs()]
    assert outputs.count("found") == 1


@asyncio_only
async def test_a_handler_may_deny_the_whole_job(make_toolset: MakeToolset) -> None:
    async def decide(
        ctx: RunContext[None], requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        [call] = requests.approvals
        denied = {call.tool_call_id: False}
        return requests.build_results(approvals=denied) if call.tool_name == "codex" else None

    async with ModelServer([RunCommand("touch made")]) as server:
        toolset = make_toolset(server, options=ASKING)
        async with deferring(toolset) as agent:
            result = await agent.run("Go", capabilities=[HandleDeferredToolCalls(decide)])
            assert result.output == "Reported."
            assert suspended(toolset) == 0
    assert tool_returns(result.all_messages())[0].outcome == "denied"


@asyncio_only
async def test_who_cannot_be_seen_to_decide_is_asked_on_demand(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    script = [RunCommand("touch no"), "Done.", RunCommand("touch yes"), "Done."]
    outputs: Any = [str, DeferredToolRequests]
    async with ModelServer(script) as server:
        toolset = make_toolset(server, options=ASKING)
        declined = await Agent(delegating("Go"), toolsets=[toolset]).run("Go", output_type=outputs)
        assert declined.output == "Reported."
        toolset = make_toolset(server, options=ASKING, defer_approvals=True)
        agent = Agent(delegating("Go"), toolsets=[toolset])
        state = stored(await agent.run("Go", output_type=outputs))
        await go_on(agent, state)
    assert (workspace / "yes").exists()
    assert not (workspace / "no").exists()


@asyncio_only
async def test_no_approval_is_deferred_where_that_is_not_wanted(make_toolset: MakeToolset) -> None:
    async with ModelServer([RunCommand("touch no"), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING, defer_approvals=False))
        assert (await agent.run("Go")).output == "Reported."


@pytest.mark.parametrize(
    ("output_type", "defers"),
    [
        (str, False),
        ([str, DeferredToolRequests], True),
        ([str, [int, DeferredToolRequests]], True),
        (Union[str, DeferredToolRequests], True),
        (str | DeferredToolRequests, True),
        ([NativeOutput(int), DeferredToolRequests], True),
        ([str, int], False),
    ],
)
def test_an_agents_output_type_tells_whether_its_runs_may_end_for_a_decision(
    output_type: Any, defers: bool
) -> None:
    agent = Agent(TestModel(), output_type=output_type)
    assert (
        can_defer(RunContext(deps=None, model=TestModel(), usage=RunUsage(), agent=agent)) is defers
    )


@asyncio_only
async def test_a_job_that_is_approved_in_other_words_is_begun_anew(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    script = [RunCommand("echo 1 >> made"), RunCommand("echo 2 >> made"), "Done."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        first = stored(await agent.run("Go"))
        other = ToolApproved(override_args={"prompt": "Go, but otherwise"})
        ids = [call.tool_call_id for call in first[1].approvals]
        second = stored(await go_on(agent, first, approvals=dict.fromkeys(ids, other)))
        assert server.requests[-1].prompt == "Go, but otherwise"
        assert not (workspace / "made").exists()
        await go_on(agent, second, approvals=dict.fromkeys(ids, other))
    assert (workspace / "made").read_text() == "2\n"


@asyncio_only
async def test_jobs_that_were_handed_over_together_are_done_one_after_the_other(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    script = [RunCommand("echo 1 >> made"), "One.", RunCommand("echo 2 >> made"), "Two."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING), "First", "Second")
        first = stored(await agent.run("Go"))
        assert len(first[1].approvals) == 2
        asked = [each["approvals"] for each in first[1].metadata.values()]
        assert [len(each) for each in asked] == [1, 0]
        second = stored(await go_on(agent, first))
        assert len(second[1].approvals) == 1
        result = await go_on(agent, second)
    assert [part.content for part in tool_returns(result.all_messages())] == ["One.", "Two."]
    assert (workspace / "made").read_text() == "1\n2\n"


@asyncio_only
async def test_a_deferral_is_no_failure_in_a_trace(
    make_toolset: MakeToolset, tracing: Tracing
) -> None:
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        await go_on(agent, stored(await agent.run("Go")))
    first, second = (
        span for span in tracing.finished if span.name == "codex_sdk.pydantic_ai.handoff"
    )
    assert first.status.is_unset
    assert not first.events
    assert (first.attributes or {})["deferred"] is True
    assert "deferred" not in (second.attributes or {})


async def test_a_job_is_gone_on_with_on_any_event_loop(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        context: RunContext[None] = RunContext(deps=None, model=TestModel(), usage=RunUsage())
        toolset = make_toolset(server, options=ASKING, defer_approvals=True)
        call = ToolCallPart("codex", {"prompt": "Go"}, "call")
        async with toolset:
            manager = await ToolManager(toolset).for_run_step(context)
            with pytest.raises(ApprovalRequired) as deferred:
                await manager.handle_call(call)
            assert "touch made" in (deferred.value.metadata or {})["approvals"][0]["command"]
            result = await manager.handle_call(call, approved=True)
        assert processes() == []
    assert result.return_value == "Done."
    assert (workspace / "made").exists()

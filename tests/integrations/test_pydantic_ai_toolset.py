"""Codex as a toolset of a PydanticAI agent, on the real CLI's app-server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, FunctionToolset, ModelRetry, RunContext
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDenied
from pydantic_ai.usage import RunUsage, UsageLimits

from codex_sdk import Usage
from codex_sdk.integrations.pydantic_ai import CodexItemEvent
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    FunctionCall,
    Gate,
    HttpReply,
    ModelServer,
    Reply,
    RunCommand,
)

from ..tracing import Tracing
from .conftest import Survivors, asyncio_only
from .models import tool_returns, until
from .toolsets import ASKING, MakeToolset, delegating


@asyncio_only
async def test_a_job_is_done_and_its_tokens_count(make_toolset: MakeToolset) -> None:
    script = [
        Reply(RunCommand("echo hello"), usage=Usage(1000, 200, 30)),
        Reply("Done.", usage=Usage(2000, 400, 50)),
    ]
    async with ModelServer(script) as server:
        agent = Agent(delegating("Say hello"), toolsets=[make_toolset(server)])
        result = await agent.run("Go")
    [part] = tool_returns(result.all_messages())
    assert (part.content, part.outcome) == ("Done.", "success")
    command, message = part.metadata["items"]
    assert (command["type"], command["exit_code"]) == ("command_execution", 0)
    assert message == {"type": "agent_message", "text": "Done."}
    usage = part.metadata["usage"]
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (3000, 600, 80)
    assert result.usage.input_tokens >= 3000
    assert result.usage.tool_calls == 1


@asyncio_only
async def test_items_can_be_part_of_the_result(make_toolset: MakeToolset) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        toolset = make_toolset(server, include_items=True, items_limit=1, name="codex")
        result = await Agent(delegating("Go"), toolsets=[toolset]).run("Go")
    [part] = tool_returns(result.all_messages())
    said = {"type": "agent_message", "text": "One."}
    assert part.content == {"final_response": "One.", "items": [said]}


@asyncio_only
async def test_a_conversation_has_a_thread_of_its_own(make_toolset: MakeToolset) -> None:
    async with ModelServer(["One.", "Two.", "Three."]) as server:
        agent = Agent(delegating("Count"), toolsets=[make_toolset(server)])
        first = await agent.run("Go")
        again = await agent.run("Go on", message_history=first.all_messages())  # another server
        other = await agent.run("Go")
    threads = [part.metadata["thread_id"] for part in tool_returns(again.all_messages())]
    assert threads[0] == threads[1]
    assert tool_returns(other.all_messages())[0].metadata["thread_id"] != threads[0]
    assert server.requests[1].assistant_texts() == ("One.",)
    assert server.requests[2].assistant_texts() == ()


@asyncio_only
async def test_jobs_of_one_conversation_wait_for_each_other(make_toolset: MakeToolset) -> None:
    async with ModelServer(["One.", "Two."]) as server:
        toolset = make_toolset(server)
        result = await Agent(delegating("First", "Second"), toolsets=[toolset]).run("Go")
    assert sorted(part.content for part in tool_returns(result.all_messages())) == ["One.", "Two."]
    assert server.requests[1].assistant_texts() == ("One.",)


@asyncio_only
async def test_progress_comes_as_events(make_toolset: MakeToolset) -> None:
    async with ModelServer([RunCommand("echo hello"), "Done."]) as server:
        agent = Agent(delegating("Say hello"), toolsets=[make_toolset(server)])
        async with agent.run_stream_events("Go") as events:
            names = [
                event.item["type"] if isinstance(event, CodexItemEvent) else type(event).__name__
                async for event in events
            ]
    between = names[names.index("FunctionToolCallEvent") : names.index("FunctionToolResultEvent")]
    assert between[1:] == ["command_execution", "agent_message"]


@asyncio_only
async def test_limits_of_usage_hold_for_jobs_too(make_toolset: MakeToolset) -> None:
    async with ModelServer([Reply("Done.", usage=Usage(1000, 0, 10))]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server)])
        with pytest.raises(UsageLimitExceeded):
            await agent.run("Go", usage_limits=UsageLimits(total_tokens_limit=500))


@asyncio_only
@pytest.mark.parametrize("approve", [True, False, None])
async def test_approvals_are_asked_for_as_deferred_calls(
    make_toolset: MakeToolset, workspace: Path, approve: bool | None
) -> None:
    asked: list[Any] = []

    async def decide(
        ctx: RunContext[None], requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        asked.extend(requests.approvals)
        if approve:
            return requests.build_results(approve_all=True)
        denied = {call.tool_call_id: ToolDenied("no") for call in requests.approvals}
        return requests.build_results(approvals=denied)

    handlers = [] if approve is None else [HandleDeferredToolCalls(decide)]
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        await Agent(delegating("Go"), toolsets=[toolset], capabilities=handlers).run("Go")
    assert (workspace / "made").exists() is bool(approve)
    if approve is not None:
        [call] = asked
        assert call.tool_name == "codex.command_execution"
        assert "touch made" in call.args["command"]


@asyncio_only
async def test_an_approval_of_a_patch_shows_the_patch(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    asked: list[Any] = []

    async def decide(ctx: RunContext[None], requests: DeferredToolRequests) -> DeferredToolResults:
        asked.extend(requests.approvals)
        return requests.build_results(approve_all=True)

    async with ModelServer([ApplyPatch(AddFile("made.txt", "hello\n")), "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        capabilities = [HandleDeferredToolCalls(decide)]
        await Agent(delegating("Go"), toolsets=[toolset], capabilities=capabilities).run("Go")
    [call] = asked
    assert call.tool_name == "codex.file_change"
    assert "made.txt" in str(call.args["changes"])
    assert (workspace / "made.txt").read_text() == "hello\n"


@asyncio_only
async def test_codex_can_call_tools_of_the_program(make_toolset: MakeToolset) -> None:
    tools: FunctionToolset[str] = FunctionToolset(id="of-the-program")

    @tools.tool
    def look_up(ctx: RunContext[str], key: int) -> str:
        if key == 0:
            raise ModelRetry("not zero, please")
        return f"{ctx.deps} {key}"

    script = [
        FunctionCall("look_up", {"key": "x"}),
        FunctionCall("look_up", {"key": 0}),
        FunctionCall("look_up", {"key": 7}),
        "Done.",
    ]
    async with ModelServer(script) as server:
        toolset = make_toolset(server, tools=tools)
        result = await Agent(delegating("Go"), toolsets=[toolset], deps_type=str).run(
            "Go", deps="value"
        )
    assert [part.content for part in tool_returns(result.all_messages())] == ["Done."]
    wrong, retry, right = (output.text for output in server.requests[-1].function_outputs())
    assert "valid integer" in wrong
    assert "not zero, please" in retry
    assert right == "value 7"


@asyncio_only
@pytest.mark.parametrize("error", [LookupError, TimeoutError])
async def test_an_error_of_a_tool_of_the_program_ends_the_run(
    make_toolset: MakeToolset, processes: Survivors, error: type[Exception]
) -> None:
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")

    @tools.tool_plain
    def look_up() -> str:
        raise error("no such thing")

    async with ModelServer([FunctionCall("look_up"), "Done."]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server, tools=tools)])
        with pytest.raises(error, match="no such thing"):
            await agent.run("Go")
        assert processes() == []


@asyncio_only
async def test_of_errors_of_tools_at_the_same_time_the_first_ends_the_run(
    make_toolset: MakeToolset, caplog: pytest.LogCaptureFixture
) -> None:
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")
    together = anyio.Event()
    called: list[str] = []

    @tools.tool_plain
    async def look_up(name: str) -> str:
        called.append(name)
        if len(called) == 2:
            together.set()
        with anyio.move_on_after(0.3):  # older CLIs call one tool at a time
            await together.wait()
        raise LookupError(name)

    script = [Reply(FunctionCall("look_up", {"name": "a"}), FunctionCall("look_up", {"name": "b"}))]
    async with ModelServer(script) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server, tools=tools)])
        with pytest.raises(LookupError) as caught:
            await agent.run("Go")
    logged = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert sorted(map(str, [caught.value, *logged])) == sorted(called)


@asyncio_only
async def test_a_job_does_not_wait_for_the_job_that_it_is_part_of(
    make_toolset: MakeToolset,
) -> None:
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")
    async with ModelServer([FunctionCall("ask"), "Done.", "Later."]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server, tools=tools)])
        inner: list[Any] = []
        is_done = asyncio.Event()

        @tools.tool
        async def ask(ctx: RunContext[None]) -> str:
            run = partial(agent.run, "Go", conversation_id=ctx.conversation_id)
            inner.append(await run())
            inner.append(asyncio.ensure_future(after(run)))
            return "Asked."

        async def after(run: Callable[[], Awaitable[Any]]) -> Any:
            await is_done.wait()
            return await run()

        with anyio.fail_after(20):
            result = await agent.run("Go")
            is_done.set()
            later = await inner[1]
    [part] = tool_returns(inner[0].all_messages())
    assert part.outcome == "failed"
    assert "part of" in str(part.content)
    assert tool_returns(result.all_messages())[0].content == "Done."
    assert tool_returns(later.all_messages())[0].content == "Later."


@asyncio_only
async def test_the_tools_for_codex_are_left_though_who_leaves_is_cancelled(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    left: list[bool] = []

    class Tools(FunctionToolset[None]):
        async def __aexit__(self, *args: object) -> None:
            left.append(True)

    leaving = asyncio.Event()
    async with ModelServer([]) as server:
        toolset = make_toolset(server, tools=Tools(id="of-the-program"))

        async def use() -> None:
            async with toolset:
                await toolset._workshop._servers.here().connect()
                leaving.set()

        task = asyncio.ensure_future(use())
        await leaving.wait()
        task.cancel()
        await asyncio.wait([task])
        assert left == [True]
        await until(lambda: processes() == [])


@asyncio_only
async def test_a_tool_of_the_program_may_be_called_as_one_of_codexs_own(
    make_toolset: MakeToolset,
) -> None:
    tools: FunctionToolset[None] = FunctionToolset(id="of-the-program")

    @tools.tool_plain
    def exec_command() -> str:
        return "mine"

    async with ModelServer([FunctionCall("exec_command_1"), "Done."]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server, tools=tools)])
        await agent.run("Go")
    assert [output.text for output in server.requests[1].function_outputs()] == ["mine"]


@asyncio_only
async def test_a_job_that_fails_is_told_to_the_model(make_toolset: MakeToolset) -> None:
    async with ModelServer([HttpReply(400, "no such model")]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server)])
        result = await agent.run("Go")
    [part] = tool_returns(result.all_messages())
    assert part.outcome == "failed"
    assert "no such model" in str(part.content)
    assert result.output == "Reported."


@asyncio_only
async def test_a_job_outside_of_a_git_repository_has_to_be_allowed(
    make_toolset: MakeToolset,
) -> None:
    async with ModelServer() as server:
        toolset = make_toolset(server, options={"skip_git_repo_check": None})
        result = await Agent(delegating("Go"), toolsets=[toolset]).run("Go")
        assert server.requests == ()
    [part] = tool_returns(result.all_messages())
    assert part.outcome == "failed"
    assert "skip_git_repo_check=True" in str(part.content)


@asyncio_only
async def test_a_job_that_takes_too_long_is_stopped(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    sleeping = Reply(RunCommand("sleep 600", timeout=600), usage=Usage(1000, 0, 10))
    async with ModelServer([sleeping, "Done."]) as server:
        toolset = make_toolset(server, timeout_seconds=5.0)
        # What takes longest until the model is asked does not count then.
        await toolset._workshop._servers.here().connect()
        result = await Agent(delegating("Go"), toolsets=[toolset]).run("Go")
    [part] = tool_returns(result.all_messages())
    assert part.outcome == "failed"
    assert "stopped after 5 seconds" in str(part.content)
    assert result.usage.input_tokens >= 1000
    assert processes() == []


@asyncio_only
async def test_a_run_that_is_cancelled_stops_its_job(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("sleep 600", timeout=600), Gate()]) as server:
        agent = Agent(delegating("Go"), toolsets=[make_toolset(server)])
        task = asyncio.ensure_future(agent.run("Go"))
        await server.wait_for_request()
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert processes() == []


@asyncio_only
async def test_runs_at_the_same_time_share_a_server_and_nothing_else(
    make_toolset: MakeToolset,
) -> None:
    async with ModelServer(lambda request: f"Did {request.prompt}.") as server:
        toolset = make_toolset(server)
        results: dict[str, Any] = {}

        async def run(prompt: str) -> None:
            result = await Agent(delegating(prompt), toolsets=[toolset]).run("Go")
            results[prompt] = tool_returns(result.all_messages())[0]

        async with Agent(TestModel(), toolsets=[toolset]), anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(run, f"job {number}")
    assert {name: part.content for name, part in results.items()} == {
        f"job {number}": f"Did job {number}." for number in range(4)
    }
    assert len({part.metadata["thread_id"] for part in results.values()}) == 4


async def test_the_tool_works_on_any_event_loop(make_toolset: MakeToolset) -> None:
    async with ModelServer(["Done."]) as server:
        context: RunContext[None] = RunContext(deps=None, model=TestModel(), usage=RunUsage())
        toolset = await make_toolset(server).for_run(context)
        async with toolset:
            manager = await ToolManager(toolset).for_run_step(context)
            result = await manager.handle_call(ToolCallPart("codex", {"prompt": "Go"}))
    assert result.return_value == "Done."
    assert context.usage.input_tokens == 10


@asyncio_only
async def test_the_tokens_of_a_job_that_fails_are_in_its_span(
    make_toolset: MakeToolset, tracing: Tracing
) -> None:
    used = Reply(RunCommand("echo hello"), usage=Usage(1000, 0, 10))
    async with ModelServer([used, HttpReply(400, "no such model")]) as server:
        await Agent(delegating("Go"), toolsets=[make_toolset(server)]).run("Go")
    attributes = tracing.the("codex_sdk.pydantic_ai.handoff").attributes
    assert attributes is not None
    assert attributes["gen_ai.usage.input_tokens"] == 1000


@asyncio_only
async def test_a_job_is_a_span(make_toolset: MakeToolset, tracing: Tracing) -> None:
    async with ModelServer(["Done."]) as server:
        result = await Agent(delegating("Go"), toolsets=[make_toolset(server)]).run("Go")
    [part] = tool_returns(result.all_messages())
    attributes = tracing.the("codex_sdk.pydantic_ai.handoff").attributes
    assert attributes is not None
    assert attributes["thread_id"] == part.metadata["thread_id"]

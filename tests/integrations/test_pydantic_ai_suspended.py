"""Jobs that wait for a decision on an approval, and those whose run is cancelled: what is left of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextlib import AsyncExitStack, nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.capabilities import AbstractCapability, HandleDeferredToolCalls, WrapRunHandler
from pydantic_ai.exceptions import ApprovalRequired, UserError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import DeferredToolResults, RunContext
from pydantic_ai.usage import RunUsage

from codex_sdk.integrations.pydantic_ai import CodexToolset
from codex_sdk.testing import ModelRequest, ModelServer, RunCommand

from .conftest import Survivors, asyncio_only
from .models import tool_returns, until
from .toolsets import (
    ASKING,
    MakeToolset,
    assert_handed_over,
    deferring,
    delegating,
    go_on,
    stored,
    suspended,
)


@asyncio_only
@pytest.mark.parametrize("told", [True, False])
async def test_a_job_that_is_lost_is_begun_again(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors, told: bool
) -> None:
    """Told what was approved, nothing of that is asked for again."""
    echo = RunCommand("echo once >> made")
    async with ModelServer([echo, echo, "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        state = stored(await deferring(toolset).run("Go"))
        await toolset.close()
        assert processes() == []
        again = deferring(
            make_toolset(server, options=ASKING)
        )  # as in a program that was restarted
        if told:
            result = await go_on(again, state, approve_all=True, metadata=state[1].metadata)
        else:
            second = stored(await go_on(again, state))
            assert not (workspace / "made").exists()
            result = await go_on(again, second)
    [part] = tool_returns(result.all_messages())
    assert part.content == "Done."
    [metadata] = state[1].metadata.values()
    assert (part.metadata["thread_id"] == metadata["thread_id"]) is told
    assert (workspace / "made").read_text() == "once\n"
    if told:
        assert_handed_over(server, 2)


@asyncio_only
async def test_a_job_whose_server_has_died_is_begun_again(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    echo = RunCommand("echo once >> made")
    async with ModelServer([echo, echo, "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        agent = deferring(toolset)
        state = stored(await agent.run("Go"))
        connection = await toolset._workshop._servers.here().connect()
        for process in processes():
            psutil.Process(int(process.split()[0])).kill()
        await connection.peer.wait_closed()
        result = await go_on(agent, state, approve_all=True, metadata=state[1].metadata)
        assert processes() == []
    assert tool_returns(result.all_messages())[0].content == "Done."
    assert (workspace / "made").read_text() == "once\n"
    assert_handed_over(server, 2)


@asyncio_only
async def test_what_was_approved_is_accepted_once(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    echo = RunCommand("echo more >> made")
    async with ModelServer([echo, echo, echo, "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        state = stored(await deferring(toolset).run("Go"))
        await toolset.close()
        told = {"approve_all": True, "metadata": state[1].metadata}
        second = stored(await go_on(deferring(toolset), state, **told))
        assert (workspace / "made").read_text() == "more\n"
        told = {"approve_all": True, "metadata": second[1].metadata}
        await go_on(deferring(toolset), second, **told)
    assert (workspace / "made").read_text() == "more\nmore\n"


@asyncio_only
async def test_a_job_waits_for_a_time(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    echo = RunCommand("echo once >> made")
    async with ModelServer([echo, echo, "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING, wait_timeout=2.0))
        state = stored(await agent.run("Go"))
        assert processes() != []  # the end of a run takes some hundredths of a second
        await until(lambda: processes() == [])
        result = await go_on(agent, state, approve_all=True, metadata=state[1].metadata)
        assert result.output == "Reported."
        assert processes() == []
    assert (workspace / "made").read_text() == "once\n"


@asyncio_only
async def test_a_job_ends_with_the_agents_block(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("touch made")]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        async with agent:
            stored(await agent.run("Go"))
            assert processes() != []
        assert processes() == []


@asyncio_only
async def test_a_job_ends_with_the_block_though_others_work_on(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("touch made"), RunCommand("sleep 600")]) as server:
        toolset = make_toolset(server, options=ASKING)
        asked = anyio.Event()

        async def decide(ctx: RunContext[None], requests: Any) -> None:
            asked.set()
            await anyio.sleep_forever()

        async with deferring(toolset) as agent:
            stored(await agent.run("Go"))
            handled = Agent(
                delegating("Go"), toolsets=[toolset], capabilities=[HandleDeferredToolCalls(decide)]
            )
            working = asyncio.ensure_future(handled.run("Go"))
            await asked.wait()
        assert suspended(toolset) == 0
        working.cancel()
        await asyncio.wait([working])
        assert processes() == []


@asyncio_only
async def test_the_oldest_of_too_many_jobs_is_given_up(make_toolset: MakeToolset) -> None:
    script = [RunCommand("touch one"), RunCommand("touch two"), "Two.", "One again."]
    async with ModelServer(script) as server:
        agent = deferring(make_toolset(server, options=ASKING, kept_jobs=1))
        async with agent:
            first = stored(await agent.run("Go"))
            second = stored(await agent.run("Go"))
            results = [await go_on(agent, state) for state in (second, first)]
    contents = [tool_returns(result.all_messages())[0].content for result in results]
    assert contents == ["Two.", "One again."]


@asyncio_only
async def test_a_new_job_of_the_conversation_takes_the_place_of_one_that_waits(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    script = ["Before.", RunCommand("touch made"), "Instead."]
    async with ModelServer(script) as server:
        toolset = make_toolset(server, options=ASKING)
        async with deferring(toolset) as agent:
            before = (await agent.run("Go")).all_messages()
            stored(await agent.run("Go on", message_history=before))
            result = await agent.run("Go on otherwise", message_history=before)
            assert tool_returns(result.new_messages())[0].content == "Instead."
            assert suspended(toolset) == 0
    assert not (workspace / "made").exists()


@asyncio_only
async def test_a_run_that_fails_stops_what_it_has_suspended(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    async with ModelServer([RunCommand("touch made")]) as server:
        toolset = make_toolset(server, options=ASKING, defer_approvals=True)
        try:
            raise ValueError("something else, which is being handled")
        except ValueError:
            with pytest.raises(UserError, match="DeferredToolRequests"):
                await Agent(delegating("Go"), toolsets=[toolset]).run("Go")
        assert processes() == []


@asyncio_only
async def test_a_run_may_end_for_a_decision_while_an_error_is_handled(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        try:
            raise ValueError("something else")
        except ValueError:
            state = stored(await agent.run("Go"))
        await go_on(agent, state)
    assert_handed_over(server)


@asyncio_only
async def test_a_run_may_begin_while_an_error_is_handled_and_end_later(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        agent = deferring(make_toolset(server, options=ASKING))
        async with AsyncExitStack() as stack:
            try:
                raise ValueError("something else")
            except ValueError:
                run = await stack.enter_async_context(agent.iter("Go"))
            async for _ in run:
                pass
        await go_on(agent, stored(run.result))
    assert_handed_over(server)


@asyncio_only
async def test_a_job_that_waited_keeps_to_the_time_limits_of_both(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    """Time that was spent in an earlier run does not count for the limit of this one."""
    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        toolset = make_toolset(server, options=ASKING, timeout_seconds=60)
        agent = deferring(toolset)
        history, requests = stored(await agent.run("Go"))
        [kept] = toolset._workshop._jobs()
        kept.job.seconds = 40
        decided = requests.build_results(approve_all=True)
        result = await agent.run(message_history=history, deferred_tool_results=decided, timeout=30)
    assert tool_returns(result.all_messages())[0].content == "Done."


@asyncio_only
@pytest.mark.parametrize("closing", [True, False])
async def test_jobs_are_stopped_though_who_stops_them_is_cancelled(
    make_toolset: MakeToolset, processes: Survivors, closing: bool
) -> None:
    """asyncio's own cancellation is held up by no shield."""
    async with ModelServer([RunCommand("touch one"), RunCommand("touch two")]) as server:
        toolset = make_toolset(server, options=ASKING)
        async with deferring(toolset) as agent:
            for _ in range(2):
                stored(await agent.run("Go"))
            workshop = toolset._workshop
            peer = (await workshop._servers.here().connect()).peer
            stop = toolset.close() if closing else workshop._discard(workshop._jobs())
            task = asyncio.ensure_future(stop)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await until(lambda: processes() == [] if closing else not peer.runs_turns)


def test_a_job_ends_with_its_event_loop(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    echo = RunCommand("echo once >> made")

    async def run() -> None:
        async with ModelServer([echo]) as server:
            stored(await deferring(make_toolset(server, options=ASKING)).run("Go"))
            assert processes() != []

    asyncio.run(run())
    assert processes() == []


async def test_a_call_that_comes_after_the_end_of_its_run_leaves_nothing(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    """PydanticAI leaves toolsets before calls that are cancelled have ended."""
    async with ModelServer([RunCommand("touch made"), RunCommand("touch made")]) as server:
        toolset = make_toolset(server, options=ASKING, defer_approvals=True)
        for block in (toolset, nullcontext()):
            async with block:
                context: RunContext[None] = RunContext(
                    deps=None, model=TestModel(), usage=RunUsage()
                )
                async with await toolset.for_run(context) as of_run:
                    manager = await ToolManager(of_run).for_run_step(context)
                with pytest.raises(ApprovalRequired):
                    await manager.handle_call(ToolCallPart("codex", {"prompt": "Go"}, "call"))
                assert suspended(toolset) == 0
            assert processes() == []


LONGEST = {"cold": 0.25, "sleep": 0.2, "inline": 0.12, "defer": 0.05}
"""Seconds after which runs are cancelled at the latest: from their start, or from the first approval on."""


def reply(request: ModelRequest) -> Any:
    if request.function_outputs() or request.prompt == "say":
        return "Done."
    sleeps = request.prompt in ("cold", "sleep")
    return RunCommand("sleep 600" if sleeps else f"touch {request.prompt}", timeout=600)


class Ends(AbstractCapability[None]):
    """Takes note of runs that have ended for a decision, and of those that have told so.

    A run that is cancelled between the two has ended well for its toolset.
    """

    def __init__(self) -> None:
        self.reached = 0
        self.told = 0

    async def wrap_run(
        self, ctx: RunContext[None], *, handler: WrapRunHandler
    ) -> AgentRunResult[Any]:
        result = await handler()
        self.reached += isinstance(result.output, DeferredToolRequests)
        return result

    async def telling(self, run: Awaitable[AgentRunResult[Any]]) -> None:
        self.told += isinstance((await run).output, DeferredToolRequests)


async def cancelled(
    toolset: CodexToolset, ends: Ends, kind: str, moment: float, by_task: bool
) -> None:
    """Cancel a run at that moment of what its job does."""
    asked = anyio.Event()

    async def decide(
        ctx: RunContext[None], requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        asked.set()
        if kind == "inline":
            await anyio.sleep(0.1)
        return None if kind == "defer" else requests.build_results(approve_all=True)

    agent = deferring(toolset, kind)
    capabilities = [HandleDeferredToolCalls(decide), ends]
    run = ends.telling(agent.run("Go", capabilities=capabilities))

    async def reach_moment() -> None:
        if kind != "cold":
            await asked.wait()
        await anyio.sleep(moment)

    if by_task:
        task, moment_comes = asyncio.ensure_future(run), asyncio.ensure_future(reach_moment())
        await asyncio.wait({task, moment_comes}, return_when="FIRST_COMPLETED")
        for each in (task, moment_comes):
            each.cancel()
        await asyncio.wait({task, moment_comes})
        return
    async with anyio.create_task_group() as group:

        async def use() -> None:
            await run
            group.cancel_scope.cancel()

        group.start_soon(use)
        await reach_moment()
        group.cancel_scope.cancel()


def drawn(number: int, seed: int) -> list[tuple[str, float, bool]]:
    """Draw that many cancellations, of all kinds as evenly as can be."""
    draw = random.Random(seed)
    kinds = list(product(LONGEST, (True, False))) * (number // 8 + 1)
    draw.shuffle(kinds)
    return [(kind, draw.uniform(0, LONGEST[kind]), by_task) for kind, by_task in kinds[:number]]


@asyncio_only
async def test_a_run_can_be_cancelled_at_any_moment(
    make_toolset: MakeToolset, processes: Survivors
) -> None:
    """Sixteen or seventeen at a time, on a server that the first of them starts."""
    seed = random.SystemRandom().getrandbits(32)
    cancellations = drawn(50, seed)
    async with ModelServer(reply) as server:
        toolset = make_toolset(server, options=ASKING)
        for batch in range(3):
            async with toolset if batch else nullcontext():  # in which the server outlives the runs
                ends = Ends()
                async with anyio.create_task_group() as group:
                    for each in cancellations[batch::3]:
                        group.start_soon(cancelled, toolset, ends, *each)
                assert ends.told <= suspended(toolset) <= ends.reached, (seed, batch)
                assert not any("sleep" in each for each in processes()), (seed, batch)
                result = await deferring(toolset, "say").run("Go")
                assert tool_returns(result.all_messages())[0].content == "Done."
            await toolset.close()
            assert processes() == [], (seed, batch)

"""Runs and streams that are cancelled, left or timed out: no turn goes on without them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice, product
from typing import Any, NamedTuple

import anyio
import pytest
from pydantic_ai import Agent, FunctionToolCallEvent, direct
from pydantic_ai.exceptions import ModelRequestTimeout
from pydantic_ai.messages import ModelRequest as Request
from pydantic_ai.messages import PartStartEvent

from codex_sdk.integrations.pydantic_ai_model import CodexModel
from codex_sdk.testing import (
    Delay,
    FunctionCall,
    Gate,
    Message,
    ModelRequest,
    ModelServer,
    Reasoning,
    Reply,
)

from .conftest import Survivors, asyncio_only
from .models import MakeModel, add, runs_turns, suspended, until

LONGEST = 0.35
"""Seconds that a run of :func:`working` takes, about, so that cancellations fall into all of it."""


def reply(request: ModelRequest) -> Any:
    """Think, have the tool run three times in two requests, and tell a text that takes a while."""
    if len(request.function_outputs()) % 3 == 2:
        return Message("a ", Delay(0.02), "b ", Delay(0.02), "c")
    return Reply(Reasoning("Hm."), FunctionCall("slow", {"a": 1}), FunctionCall("slow", {"a": 2}))


def working(model: CodexModel) -> Agent[None, str]:
    """Return an agent whose tool takes a while."""

    async def slow(a: int) -> int:
        await anyio.sleep(0.03)
        return a

    return Agent(model, tools=[slow])


async def run(agent: Agent[None, str], timeout: float | None) -> None:
    await agent.run("Go", timeout=timeout)


async def read_text(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.run_stream("Go", timeout=timeout) as result:
        async for _ in result.stream_text(debounce_by=None):
            pass


async def leave_text(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.run_stream("Go", timeout=timeout) as result:
        async for _ in result.stream_text(debounce_by=None):
            break


async def cancel_text(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.run_stream("Go", timeout=timeout) as result:
        async for _ in result.stream_text(debounce_by=None):
            await result.cancel()
            break


async def read_events(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.run_stream_events("Go", timeout=timeout) as events:
        async for _ in events:
            pass


async def leave_events(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.run_stream_events("Go", timeout=timeout) as events:
        async for event in events:
            if isinstance(event, FunctionToolCallEvent):
                break


async def iterate(agent: Agent[None, str], timeout: float | None) -> None:
    async with agent.iter("Go", timeout=timeout) as nodes:
        async for node in nodes:
            if Agent.is_model_request_node(node):
                async with node.stream(nodes.ctx) as stream:
                    async for _ in stream:
                        pass


Use = Callable[[Agent[None, str], float | None], Awaitable[None]]
USES: tuple[Use, ...] = (
    run,
    read_text,
    leave_text,
    cancel_text,
    read_events,
    leave_events,
    iterate,
)


async def by_task(use: Use, agent: Agent[None, str], moment: float) -> None:
    task = asyncio.ensure_future(use(agent, None))
    await asyncio.wait([task], timeout=moment)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_scope(use: Use, agent: Agent[None, str], moment: float) -> None:
    with anyio.move_on_after(moment):
        await use(agent, None)


async def by_timeout(use: Use, agent: Agent[None, str], moment: float) -> None:
    with suppress(TimeoutError):
        await use(agent, moment)


class Cancelled(NamedTuple):
    """How a run is used, how it is cancelled, and after how many seconds."""

    use: Use
    by: Callable[[Use, Agent[None, str], float], Awaitable[None]]
    moment: float

    def __str__(self) -> str:
        return f"{self.use.__name__} {self.by.__name__} at {self.moment:.3f} s"


def drawn(number: int, seed: int) -> list[Cancelled]:
    """Draw that many cancellations, of all kinds as evenly as can be."""
    draw = random.Random(seed)
    kinds = list(product(USES, (by_task, by_scope, by_timeout)))
    kinds = list(islice(kinds * (number // len(kinds) + 1), number))
    draw.shuffle(kinds)
    return [Cancelled(*kind, draw.uniform(0, LONGEST)) for kind in kinds]


async def cancel_all(model: CodexModel, cancellations: list[Cancelled]) -> None:
    """Have these runs on one model at the same time, and look what they leave when they are over."""
    agent = working(model)
    async with anyio.create_task_group() as group:
        for use, by, moment in cancellations:
            group.start_soon(by, use, agent, moment)
    await until(lambda: suspended(model) == 0 and not runs_turns(model))


def tasks_of_requests() -> set[asyncio.Task[Any]]:
    """Return the tasks that run, except PydanticAI's own that are in no request to a model.

    PydanticAI 2.68 leaves some of these waiting for ever, whatever the model is: a native cancellation that
    comes while it cancels a helper task of its own ends a run, or a request before the model was asked, and
    nobody tells the task that waits for that end.
    """
    return {task for task in asyncio.all_tasks() if not waits_in_pydantic_ai(task)}


def waits_in_pydantic_ai(task: asyncio.Task[Any]) -> bool:
    packages: list[str] = []
    awaited: Any = task.get_coro()
    while frame := getattr(awaited, "cr_frame", None):
        packages.append(frame.f_globals["__name__"].partition(".")[0])
        awaited = awaited.cr_await
    return packages[:1] == ["pydantic_ai"] and {*packages} <= {"pydantic_ai", "anyio", "asyncio"}


@contextmanager
def telling(*facts: object) -> Iterator[None]:
    """Have an error that is raised inside tell these facts."""
    try:
        yield
    except BaseException as error:
        error.add_note(", ".join(map(str, facts)))
        raise


@asyncio_only
async def test_a_run_can_be_cancelled_at_any_moment(
    make_model: MakeModel, processes: Survivors
) -> None:
    """Five at a time, on a server that runs, or that the first of them starts."""
    seed = random.SystemRandom().getrandbits(32)
    cancellations = iter(drawn(50, seed))
    async with ModelServer(reply) as server:
        await anyio.wait_all_tasks_blocked()
        tasks = tasks_of_requests()
        for batches in (1, 2, 7):
            batch: list[Cancelled] = []
            with telling(f"seed {seed}", batch):
                async with make_model(server) as model:
                    for _ in range(batches):
                        batch[:] = islice(cancellations, 5)
                        await cancel_all(model, batch)
                    assert (await working(model).run("Go")).output == "a b c"
                await until(lambda: tasks_of_requests() <= tasks)
                assert processes() == []


async def test_a_stream_can_be_cancelled_at_any_moment(make_model: MakeModel) -> None:
    seed = random.SystemRandom().getrandbits(32)
    draw = random.Random(seed)
    answer = Reply(Reasoning("Hm."), Message("a ", Delay(0.02), "b ", Delay(0.02), "c"))
    async with ModelServer(lambda _: answer) as server, make_model(server) as model:

        async def ask() -> str | None:
            prompt = Request.user_text_prompt("Go")
            async with direct.model_request_stream(model, [prompt]) as stream:
                async for _ in stream:
                    pass
            return stream.get().text

        for _ in range(20):
            moment = draw.uniform(0, 0.15)
            with telling(f"seed {seed}, {moment:.3f} s"):
                with anyio.move_on_after(moment):
                    await ask()
                assert not runs_turns(model)
        assert await ask() == "a b c"


@pytest.mark.parametrize("after", [0.01, 0.03, 0.06, 0.1, 0.2])
@asyncio_only
async def test_runs_do_not_depend_on_the_one_that_started_the_server(
    make_model: MakeModel, after: float
) -> None:
    async with ModelServer(lambda _: "Hi.") as server, make_model(server) as model:
        agent = Agent(model)
        tasks = [asyncio.ensure_future(agent.run("Go")) for _ in range(3)]
        await asyncio.sleep(after)
        tasks[0].cancel()
        results = [await task for task in tasks[1:]]
        await asyncio.wait(tasks)
    assert [result.output for result in results] == ["Hi.", "Hi."]


PATIENCE = 5.0
"""Seconds in which a model begins to answer, on any machine. It takes some tenths."""


async def answer_to(model: CodexModel, how: str, begun: Gate) -> None:
    """Begin to read the answer of an agent, which stops at a gate, and leave in one of the ways there are."""
    agent = Agent(model)
    if how == "events are left":
        async with agent.run_stream_events("Go") as events:
            async for event in events:
                if isinstance(event, PartStartEvent):
                    break
    elif how == "the block raises":
        async with agent.run_stream("Go") as result:
            async for _ in result.stream_text(debounce_by=None):
                raise LookupError(how)
    elif how == "a scope is cancelled":
        async with anyio.create_task_group() as group:
            group.start_soon(agent.run, "Go")
            await begun.reached()
            group.cancel_scope.cancel()
    elif how == "a run takes too long":
        await agent.run("Go", timeout=PATIENCE)
    else:
        await agent.run("Go", model_settings={"request_timeout": PATIENCE})


@asyncio_only
@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("events are left", None),
        ("the block raises", LookupError),
        ("a scope is cancelled", None),
        ("a run takes too long", TimeoutError),
        ("a request takes too long", ModelRequestTimeout),
    ],
)
async def test_however_an_answer_is_left_its_turn_stops(
    make_model: MakeModel, how: str, error: type[Exception] | None
) -> None:
    gate = Gate()
    async with ModelServer([Message("Two", gate, " and two")]) as server:
        async with make_model(server) as model:
            await model._servers.here().connect()
            with pytest.raises(error) if error else nullcontext():
                await answer_to(model, how, gate)
            await until(lambda: not runs_turns(model))
            assert len(server.requests) == 1


async def test_a_stream_that_is_left_early_stops_the_turn(make_model: MakeModel) -> None:
    gate = Gate()
    async with ModelServer([Message("Two", gate, " and two")]) as server, make_model(server) as m:
        async with direct.model_request_stream(m, [Request.user_text_prompt("Go")]) as stream:
            async for _ in stream:
                break
        assert not runs_turns(m)
        assert stream.get().state == "incomplete"


@asyncio_only
async def test_agents_can_stream_and_cancel(make_model: MakeModel) -> None:
    script = [FunctionCall("add", {"a": 1, "b": 1}), Message("Two", Gate(), " and two")]
    async with ModelServer(script) as server, make_model(server) as model:
        async with Agent(model, tools=[add]).run_stream("Go") as result:
            async for text in result.stream_text(delta=True, debounce_by=None):
                assert text == "Two"
                await result.cancel()
                break
        assert result.response.state == "interrupted"
        assert not runs_turns(model)

"""After each way of stopping a turn of the real CLI: no process, no litter, and the thread goes on."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_sdk import (
    AbortController,
    Codex,
    CodexAbortError,
    CodexError,
    CodexTimeoutError,
    Thread,
    ThreadOptions,
    TurnOptions,
)
from codex_sdk.testing import Gate, Message, ModelServer, Reply, RunCommand

from ..survivors import litter
from .conftest import MakeCodex, Survivors

# A command that ignores what can be ignored, in a session of its own, beside one that does not.
STUBBORN = (
    "setsid bash -c 'trap \"\" INT TERM HUP; while true; do sleep 600; done' & sleep 600; true"
)


class Stop(Exception):
    """Raised in a turn's block by a test."""


async def leave(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    async with thread.stream("go") as stream:
        await anext(stream)
        await stop()


async def fail(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(Stop):
        async with thread.stream("go"):
            await stop()
            raise Stop


async def cancel(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(thread.run, "go")
        await stop()
        task_group.cancel_scope.cancel()


async def abort(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    controller = AbortController()

    async def abort_then() -> None:
        await stop()
        threading.Thread(target=controller.abort, args=("enough",)).start()

    async with anyio.create_task_group() as task_group:
        task_group.start_soon(abort_then)
        with pytest.raises(CodexAbortError, match="enough"):
            await thread.run("go", TurnOptions(signal=controller.signal))


async def close(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    async with aclosing(thread.run_streamed_events("go")) as events:
        await anext(events)
        await stop()


async def drop(thread: Thread, stop: Callable[[], Awaitable[None]]) -> None:
    async for _ in thread.run_streamed_events("go"):
        await stop()
        break
    gc.collect()


WAYS = [leave, fail, cancel, abort, close, drop]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do, or a dropped iterator's turn: nothing announces it."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def count_tasks() -> int:
    return len(anyio.get_running_tasks())


@pytest.mark.timeout(900)
@pytest.mark.parametrize("sandbox_mode", ["danger-full-access", "workspace-write"])
async def test_a_hundred_turns_stopped_at_random_moments_leave_nothing(
    make_codex: MakeCodex,
    options: ThreadOptions,
    processes: Survivors,
    workspace: Path,
    sandbox_mode: Any,
) -> None:
    options = attrs.evolve(options, sandbox_mode=sandbox_mode)

    def model(request: Any) -> Reply:
        return Reply(Message("a", "b"), RunCommand(STUBBORN, timeout=600))

    async with ModelServer(model) as server:
        codex = make_codex(server)
        await anyio.wait_all_tasks_blocked()  # the server's own tasks have begun
        tasks = count_tasks()
        for way, seconds in moments(50):
            await way(codex.start_thread(options), partial(anyio.sleep, seconds))
            if way is drop:
                await eventually(lambda: not processes())
            assert processes() == [], f"after {way.__name__} at {seconds} s"
            assert list(litter(workspace)) == [], f"after {way.__name__} at {seconds} s"
        await eventually(lambda: count_tasks() <= tasks)


def moments(count: int) -> list[tuple[Any, float]]:
    """Let hypothesis choose the ways and the moments."""
    chosen: list[tuple[Any, float]] = []

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(WAYS), st.floats(0, 0.7))
    def choose(way: Any, seconds: float) -> None:
        chosen.append((way, seconds))

    choose()
    return chosen


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("sandbox_mode", ["danger-full-access", "workspace-write"])
async def test_commands_that_run_are_ended_and_the_thread_goes_on(
    make_codex: MakeCodex,
    options: ThreadOptions,
    processes: Survivors,
    workspace: Path,
    sandbox_mode: Any,
    way: Any,
) -> None:
    started = workspace / "started"
    script = [RunCommand(f"touch started; {STUBBORN}", timeout=600), "I can go on."]
    async with ModelServer(script) as server:
        thread = make_codex(server).start_thread(attrs.evolve(options, sandbox_mode=sandbox_mode))

        async def stop() -> None:
            await eventually(started.exists)

        await way(thread, stop)
        if way is drop:
            await eventually(lambda: not processes())
        assert processes() == []
        assert list(litter(workspace)) == []
        turn = await thread.run("go on")
        assert turn.final_response == "I can go on."
        assert "go" in server.requests[-1].user_texts()


@pytest.mark.parametrize("command", ["sleep 600; true", STUBBORN])
async def test_the_time_limit_ends_unsandboxed_commands(
    make_codex: MakeCodex, options: ThreadOptions, processes: Survivors, command: str
) -> None:
    async with ModelServer([RunCommand(command, timeout=600)]) as server:
        thread = make_codex(server).start_thread(options)
        with pytest.raises(CodexTimeoutError):
            await thread.run("go", TurnOptions(timeout=2))
        assert processes() == []


async def test_a_command_left_in_the_background_ends_with_the_turn(
    make_codex: MakeCodex, options: ThreadOptions, processes: Survivors
) -> None:
    command = "setsid sleep 600 > /dev/null 2>&1 < /dev/null & disown; echo left"
    async with ModelServer([RunCommand(command), "done"]) as server:
        turn = await make_codex(server).start_thread(options).run("go")
        assert turn.final_response == "done"
        assert processes() == []


async def test_a_turn_is_stopped_while_the_model_is_silent(
    make_codex: MakeCodex, options: ThreadOptions, processes: Survivors
) -> None:
    gate = Gate()
    async with ModelServer([gate, "later"]) as server:
        thread = make_codex(server).start_thread(options)
        async with thread.stream("go"):
            await gate.reached()
        assert processes() == []
        gate.release()
        assert (await thread.run("again")).final_response == "later"


@pytest.mark.timeout(300)
async def test_a_thread_stopped_at_any_moment_can_be_used_again(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "ok") as server:
        codex = make_codex(server)
        for step in range(12):
            thread = codex.start_thread(options)
            async with thread.stream("go"):
                await anyio.sleep(0.04 * step)
            assert (await thread.run("again")).final_response == "ok", f"after {step} steps"


async def test_no_network_ends_with_the_time_limit(
    codex_cli: str, options: ThreadOptions, tmp_path: Path, processes: Survivors
) -> None:
    """Current CLIs retry for ever where nobody listens."""
    async with ModelServer() as server:
        client = server.codex_options(
            codex_path_override=codex_cli, base_url="http://127.0.0.1:9/v1"
        )
        thread = Codex(client).start_thread(options)
        with pytest.raises((CodexTimeoutError, CodexError)):
            await thread.run("hi", TurnOptions(timeout=2))

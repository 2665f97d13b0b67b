"""A gate holds a reply, tells who wants to know, and opens from anywhere."""

from __future__ import annotations

from functools import partial
from threading import Thread

import anyio
import pytest
from anyio import to_thread

from codex_sdk.testing import Gate


async def test_a_task_passes_once_the_gate_is_released() -> None:
    gate = Gate()
    passed = anyio.Event()

    async def pass_through() -> None:
        await gate.pass_through()
        passed.set()

    async with anyio.create_task_group() as group:
        group.start_soon(pass_through)
        await gate.reached()
        await anyio.wait_all_tasks_blocked()
        assert not passed.is_set()
        gate.release()
        await passed.wait()


async def test_an_open_gate_holds_nobody() -> None:
    gate = Gate()
    gate.release()
    await gate.pass_through()
    await gate.reached()


async def test_threads_and_other_event_loops_can_use_a_gate() -> None:
    gate = Gate()

    async def pass_through() -> None:
        await gate.pass_through()

    other_loop = Thread(target=partial(anyio.run, pass_through))
    other_loop.start()
    await gate.reached()
    await to_thread.run_sync(gate.reached_sync)
    await to_thread.run_sync(gate.release)
    await to_thread.run_sync(other_loop.join)


async def test_a_waiting_task_can_be_cancelled() -> None:
    gate = Gate()
    async with anyio.create_task_group() as group:
        group.start_soon(gate.pass_through)
        group.start_soon(Gate().reached)
        await gate.reached()
        group.cancel_scope.cancel()


async def test_waiting_tasks_of_a_loop_that_is_gone_are_no_trouble() -> None:
    gate = Gate()

    async def give_up() -> None:
        with anyio.move_on_after(0):
            await gate.pass_through()

    await to_thread.run_sync(partial(anyio.run, give_up))
    gate.release()


def test_a_gate_that_nothing_comes_to_times_out() -> None:
    with pytest.raises(TimeoutError, match=r"no reply came to the gate within 0\.01 seconds"):
        Gate().reached_sync(timeout=0.01)


async def test_the_repr_tells_the_state() -> None:
    gate = Gate()
    assert repr(gate) == "<Gate closed>"
    gate.release()
    await gate.pass_through()
    assert repr(gate) == "<Gate open, reached>"

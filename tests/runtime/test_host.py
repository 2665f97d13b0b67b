"""The event loop, as far as anyio has no word for it."""

from __future__ import annotations

import logging
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from codex_sdk._host import current_host


async def test_a_loop_is_here_for_its_own_tasks_and_for_nobody_else() -> None:
    host = current_host()
    elsewhere: list[bool] = []

    async def in_another_loop() -> None:
        elsewhere.append(host.is_here)

    assert host.is_here
    for backend in ("asyncio", "trio"):
        await anyio.to_thread.run_sync(
            lambda backend=backend: anyio.run(in_another_loop, backend=backend)
        )
    thread = threading.Thread(target=lambda: elsewhere.append(host.is_here))
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert elsewhere == [False] * 3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_has_ended_is_not_here(backend: Any) -> None:
    async def make() -> Any:
        return current_host()

    async def use() -> bool:
        return bool(host.is_here)

    host = anyio.run(make, backend=backend)
    assert not host.is_here
    assert not anyio.run(use, backend=backend)


@pytest.mark.parametrize("anyio_backend", ["trio"])
@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
async def test_a_task_of_the_loop_s_own_that_fails_does_not_end_trio(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    failed = anyio.Event()

    async def fail() -> None:
        try:
            await anyio.lowlevel.checkpoint()
            raise error("unexpected")
        finally:
            failed.set()

    with caplog.at_level(logging.ERROR, "codex_sdk"):
        current_host().spawn(fail, name="the failing one")
        await failed.wait()
        await anyio.wait_all_tasks_blocked()

    [record] = caplog.records
    assert "the failing one" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is error


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_task_of_the_loop_s_own_can_be_cancelled_by_it() -> None:
    ended: list[str] = []

    async def task() -> None:
        try:
            async with anyio.create_task_group() as task_group:
                task_group.start_soon(anyio.sleep_forever)
        finally:
            ended.append("cancelled")

    async def use() -> None:
        current_host().spawn(task, name="one")
        await anyio.sleep(0.01)

    await anyio.to_thread.run_sync(lambda: anyio.run(use, backend="trio"))
    assert ended == ["cancelled"]

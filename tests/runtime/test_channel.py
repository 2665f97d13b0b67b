"""The channel between tasks: who waits is woken in turn, and nothing is lost to a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

import anyio
import pytest

from codex_sdk._runtime.channel import Channel

on_asyncio = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("asyncio", {"debug": True}), id="asyncio")]
)


@coroutine
def counting(steps: list[str], running: Coroutine[Any, Any, Any]) -> Generator[Any, Any, None]:
    """Run to the end, taking note of each time that the task is suspended."""
    try:
        suspended_for = running.send(None)
        while True:
            steps.append("suspended")
            suspended_for = running.send((yield suspended_for))
    except StopIteration:
        return


async def test_a_crowd_of_senders_is_woken_one_by_one_and_in_turn() -> None:
    channel: Channel[int] = Channel(1)
    steps: list[str] = []

    async def send(number: int) -> None:
        await counting(steps, channel.send(number))

    async with anyio.create_task_group() as task_group:
        for number in range(200):
            task_group.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
        received = [await channel.receive() for _ in range(200)]
    assert received == list(range(200))
    assert len(steps) < 2 * 200


async def test_senders_come_before_those_who_come_later() -> None:
    channel: Channel[str] = Channel(1)
    await channel.send("first")

    async def send(text: str) -> None:
        await channel.send(text)

    async with anyio.create_task_group() as task_group:
        for text in ("second", "third"):
            task_group.start_soon(send, text)
            await anyio.wait_all_tasks_blocked()
        assert await channel.receive() == "first"
        task_group.start_soon(send, "fourth")  # perhaps before the second is awake
        received = [await channel.receive() for _ in range(3)]
    assert received == ["second", "third", "fourth"]


async def test_the_place_of_a_sender_that_gives_up_is_the_next_ones() -> None:
    channel: Channel[int] = Channel(1)
    await channel.send(0)
    scopes = [anyio.CancelScope() for _ in range(3)]

    async def send(number: int) -> None:
        with scopes[number - 1]:
            await channel.send(number)

    async with anyio.create_task_group() as task_group:
        for number in (1, 2, 3):
            task_group.start_soon(send, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        assert [await channel.receive() for _ in range(3)] == [0, 1, 3]


@on_asyncio
async def test_a_sender_that_is_cancelled_when_it_is_woken_wakes_the_next_one() -> None:
    channel: Channel[int] = Channel(1)
    await channel.send(0)
    tasks = []
    for number in (1, 2):
        tasks.append(asyncio.ensure_future(channel.send(number)))
        await anyio.wait_all_tasks_blocked()
    assert await channel.receive() == 0
    tasks[0].cancel()  # it has been woken, and has not run yet
    with anyio.fail_after(5):
        assert await channel.receive() == 2
    assert tasks[0].cancelled()


@on_asyncio
async def test_a_receiver_that_is_cancelled_when_it_is_woken_leaves_the_item_to_the_next_one() -> (
    None
):
    channel: Channel[int] = Channel(1)
    tasks = [asyncio.ensure_future(channel.receive()) for _ in range(2)]
    await anyio.wait_all_tasks_blocked()
    await channel.send(1)
    tasks[0].cancel()
    with anyio.fail_after(5):
        assert await tasks[1] == 1


@pytest.mark.parametrize("end", ["complete", "abandon"])
async def test_the_end_wakes_everybody(end: str) -> None:
    full: Channel[int] = Channel(1)
    empty: Channel[int] = Channel(1)
    await full.send(0)
    ended: list[str] = []

    async def send() -> None:
        with pytest.raises(anyio.BrokenResourceError):
            await full.send(1)
        ended.append("sender")

    async def receive() -> None:
        with pytest.raises(anyio.EndOfStream):
            await empty.receive()
        ended.append("receiver")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as task_group:
            for _ in range(3):
                task_group.start_soon(send)
                task_group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            getattr(empty, end)()
            full.abandon()
    assert sorted(ended) == ["receiver"] * 3 + ["sender"] * 3

"""Which processes are a turn's commands, and that they are ended: real ones, and a table that plays them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest

from codex_sdk._io.commands import TurnCommands
from codex_sdk._io.process_table import Row
from codex_sdk._io.process_tree import MARKER, new_marker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="plays Linux's processes")

THREAD, OTHER = "01a2-thread", "01a2-other"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def marker() -> str:
    return new_marker()[1]


@pytest.fixture
def start(marker: str) -> Iterator[Start]:
    """Start processes that end by themselves within a minute, and with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *command: str, thread_id: str | None = THREAD, marked: bool = True, **how: Any
    ) -> subprocess.Popen[bytes]:
        env = {"PATH": os.environ["PATH"]}
        env |= {MARKER: marker} if marked else {}
        env |= {"CODEX_THREAD_ID": thread_id} if thread_id else {}
        how.setdefault("start_new_session", True)
        process = subprocess.Popen(command or ("sleep", "55"), env=env, **how)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def commands(marker: str, server: subprocess.Popen[bytes] | None = None) -> TurnCommands:
    return TurnCommands({MARKER: marker}, server.pid if server else 0)


def alive(*processes: subprocess.Popen[bytes]) -> list[bool]:
    return [process.poll() is None for process in processes]


async def test_the_commands_of_a_thread_are_ended_and_no_others(marker: str, start: Start) -> None:
    server = start(thread_id=None, start_new_session=False, preexec_fn=os.setpgrp)
    earlier = start()
    await anyio.sleep(0.1)  # the clock that tells when processes were born is a coarse one
    subject = commands(marker, server)
    since = subject.now()
    mine, other, foreign = start(), start(thread_id=OTHER), start(marked=False)
    notify = start(start_new_session=False, preexec_fn=lambda: os.setpgid(os.getpid(), server.pid))

    await subject.end(since, THREAD)

    assert alive(server, earlier, mine, other, foreign) == [True, True, False, True, True]
    assert alive(notify) == [True]


async def test_where_threads_cannot_be_told_apart_all_commands_are_ended(
    marker: str, start: Start
) -> None:
    server = start(thread_id=None)
    subject = commands(marker, server)
    since = subject.now()
    mine, other, foreign = start(), start(thread_id=None), start(marked=False)

    await subject.end(since, None)

    assert alive(server, mine, other, foreign) == [True, False, False, True]


async def test_what_ignores_sigterm_and_what_hides_its_environment_is_ended_too(
    marker: str, start: Start
) -> None:
    subject = commands(marker)
    since = subject.now()
    hidden = f"env -i {sys.executable} -IS -c 'import time; print(1, flush=True); time.sleep(55)'"
    process = start(
        "bash", "-c", f"trap '' TERM; {hidden} & sleep 55; true", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        stdout.readline()

        with anyio.fail_after(20):  # by themselves they end later
            await subject.end(since, THREAD)

        assert alive(process) == [False]
        assert stdout.read() == b""  # its other writer, the hidden process, has ended


class Table:
    """Processes as the test says: rows, and which of the tokens each carries."""

    def __init__(self, *looks: tuple[list[Row], bool] | OSError) -> None:
        self.looks = list(looks)
        self.ended: list[tuple[int, bool]] = []

    def rows(self, since: float) -> tuple[list[Row], bool]:
        look = self.looks.pop(0)
        if isinstance(look, OSError):
            raise look
        return look

    def carries(self, pid: int, token: bytes) -> bool | None:
        return pid < 2_000_000_000

    def end(self, row: Row, *, gently: bool) -> bool:
        self.ended.append((row.pid, gently))
        return True

    def birth(self, pid: int) -> float:
        raise AssertionError

    def reap(self, pid: int, born: float) -> None:
        raise AssertionError


PID = 1_999_999_000
"""No process of the host has such a number."""


def row(number: int, born: float, parent: int = 1) -> Row:
    return Row(PID + number, born, parent, None)


async def ended(table: Table, marker: str, since: float = 100.0) -> list[tuple[int, bool]]:
    subject = TurnCommands({MARKER: marker}, 0, table)
    await subject.end(since, THREAD)
    assert table.looks == []
    return [(pid - PID, gently) for pid, gently in table.ended]


async def test_what_began_before_the_turn_and_what_begins_after_it_is_left(marker: str) -> None:
    later = TurnCommands({MARKER: marker}, 0).now() + 10_000
    first = [row(1, 99), row(2, 100), row(3, later), row(4, later, PID + 2)]
    table = Table((first, True), ([row(1, 99), row(3, later)], True))

    assert await ended(table, marker) == [(2, True), (4, True)]


async def test_an_uncertain_look_is_repeated(marker: str) -> None:
    table = Table(([], False), ([row(1, 101)], True), ([], False), ([], True))

    assert await ended(table, marker) == [(1, True)]


async def test_looking_is_given_up_where_it_stays_uncertain(marker: str) -> None:
    assert await ended(Table(*[OSError()] * 5), marker) == []


async def test_each_process_is_asked_once(marker: str) -> None:
    table = Table(([row(1, 101)], True), ([row(1, 101), row(2, 102)], True), ([], True))

    assert await ended(table, marker) == [(1, True), (2, True)]

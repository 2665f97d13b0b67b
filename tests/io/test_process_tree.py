"""Which processes are found, by each of the rules and on each kind of platform."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from codex_sdk._io import process_tree, stopping
from codex_sdk._io.process import new_marker
from codex_sdk._io.process_table import LinuxTable, ProcessTable, PsutilTable, Row
from codex_sdk._io.process_tree import MARKER, ProcessTree, token_of

from .conftest import Run, command, output, until_ready

Survivors = Callable[[], list[str]]

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
TABLES = [pytest.param(LinuxTable, marks=linux), PsutilTable]


class Child:
    """A child that tells the number of a descendant on its first line."""

    def __init__(self, script: str, table: ProcessTable) -> None:
        name, value = new_marker()
        self.popen = subprocess.Popen(
            command(script),
            env={**os.environ, name: value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.tree = ProcessTree(token_of(value), table)
        self.tree.grow_from(self.popen.pid)
        assert self.popen.stdout is not None
        self.descendant = int(self.popen.stdout.readline())

    def found(self) -> set[int]:
        return {row.pid for row in self.tree.look().members}

    def end(self) -> None:
        for _ in range(100):
            members = self.tree.look().members
            self.tree.end(members, gently=False)
            if not members:
                break
        self.popen.communicate()


@pytest.fixture(params=TABLES)
def child(request: pytest.FixtureRequest, mark: str) -> Iterator[Callable[[str], Child]]:
    children: list[Child] = []

    def make(script: str) -> Child:
        children.append(Child(script, request.param()))
        return children[-1]

    yield make
    for each in children:
        each.end()


STRANGER = (
    "subprocess.Popen([sys.executable, '-ISc', {code!r}], env={{}}, start_new_session={session})"
)
PRINT_AND_SLEEP = "import os, time; os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"


def test_a_child_is_found_before_and_after_its_end(child: Callable[[str], Child]) -> None:
    it = child("print(os.getpid(), flush=True); sys.stdin.read()")
    assert it.found() == {it.popen.pid}
    it.popen.communicate()
    assert it.found() == set()


def test_a_zombie_is_not_alive(child: Callable[[str], Child]) -> None:
    it = child("print(os.getpid(), flush=True); os._exit(0)")
    os.waitid(os.P_PID, it.popen.pid, os.WEXITED | os.WNOWAIT)
    assert it.found() == set()


def test_a_daemon_is_found_by_its_marker(child: Callable[[str], Child]) -> None:
    it = child("daemon(\"os.write(1, b'%d\\\\n' % os.getpid()); ready(); time.sleep(600)\")")
    it.popen.wait()
    assert it.found() == {it.descendant}


def test_a_process_without_the_marker_is_found_by_its_session(
    child: Callable[[str], Child],
) -> None:
    it = child(STRANGER.format(code=PRINT_AND_SLEEP, session=False))
    os.waitid(os.P_PID, it.popen.pid, os.WEXITED | os.WNOWAIT)
    assert it.found() == {it.descendant}


def test_a_process_without_the_marker_is_found_by_its_parent_and_remembered(
    child: Callable[[str], Child],
) -> None:
    it = child(STRANGER.format(code=PRINT_AND_SLEEP, session=True) + "; time.sleep(600)")
    assert it.found() == {it.popen.pid, it.descendant}
    it.popen.kill()
    it.popen.wait()
    assert it.found() == {it.descendant}


def test_ending_gently_can_be_refused_and_by_force_cannot(child: Callable[[str], Child]) -> None:
    it = child("stubborn(); print(os.getpid(), flush=True); time.sleep(600)")
    it.tree.end(it.tree.look().members, gently=True)
    assert it.popen.poll() is None
    it.tree.end(it.tree.look().members, gently=False)
    assert it.popen.wait() == -signal.SIGKILL


@pytest.mark.parametrize("table", TABLES)
def test_what_has_ended_meanwhile_can_be_ended(table: Callable[[], ProcessTable]) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    born = table().birth(gone.pid)
    gone.wait()
    assert table().end(Row(gone.pid, born, 0, None), gently=False)
    assert table().carries(gone.pid, b"x") is None
    with pytest.raises((ProcessLookupError, FileNotFoundError)):
        table().birth(gone.pid)


@pytest.mark.parametrize("table", TABLES)
def test_a_number_that_has_passed_to_another_process_is_left_alone(
    table: Callable[[], ProcessTable],
) -> None:
    with subprocess.Popen(command("ready(); sys.stdin.read()"), stdin=-1, stdout=-1) as stranger:
        born = table().birth(stranger.pid)
        table().end(Row(stranger.pid, born - 1, 0, None), gently=False)
        stranger.communicate()
    assert stranger.returncode == 0


class Host:
    """A table of made-up processes."""

    def __init__(self, *rows: Row, marked: tuple[int, ...] = (), forbidden: bool = False) -> None:
        self.table = rows
        self.marked = marked
        self.forbidden = forbidden
        self.ended: list[int] = []

    def birth(self, pid: int) -> float:
        return next(row.born for row in self.table if row.pid == pid)

    def rows(self, since: float) -> tuple[list[Row], bool]:
        return [row for row in self.table if row.born >= since], True

    def carries(self, pid: int, token: bytes) -> bool | None:
        return pid in self.marked

    def reap(self, pid: int, born: float) -> None:
        pass

    def end(self, row: Row, *, gently: bool) -> bool:
        self.ended.append(row.pid)
        return not self.forbidden


def members(tree: ProcessTree) -> list[int]:
    return [row.pid for row in tree.look().members]


def test_neither_this_process_nor_older_ones_are_ever_found() -> None:
    host = Host(Row(os.getpid(), 7, 50, 50), Row(50, 5, 1, 50), Row(60, 4, 50, 50), marked=(60,))
    tree = ProcessTree("x", host)
    tree.grow_from(50)
    assert members(tree) == [50]


def test_a_child_whose_number_has_passed_to_a_stranger_lends_it_no_kinship() -> None:
    host = Host(Row(50, 5, 1, 50), Row(51, 6, 1, 50))
    tree = ProcessTree("x", host)
    tree.grow_from(50)
    assert members(tree) == [50, 51]
    host.table = (Row(50, 9, 1, 50), Row(51, 6, 1, 50), Row(52, 9, 50, 50))
    assert members(tree) == [51]


def test_a_parent_that_is_younger_than_its_child_is_not_its_parent() -> None:
    host = Host(Row(50, 5, 1, None), Row(51, 6, 53, None), Row(53, 8, 50, None))
    tree = ProcessTree("x", host)
    tree.grow_from(50)
    assert members(tree) == [50, 53]


def test_what_we_may_not_end_is_reported_and_not_found_again() -> None:
    host = Host(Row(50, 5, 1, 50), Row(51, 5, 1, 51), marked=(51,), forbidden=True)
    tree = ProcessTree("x", host)
    tree.end(tree.look().members, gently=True)
    assert members(tree) == []
    assert tree.out_of_reach == [51]


@pytest.mark.parametrize("number", range(2))
def test_only_a_new_marker_will_do(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    outer = new_marker()[1]
    monkeypatch.setenv(MARKER, outer)
    inner = new_marker()[1]
    assert token_of(outer + "x") != token_of(inner)
    assert token_of(outer.rpartition("/")[0] + "/new") == "new"
    assert inner.startswith(outer)
    for value in ["", "/", outer, outer[:10]]:
        with pytest.raises(ValueError, match="new marker"):
            token_of(value)


async def test_a_program_that_runs_codex_in_turn_belongs_to_the_outer_child(
    run: Run, survivors: Survivors
) -> None:
    script = f"""
    sys.path[:0] = {sys.path!r}
    import anyio
    from codex_sdk._io.process import new_marker, owned_process
    async def main():
        env = {{**os.environ, **dict([new_marker()])}}
        inner = [sys.executable, "-ISc", "import os, time; os.write(1, b'.'); time.sleep(600)"]
        async with owned_process(inner, env=env, input=b"") as process:
            await process.receive()
            os.write(1, str(process.pid).encode() + b" ready")
            await anyio.sleep(600)
    anyio.run(main)
    """
    async with run(script) as process:
        text = b""
        while not text.endswith(b" ready"):
            text += await process.receive()
        os.kill(process.pid, signal.SIGKILL)  # so that it cannot see to its own
        await process.wait()
        assert psutil.pid_exists(int(text.split()[0]))
    assert survivors() == []


@linux
@pytest.mark.parametrize("attempt", range(5))
async def test_a_process_that_becomes_another_program_all_the_time_is_found(
    run: Run, survivors: Survivors, monkeypatch: pytest.MonkeyPatch, attempt: int
) -> None:
    # Between two programs it has no environment for a moment.
    monkeypatch.setattr(stopping, "_DOUBTS", 0)
    loop = 'test -n "$1" && echo ready; exec /bin/sh -c "$0" "$0"'
    script = f"""
    loop = {loop!r}
    subprocess.Popen(["/bin/sh", "-c", loop, loop, "begin"], start_new_session=True)
    time.sleep(600)
    """
    async with run(script) as process:
        await until_ready(process)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    assert survivors() == []


async def test_a_process_that_moves_on_all_the_time_is_found(
    run: Run, survivors: Survivors
) -> None:
    # Bounded: where the tests themselves are killed, nobody is left to catch it.
    hop = "for _ in range(4000):\\n if os.fork(): os._exit(0)\\n os.setsid(); time.sleep(0.003)"
    async with run(f'daemon("ready()\\n{hop}"); ready()') as process:
        await until_ready(process)
        await process.wait()
    assert survivors() == []


@linux
def test_a_process_between_two_programs_is_recognised() -> None:
    loop = 'test -n "$1" && echo; exec /bin/sh -c "$0" "$0"'
    with subprocess.Popen(
        ["/bin/sh", "-c", loop, loop, "begin"], env={"A": "xyz"}, stdout=-1
    ) as it:
        assert it.stdout is not None
        it.stdout.read(1)
        answers = {LinuxTable().carries(it.pid, b"xyz") for _ in range(500)}
        it.kill()
    assert answers == {True}


@linux
def test_a_process_that_ends_while_we_look_makes_the_look_uncertain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert LinuxTable().rows(0)[0]
    own = [str(os.getpid())]
    monkeypatch.setattr(os, "listdir", lambda path: own)
    assert LinuxTable().rows(0)[1]
    monkeypatch.setattr(os, "listdir", lambda path: [*own, str(1 << 30)])
    assert not LinuxTable().rows(0)[1]


@linux
def test_a_process_that_has_died_since_the_last_look_makes_the_look_uncertain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = LinuxTable()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        monkeypatch.setattr(os, "listdir", lambda path: [str(process.pid)])
        assert [row.pid for row in table.rows(0)[0]] == [process.pid]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert table.rows(0) == ([], False)
        assert table.rows(0) == ([], True)


@linux
async def test_after_an_uncertain_look_another_one_is_taken(
    run: Run, survivors: Survivors, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blink(LinuxTable):
        looks = 0

        def rows(self, since: float) -> tuple[list[Row], bool]:
            self.looks += 1
            return super().rows(since) if self.looks > 1 else ([], False)

    monkeypatch.setattr(process_tree, "process_table", Blink)
    async with run("daemon(STUBBORN); ready()") as process:
        await until_ready(process)
        await process.wait()
    assert survivors() == []


async def test_processes_that_cannot_be_ended_are_told_of(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LinuxTable.end
    refused = []

    def end(table: LinuxTable, row: Row, *, gently: bool) -> bool:
        if row.pid in refused:
            return False
        return original(table, row, gently=gently)

    monkeypatch.setattr(LinuxTable, "end", end)
    script = "daemon(\"ready(); os.write(1, b'%d\\\\n' % os.getpid()); time.sleep(600)\"); time.sleep(600)"
    with pytest.warns(RuntimeWarning, match="could not be ended"):
        async with run(script) as process:
            refused.append(int(await process.receive()))
    left = psutil.Process(refused[0])
    left.kill()
    left.wait(20)
    monkeypatch.undo()


async def test_a_process_that_hangs_in_the_kernel_is_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_COMMAND_GRACE", 0.05)
    monkeypatch.setattr(stopping, "_KILL_BOUND", 0.1)
    phantom = Row(1 << 22, 1e18, 1, None)
    original = process_tree.ProcessTree.look

    def look(tree: ProcessTree) -> process_tree.Sighting:
        sighting = original(tree)
        return sighting._replace(members=[*sighting.members, phantom])

    monkeypatch.setattr(process_tree.ProcessTree, "look", look)
    with pytest.warns(RuntimeWarning, match=f"may still run: {1 << 22}"):
        async with run("ready()") as process:
            await output(process)


@pytest.mark.parametrize("table", TABLES)
async def test_on_a_crowded_host_looking_is_done_in_a_thread(
    run: Run,
    survivors: Survivors,
    monkeypatch: pytest.MonkeyPatch,
    table: Callable[[], ProcessTable],
) -> None:
    monkeypatch.setattr(stopping, "_CROWD_COST", -1.0)
    monkeypatch.setattr(process_tree, "process_table", table)
    threads = {thread for thread in threading.enumerate() if not thread.daemon}
    async with run("daemon(STUBBORN); ready(); time.sleep(600)") as process:
        await until_ready(process)
    assert survivors() == []
    # An idle thread that is no daemon can keep the interpreter from exiting.
    assert {thread for thread in threading.enumerate() if not thread.daemon} == threads

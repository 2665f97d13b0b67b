"""The owner of a process: what runs inside its block is ended with it, and so is all that it started.

However the block of :func:`owned_process` is left, and whatever the child did: soon afterwards no process
that belongs to it is alive, it is reaped, and its pipes are closed. Leaving cleans up under a shield and
within a bound. An ``asyncio.Task.cancel()`` pierces that shield, and a coroutine that is thrown away cannot
await at all: so behind it stands the same again without an await, and behind that an ``atexit`` function.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from weakref import WeakSet

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from .._host import current_host
from ..exceptions import CodexError
from .leader import Leader
from .pipes import Reader, Writer
from .process_tree import MARKER, ProcessTree, new_marker, token_of
from .stopping import SHUTDOWN_BOUND, Shutdown
from .task_groups import open_task_group
from .threads import run_in_daemon_thread

__all__ = ["ChildProcess", "end_abandoned", "new_marker", "owned_process"]

_STDERR_BYTES = 16 * 1024
"""How much of stderr is kept: some hundred lines, and little enough for an error message."""

_SURVIVED = "processes that Codex started could not be ended, and may still run: "
_BLIND = (
    "this process has too many open files (ulimit -n) to look for the processes that Codex started; some "
    "may still run, of those known: "
)

_DRAIN_READS = 16
"""Chunks (1 MiB at most) that are taken from a pipe at a time where nobody can wait for the rest."""

_LAST_WORDS_TIME = 1.0
"""Seconds for what an exited child wrote to stderr to be read; it is in the pipe already."""


class _Stdio:
    """The child's three pipes."""

    def __init__(self, leader: Leader) -> None:
        stdin, stdout, stderr = leader.pipes
        with ExitStack() as undo:
            self.stdin = Writer(stdin)
            undo.callback(self.stdin.close)
            self.stdout = Reader(stdout)
            undo.callback(self.stdout.close)
            self.stderr = Reader(stderr)
            undo.pop_all()
        self.stderr_read = anyio.Event()
        self.stderr_tail = bytearray()

    async def feed(self, data: bytes) -> None:
        """Write all of the child's input, and its end."""
        try:
            await self.stdin.send(data)
        except BrokenPipeError:
            pass  # how the process exits tells why it did not want to read it all
        self.stdin.close()

    async def read_stderr(self) -> None:
        """Read stderr to its end, and keep the tail."""
        while data := await self.stderr.receive():
            self._keep(data)
        self.stderr_read.set()

    def expect_end(self) -> None:
        """Take note that the child has exited."""
        self.stdout.expect_end()
        self.stderr.expect_end()

    def drain(self) -> None:
        """Take what is in the pipes: a process that cannot write cannot exit."""
        self.collect_stderr()
        for _ in range(_DRAIN_READS):
            if not self.stdout.receive_nowait():
                break

    def collect_stderr(self) -> None:
        """Keep what is in the pipe."""
        for _ in range(_DRAIN_READS):
            data = self.stderr.receive_nowait()
            if not data:
                break
            self._keep(data)

    def close(self) -> None:
        """Close all; whoever waits for one of them is woken."""
        self.collect_stderr()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()
        self.stderr_read.set()

    def _keep(self, data: bytes) -> None:
        self.stderr_tail += data
        del self.stderr_tail[:-_STDERR_BYTES]


class ChildProcess:
    """A running child: what may be done with it inside the block that owns it."""

    def __init__(self, leader: Leader, stdio: _Stdio, exited: anyio.Event) -> None:
        self._leader = leader
        self._stdio = stdio
        self._exited = exited

    @property
    def pid(self) -> int:
        """The process's number, and that of its session."""
        return self._leader.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; ``None`` while the process runs, negative if a signal ended it."""
        return self._leader.poll()

    @property
    def live(self) -> bool:
        """Whether the process has not exited."""
        return self.returncode is None

    @property
    def stderr_tail(self) -> str:
        """The last 16 KiB of what the process has written to stderr, undecodable bytes replaced."""
        self._stdio.collect_stderr()
        return self._stdio.stderr_tail.decode(errors="replace")

    async def receive(self) -> bytes:
        """Return the next piece of stdout. A call that is cancelled has lost nothing.

        Raises:
            anyio.EndOfStream: the process has closed its stdout, or it has exited and all that it wrote
                is read: a descendant that still holds the pipe open is not waited for.
            CodexError: another task is reading.
        """
        try:
            data = await self._stdio.stdout.receive()
        except anyio.BusyResourceError as error:
            raise CodexError("another task is reading the process's output") from error
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, data: bytes) -> None:
        """Write to the stdin of a process that was started without ``input``.

        A call that is cancelled may have written a part of *data*.

        Raises:
            CodexError: the process does not read any more, or another task is writing.
        """
        try:
            await self._stdio.stdin.send(data)
        except BrokenPipeError as error:
            raise CodexError(
                "the Codex CLI has closed its input; its exit status tells why"
            ) from error
        except anyio.BusyResourceError as error:
            raise CodexError("another task is writing to the process") from error

    async def close_stdin(self) -> None:
        """Let the process read the end of its input."""
        await checkpoint()
        self._stdio.stdin.close()

    async def wait(self) -> int:
        """Return the exit status when the process has exited, whoever holds its pipes open."""
        await self._exited.wait()
        status = self.returncode
        if status is None:
            raise CodexError(f"process {self.pid} cannot be ended: it hangs in the kernel")
        return status

    async def stderr(self) -> str:
        """Return :attr:`stderr_tail`; that of an exited process up to its last word."""
        await checkpoint()
        if not self.live:
            with anyio.move_on_after(_LAST_WORDS_TIME):
                await self._stdio.stderr_read.wait()
        return self.stderr_tail


class _Owner:
    """Sees to it that a child and its tree are ended."""

    def __init__(self, token: str) -> None:
        self._tree = ProcessTree(token)
        self._shutdown = Shutdown(self._tree)
        self._stdio: _Stdio | None = None
        self._exited = anyio.Event()
        self._services: list[anyio.CancelScope] = []
        self._host = current_host()
        _owners.add(self)

    @property
    def abandoned(self) -> bool:
        """Whether the event loop was closed under the block, so that the block will never end."""
        return not self._shutdown.over and self._host.closed

    def spawn(
        self,
        task_group: TaskGroup,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        input: bytes | None,
    ) -> ChildProcess:
        """Spawn the child, and start what runs beside the block."""
        try:
            leader = self._shutdown.leader = Leader(command, env, cwd)
        except CodexError:  # and no interrupt: nothing runs
            self._shutdown.finish()
            raise
        self._tree.grow_from(leader.pid)
        stdio = self._stdio = _open_stdio(leader)
        self._start(task_group, partial(self._watch_exit, leader, stdio))
        self._start(task_group, stdio.read_stderr)
        if input is not None:
            self._start(task_group, partial(stdio.feed, input))
        return ChildProcess(leader, stdio, self._exited)

    async def end(self, *, after_eof: bool) -> None:
        """End everything gently."""
        if self._shutdown.over:  # nothing was spawned
            return
        if self._stdio is not None and after_eof:
            self._stdio.stdin.close()
        steps = self._shutdown.politely(after_eof=after_eof)
        while (pause := await self._step(steps)) is not None:
            if self._shutdown.leader_has_exited():
                self._close_pipes()  # looking for what it left takes file descriptors
            elif self._stdio is not None:
                self._stdio.drain()
            await anyio.sleep(pause)
        self._finish()

    def end_now(self) -> None:
        """Kill everything that is left, without an await."""
        if not self._shutdown.over:
            self._close_pipes()  # first, since looking for processes takes file descriptors
            self._shutdown.at_once()
            self._finish()

    def release(self) -> None:
        """End what runs beside the block."""
        for scope in self._services:
            scope.cancel("the process is gone")
        self._exited.set()

    def warn(self) -> None:
        """Tell of processes that could not be ended."""
        pids = ", ".join(map(str, self._shutdown.survivors))
        if self._shutdown.blind:
            warnings.warn(f"{_BLIND}{pids or 'none'}", RuntimeWarning, stacklevel=2)
        elif pids:
            warnings.warn(f"{_SURVIVED}{pids}", RuntimeWarning, stacklevel=2)

    def _start(self, task_group: TaskGroup, service: Callable[[], Awaitable[None]]) -> None:
        # Shielded, since a block that is cancelled may still talk to the process for a while.
        scope = anyio.CancelScope(shield=True)
        self._services.append(scope)
        task_group.start_soon(_run_in, scope, service)

    async def _watch_exit(self, leader: Leader, stdio: _Stdio) -> None:
        await leader.wait(self._host)
        stdio.expect_end()
        self._exited.set()

    async def _step(self, steps: Iterator[float]) -> float | None:
        if self._shutdown.crowded:
            try:
                return await run_in_daemon_thread(lambda: next(steps, None), self._host)
            except CodexError:
                pass  # there is no thread to be had
        return next(steps, None)

    def _close_pipes(self) -> None:
        if self._stdio is not None:
            self._stdio.close()

    def _finish(self) -> None:
        self._close_pipes()
        if self._stdio is None and self._shutdown.leader is not None:
            for file in self._shutdown.leader.pipes:
                file.close()
        self._shutdown.finish()


_owners: WeakSet[_Owner] = WeakSet()


def end_abandoned() -> None:
    """End the processes whose event loop was closed under their blocks. Callable from a finalizer."""
    for owner in list(_owners):
        if owner.abandoned:
            owner.end_now()


def _open_stdio(leader: Leader) -> _Stdio:
    try:
        return _Stdio(leader)
    except OSError as error:
        raise CodexError(f"cannot talk to process {leader.pid}: {error}") from error


async def _run_in(scope: anyio.CancelScope, service: Callable[[], Awaitable[None]]) -> None:
    with scope:
        await service()


@asynccontextmanager
async def owned_process(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | None = None,
    input: bytes | None = None,
) -> AsyncGenerator[ChildProcess, None]:
    """Run *command* during the block, in a session of its own.

    *env* is its whole environment and holds a variable of :func:`new_marker`, a new one for each process.
    *input* is fed to its stdin, which is then closed; without it, stdin is the block's to write to, and is
    closed first when the block is left. Tasks of the block that read or write have to end before it does.

    Raises:
        CodexError: the process cannot be started. Nothing runs then.
    """
    owner = _Owner(_token(env))
    async with open_task_group() as task_group:
        try:
            # Inside the block already: the marker finds a child that an interrupt keeps us from hearing of.
            yield owner.spawn(task_group, command, env, cwd, input)
        finally:
            try:
                with anyio.move_on_after(SHUTDOWN_BOUND, shield=True):
                    await owner.end(after_eof=input is None)
            finally:  # also where no loop runs any more, so that nothing can be awaited
                owner.end_now()
                owner.release()
                owner.warn()


def _token(env: Mapping[str, str]) -> str:
    try:
        return token_of(env.get(MARKER, ""))
    except ValueError as error:
        raise CodexError(str(error)) from error

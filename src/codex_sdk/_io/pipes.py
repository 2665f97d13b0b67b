"""The ends of a child's pipes, read and written by the event loop.

POSIX pipes are made non-blocking, and the loop tells when they are ready. So nothing is buffered in this
process, a read that is cancelled has lost nothing, and closing needs no await. No loop can wait for a
Windows pipe in that way: there, a thread copies each pipe to or from a socket, and the loop has the socket.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import threading
from io import RawIOBase

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint_if_cancelled

__all__ = ["Reader", "Writer"]

RELAYED = sys.platform == "win32"
"""Whether pipes are read and written by threads; works, more slowly, on POSIX too."""

_CHUNK = 64 * 1024
"""What a pipe holds by default, on Linux: one read takes all that there is."""

_LAST_WORDS = 1024 * 1024
"""What is read at most once the child has exited: a pipe cannot hold more (Linux: fs.pipe-max-size), so
the rest is from a descendant that goes on writing."""

_RELAY_TIME = 0.5
"""Seconds that a thread has to hand over what an exited child left in its pipe: a few system calls."""


class _End:
    """Our end of a pipe, or of the socket that stands for it."""

    def __init__(self, file: RawIOBase) -> None:
        self._file = file

    def close(self) -> None:
        """Close the pipe. A task that waits for it is woken."""
        if self._file.closed:
            return
        try:
            anyio.notify_closing(self._file.fileno())
        except anyio.NoEventLoopError:
            pass  # nobody waits where no loop runs
        self._file.close()


class Reader(_End):
    """Our end of a pipe that the child writes to."""

    def __init__(self, pipe: RawIOBase) -> None:
        super().__init__(_relayed_from(pipe) if RELAYED else _unblocked(pipe))
        self._left = math.inf
        self._deadline = math.inf
        self._waiting = anyio.CancelScope()

    async def receive(self) -> bytes:
        """Return what comes next; ``b""`` at the end. A call that is cancelled has lost nothing."""
        await checkpoint_if_cancelled()
        data = self.receive_nowait()
        if data is not None:
            await (
                cancel_shielded_checkpoint()
            )  # a child that floods us must not keep the loop from others
        while data is None:
            data = await self._wait_and_receive()
        return data

    def receive_nowait(self) -> bytes | None:
        """Return what there is: ``None`` if that is nothing yet, ``b""`` at the end."""
        if self._file.closed or self._left <= 0:
            return b""
        try:
            data = self._file.read(_CHUNK)
        except OSError:  # on Windows, some ends are errors
            return b""
        if data is not None:
            self._left -= len(data)
        return data

    def expect_end(self) -> None:
        """Take note that the child has exited: the end is where the pipe is empty.

        A descendant of the child may hold the pipe open for as long as it likes.
        """
        self._left = min(self._left, _LAST_WORDS)
        self._deadline = anyio.current_time() + (_RELAY_TIME if RELAYED else 0)
        self._waiting.deadline = self._deadline

    async def _wait_and_receive(self) -> bytes | None:
        with anyio.CancelScope(deadline=self._deadline) as self._waiting:
            try:
                await anyio.wait_readable(self._file.fileno())
            except anyio.ClosedResourceError:
                return b""
        data = self.receive_nowait()
        return b"" if data is None and self._waiting.cancelled_caught else data


class Writer(_End):
    """Our end of a pipe that the child reads from."""

    def __init__(self, pipe: RawIOBase) -> None:
        super().__init__(_relayed_to(pipe) if RELAYED else _unblocked(pipe))

    async def send(self, data: bytes) -> None:
        """Write all of *data*. A call that is cancelled may have written a part of it.

        Raises:
            BrokenPipeError: nobody will read it: the child has closed its end, or we have closed ours.
        """
        await checkpoint_if_cancelled()
        rest = memoryview(data)
        while rest:
            written = self._write(rest[:_CHUNK])
            rest = rest[written:]
            if not written:
                await self._wait()
        await cancel_shielded_checkpoint()

    def _write(self, data: memoryview) -> int:
        if self._file.closed:
            raise BrokenPipeError
        try:
            return self._file.write(data) or 0
        except OSError as error:
            raise BrokenPipeError from error

    async def _wait(self) -> None:
        try:
            await anyio.wait_writable(self._file.fileno())
        except anyio.ClosedResourceError:
            raise BrokenPipeError from None


def _unblocked(pipe: RawIOBase) -> RawIOBase:
    if sys.platform != "win32":
        os.set_blocking(pipe.fileno(), False)
    return pipe


def _relayed_from(pipe: RawIOBase) -> RawIOBase:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    _start_copying(pipe, _as_file(theirs))
    return _as_file(ours)


def _relayed_to(pipe: RawIOBase) -> RawIOBase:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    _start_copying(_as_file(theirs), pipe)
    return _as_file(ours)


def _as_file(end: socket.socket) -> RawIOBase:
    with end:  # from here on, the file owns it
        return end.makefile("rwb", buffering=0)


def _start_copying(source: RawIOBase, sink: RawIOBase) -> None:
    # A daemon, since it must not hold up the interpreter's exit, whoever holds the pipe open.
    threading.Thread(target=_copy, args=(source, sink), name="codex_sdk pipe", daemon=True).start()


def _copy(source: RawIOBase, sink: RawIOBase) -> None:
    with source, sink:
        try:
            while data := source.read(_CHUNK):
                rest = memoryview(data)
                while rest:
                    rest = rest[sink.write(rest) or 0 :]
        except OSError:
            pass  # one side is gone; the other side learns by being closed

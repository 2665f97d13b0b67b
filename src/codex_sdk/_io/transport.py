"""What carries the messages of an app-server connection, and the evidence of why one has ended."""

from __future__ import annotations

import signal
from typing import Protocol

import anyio
import attrs

from ..exceptions import CodexError
from .process import ChildProcess

__all__ = ["Farewell", "Transport", "how_it_exited", "stdio_transport"]

_FAREWELL_BOUND = 0.8
"""Seconds for the last words of a server: its callers are to learn of its end within one."""


@attrs.frozen
class Farewell:
    """Why a connection has ended.

    Attributes:
        exit_code: the server's exit status, negative where a signal ended it; ``None`` where there is no
            process of ours, or it still runs.
        stderr: the tail of what the server's process wrote to stderr, secrets included.
        how: a clause that tells what happened: ``the app-server exited with status 1``.
    """

    exit_code: int | None
    stderr: str
    how: str


class Transport(Protocol):
    """A way to exchange lines with an app-server.

    One task at a time sends and one receives; they may be two.
    """

    async def send(self, data: bytes, /) -> None:
        """Send one message, with its newline. A call that is cancelled may have sent a part of it.

        Raises:
            anyio.BrokenResourceError: the server takes no more.
        """
        ...

    async def receive(self) -> bytes:
        """Return the next bytes, which begin and end anywhere. A call that is cancelled has lost nothing.

        Raises:
            anyio.EndOfStream: the server has ended the connection, and all that it sent is read.
            anyio.BrokenResourceError: the connection broke, or what came is of no use.
        """
        ...

    async def farewell(self) -> Farewell:
        """Return why the connection has ended. To be called afterwards; takes a second at most."""
        ...


def stdio_transport(process: ChildProcess) -> Transport:
    """Return the transport to an app-server that listens on its stdin."""
    return _StdioTransport(process)


class _StdioTransport:
    def __init__(self, process: ChildProcess) -> None:
        self._process = process

    async def send(self, data: bytes, /) -> None:
        try:
            await self._process.send(data)
        except CodexError as error:
            raise anyio.BrokenResourceError(str(error)) from error

    async def receive(self) -> bytes:
        return await self._process.receive()

    async def farewell(self) -> Farewell:
        with anyio.move_on_after(_FAREWELL_BOUND):
            await self._process.wait()
            await self._process.stderr()
        exit_code = self._process.returncode
        return Farewell(exit_code, self._process.stderr_tail, how_it_exited(exit_code))


def how_it_exited(exit_code: int | None) -> str:
    """Return the clause that tells of an exit; ``None`` stands for none."""
    if exit_code is None:
        return "the app-server has closed its output, though it still runs"
    if exit_code >= 0:
        return f"the app-server exited with status {exit_code}"
    return f"the app-server was ended by {_signal_name(-exit_code)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""Reading the output of a process up to its end, which is not always the end of the pipe."""

from __future__ import annotations

import math

import anyio

from .._io.process import ChildProcess

__all__ = ["OutputReader"]

_DRAIN_TIME = 1.0
"""Seconds without data after which the output of an exited process counts as read: what it wrote is in
the pipe already, and only a descendant of its can still hold the pipe open."""


class OutputReader:
    """Reads the stdout of a process.

    The end of the pipe cannot be relied on: a command that outlives the process may hold it open. So
    :meth:`watch_exit` runs beside the reading, and once the process has exited, silence is the end.
    """

    def __init__(self, process: ChildProcess) -> None:
        self._process = process
        self._patience = math.inf
        self._waiting = anyio.CancelScope()

    async def receive(self) -> bytes:
        """Return the next piece of output; ``b""`` at the end."""
        with anyio.CancelScope(deadline=anyio.current_time() + self._patience) as self._waiting:
            try:
                return await self._process.receive()
            except anyio.EndOfStream:
                return b""
        return b""

    async def watch_exit(self) -> None:
        """Wait for the process to exit, and see to it that reading ends soon after."""
        await self._process.wait()
        self._patience = _DRAIN_TIME
        self._waiting.deadline = anyio.current_time() + _DRAIN_TIME

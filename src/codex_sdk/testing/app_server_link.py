"""A connection between a client and a fake app-server, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from .._core.framing import LineFramer
from .._io.transport import Farewell

__all__ = ["Link"]

_UNREAD_CHUNKS = 16
"""What the server may be ahead of a client that does not read."""

_PIPE_BYTES = 64 * 1024
"""What a client may be ahead of a server that does not read: as much as a pipe holds."""

_MAX_LINE_BYTES = 256 * 1024 * 1024


class Link:
    """Both ends of a connection: for the client a transport, for the server the methods below it.

    *take_line* is called with each line of the client's, *chunk_size* cuts what the server sends.
    """

    def __init__(self, take_line: Callable[[Link, bytes], None], chunk_size: int | None) -> None:
        self._take_line = take_line
        self._chunk_size = chunk_size
        self._framer = LineFramer(_MAX_LINE_BYTES)
        self._chunks: deque[bytes] = deque()
        self._unread = bytearray()
        self._silent = False
        self._broken = False
        self._farewell: Farewell | None = None
        self._changed = anyio.Event()

    @property
    def open(self) -> bool:
        """Whether neither end has closed it."""
        return self._farewell is None

    async def send(self, data: bytes, /) -> None:
        await checkpoint()
        while self.open and self._silent and len(self._unread) >= _PIPE_BYTES:
            await self._changed.wait()
        if not self.open:
            raise anyio.BrokenResourceError
        self._unread += data
        self._read()

    async def receive(self) -> bytes:
        await checkpoint()
        while not self._chunks and self.open:
            await self._changed.wait()
        if not self._chunks:
            raise anyio.BrokenResourceError if self._broken else anyio.EndOfStream
        chunk = self._chunks.popleft()
        self._wake()
        return chunk

    async def farewell(self) -> Farewell:
        await checkpoint()
        return self._farewell or Farewell(None, "", "the connection is open")

    def post(self, data: bytes) -> None:
        """Have the client receive *data*; nobody does, where it has gone."""
        size = self._chunk_size or max(len(data), 1)
        self._chunks += [data[start : start + size] for start in range(0, len(data), size)]
        self._wake()

    async def wait_for_room(self) -> None:
        """Wait until the client has read most of what was posted, or the link is closed."""
        await checkpoint()
        while self.open and len(self._chunks) > _UNREAD_CHUNKS:
            await self._changed.wait()

    def set_silent(self, silent: bool) -> None:
        """Stop to read, or read again."""
        self._silent = silent
        self._read()
        self._wake()

    def close(self, farewell: Farewell, *, broken: bool = False) -> None:
        """End the connection, once."""
        if self._farewell is None:
            self._farewell = farewell
            self._broken = broken
            self._wake()

    def _read(self) -> None:
        if self._silent:
            return
        data = bytes(self._unread)
        self._unread.clear()
        for line in self._framer.feed(data):
            self._take_line(self, line)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

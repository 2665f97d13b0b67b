"""One turn at a time: the place that the running turn of a thread holds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from threading import Lock

import anyio

from .._host import current_host
from .._io.process import end_abandoned
from ..exceptions import CodexError

__all__ = ["Tenancy", "TurnSlot"]


class Tenancy:
    """The right of one turn to a slot.

    Attributes:
        let_go: whether nobody wants the turn any more. It is being stopped then, or about to be; may be
            set from any thread and from a finalizer.
    """

    def __init__(self) -> None:
        self.let_go = False
        self._host = current_host()
        self._over = anyio.Event()

    @property
    def is_lost(self) -> bool:
        """Whether the turn's event loop was closed under it, so that it will never end the tenancy."""
        return self._host.closed

    async def wait_if_ending(self) -> bool:
        """Wait for the end of a turn that is let go; false, if it is not, or runs in another loop."""
        if not self.let_go or self._host != current_host():
            return False
        await self._over.wait()
        return True

    def end(self) -> None:
        """Wake who waits."""
        self._over.set()


class TurnSlot:
    """Holds one turn at a time, of any event loop or thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tenancy: Tenancy | None = None

    @asynccontextmanager
    async def taken(self, owner: object) -> AsyncGenerator[Tenancy, None]:
        """Hold the slot during the block; waits for a turn that is let go, and for no other.

        Raises:
            CodexError: *owner* runs a turn already.
        """
        mine = Tenancy()
        while (other := self._take(mine)) is not None:
            if not await other.wait_if_ending():
                raise CodexError(
                    f"{owner!r} already runs a turn, and a thread runs one at a time: wait for it, or "
                    "use another thread"
                )
        try:
            yield mine
        finally:
            if self._tenancy is mine:
                self._tenancy = None
            mine.end()

    def _take(self, tenancy: Tenancy) -> Tenancy | None:
        """Take the slot; returns who holds it, if somebody does."""
        with self._lock:
            if self._tenancy is not None and self._tenancy.is_lost:
                end_abandoned()
                self._tenancy = None
            if self._tenancy is None:
                self._tenancy = tenancy
                return None
            return self._tenancy

"""What runs the turns of threads: a CLI process for each turn, or one app-server for all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from ..events import ThreadEvent, Usage
from ..exceptions import CodexError
from .exec_turn import ExecRequest, exec_turn

if TYPE_CHECKING:
    from ..tools import ToolSet
    from .app_server_threads import AppServerThreads

__all__ = ["Backend", "ExecBackend", "TurnSource"]


class TurnSource(Protocol):
    """The events of a running turn, in batches."""

    @property
    def usage_before(self) -> Usage | None:
        """What the thread had used before the turn, where the turn tells."""
        ...

    async def receive_batch(self) -> Sequence[ThreadEvent]:
        """Return the events that came next; none, at the end of the turn.

        Raises:
            CodexError: the CLI did not do what was asked of it.
        """
        ...


class Backend(Protocol):
    """What the threads of a client are made of."""

    @property
    def transport(self) -> str:
        """What traces call it."""
        ...

    def turn(
        self, request: ExecRequest, tools: ToolSet | None
    ) -> AbstractAsyncContextManager[TurnSource]:
        """Run a turn during the block; leaving the block stops whatever of it is still running."""
        ...

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Be of use, during the block, to the event loop that runs it."""
        ...

    def app_server(self, what: str) -> AppServerThreads:
        """Return the backend, if it can do *what* only an app-server can.

        Raises:
            CodexError: it cannot.
        """
        ...


class ExecBackend:
    """Runs each turn in a process of ``codex exec``."""

    transport = "exec"

    def turn(
        self, request: ExecRequest, tools: ToolSet | None
    ) -> AbstractAsyncContextManager[TurnSource]:
        """Run a turn during the block; leaving the block stops whatever of it is still running."""
        return exec_turn(request)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None, None]:
        """Do nothing: turns share nothing."""
        yield

    def app_server(self, what: str) -> AppServerThreads:
        """Refuse.

        Raises:
            CodexError: always.
        """
        raise CodexError(f'{what} needs an app-server: CodexOptions(backend="app-server")')

"""The model server for programs without an event loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import ContextManagerMixin
from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..exceptions import CodexError
from ..options import CodexOptions
from .replies import Conversation, Script, ScriptEntry
from .requests import ModelRequest
from .script import exhausted_reply
from .server import ModelServer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BlockingModelServer"]


class BlockingModelServer(ContextManagerMixin):
    """A :class:`ModelServer` in a thread of its own, for as long as its ``with`` block lasts::

        with BlockingModelServer("Hello!") as server:
            turn = Codex(server.codex_options()).start_thread().run_sync("Hi")

    Arguments and behaviour are those of :class:`ModelServer`; functions of the script run in the
    server's thread. A :class:`Gate` of its script is waited for with ``gate.reached_sync()``.
    """

    def __init__(self, script: Script = (), *, exhausted: Conversation = exhausted_reply) -> None:
        self._server = ModelServer(script, exhausted=exhausted)
        self._portal: BlockingPortal | None = None

    @contextmanager
    def __contextmanager__(self) -> Generator[Self]:
        with (
            start_blocking_portal(name="codex_sdk.testing.BlockingModelServer") as portal,
            portal.wrap_async_context_manager(self._server),
        ):
            self._portal = portal
            try:
                yield self
            finally:
                self._portal = None

    @property
    def url(self) -> str:
        """The base URL, ``http://127.0.0.1:<port>/v1``."""
        return self._server.url

    @property
    def codex_home(self) -> Path:
        """The ``CODEX_HOME`` of :meth:`codex_options`; removed with the server."""
        return self._server.codex_home

    @property
    def requests(self) -> tuple[ModelRequest, ...]:
        """The requests to the model so far, in the order in which they arrived."""
        return self._server.requests

    @property
    def other_requests(self) -> tuple[ModelRequest, ...]:
        """What else was asked for so far: the list of models, a WebSocket, an unknown path."""
        return self._server.other_requests

    def wait_for_request(self, number: int = 1, *, timeout: float = 30.0) -> ModelRequest:
        """Wait until *number* requests to the model have arrived; return the last of these.

        Raises:
            TimeoutError: they did not arrive within *timeout* seconds.
        """
        return self._running().call(self._request_within, number, timeout)

    async def _request_within(self, number: int, seconds: float) -> ModelRequest:
        with anyio.fail_after(seconds):
            return await self._server.wait_for_request(number)

    def will_reply(self, *entries: ScriptEntry, when: str | None = None) -> None:
        """Add *entries* to the end of the script; with *when*, to that of the conversation so marked."""
        extend = partial(self._server.will_reply, *entries, when=when)
        if self._portal is None:
            extend()
        else:
            self._portal.call(extend)

    def codex_options(self, *, retries: int = 0, **changes: Any) -> CodexOptions:
        """Return options with which a :class:`~codex_sdk.Codex` asks this model, in isolation.

        They are those of :meth:`ModelServer.codex_options`.
        """
        return self._server.codex_options(retries=retries, **changes)

    def environment(self) -> dict[str, str]:
        """Return the whole environment in which an unmodified program asks this model, in isolation.

        It is that of :meth:`ModelServer.environment`.
        """
        return self._server.environment()

    def _running(self) -> BlockingPortal:
        if self._portal is None:
            raise CodexError("the BlockingModelServer is not running: enter it with `with`")
        return self._portal

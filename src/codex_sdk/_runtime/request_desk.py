"""Requests of an app-server that wait for the program to take them, and to answer them in its own time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from .._core.app_server_input import plain
from .._core.jsonrpc import Request, RequestId, checked_answer
from ..exceptions import CodexAppServerError, CodexError
from .subscriptions import Failure

__all__ = ["RequestDesk", "RequestQueue", "UnclaimedError"]

_REMEMBERED = 1024
"""Requests that are over and remembered, so that a late answer can be told from one to no request at all."""


class UnclaimedError(Exception):
    """Nobody took a request within the time that it waited."""


class _Claim:
    """A request that waits to be taken, and then for its answer."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.taken: anyio.Event = anyio.Event()
        self.answered: anyio.Event = anyio.Event()
        self.result: Any = None
        self.error: CodexAppServerError | None = None


class RequestQueue:
    """Requests that may be taken, in the order in which they came."""

    def __init__(self) -> None:
        self._claims: dict[RequestId, _Claim] = {}
        self._changed = anyio.Event()
        self._ended = False
        self._failure: Failure | None = None

    async def receive(self) -> Request:
        """Take the next request, waiting for it; whoever takes it is to answer it.

        A call that is cancelled takes none.

        Raises:
            anyio.EndOfStream: there will be no more.
            AppServerClosedError: the connection ended.
        """
        await checkpoint()
        while not self._claims:
            if self._failure is not None:
                raise self._failure()
            if self._ended:
                raise anyio.EndOfStream
            await self._changed.wait()
        claim = self._claims.pop(next(iter(self._claims)))
        claim.taken.set()
        return claim.request

    def end(self, failure: Failure | None = None) -> None:
        """Take note that no more will come, and why, if that is a failure."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self._notify()

    def add(self, claim: _Claim) -> None:
        """Let somebody take a request."""
        self._claims[claim.request.id] = claim
        self._notify()

    def remove(self, claim: _Claim) -> None:
        """Let nobody take it any more."""
        self._claims.pop(claim.request.id, None)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class RequestDesk:
    """Brings the answers that a program gives to the requests that they are for."""

    def __init__(self) -> None:
        self._open: dict[RequestId, _Claim] = {}
        self._over: OrderedDict[RequestId, None] = OrderedDict()

    async def answer_to(self, request: Request, queue: RequestQueue, timeout: float | None) -> Any:
        """Offer *request* to who reads *queue*, and return the answer that is given to it.

        Args:
            timeout: seconds for somebody to take it; ``None``: no limit. The answer may take any time.

        Raises:
            UnclaimedError: nobody took it in time.
            CodexAppServerError: the program refuses the request.
        """
        claim = self._open[request.id] = _Claim(request)
        queue.add(claim)
        try:
            with anyio.move_on_after(timeout):
                await claim.taken.wait()
            if not claim.taken.is_set():
                raise UnclaimedError
            await claim.answered.wait()
        finally:
            queue.remove(claim)
            del self._open[request.id]
            if not claim.answered.is_set():
                self._remember(request.id)
        if claim.error is not None:
            raise claim.error
        return claim.result

    def respond(
        self, request_id: RequestId, result: Any = None, *, error: Mapping[str, Any] | None = None
    ) -> Request | None:
        """Answer a request that was taken; returns it, or ``None``, if its answer is not waited for any more.

        Raises:
            CodexError: there was no such request, it has an answer already, or the answer is no JSON.
        """
        claim = self._open.get(request_id)
        if claim is None and request_id in self._over:
            return None  # its turn has ended meanwhile
        if claim is None or claim.answered.is_set():
            raise CodexError(f"no request {request_id!r} of the app-server waits for an answer")
        if error is not None:
            claim.error = _refusal(error)
        claim.result = checked_answer(plain(result))
        claim.taken.set()
        claim.answered.set()
        return claim.request

    def _remember(self, request_id: RequestId) -> None:
        self._over[request_id] = None
        if len(self._over) > _REMEMBERED:
            self._over.popitem(last=False)


def _refusal(error: Mapping[str, Any]) -> CodexAppServerError:
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, int) or not isinstance(message, str):
        raise CodexError('an error is {"code": a number, "message": a text}, and may have "data"')
    return CodexAppServerError(code, message, checked_answer(plain(error.get("data"))))

"""A turn of Codex that stays open while PydanticAI runs the tools which it has called."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
from pydantic_ai.usage import RequestUsage

from ..._core.jsonrpc import Notification, Request
from ..._core.server_requests import safe_answer
from ..._host import current_host
from ..._runtime.app_server_connection import AppServerConnection
from ..._runtime.app_server_turn import RunningTurn, running_turn
from ..._runtime.hosted import Hosted
from ...exceptions import CodexError
from ...telemetry import RunningSpan

__all__ = ["OpenTurn", "request_usage"]

_SETTLING = 0.03
"""Seconds to wait for calls that were made together with one that has come. Measured: at most 0.004."""

_TOOL_CALL = "item/tool/call"


class _Call:
    """A call of a tool, which Codex waits for the result of."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.answered = anyio.Event()


class OpenTurn:
    """A turn in a task of its own, which outlives the requests that read it.

    Attributes:
        thread_id: the thread.
        pending: the ids of the calls that were handed out, and wait for their results.
        output_schema: what the turn's answer is held to.
        span: the span of the request that has read the turn last; the next one's is linked to it.

    Args:
        thread_id: the thread.
        on_request: answers the requests of the server; ``None``: calls of tools are answered by
            :meth:`give_result`, and all others safely.
    """

    def __init__(
        self, thread_id: str, on_request: Callable[[Request], Awaitable[Any]] | None = None
    ) -> None:
        self.thread_id = thread_id
        self._on_request = on_request or self._answer
        self.pending: set[str] = set()
        self.output_schema: Any = None
        self.span: RunningSpan | None = None
        self._calls: dict[str, _Call] = {}
        self._unread: deque[Notification] = deque()
        self._usage = RequestUsage()
        self._usage_is_known = False
        self._turn: RunningTurn | None = None
        self._hosted: Hosted[RunningTurn] | None = None

    async def start(self, connection: AppServerConnection, params: Mapping[str, Any]) -> None:
        """Start the turn; a start that is cancelled leaves none.

        Raises:
            CodexError: the server refuses, or is gone.
        """
        self.output_schema = params.get("outputSchema")
        block = running_turn(connection, self.thread_id, params, on_request=self._on_request)
        self._hosted = Hosted(block, RunningTurn.wait_over)
        spawn = current_host().spawn
        self._turn = await self._hosted.start(
            lambda function, name: spawn(function, name=name), shielded=False
        )

    async def _answer(self, request: Request) -> Any:
        """Answer a request of the server's: a call when its result is there, all others safely."""
        if request.method != _TOOL_CALL:
            return safe_answer(request, now=int(time.time()))
        call_id = request.params["callId"]
        call = self._call(call_id)
        await call.answered.wait()
        self._calls.pop(call_id, None)  # the next may have the same id: not every model counts on
        return call.result

    def _call(self, call_id: str) -> _Call:
        return self._calls.setdefault(call_id, _Call())

    @property
    def turn_id(self) -> str | None:
        """The turn's id; ``None`` before it has started."""
        return None if self._turn is None else self._turn.turn_id

    @property
    def is_over(self) -> bool:
        """Whether the turn has ended, read or not."""
        return self._turn is None or self._turn.is_over

    @property
    def final(self) -> Mapping[str, Any] | None:
        """The turn as it has ended; ``None`` while it runs."""
        return None if self._turn is None else self._turn.final

    def item(self, item_id: str) -> Mapping[str, Any] | None:
        """Return an item that has begun and not ended, as the server told when it began."""
        return None if self._turn is None else self._turn.item(item_id)

    def give_result(self, call_id: str, content: Sequence[Mapping[str, Any]], *, ok: bool) -> None:
        """Answer a call that was handed out."""
        call = self._call(call_id)
        call.result = {"contentItems": list(content), "success": ok}
        call.answered.set()
        self.pending.discard(call_id)

    async def steer(self, content: Sequence[Mapping[str, Any]]) -> None:
        """Add to the turn's input.

        Raises:
            CodexError: the turn has ended, or the connection.
        """
        if self._turn is not None:
            await self._turn.steer(content)

    async def until(self, tells: Callable[[Notification], bool]) -> None:
        """Wait until there is a notification to be read of which *tells* is true, or the last one.

        Raises:
            CodexError: the connection has ended.
        """
        while not any(map(tells, self._unread)):
            notification = await self._receive()
            self._unread.append(notification)
            if notification.method == "turn/completed":
                return

    async def receive(self) -> Notification:
        """Return the turn's next notification; ``turn/completed`` is the last.

        Raises:
            CodexError: the connection has ended.
        """
        notification = self._unread.popleft() if self._unread else await self._receive()
        self._take_note(notification)
        return notification

    async def receive_soon(self) -> Notification | None:
        """Return the next notification, if it is there or comes at once."""
        with anyio.move_on_after(_SETTLING):
            return await self.receive()
        return None

    async def _receive(self) -> Notification:
        if self._turn is None:
            raise CodexError("the turn was not started")
        try:
            return await self._turn.receive()
        except anyio.EndOfStream:
            raise CodexError("the turn is over") from None

    def _take_note(self, notification: Notification) -> None:
        if notification.method == "thread/tokenUsage/updated":
            self._usage += request_usage(notification.params["tokenUsage"]["last"])
            self._usage_is_known = True

    def take_usage(self) -> RequestUsage:
        """Return the tokens that were reported since the last call."""
        usage, self._usage = self._usage, RequestUsage()
        known, self._usage_is_known = self._usage_is_known, False
        if not known and not self.pending:
            usage.unmeasured_requests = 1
        return usage

    def begin_to_stop(self) -> None:
        """Have the turn interrupted, if it runs, without waiting for that."""
        if self._hosted is not None:
            self._hosted.begin_to_stop()

    async def stop(self) -> None:
        """Interrupt the turn, if it runs, and wait for its end; may be called again, from any task."""
        if self._hosted is None:
            return
        try:
            await self._hosted.stop()
        except CodexError:
            pass  # the connection has ended, and the turn with it
        for call in self._calls.values():
            call.answered.set()

    async def read_to_the_end(self) -> None:
        """Take note of what a turn that was stopped has left to tell."""
        try:
            while True:
                await self.receive()
        except CodexError:
            return


def request_usage(tokens: Mapping[str, int]) -> RequestUsage:
    """Return the tokens of one request to the model, as the app-server reports them."""
    return RequestUsage(
        input_tokens=tokens.get("inputTokens", 0),
        cache_read_tokens=tokens.get("cachedInputTokens", 0),
        output_tokens=tokens.get("outputTokens", 0),
        output_reasoning_tokens=tokens.get("reasoningOutputTokens", 0),
    )

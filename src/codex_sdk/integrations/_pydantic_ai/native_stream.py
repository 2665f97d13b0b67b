"""The notifications of a turn as the stream of a response."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from pydantic_ai.messages import ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse

from ..._core.jsonrpc import Notification
from ...exceptions import CodexError, TurnFailedError
from ...telemetry import RunningSpan
from .errors import model_error
from .native import NativeRequest
from .spans import describe_finish, describe_thread
from .work import native_parts, with_one_answer

__all__ = ["CodexStreamedResponse"]

_WORK: Mapping[str, tuple[str, ...]] = {
    "commandExecution": ("command", "cwd"),
    "fileChange": ("changes",),
    "mcpToolCall": ("server", "tool", "arguments"),
    "webSearch": ("query",),
}
"""What Codex does by itself, by the item's type, and which of the fields are what was asked for."""

_RESULT: Mapping[str, tuple[str, ...]] = {
    "commandExecution": ("status", "exitCode", "aggregatedOutput"),
    "fileChange": ("status",),
    "mcpToolCall": ("status", "result", "error"),
    "webSearch": ("action",),
}


def _answers(notification: Notification) -> bool:
    """Whether a notification is of what the model says or does."""
    method = notification.method
    if method == "item/started":
        return bool(notification.params["item"]["type"] == "dynamicToolCall")
    return method == "item/completed" or method.endswith("elta")


def _part_of_thought(item_id: str, number: int) -> str:
    return f"{item_id}/{number}"


class _Events(AsyncIterator[ModelResponseStreamEvent]):
    """The events of a response; no generator, which could be left suspended in a scope of anyio's."""

    def __init__(self, response: CodexStreamedResponse) -> None:
        self._response = response
        self._ready: deque[ModelResponseStreamEvent] = deque()

    async def __anext__(self) -> ModelResponseStreamEvent:
        while not self._ready:
            events = await self._response.advance()
            if events is None:
                raise StopAsyncIteration
            self._ready.extend(events)
        return self._ready.popleft()


@dataclass
class CodexStreamedResponse(StreamedResponse):
    """The stream of a response; made by :class:`CodexModel`."""

    _request: NativeRequest
    _model_name: str
    _provider_name: str
    _span: RunningSpan
    _timestamp: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    _over: bool = False
    _settled: bool = False
    _told: set[str] = field(default_factory=set[str])
    _comments: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        turn = self._request.turn
        self.provider_details = {"thread_id": turn.thread_id, "turn_id": turn.turn_id}
        describe_thread(self._span, self.provider_details)
        if turn.span is not None:
            self._span.link(turn.span)
        turn.span = self._span

    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return _Events(self)

    async def advance(self) -> Sequence[ModelResponseStreamEvent] | None:
        """Return the events of the next notification; ``None`` at the end, when the thread is kept.

        Raises:
            ModelAPIError: the turn has failed.
        """
        try:
            if not self._over:
                return await self._read()
            if not self._settled:
                await self._settle()
            return None
        except CodexError as error:
            failure = model_error(self._model_name, error)
            self._span.record(failure)
            raise failure from error

    async def _read(self) -> Sequence[ModelResponseStreamEvent]:
        turn = self._request.turn
        notification = await (turn.receive_soon() if self._settles() else turn.receive())
        if notification is None:
            self._over = True
            return ()
        try:
            events = [*self._events(notification)]
        except CodexError:
            self._usage = turn.take_usage()
            raise
        self._over = self._over or (self._settles() and not self._request.choice.parallel)
        return events

    async def _settle(self) -> None:
        turn = self._request.turn
        self.finish_reason = "tool_call" if turn.pending else "stop"
        await self._request.finish(self.get())
        self._settled = True
        self._usage = turn.take_usage()
        describe_finish(self._span, self.finish_reason)
        self._span.end()

    def _settles(self) -> bool:
        """Whether a call has come, so that only what comes with it is waited for."""
        return bool(self._request.turn.pending)

    def _events(self, notification: Notification) -> Iterator[ModelResponseStreamEvent]:
        params = notification.params
        match notification.method:
            case "item/agentMessage/delta":
                yield from self._text(params["itemId"], params["delta"])
            case "item/reasoning/summaryTextDelta":
                part_id = _part_of_thought(params["itemId"], params.get("summaryIndex", 0))
                yield from self._thought(part_id, params["itemId"], params["delta"])
            case "item/started":
                yield from self._started(params["item"])
            case "item/completed":
                yield from self._completed(params["item"])
            case "turn/completed":
                self._over = True
                self._check(params["turn"])
            case _:
                return

    def _text(self, item_id: str, delta: str) -> Iterator[ModelResponseStreamEvent]:
        self._told.add(item_id)
        if item_id in self._comments:
            yield from self._thought(item_id, item_id, delta)
        else:
            yield from self._parts_manager.handle_text_delta(vendor_part_id=item_id, content=delta)

    def _thought(
        self, part_id: str, item_id: str, delta: str
    ) -> Iterator[ModelResponseStreamEvent]:
        self._told.add(part_id)
        yield from self._parts_manager.handle_thinking_delta(
            vendor_part_id=part_id, content=delta, id=item_id, provider_name=self._provider_name
        )

    def _started(self, item: Mapping[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        if item.get("phase") == "commentary":
            self._comments.add(item["id"])
        if item["type"] == "dynamicToolCall":
            self._request.turn.pending.add(item["id"])
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id=item["id"],
                tool_name=self._request.names.get(item["tool"], item["tool"]),
                args=json.dumps(item["arguments"], ensure_ascii=False),
                tool_call_id=item["id"],
            )

    def _completed(self, item: Mapping[str, Any]) -> Iterator[ModelResponseStreamEvent]:
        kind = item["type"]
        if kind == "agentMessage" and item["id"] not in self._told and item["text"]:
            yield from self._text(item["id"], item["text"])
        elif kind == "reasoning":
            yield from self._reasoned(item["id"], item.get("summary") or ())
        elif kind in _WORK:
            asked = {name: item.get(name) for name in _WORK[kind]}
            result = {name: item.get(name) for name in _RESULT[kind]}
            name = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind)
            for part in native_parts(name, asked, result, item["id"], self._provider_name):
                yield self._parts_manager.handle_part(
                    vendor_part_id=f"{item['id']}/{part.part_kind}", part=part
                )

    def _reasoned(self, item_id: str, summary: Sequence[str]) -> Iterator[ModelResponseStreamEvent]:
        """Yield the events of thoughts that did not come in deltas: not every provider streams them."""
        for number, text in enumerate(summary):
            part_id = _part_of_thought(item_id, number)
            if part_id not in self._told:
                yield from self._thought(part_id, item_id, text)

    def get(self) -> ModelResponse:
        """Return the response so far: the last of several messages is the answer, others are thoughts."""
        response = super().get()
        return replace(response, parts=with_one_answer(response.parts))

    async def open(self) -> None:
        """Wait until the turn has begun to answer, so that one which fails fails here.

        Raises:
            ModelAPIError: it has failed.
        """
        try:
            await self._request.turn.until(_answers)
            self._check_last()
        except CodexError as error:
            raise model_error(self._model_name, error) from error

    def _check_last(self) -> None:
        final = self._request.turn.final
        if final is not None and final.get("status") == "failed":
            self._check(final)

    def _check(self, turn: Mapping[str, Any]) -> None:
        if turn["status"] == "failed":
            error: Mapping[str, Any] = turn.get("error") or {}
            raise TurnFailedError(str(error.get("message") or "the turn failed"))
        if turn["status"] == "interrupted":
            raise TurnFailedError("the turn was interrupted")

    async def close_stream(self) -> None:
        """Stop the turn, unless the response has been read to its end. May be called again."""
        if not self._settled:
            self._over = self._settled = True
            await self._request.abandon()
            self._usage = self._request.turn.take_usage()

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        """Return the errors that a reader may see when another task cancels the stream."""
        return (CodexError,)

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """The provider's name."""
        return self._provider_name

    @property
    def provider_url(self) -> None:
        """None: the provider is a program."""
        return None

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._timestamp

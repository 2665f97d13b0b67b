"""The events of a turn, in the order in which ``codex exec --experimental-json`` writes them.

A turn is ``thread.started``, ``turn.started``, items, and one of ``turn.completed`` and ``turn.failed``.
The item events can be told to hold one type of item, ``ItemCompletedEvent[AgentMessageItem]``; as they
stand, they hold any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, Union

import attrs

from ._value import Value
from .items import ThreadItem

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    ItemT_co = TypeVar("ItemT_co", bound=ThreadItem, default=ThreadItem, covariant=True)
else:  # The default is for type checkers: without it, every plain ``ItemStartedEvent`` is an error.
    from typing import TypeVar

    ItemT_co = TypeVar("ItemT_co", covariant=True)


@attrs.frozen
class Usage(Value):
    """Tokens used, as the CLI counts them: over the whole thread so far, resumed history included.

    Counts that a CLI does not report are zero.
    """

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0


@attrs.frozen
class ThreadError(Value):
    """Why a turn failed."""

    message: str


@attrs.frozen
class ThreadStartedEvent(Value):
    """The thread exists; its id can be resumed from now on."""

    type: Literal["thread.started"] = attrs.field(
        default="thread.started", kw_only=True, repr=False
    )
    thread_id: str


@attrs.frozen
class TurnStartedEvent(Value):
    """The prompt was taken."""

    type: Literal["turn.started"] = attrs.field(default="turn.started", kw_only=True, repr=False)


@attrs.frozen
class TurnCompletedEvent(Value):
    """The turn is complete; the last event."""

    type: Literal["turn.completed"] = attrs.field(
        default="turn.completed", kw_only=True, repr=False
    )
    usage: Usage


@attrs.frozen
class TurnFailedEvent(Value):
    """The turn could not be completed; the last event."""

    type: Literal["turn.failed"] = attrs.field(default="turn.failed", kw_only=True, repr=False)
    error: ThreadError


@attrs.frozen
class ItemStartedEvent(Value, Generic[ItemT_co]):
    """An item began."""

    type: Literal["item.started"] = attrs.field(default="item.started", kw_only=True, repr=False)
    item: ItemT_co

    def to_dict(self) -> dict[str, Any]:
        """Return the event in the shape in which the CLI wrote it."""
        return {"type": self.type, "item": self.item.to_dict()}


@attrs.frozen
class ItemUpdatedEvent(Value, Generic[ItemT_co]):
    """An item changed; the event holds it whole.

    With ``CodexOptions(backend="app-server")``, messages, reasoning and the output of commands are updated
    as they come in, piece by piece: ``delta`` is the new piece, and the item holds all pieces so far. They
    are put together when the item's text is first read, so that reading ``delta`` alone costs no more
    for a long text. ``delta`` is ``None`` where the item did not grow by a text.
    """

    type: Literal["item.updated"] = attrs.field(default="item.updated", kw_only=True, repr=False)
    item: ItemT_co
    delta: str | None = attrs.field(default=None, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the event in the shape in which the CLI wrote it, with ``delta`` where there is one."""
        data: dict[str, Any] = {"type": self.type, "item": self.item.to_dict()}
        return data if self.delta is None else {**data, "delta": self.delta}


@attrs.frozen
class ItemCompletedEvent(Value, Generic[ItemT_co]):
    """An item is finished. From ``codex exec``, some types (messages, reasoning) have no other event."""

    type: Literal["item.completed"] = attrs.field(
        default="item.completed", kw_only=True, repr=False
    )
    item: ItemT_co

    def to_dict(self) -> dict[str, Any]:
        """Return the event in the shape in which the CLI wrote it."""
        return {"type": self.type, "item": self.item.to_dict()}


@attrs.frozen
class ThreadErrorEvent(Value):
    """Something went wrong that need not end the turn: Codex announces each reconnection so."""

    type: Literal["error"] = attrs.field(default="error", kw_only=True, repr=False)
    message: str


@attrs.frozen
class UnknownEvent(Value):
    """An event of a type that this version of the package does not know, kept as it came.

    Seen only with ``CodexOptions(unknown_events="keep")``. ``type`` is always ``"unknown"``, so that
    comparing ``event.type`` with a known type narrows the union; the CLI's word is in ``wire_type``.
    """

    type: Literal["unknown"] = attrs.field(default="unknown", kw_only=True, repr=False)
    wire_type: str
    raw: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the event as the CLI wrote it."""
        return dict(self.raw)


ThreadEvent = Union[
    ThreadStartedEvent,
    TurnStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ItemCompletedEvent,
    ThreadErrorEvent,
    UnknownEvent,
]

"""One line of the CLI's output in, one event out.

msgspec decodes a line straight into the attrs classes, at C speed, but has to be told which: so the line's
types are looked at first, and each pair of event type and item type has a decoder of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Union, cast, get_args

import attrs
from msgspec import Struct, ValidationError, convert
from msgspec.json import Decoder
from msgspec.json import decode as decode_json

from ..events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
    UnknownEvent,
)
from ..exceptions import CodexParseError
from ..items import (
    AgentMessageItem,
    CollabAgentState,
    CollabToolCallItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    McpToolCallItem,
    ReasoningItem,
    TodoListItem,
    UnknownItem,
    WebSearchItem,
)
from ..options import ModelReasoningEffort, UnknownEvents

__all__ = ["EventDecoder", "is_unknown_word"]

_ItemEvent = Union[ItemStartedEvent, ItemUpdatedEvent, ItemCompletedEvent]

_ITEM_EVENTS: dict[str, type[_ItemEvent]] = {
    "item.started": ItemStartedEvent,
    "item.updated": ItemUpdatedEvent,
    "item.completed": ItemCompletedEvent,
}
_OTHER_EVENTS = {
    "thread.started": ThreadStartedEvent,
    "turn.started": TurnStartedEvent,
    "turn.completed": TurnCompletedEvent,
    "turn.failed": TurnFailedEvent,
    "error": ThreadErrorEvent,
}
_ITEMS = {
    "agent_message": AgentMessageItem,
    "reasoning": ReasoningItem,
    "command_execution": CommandExecutionItem,
    "file_change": FileChangeItem,
    "mcp_tool_call": McpToolCallItem,
    "collab_tool_call": CollabToolCallItem,
    "web_search": WebSearchItem,
    "todo_list": TodoListItem,
    "error": ErrorItem,
}

_EFFORTS = frozenset(get_args(ModelReasoningEffort))
_SHOWN_CHARACTERS = 200
_MALFORMED = (ValueError, RecursionError)
"""What msgspec and json raise for bad input; their own errors and UnicodeDecodeError are ValueErrors."""


class _Typed(Struct, gc=False):
    type: str


class _Head(Struct, gc=False):
    type: str
    item: _Typed | None = None


class _ItemHead(Struct):
    """What a line must have at least if its event is one of an item."""

    item: _Typed


class _AgentState(Struct):
    status: str
    message: str | None = None


class _CollabItem(Struct):
    """A collab tool call as tolerantly as it is read: its words may be newer than this package."""

    id: str
    tool: str
    sender_thread_id: str
    receiver_thread_ids: tuple[str, ...]
    agents_states: dict[str, Any]
    status: str
    prompt: str | None = None
    model: str | None = None
    reasoning_effort: Any = None


class _CollabLine(Struct):
    item: _CollabItem


class _Readers(dict[str, Callable[[bytes], _ItemEvent]]):
    """What reads the lines of one event type, by item type; each is made at its first use."""

    def __init__(self, event_class: Any) -> None:
        super().__init__()
        self._event_class = event_class

    def __missing__(self, item_type: str) -> Callable[[bytes], _ItemEvent]:
        read = self[item_type] = self._reader(item_type)
        return read

    def _reader(self, item_type: str) -> Callable[[bytes], _ItemEvent]:
        if item_type == "collab_tool_call":
            return partial(_read_collab_event, self._event_class)
        decode: Callable[[bytes], _ItemEvent]
        decode = Decoder(self._event_class[_ITEMS[item_type]]).decode
        return partial(_read_web_search_event, decode) if item_type == "web_search" else decode


_READERS = {name: _Readers(event_class) for name, event_class in _ITEM_EVENTS.items()}
_decode_head = Decoder(_Head).decode


class EventDecoder:
    """Turns the lines of a turn into its events.

    *unknown_events* is :attr:`CodexOptions.unknown_events`.
    """

    def __init__(self, unknown_events: UnknownEvents = "error") -> None:
        self._keep_unknown = unknown_events == "keep"

    def decode(self, line: bytes) -> ThreadEvent:
        """Return the event that *line* is.

        Raises:
            CodexParseError: it is none that this package knows. Nothing else is raised, whatever the
                line holds.
        """
        try:
            head = _decode_head(line)
            if head.item is not None:
                return _READERS[head.type][head.item.type](line)
        except (KeyError, *_MALFORMED):
            pass  # What is wrong, if anything is, is found out below: no hot line comes there.
        return self._decode_with_care(line)

    def _decode_with_care(self, line: bytes) -> ThreadEvent:
        try:
            event_type = decode_json(line, type=_Typed).type
        except _MALFORMED as error:
            raise _parse_error(line, f"a line that is no event: {error}") from error
        try:
            return self._event(event_type, line)
        except _MALFORMED as error:
            raise _parse_error(line, f"a malformed {_name_of(line)}: {error}") from error

    def _event(self, event_type: str, line: bytes) -> ThreadEvent:
        if event_type in _ITEM_EVENTS:
            return self._item_event(event_type, line)
        if event_type in _OTHER_EVENTS:
            return cast("ThreadEvent", decode_json(line, type=_OTHER_EVENTS[event_type]))
        if self._keep_unknown:
            return UnknownEvent(wire_type=event_type, raw=decode_json(line))
        raise _unknown_type_error(line, "an event", event_type)

    def _item_event(self, event_type: str, line: bytes) -> ThreadEvent:
        item_type = decode_json(line, type=_ItemHead).item.type
        if item_type in _ITEMS:
            try:
                return _READERS[event_type][item_type](line)
            except ValidationError as error:
                if not (self._keep_unknown and is_unknown_word(error)):
                    raise
        elif not self._keep_unknown:
            raise _unknown_type_error(line, "an item", item_type)
        return _ITEM_EVENTS[event_type](_unknown_item(line))


def _read_web_search_event(decode: Callable[[bytes], _ItemEvent], line: bytes) -> _ItemEvent:
    event = decode(line)
    item = attrs.evolve(event.item, id=convert(_item_with_first_id(line)["id"], str))
    return attrs.evolve(event, item=item)


def _read_collab_event(event_class: type[_ItemEvent], line: bytes) -> _ItemEvent:
    return event_class(_collab_item(decode_json(line, type=_CollabLine).item))


def _collab_item(item: _CollabItem) -> CollabToolCallItem:
    effort = item.reasoning_effort
    return CollabToolCallItem(
        id=item.id,
        tool=cast("Any", item.tool),
        sender_thread_id=item.sender_thread_id,
        receiver_thread_ids=item.receiver_thread_ids,
        prompt=item.prompt,
        agents_states=_agents_states(item.agents_states),
        status=cast("Any", item.status),
        model=item.model,
        reasoning_effort=effort if isinstance(effort, str) and effort in _EFFORTS else None,
    )


def _agents_states(entries: dict[str, Any]) -> dict[str, CollabAgentState]:
    states: dict[str, CollabAgentState] = {}
    for thread_id, entry in entries.items():
        try:
            state = convert(entry, _AgentState)
        except ValidationError:
            continue  # One sub-agent whose state cannot be read does not hide the others.
        states[thread_id] = CollabAgentState(cast("Any", state.status), state.message)
    return states


def _unknown_item(line: bytes) -> UnknownItem:
    decode_json(line)  # stricter than json: refuses what no JSON writer could write again
    raw = _item_with_first_id(line)
    item_id = raw.get("id")
    return UnknownItem(
        id=item_id if isinstance(item_id, str) else "", wire_type=raw["type"], raw=raw
    )


def _item_with_first_id(line: bytes) -> dict[str, Any]:
    """Return the line's item with the first of its ``id`` fields, where there are several.

    Current CLIs write two: the item's own, of the form that all items have, then the model's.
    """
    data = json.loads(line.decode(), object_pairs_hook=_object_with_first_id)
    item: dict[str, Any] = data["item"]
    return item


def _object_with_first_id(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if "id" in data:
        data["id"] = next(value for key, value in pairs if key == "id")
    return data


def is_unknown_word(error: ValidationError) -> bool:
    """Whether a field that takes one of a few words held another; msgspec has no class for that."""
    return str(error).startswith("Invalid enum value")


def _unknown_type_error(line: bytes, what: str, type_name: str) -> CodexParseError:
    return _parse_error(
        line,
        f"{what} of the unknown type {type_name[:_SHOWN_CHARACTERS]!r} "
        '(CodexOptions(unknown_events="keep") accepts such)',
    )


def _name_of(line: bytes) -> str:
    """Return the types of a line that has at least an event type."""
    try:
        head = decode_json(line, type=_Head)
    except _MALFORMED:
        return decode_json(line, type=_Typed).type
    return f"{head.type} of {head.item.type}" if head.item else head.type


def _parse_error(line: bytes, what: str) -> CodexParseError:
    start = line[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return CodexParseError(
        f"the Codex CLI wrote {what[: 2 * _SHOWN_CHARACTERS]}; the line begins {start!r}"
    )

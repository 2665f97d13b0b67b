"""One line of the CLI's output in, one event out.

There are two ways through. The item types that come often are decoded by msgspec straight into their attrs
classes, after a look at the line's types. Every other line goes by way of plain dicts: events that come
once or twice per turn, items that need care, types that this package does not know, and whatever is
malformed. Both ways agree on each line that the first can read, so speed is all that it adds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Union, cast, get_args

from msgspec import Struct, ValidationError, convert
from msgspec.json import Decoder

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

__all__ = ["EventDecoder"]

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
_PLAIN_ITEMS = {
    "agent_message": AgentMessageItem,
    "reasoning": ReasoningItem,
    "command_execution": CommandExecutionItem,
    "file_change": FileChangeItem,
    "mcp_tool_call": McpToolCallItem,
    "todo_list": TodoListItem,
    "error": ErrorItem,
}

_ITEMS = {**_PLAIN_ITEMS, "web_search": WebSearchItem, "collab_tool_call": CollabToolCallItem}

_EFFORTS = frozenset(get_args(ModelReasoningEffort))
_SHOWN_CHARACTERS = 200
_MALFORMED = (ValueError, RecursionError)
"""What msgspec and json raise for bad input; their own errors and UnicodeDecodeError are ValueErrors."""


class _Typed(Struct, gc=False):
    type: str


class _Head(Struct, gc=False):
    """What the quick way has to know of a line."""

    type: str
    item: _Typed | None = None


class _ItemHead(Struct):
    """What a line with an item must have at least."""

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


class _Decoders(dict[str, Callable[[bytes], _ItemEvent]]):
    """The decoders of one event type by item type, each made at its first use."""

    def __init__(self, event_class: Any) -> None:
        super().__init__()
        self._event_class = event_class

    def __missing__(self, item_type: str) -> Callable[[bytes], _ItemEvent]:
        item_class = _PLAIN_ITEMS[item_type]
        decode = self[item_type] = Decoder(self._event_class[item_class]).decode
        return decode


_decode_head = Decoder(_Head).decode
_decode_object = Decoder(dict[str, Any]).decode
_DECODERS = {name: _Decoders(event_class) for name, event_class in _ITEM_EVENTS.items()}


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
                return _DECODERS[head.type][head.item.type](line)
        except (KeyError, *_MALFORMED):
            pass  # The way below reads the line, or says what is wrong with it.
        return self._decode_with_care(line)

    def _decode_with_care(self, line: bytes) -> ThreadEvent:
        try:
            data = _decode_object(line)
            convert(data, _Typed)
        except _MALFORMED as error:
            raise _parse_error(line, f"a line that is no event: {error}") from error
        try:
            return self._event(data, line)
        except _MALFORMED as error:
            raise _parse_error(line, f"a malformed {_name_of(data)}: {error}") from error

    def _event(self, data: dict[str, Any], line: bytes) -> ThreadEvent:
        event_type = data["type"]
        if event_type in _ITEM_EVENTS:
            return self._item_event(data, line)
        if event_type in _OTHER_EVENTS:
            return cast("ThreadEvent", convert(data, _OTHER_EVENTS[event_type]))
        if self._keep_unknown:
            return UnknownEvent(wire_type=event_type, raw=data)
        raise _unknown_type_error(line, "an event", event_type)

    def _item_event(self, data: dict[str, Any], line: bytes) -> ThreadEvent:
        item_type = convert(data, _ItemHead).item.type
        if item_type in _ITEMS:
            try:
                return _known_item_event(data, line)
            except ValidationError as error:
                if not (self._keep_unknown and _is_unknown_word(error)):
                    raise
        elif not self._keep_unknown:
            raise _unknown_type_error(line, "an item", item_type)
        return _ITEM_EVENTS[data["type"]](_unknown_item(data, line))


def _known_item_event(data: dict[str, Any], line: bytes) -> _ItemEvent:
    event_class: Any = _ITEM_EVENTS[data["type"]]
    item_type = data["item"]["type"]
    if item_type == "collab_tool_call":
        return cast("_ItemEvent", event_class(_collab_item(convert(data, _CollabLine).item)))
    if item_type == "web_search":
        _restore_first_id(data["item"], line)
    return cast("_ItemEvent", convert(data, event_class[_ITEMS[item_type]]))


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


def _unknown_item(data: dict[str, Any], line: bytes) -> UnknownItem:
    raw = data["item"]
    _restore_first_id(raw, line)
    item_id = raw.get("id")
    return UnknownItem(
        id=item_id if isinstance(item_id, str) else "", wire_type=raw["type"], raw=raw
    )


def _restore_first_id(item: dict[str, Any], line: bytes) -> None:
    """Put the first ``id`` that the line's item holds in the place of the last.

    Current CLIs write two: the item's own, of the form that all items have, then the model's.
    """
    if "id" in item:
        data = json.loads(line.decode(), object_pairs_hook=_object_with_first_id)
        item["id"] = data["item"]["id"]


def _object_with_first_id(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if "id" in data:
        data["id"] = next(value for key, value in pairs if key == "id")
    return data


def _is_unknown_word(error: ValidationError) -> bool:
    """Whether a field that takes one of a few words held another; msgspec has no class for that."""
    return str(error).startswith("Invalid enum value")


def _unknown_type_error(line: bytes, what: str, type_name: str) -> CodexParseError:
    return _parse_error(
        line,
        f"{what} of the unknown type {type_name[:_SHOWN_CHARACTERS]!r} "
        '(CodexOptions(unknown_events="keep") accepts such)',
    )


def _name_of(data: dict[str, Any]) -> str:
    try:
        head = convert(data, _Head)
    except ValidationError:
        return str(data["type"])
    return f"{head.type} of {head.item.type}" if head.item else head.type


def _parse_error(line: bytes, what: str) -> CodexParseError:
    start = line[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    return CodexParseError(
        f"the Codex CLI wrote {what[: 2 * _SHOWN_CHARACTERS]}; the line begins {start!r}"
    )

"""What an app-server tells of a turn, as the events that ``codex exec`` would give of it.

``codex exec`` reports items when they begin and end. The app-server also tells what is added in between: to a
message, to reasoning, to the output of a command. That becomes ``item.updated``, with the piece as
``delta``. Items keep the app-server's ids.

Verified on 0.80.0, 0.163.0 and 0.169.0, by running the same turns both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Optional, Union, cast

import attrs
from msgspec import Struct, ValidationError, convert

from ..events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadError,
    ThreadErrorEvent,
    ThreadEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
    UnknownEvent,
    Usage,
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
    ThreadItem,
    TodoItem,
    TodoListItem,
    UnknownItem,
    WebSearchItem,
    grown,
)
from ..options import UnknownEvents
from .decoding import is_unknown_word
from .jsonrpc import Notification

__all__ = ["TurnMapper"]

_INTERRUPTED = "the turn was interrupted"

_Json = Mapping[str, Any]
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a field that is not there, or of another type, raises; msgspec's errors are ValueErrors."""

_PLAN_ID = "plan"
_SHOWN_CHARACTERS = 200

_TOOLS = {
    "spawnAgent": "spawn_agent",
    "sendInput": "send_input",
    "resumeAgent": "wait",  # as `codex exec` has it
    "closeAgent": "close_agent",
}
_AGENT_STATUSES = {"pendingInit": "pending_init", "notFound": "not_found"}


class TurnMapper:
    """Turns the notifications of one turn into its events.

    Args:
        unknown_events: as in :class:`CodexOptions`. The app-server knows more than ``codex exec`` reports
            (pictures that were looked at, calls of Python tools, the diff of the turn): that is left out,
            unless it is to be kept.

    Attributes:
        usage: what the thread has used so far, as last told.
        usage_before: what it had used before the turn, as far as that can be told from the turn alone.
    """

    def __init__(self, unknown_events: UnknownEvents = "error") -> None:
        self._keep_unknown = unknown_events == "keep"
        self._growing: dict[str, _Text] = {}
        self._plan: TodoListItem | None = None
        self._warnings = count()
        self.usage: Usage | None = None
        self.usage_before: Usage | None = None

    def events(self, notifications: Iterable[Notification]) -> list[ThreadEvent]:
        """Return the events that *notifications* are; one may be none, or several.

        Raises:
            CodexParseError: one is malformed, or tells of something that this package does not know.
        """
        events: list[ThreadEvent] = []
        for notification in notifications:
            read = _READERS.get(notification.method, TurnMapper._unknown)
            try:
                events.extend(read(self, notification))
            except _MALFORMED as error:
                what = f"a malformed {_name_of(notification)}: {error!r}"
                raise _parse_error(notification, what) from error
        return events

    def _turn_started(self, _: Notification) -> Iterable[ThreadEvent]:
        return (TurnStartedEvent(),)

    def _turn_completed(self, notification: Notification) -> Iterable[ThreadEvent]:
        if self._plan is not None:
            yield ItemCompletedEvent(self._plan)
        turn: _Json = notification.params["turn"]
        if turn["status"] == "completed":
            yield TurnCompletedEvent(self.usage or Usage(0, 0, 0))
        elif turn["status"] == "interrupted":
            yield TurnFailedEvent(ThreadError(_INTERRUPTED))
        else:
            error: _Json = turn.get("error") or {"message": f"the turn ended as {turn['status']!r}"}
            yield TurnFailedEvent(ThreadError(_error_text(error)))

    def _item_started(self, notification: Notification) -> Iterable[ThreadEvent]:
        data: _Json = notification.params["item"]
        if data["type"] in _ONLY_COMPLETED:
            return
        for item in self._item(notification, data):
            if isinstance(item, CommandExecutionItem):
                self._growing[item.id] = _Text(item, item.aggregated_output)
            yield ItemStartedEvent(item)

    def _item_completed(self, notification: Notification) -> Iterable[ThreadEvent]:
        data: _Json = notification.params["item"]
        self._growing.pop(data["id"], None)
        return [ItemCompletedEvent(item) for item in self._item(notification, data)]

    def _item(self, notification: Notification, data: _Json) -> Iterable[ThreadItem]:
        read = _ITEMS.get(data["type"])
        if read is not None:
            try:
                item = read(data)
            except ValidationError as error:
                if not (self._keep_unknown and is_unknown_word(error)):
                    raise
                return (_unknown_item(data),)
            return (item,) if item is not None else ()
        if data["type"] == "userMessage":
            return ()
        if self._keep_unknown:
            return (_unknown_item(data),)
        if data["type"] in _UNREPORTED_ITEMS:
            return ()
        raise _unknown_type_error(notification, f"an item of the unknown type {data['type']!r}")

    def _message_delta(self, notification: Notification) -> Iterable[ThreadEvent]:
        item_id, delta = _piece(notification)
        return (self._text(item_id, AgentMessageItem(item_id, "")).update(delta),)

    def _reasoning_delta(self, notification: Notification) -> Iterable[ThreadEvent]:
        item_id, delta = _piece(notification)
        text = self._text(item_id, ReasoningItem(item_id, ""))
        part = notification.params["summaryIndex"]
        if part != text.part:
            delta = f"\n{delta}" if text.part is not None else delta
            text.part = part
        return (text.update(delta),)

    def _output_delta(self, notification: Notification) -> Iterable[ThreadEvent]:
        item_id, delta = _piece(notification)
        text = self._growing.get(item_id)
        return () if text is None else (text.update(delta),)

    def _text(self, item_id: str, item: _GrowingItem) -> _Text:
        text = self._growing.get(item_id)
        if text is None:
            text = self._growing[item_id] = _Text(item)
        return text

    def _plan_updated(self, notification: Notification) -> Iterable[ThreadEvent]:
        steps: list[_Json] = notification.params["plan"]
        items = tuple(
            TodoItem(convert(step["step"], str), step["status"] == "completed") for step in steps
        )
        event = ItemStartedEvent if self._plan is None else ItemUpdatedEvent
        self._plan = TodoListItem(_PLAN_ID, items)
        return (event(self._plan),)

    def _error(self, notification: Notification) -> Iterable[ThreadEvent]:
        return (ThreadErrorEvent(_error_text(notification.params["error"])),)

    def _warning(self, notification: Notification) -> Iterable[ThreadEvent]:
        item = ErrorItem(
            f"warning_{next(self._warnings)}", convert(notification.params["message"], str)
        )
        return (ItemCompletedEvent(item),)

    def _usage(self, notification: Notification) -> Iterable[ThreadEvent]:
        told: _Json = notification.params["tokenUsage"]
        self.usage, last = _usage(told["total"]), _usage(told["last"])
        if self.usage_before is None:
            self.usage_before = Usage(
                *(
                    a - b
                    for a, b in zip(attrs.astuple(self.usage), attrs.astuple(last), strict=True)
                )
            )
        return ()

    def _unknown(self, notification: Notification) -> Iterable[ThreadEvent]:
        if not self._keep_unknown:
            return ()
        return (UnknownEvent(notification.method, dict(notification.params)),)

    def _nothing(self, _: Notification) -> Iterable[ThreadEvent]:
        return ()


_GrowingItem = Union[AgentMessageItem, ReasoningItem, CommandExecutionItem]


class _Text:
    """The text of an item that grows.

    Attributes:
        part: the part of a summary of reasoning that came last.
    """

    def __init__(self, item: _GrowingItem, text: str = "") -> None:
        self._item = item
        self._pieces = [text] if text else []
        self.part: int | None = None

    def update(self, delta: str) -> ItemUpdatedEvent:
        self._pieces.append(delta)
        # not attrs.evolve(), which takes longer than all the rest
        return ItemUpdatedEvent(grown(_copied(self._item), self._pieces), delta=delta)


def _copied(item: _GrowingItem) -> _GrowingItem:
    if isinstance(item, AgentMessageItem):
        return AgentMessageItem(item.id, "")
    if isinstance(item, ReasoningItem):
        return ReasoningItem(item.id, "")
    return CommandExecutionItem(item.id, item.command, "", item.exit_code, item.status)


def _piece(notification: Notification) -> tuple[str, str]:
    params = notification.params
    item_id, delta = params["itemId"], params["delta"]
    if not (isinstance(item_id, str) and isinstance(delta, str)):
        raise TypeError("a piece of a text is a text, of an item with an id")
    return item_id, delta


_READERS: Mapping[str, Callable[[TurnMapper, Notification], Iterable[ThreadEvent]]] = {
    "turn/started": TurnMapper._turn_started,
    "turn/completed": TurnMapper._turn_completed,
    "turn/plan/updated": TurnMapper._plan_updated,
    "item/started": TurnMapper._item_started,
    "item/completed": TurnMapper._item_completed,
    "item/agentMessage/delta": TurnMapper._message_delta,
    "item/reasoning/summaryTextDelta": TurnMapper._reasoning_delta,
    "item/commandExecution/outputDelta": TurnMapper._output_delta,
    "item/reasoning/summaryPartAdded": TurnMapper._nothing,
    "error": TurnMapper._error,
    "warning": TurnMapper._warning,
    "thread/tokenUsage/updated": TurnMapper._usage,
}

_ONLY_COMPLETED = frozenset({"agentMessage", "reasoning"})
"""Items whose beginning is not told: neither does ``codex exec``, and it says nothing of them."""


def _agent_message(data: _Json) -> ThreadItem:
    return convert({"id": data["id"], "text": data["text"]}, AgentMessageItem)


def _reasoning(data: _Json) -> ThreadItem | None:
    text = "\n".join(data["summary"])
    return convert({"id": data["id"], "text": text}, ReasoningItem) if text else None


def _command(data: _Json) -> ThreadItem:
    fields = {
        "id": data["id"],
        "command": data["command"],
        "aggregated_output": data.get("aggregatedOutput") or "",
        "exit_code": data.get("exitCode"),
        "status": _word(data["status"]),
    }
    return convert(fields, CommandExecutionItem)


def _file_change(data: _Json) -> ThreadItem:
    changes: list[_Json] = data["changes"]
    # A patch that was declined was not applied: `codex exec`, which asks nobody, has no word for it.
    status = "failed" if data["status"] == "declined" else _word(data["status"])
    fields = {
        "id": data["id"],
        "changes": [{"path": each["path"], "kind": each["kind"]["type"]} for each in changes],
        "status": status,
    }
    return convert(fields, FileChangeItem)


def _mcp_tool_call(data: _Json) -> ThreadItem:
    fields = {name: data.get(name) for name in ("id", "server", "tool", "arguments", "error")}
    fields["status"] = _word(data["status"])
    result: _Json | None = data.get("result")
    if result is not None:
        structured = result.get("structuredContent")
        fields["result"] = {"content": result["content"], "structured_content": structured}
    return convert(fields, McpToolCallItem)


def _word(value: Any) -> Any:
    return "in_progress" if value == "inProgress" else value


def _collab_tool_call(data: _Json) -> ThreadItem:
    tool, status = convert(data["tool"], str), convert(_word(data["status"]), str)
    return CollabToolCallItem(
        id=convert(data["id"], str),
        tool=cast("Any", _TOOLS.get(tool, tool)),
        sender_thread_id=convert(data["senderThreadId"], str),
        receiver_thread_ids=convert(data["receiverThreadIds"], tuple[str, ...]),
        prompt=convert(data.get("prompt"), Optional[str]),
        agents_states=dict(_agents_states(convert(data["agentsStates"], dict[str, Any]))),
        # `codex exec` knows three words, and this is the one for what did not come to its end
        status=cast("Any", "failed" if status == "interrupted" else status),
        model=convert(data.get("model"), Optional[str]),
        reasoning_effort=convert(data.get("reasoningEffort"), Optional[str]),
    )


def _agents_states(states: Mapping[str, Any]) -> Iterable[tuple[str, CollabAgentState]]:
    for thread_id, entry in states.items():
        try:
            state = convert(entry, _AgentState)
        except ValidationError:
            continue  # One sub-agent whose state cannot be read does not hide the others.
        status = cast("Any", _AGENT_STATUSES.get(state.status, state.status))
        yield thread_id, CollabAgentState(status, state.message)


class _AgentState(Struct):
    status: str
    message: str | None = None


def _web_search(data: _Json) -> ThreadItem:
    told: _Json | None = data.get("action")
    action: dict[str, Any] | None = None
    if told is not None:
        action = {key: value for key, value in told.items() if value is not None}
        action["type"] = _ACTION_TYPES.get(told["type"], told["type"])
    return convert({"id": data["id"], "query": data["query"], "action": action}, WebSearchItem)


_ACTION_TYPES = {"openPage": "open_page", "findInPage": "find_in_page"}

_ITEMS: Mapping[str, Callable[[_Json], ThreadItem | None]] = {
    "agentMessage": _agent_message,
    "reasoning": _reasoning,
    "commandExecution": _command,
    "fileChange": _file_change,
    "mcpToolCall": _mcp_tool_call,
    "collabAgentToolCall": _collab_tool_call,
    "webSearch": _web_search,
}

_UNREPORTED_ITEMS = frozenset(
    """contextCompaction dynamicToolCall enteredReviewMode exitedReviewMode functionCallOutput hookPrompt
    imageGeneration imageView plan sleep subAgentActivity""".split()
)
"""Items that ``codex exec`` does not report."""


def _unknown_item(data: _Json) -> UnknownItem:
    item_id = data.get("id")
    return UnknownItem(
        id=item_id if isinstance(item_id, str) else "", wire_type=data["type"], raw=dict(data)
    )


def _error_text(error: _Json) -> str:
    details = error.get("additionalDetails")
    message = convert(error["message"], str)
    return f"{message} ({details})" if details else message


def _usage(told: _Json) -> Usage:
    fields = {
        "input_tokens": told["inputTokens"],
        "cached_input_tokens": told["cachedInputTokens"],
        "output_tokens": told["outputTokens"],
        "cache_write_input_tokens": told.get("cacheWriteInputTokens") or 0,
        "reasoning_output_tokens": told.get("reasoningOutputTokens") or 0,
    }
    return convert(fields, Usage)


def _unknown_type_error(notification: Notification, what: str) -> CodexParseError:
    return _parse_error(notification, f'{what} (CodexOptions(unknown_events="keep") accepts such)')


def _name_of(notification: Notification) -> str:
    item = notification.params.get("item")
    if isinstance(item, dict):
        return f"{notification.method} of {cast('dict[str, Any]', item).get('type')}"
    return notification.method


def _parse_error(notification: Notification, what: str) -> CodexParseError:
    start = str(dict(notification.params))[:_SHOWN_CHARACTERS]
    return CodexParseError(f"the app-server told of {what[: 2 * _SHOWN_CHARACTERS]}: {start}")

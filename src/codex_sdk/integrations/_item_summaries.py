"""What a model that handed a job over is told of each item of Codex's work: what it was, not all it said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._value import Value
from ..items import (
    AgentMessageItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    McpToolCallItem,
    ReasoningItem,
    ThreadItem,
    TodoListItem,
    UnknownItem,
    WebSearchItem,
)

__all__ = ["summarize_items"]

_FIELDS: Mapping[type[Value], tuple[str, ...]] = {
    AgentMessageItem: ("text",),
    ReasoningItem: ("text",),
    CommandExecutionItem: ("command", "status", "exit_code"),
    FileChangeItem: ("status", "changes"),
    McpToolCallItem: ("server", "tool", "status"),
    WebSearchItem: ("query",),
    TodoListItem: ("items",),
    ErrorItem: ("message",),
}
"""What is told of an item, by its class. The output of commands and tools is not: it may be megabytes."""


def summarize_items(items: Sequence[ThreadItem], limit: int) -> list[dict[str, Any]]:
    """Return what the last *limit* of *items* were, as JSON-ready data."""
    return [_summary(item) for item in items[max(0, len(items) - limit) :]]


def _summary(item: ThreadItem) -> dict[str, Any]:
    data = item.to_dict()
    fields = _FIELDS.get(type(item))
    if fields is None:
        item_type = item.wire_type if isinstance(item, UnknownItem) else item.type
        return {"type": item_type, "raw": data}
    return {"type": item.type, **{name: data.get(name) for name in fields}}

"""What Codex did by itself in a turn, as parts of a response: tools that the provider ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai.messages import (
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
)

from ...items import (
    AgentMessageItem,
    CommandExecutionItem,
    FileChangeItem,
    McpToolCallItem,
    ReasoningItem,
    ThreadItem,
    WebSearchItem,
)

__all__ = ["native_parts", "with_one_answer", "work_parts"]

_CALL_FIELDS: Mapping[type, tuple[str, ...]] = {
    CommandExecutionItem: ("command",),
    FileChangeItem: ("changes",),
    McpToolCallItem: ("server", "tool", "arguments"),
    WebSearchItem: ("query",),
}
"""Which fields of an item are what was asked for; the others, ``id`` and ``type`` apart, came of it."""


def work_parts(
    items: Iterable[ThreadItem], *, provider_name: str, thread_id: str | None
) -> Iterator[ModelResponsePart]:
    """Yield the parts for *items*, but for the last message, which is the answer.

    Earlier messages tell what Codex was about to do: they are thoughts, not part of the answer.
    """
    items = list(items)
    answer = next((item for item in reversed(items) if isinstance(item, AgentMessageItem)), None)
    for item in items:
        if isinstance(item, (ReasoningItem, AgentMessageItem)):
            if item is not answer:
                yield ThinkingPart(item.text, id=item.id, provider_name=provider_name)
        elif type(item) in _CALL_FIELDS:
            fields = item.to_dict()
            arguments = {name: fields.pop(name, None) for name in _CALL_FIELDS[type(item)]}
            call_id = f"{thread_id or ''}{fields.pop('id')}"
            yield from native_parts(fields.pop("type"), arguments, fields, call_id, provider_name)


def native_parts(
    name: str,
    arguments: dict[str, Any],
    result: dict[str, Any],
    call_id: str,
    provider_name: str,
) -> Iterator[ModelResponsePart]:
    """Yield the two parts of a tool that Codex ran by itself."""
    yield NativeToolCallPart(name, arguments, call_id, provider_name=provider_name)
    yield NativeToolReturnPart(name, result, call_id, provider_name=provider_name)


def with_one_answer(parts: Sequence[ModelResponsePart]) -> list[ModelResponsePart]:
    """Return *parts* with thoughts for all texts but the last, as in :func:`work_parts`."""
    texts = [place for place, part in enumerate(parts) if isinstance(part, TextPart)]
    earlier = {*texts[:-1]}
    return [
        ThinkingPart(part.content) if isinstance(part, TextPart) and place in earlier else part
        for place, part in enumerate(parts)
    ]

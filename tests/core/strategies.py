"""Hypothesis strategies for the values of the vocabulary, as a CLI could have written them."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from codex_sdk import events, items
from codex_sdk.options import ModelReasoningEffort

texts = st.text(st.characters(exclude_categories=["Cs"]))
"""Every text that UTF-8 can hold; half a surrogate pair is none."""

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(texts, inner)),
    max_leaves=5,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)


def words(literal: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(get_args(literal))


def tuples_of(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


ITEMS: dict[str, st.SearchStrategy[items.ThreadItem]] = {
    "agent_message": st.builds(items.AgentMessageItem, texts, texts),
    "reasoning": st.builds(items.ReasoningItem, texts, texts),
    "command_execution": st.builds(
        items.CommandExecutionItem,
        texts,
        texts,
        texts,
        st.none() | st.integers(-(2**31), 2**31 - 1),
        words(items.CommandExecutionStatus),
    ),
    "file_change": st.builds(
        items.FileChangeItem,
        texts,
        tuples_of(st.builds(items.FileUpdateChange, texts, words(items.PatchChangeKind))),
        words(items.PatchApplyStatus),
    ),
    "mcp_tool_call": st.builds(
        items.McpToolCallItem,
        texts,
        texts,
        texts,
        words(items.McpToolCallStatus),
        json_values,
        st.none() | st.builds(items.McpToolCallItemResult, tuples_of(json_values), json_values),
        st.none() | st.builds(items.McpToolCallItemError, texts),
    ),
    "collab_tool_call": st.builds(
        items.CollabToolCallItem,
        texts,
        words(items.CollabTool),
        texts,
        tuples_of(texts),
        st.none() | texts,
        st.dictionaries(
            texts,
            st.builds(items.CollabAgentState, words(items.CollabAgentStatus), st.none() | texts),
            max_size=3,
        ),
        words(items.CollabToolCallStatus),
        st.none() | texts,
        st.none() | words(ModelReasoningEffort),
    ),
    "web_search": st.builds(items.WebSearchItem, texts, texts, st.none() | json_objects),
    "todo_list": st.builds(
        items.TodoListItem, texts, tuples_of(st.builds(items.TodoItem, texts, st.booleans()))
    ),
    "error": st.builds(items.ErrorItem, texts, texts),
}
thread_items = st.one_of(list(ITEMS.values()))
usages = st.builds(events.Usage, *[st.integers(0, 2**63)] * 5)

EVENTS: dict[str, st.SearchStrategy[events.ThreadEvent]] = {
    "thread.started": st.builds(events.ThreadStartedEvent, texts),
    "turn.started": st.just(events.TurnStartedEvent()),
    "turn.completed": st.builds(events.TurnCompletedEvent, usages),
    "turn.failed": st.builds(events.TurnFailedEvent, st.builds(events.ThreadError, texts)),
    "item.started": st.builds(events.ItemStartedEvent, thread_items),
    "item.updated": st.builds(events.ItemUpdatedEvent, thread_items),
    "item.completed": st.builds(events.ItemCompletedEvent, thread_items),
    "error": st.builds(events.ThreadErrorEvent, texts),
}
thread_events = st.one_of(list(EVENTS.values()))

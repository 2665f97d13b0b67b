"""A turn is the sum of its events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.accumulate import TurnBuilder, is_last_event
from codex_sdk.events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadError,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
    UnknownEvent,
    Usage,
)
from codex_sdk.items import AgentMessageItem, CommandExecutionItem, ErrorItem, UnknownItem
from codex_sdk.turn import Turn

from .strategies import thread_events

USAGE = Usage(11, 3, 7)


def built(*events: ThreadEvent) -> TurnBuilder:
    builder = TurnBuilder()
    for event in events:
        builder.add([event])
    return builder


def test_a_turn_has_its_completed_items_its_last_message_and_its_usage() -> None:
    warning = ErrorItem("item_0", "careful")
    first, last = AgentMessageItem("item_1", "I will look."), AgentMessageItem("item_3", "Done.")
    command = CommandExecutionItem("item_2", "ls", "a\n", 0, "completed")
    builder = built(
        ThreadStartedEvent("thread"),
        ItemCompletedEvent(warning),
        TurnStartedEvent(),
        ThreadErrorEvent("Reconnecting... 1/5"),
        ItemCompletedEvent(first),
        ItemStartedEvent(CommandExecutionItem("item_2", "ls", "")),
        ItemUpdatedEvent(CommandExecutionItem("item_2", "ls", "a\n")),
        ItemCompletedEvent(command),
        ItemCompletedEvent(last),
        ItemCompletedEvent(UnknownItem("item_4", "novelty", {})),
        UnknownEvent("novelty", {}),
    )
    assert not builder.finished
    builder.add([TurnCompletedEvent(USAGE)])
    assert builder.finished
    assert builder.thread_id == "thread"
    assert builder.error is None
    assert builder.build() == Turn(
        items=(warning, first, command, last, UnknownItem("item_4", "novelty", {})),
        final_response="Done.",
        usage=USAGE,
    )


def test_a_failed_turn_keeps_its_error_and_what_came_before() -> None:
    error = ThreadError("no quota")
    item = AgentMessageItem("item_0", "Well,")
    builder = built(ItemCompletedEvent(item), ThreadErrorEvent("no quota"), TurnFailedEvent(error))
    assert builder.finished
    assert builder.error == error
    assert builder.build() == Turn(items=(item,), final_response="Well,", usage=None)


def test_a_turn_without_events_is_empty() -> None:
    builder = TurnBuilder()
    assert (builder.thread_id, builder.error, builder.finished) == (None, None, False)
    assert builder.build() == Turn(items=(), final_response="", usage=None)


def test_the_last_message_counts_even_if_it_is_empty() -> None:
    builder = built(
        ItemCompletedEvent(AgentMessageItem("item_0", "a draft")),
        ItemCompletedEvent(AgentMessageItem("item_1", "")),
    )
    assert builder.build().final_response == ""


def test_a_turn_once_built_does_not_change() -> None:
    builder = built(ItemCompletedEvent(AgentMessageItem("item_0", "one")))
    turn = builder.build()
    builder.add([ItemCompletedEvent(AgentMessageItem("item_1", "two"))])
    assert turn == Turn((AgentMessageItem("item_0", "one"),), "one", None)


@given(st.lists(thread_events))
def test_any_events_in_any_order_add_up(events: list[ThreadEvent]) -> None:
    builder = built(*events)
    completed = tuple(event.item for event in events if event.type == "item.completed")
    texts = [item.text for item in completed if item.type == "agent_message"]
    usages = [event.usage for event in events if event.type == "turn.completed"]
    ids = [event.thread_id for event in events if event.type == "thread.started"]
    assert builder.build() == Turn(
        completed, texts[-1] if texts else "", usages[-1] if usages else None
    )
    assert builder.thread_id == (ids[-1] if ids else None)
    assert builder.finished == any(map(is_last_event, events))


@pytest.mark.parametrize(
    ("event", "last"),
    [
        (TurnCompletedEvent(USAGE), True),
        (TurnFailedEvent(ThreadError("")), True),
        (ThreadErrorEvent("Reconnecting... 5/5"), False),
        (TurnStartedEvent(), False),
        (ItemCompletedEvent(ErrorItem("item_0", "")), False),
        (UnknownEvent("turn.stopped", {}), False),
    ],
)
def test_only_the_completed_and_the_failed_turn_are_over(event: ThreadEvent, last: bool) -> None:
    assert is_last_event(event) is last

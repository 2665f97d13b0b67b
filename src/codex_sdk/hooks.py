"""Callbacks for the events of a turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Union

import attrs

from .events import (
    ItemCompletedEvent,
    ItemStartedEvent,
    ItemUpdatedEvent,
    ThreadErrorEvent,
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    TurnStartedEvent,
)
from .items import ThreadItem

HookResult = Union[Awaitable[Any], Any]
"""A hook may be a plain or an async function; what it returns is awaited if it can be, and dropped."""


@attrs.frozen(kw_only=True)
class ThreadHooks:
    """What to call while a turn runs.

    For each event, one after the other and before the next event is read: ``on_event``, the hook of
    the event's type, and for the three item events ``on_item`` and the hook of the item's type. An
    exception in a hook ends the turn and reaches the caller as it is.
    """

    on_event: Callable[[ThreadEvent], HookResult] | None = None
    on_thread_started: Callable[[ThreadStartedEvent], HookResult] | None = None
    on_turn_started: Callable[[TurnStartedEvent], HookResult] | None = None
    on_turn_completed: Callable[[TurnCompletedEvent], HookResult] | None = None
    on_turn_failed: Callable[[TurnFailedEvent], HookResult] | None = None
    on_item_started: Callable[[ItemStartedEvent], HookResult] | None = None
    on_item_updated: Callable[[ItemUpdatedEvent], HookResult] | None = None
    on_item_completed: Callable[[ItemCompletedEvent], HookResult] | None = None
    on_error: Callable[[ThreadErrorEvent], HookResult] | None = None
    on_item: Callable[[ThreadItem], HookResult] | None = None
    on_item_type: Mapping[str, Callable[[Any], HookResult]] | None = None


_HOOK_OF_EVENT = {
    "thread.started": "on_thread_started",
    "turn.started": "on_turn_started",
    "turn.completed": "on_turn_completed",
    "turn.failed": "on_turn_failed",
    "item.started": "on_item_started",
    "item.updated": "on_item_updated",
    "item.completed": "on_item_completed",
    "error": "on_error",
}


async def dispatch_event(hooks: ThreadHooks, event: ThreadEvent) -> None:
    """Call the hooks that apply to *event*, in order, and await the async ones."""
    for hook, argument in _calls(hooks, event):
        result = hook(argument)
        if isawaitable(result):
            await result


def _calls(
    hooks: ThreadHooks, event: ThreadEvent
) -> Iterator[tuple[Callable[[Any], HookResult], Any]]:
    if hooks.on_event:
        yield hooks.on_event, event
    specific = getattr(hooks, _HOOK_OF_EVENT.get(event.type, ""), None)
    if specific:
        yield specific, event
    if isinstance(event, (ItemStartedEvent, ItemUpdatedEvent, ItemCompletedEvent)):
        if hooks.on_item:
            yield hooks.on_item, event.item
        of_type = (hooks.on_item_type or {}).get(event.item.type)
        if of_type:
            yield of_type, event.item

"""The queue of notifications: whatever is read when, nothing is lost and nothing overtakes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.jsonrpc import Notification
from codex_sdk._core.merging import NotificationQueue

ITEMS = ("a", "b")


def piece(item: str, text: str, **more: Any) -> Notification:
    return Notification("item/agentMessage/delta", {"itemId": item, "delta": text, **more})


def milestone(number: int) -> Notification:
    return Notification("item/started", {"item": {"id": str(number)}})


pieces = st.builds(piece, st.sampled_from(ITEMS), st.text(min_size=1, max_size=3))
notifications = pieces | st.builds(milestone, st.integers(0, 9))
steps = st.lists(notifications | st.none(), max_size=60)
"""What comes, and ``None`` where the reader takes one."""


def texts_between_milestones(them: list[Notification]) -> list[Any]:
    """Reduce to what a reader may rely on: the milestones, and each item's text between two of them."""
    reduced: list[Any] = []
    texts: defaultdict[str, str] = defaultdict(str)
    for notification in them:
        if "delta" in notification.params:
            texts[notification.params["itemId"]] += notification.params["delta"]
        else:
            reduced += [dict(texts), notification]
            texts.clear()
    return [*reduced, dict(texts)]


@given(steps, st.integers(0, 5))
def test_nothing_is_lost_and_no_text_changes_its_place(
    them: list[Notification | None], limit: int
) -> None:
    queue = NotificationQueue(limit)
    read: list[Notification] = []
    for notification in them:
        if notification is not None:
            queue.push(notification)
        elif queue:
            read.append(queue.pop())
    read += queue.pop_all()
    assert len(queue) == 0
    sent = [notification for notification in them if notification is not None]
    assert texts_between_milestones(read) == texts_between_milestones(sent)


@given(st.lists(pieces, min_size=1), st.integers(0, 5))
def test_however_many_pieces_come_few_wait(them: list[Notification], limit: int) -> None:
    queue = NotificationQueue(limit)
    for notification in them:
        queue.push(notification)
    assert len(queue) <= limit + len(ITEMS)


def test_below_the_limit_pieces_come_out_as_they_went_in() -> None:
    queue = NotificationQueue(3)
    them = [piece("a", "x"), piece("a", "y"), milestone(1)]
    for notification in them:
        queue.push(notification)
    assert [queue.pop() for _ in them] == them


def test_pieces_of_different_texts_of_one_item_stay_apart() -> None:
    queue = NotificationQueue(0)
    for index in (0, 1, 0):
        queue.push(piece("a", str(index), summaryIndex=index))
    read = [(it.params["summaryIndex"], it.params["delta"]) for it in queue.pop_all()]
    assert read == [(0, "00"), (1, "1")]

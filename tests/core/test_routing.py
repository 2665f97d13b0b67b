"""To which turn a message belongs."""

from __future__ import annotations

from typing import Any

import pytest

from codex_sdk._core.routing import address_of, is_duplicate_of_old_clis


@pytest.mark.parametrize(
    ("params", "address"),
    [
        ({"threadId": "t", "turnId": "u"}, ("t", "u")),
        ({"threadId": "t", "turn": {"id": "u"}}, ("t", "u")),
        ({"thread": {"id": "t"}}, ("t", None)),
        ({"threadId": "t", "turnId": None}, ("t", None)),
        ({"threadId": 1, "turn": "u", "thread": []}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_the_thread_and_the_turn_are_found(params: dict[str, Any], address: Any) -> None:
    assert address_of(params) == address


def test_the_older_protocol_is_known() -> None:
    assert is_duplicate_of_old_clis("codex/event/agent_message")
    assert not is_duplicate_of_old_clis("item/started")

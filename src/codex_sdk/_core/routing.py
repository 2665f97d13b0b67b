"""To which turn a message of the app-server belongs.

Verified on 0.80.0, 0.163.0 and 0.169.0: what belongs to a turn names its thread and its turn, as
``threadId`` and ``turnId`` or, in the turn's own notifications, as ``turn.id``. Turn ids of 0.80.0 are small
numbers that repeat in each thread, so that only the pair is unique.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

__all__ = ["Address", "address_of", "is_duplicate_of_old_clis", "opens", "unloads"]

_DUPLICATES = "codex/event/"

_OPENING = frozenset({"thread/start", "thread/resume", "thread/fork"})

_UNLOADING = frozenset({"thread/closed", "thread/archived", "thread/deleted"})


class Address(NamedTuple):
    """A thread and a turn; ``None``, where a message names none."""

    thread_id: str | None
    turn_id: str | None


def address_of(params: Mapping[str, Any]) -> Address:
    """Return the thread and the turn that the params of a notification or of a request name."""
    return Address(
        _text(params.get("threadId")) or _id_of(params.get("thread")),
        _text(params.get("turnId")) or _id_of(params.get("turn")),
    )


def is_duplicate_of_old_clis(method: str) -> bool:
    """Whether a notification is of the older protocol that 0.80.0 repeats every event in."""
    return method.startswith(_DUPLICATES)


def opens(method: str) -> bool:
    """Whether a request has the server load a thread, of which its answer tells."""
    return method in _OPENING


def unloads(method: str, params: Mapping[str, Any]) -> bool:
    """Whether a notification about a thread says that the server has unloaded it."""
    if method == "thread/status/changed":
        return params.get("status") == {"type": "notLoaded"}
    return method in _UNLOADING


def _id_of(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    return _text(cast("dict[str, Any]", value).get("id"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

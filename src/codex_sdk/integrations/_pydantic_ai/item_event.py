"""What a run's listeners are told of Codex's progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import CustomEvent

__all__ = ["CodexItemEvent"]


@dataclass(repr=False, kw_only=True)
class CodexItemEvent(CustomEvent, name="codex.item"):
    """Codex has finished a piece of the work that it does in a call of its tool.

    Attributes:
        item: what it was: its ``type``, and the fields that tell most, such as a command and its exit code.
        thread_id: the Codex thread.
    """

    item: dict[str, Any]
    thread_id: str

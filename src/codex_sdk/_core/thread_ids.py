"""The spellings of a thread's id: the CLIs take any, and tell of the thread in their own."""

from __future__ import annotations

from uuid import UUID

__all__ = ["canonical_thread_id", "same_thread"]


def canonical_thread_id(thread_id: str) -> str:
    """Return the id in the CLIs' own spelling; what is no UUID as it is."""
    try:
        return str(UUID(thread_id))
    except ValueError:
        return thread_id


def same_thread(requested: str, actual: str) -> bool:
    """Whether two texts are the id of one thread."""
    return canonical_thread_id(requested) == canonical_thread_id(actual)

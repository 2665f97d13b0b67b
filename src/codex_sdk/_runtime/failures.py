"""Errors that are raised more than once: each time as a copy, or their tracebacks would grow."""

from __future__ import annotations

from copy import copy
from typing import TypeVar

__all__ = ["fresh"]

E = TypeVar("E", bound=BaseException)


def fresh(error: E) -> E:
    """Return a copy of *error* to be raised, with all that it tells: attributes, cause, where it comes from.

    An error of a class that cannot be copied is returned itself.
    """
    try:
        twin = copy(error)
    except Exception:  # noqa: BLE001 - its class may define anything
        return error
    if type(twin) is not type(error):
        return error
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)

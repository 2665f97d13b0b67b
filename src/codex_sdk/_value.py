"""What all values of this package share: conversion to the plain data that they stand for."""

from __future__ import annotations

from typing import Any


class Value:
    """Base of the frozen values (events, items, results).

    Values compare and hash by content (hashing works where every field can be hashed), pickle, and
    cannot be changed; ``attrs.evolve`` makes a changed copy.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the value as JSON-ready data: nested values become dicts, tuples become lists.

        Events and items come out in the shape in which the CLI wrote them, so that
        ``json.dumps(event.to_dict())`` is a line that the CLI could have printed.
        """
        from msgspec import to_builtins

        data: dict[str, Any] = to_builtins(self)
        return data

"""What all values of this package share: conversion to the plain data that they stand for."""

from __future__ import annotations

from typing import Any, cast


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

        data: dict[str, Any] = _with_lists(to_builtins(self))
        return data


def _with_lists(data: Any) -> Any:
    """Return *data* with lists for tuples, so that it equals what JSON makes of it."""
    if isinstance(data, dict):
        return {key: _with_lists(value) for key, value in cast("dict[str, Any]", data).items()}
    if isinstance(data, (list, tuple)):
        return [_with_lists(value) for value in cast("list[Any]", data)]
    return data

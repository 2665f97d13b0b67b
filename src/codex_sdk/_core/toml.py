"""Python values as the CLI's ``--config key=value`` entries.

The CLI splits an entry at its first ``=``, the key at each ``.`` (quotes mean nothing there), and parses
the value as TOML. A value that it cannot parse it takes for a plain string, without a word: what is
written here must be TOML beyond doubt, and what TOML cannot say is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any, cast

__all__ = ["encode_config_override", "encode_config_value", "merge_config_overrides"]

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_MAX_DEPTH = 64
"""Levels of lists and mappings in one value. The CLI's parser takes 80, and what is deeper for a string."""


def encode_config_value(value: object, key: str = "value") -> str:
    """Return *value* as one line of TOML.

    Takes what TOML has a form for: ``str`` and paths, ``bool``, ``int``, ``float``, lists and tuples,
    and mappings with ``str`` keys (as inline tables), up to 64 levels deep.

    Args:
        value: the value.
        key: what errors call the value; they add the way to the part that is wrong.

    Raises:
        TypeError: a part of the value has another type; TOML has no null, so ``None`` is one.
        ValueError: a float is not finite, an integer does not fit 64 bits, a text holds half of a
            surrogate pair, or the value is nested too deep.
    """
    return _encoded(value, key, _MAX_DEPTH)


def encode_config_override(key: str, value: object) -> str:
    """Return the argument of ``--config`` that sets *key*, a dotted path, to *value*.

    Raises:
        TypeError: *key* is no ``str``, or *value* is refused by :func:`encode_config_value`.
        ValueError: *key* is no path that the CLI can follow, or *value* is refused.
    """
    return f"{_checked_key(key)}={encode_config_value(value, key)}"


def merge_config_overrides(*mappings: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the entries of all *mappings*, or ``None`` if there are none.

    A key's last value wins, and stands where that one stood: the CLI applies entries in order, and a
    later one may replace the table that an earlier one reaches into.
    """
    merged: dict[str, Any] = {}
    for mapping in mappings:
        for key, value in (mapping or {}).items():
            merged.pop(key, None)
            merged[key] = value
    return merged or None


def _checked_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a config override's key is a str, not {type(key).__name__}: {key!r}")
    if not all(part and part == part.strip() for part in key.split(".")):
        raise ValueError(f"config override {key!r}: a part of the dotted key is empty or padded")
    if any(character in key for character in "='\"\0"):
        raise ValueError(
            f"config override {key!r}: the CLI knows no quoted keys, and none with '='; give the "
            "table a mapping instead, as in {'projects': {'/my.dir': {...}}}"
        )
    return _checked_text(key, f"the key {key!r}")


def _encoded(value: object, path: str, depth: int) -> str:
    import tomlkit

    if isinstance(value, (Mapping, list, tuple)):
        if not depth:
            raise ValueError(f"config override {path}: nested deeper than {_MAX_DEPTH} levels")
        # Joined here: tomlkit's own containers take quadratic time.
        if isinstance(value, Mapping):
            return _table(cast("Mapping[object, object]", value), path, depth - 1)
        return _array(cast("Sequence[object]", value), path, depth - 1)
    return tomlkit.item(_scalar(value, path)).as_string()


def _array(elements: Sequence[object], path: str, depth: int) -> str:
    texts = (_encoded(value, f"{path}[{i}]", depth) for i, value in enumerate(elements))
    return f"[{', '.join(texts)}]"


def _table(entries: Mapping[object, object], path: str, depth: int) -> str:
    texts = (
        f"{_encoded_key(key, path)} = {_encoded(value, f'{path}.{key}', depth)}"
        for key, value in entries.items()
    )
    return f"{{{', '.join(texts)}}}"


def _encoded_key(key: object, path: str) -> str:
    import tomlkit

    if not isinstance(key, str):
        raise TypeError(
            f"config override {path}: a mapping's keys are str, not {type(key).__name__}: {key!r}"
        )
    return tomlkit.key(_checked_text(key, f"{path}.{key!r}")).as_string()


def _scalar(value: object, path: str) -> bool | int | float | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, PathLike):
        value = fspath(cast("PathLike[str]", value))
    if isinstance(value, str):
        return _checked_text(value, path)
    if isinstance(value, int):
        return _checked_integer(value, path)
    if isinstance(value, float):
        return _checked_float(value, path)
    hint = "; to leave a key unset, leave it out" if value is None else ""
    raise TypeError(f"config override {path}: TOML has no form for {type(value).__name__}{hint}")


def _checked_text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"config override {path}: half of a surrogate pair at position {error.start} "
            "is no text; decode its source with errors='replace'"
        ) from None
    return str.__str__(value)  # an enum's text is its value, whatever its own __str__ says


def _checked_integer(value: int, path: str) -> int:
    if not _MIN_INTEGER <= value <= _MAX_INTEGER:
        raise ValueError(f"config override {path}: {value} does not fit TOML's 64 bits")
    return int(value)


def _checked_float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"config override {path}: {value} is not finite")
    return float(value)

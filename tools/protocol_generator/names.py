"""Python names for what the protocol names."""

from __future__ import annotations

import keyword
import re

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[^A-Za-z0-9]+")


def field_name(wire_name: str) -> str:
    """Return the name of the field for a key: in snake case, and with no underscore at its beginning."""
    name = _SEPARATORS.sub("_", _WORD_STARTS.sub("_", wire_name)).strip("_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def default_wire_name(field: str) -> str:
    """Return the key that ``codex_sdk.protocol`` assumes for a field: its name in camel case."""
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def class_name(*words: str) -> str:
    """Return the name of a class: ``OpenaiFormParams`` for ``("openai/form", "Params")``."""
    parts = [part for word in words for part in _SEPARATORS.split(word) if part]
    return "".join(part[0].upper() + part[1:] for part in parts)

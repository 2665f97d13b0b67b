"""What OpenAI's strict mode takes of JSON Schema.

The CLI sends every output schema with ``strict: true``, and the API refuses a schema that uses more than
a part of the language. That part is as documented (Structured Outputs, "Supported schemas"), with what
the API was seen to do where the documentation is silent: ``minLength`` and ``maxLength`` are taken and
enforced, look-around in a ``pattern`` and keywords beside ``$ref`` are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...exceptions import CodexError

__all__ = ["check_limits", "legal_keywords"]

_OF_NUMBERS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"pattern", "format", "minLength", "maxLength"}),
    "integer": _OF_NUMBERS,
    "number": _OF_NUMBERS,
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"minItems", "maxItems"}),
}
"""The constraints that each type may have."""

FORMATS = frozenset(
    {
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    }
)

TOLD = ("format", "pattern", "contentEncoding", "uniqueItems")
"""Constraints that a schema for a leaf or an array often has, and that may have to be put in words."""

MAX_PROPERTIES = 5_000
MAX_DEPTH = 10
MAX_ENUM_VALUES = 1_000
MAX_CHARACTERS = 120_000
LONG_ENUM = 250
MAX_LONG_ENUM_CHARACTERS = 15_000

_LOOK_AROUND = re.compile(r"\(\?(?:=|!|<=|<!)")


def legal_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that may be sent for a type, which is among them.

    A constraint that may not be sent is put into the description, so that the model knows of it.
    Annotations (title, default, examples …) are left out.
    """
    permitted = KEYWORDS[keywords["type"]] | {"type", "description"}
    legal = {
        key: value for key, value in keywords.items() if key in permitted and _is_legal(key, value)
    }
    told = [
        f"{key}: {_text(keywords[key])}" for key in TOLD if key in keywords and key not in legal
    ]
    if told:
        legal["description"] = "; ".join([*filter(None, [legal.get("description")]), *told])
    return legal


def _is_legal(keyword: str, value: Any) -> bool:
    if keyword == "format":
        return value in FORMATS
    return keyword != "pattern" or _LOOK_AROUND.search(value) is None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def check_limits(schema: Mapping[str, Any]) -> None:
    """Raise CodexError if the schema is larger than the API takes."""
    parts = list(_subschemas(schema, 0))
    names = [
        name for part, _ in parts for key in ("properties", "$defs") for name in part.get(key, ())
    ]
    enums: list[list[Any]] = [part["enum"] for part, _ in parts if "enum" in part]
    characters = sum(map(len, names)) + sum(map(_characters, enums))
    long_enums = [_characters(enum) for enum in enums if len(enum) > LONG_ENUM]
    _limit(sum(len(part.get("properties", ())) for part, _ in parts), MAX_PROPERTIES, "properties")
    _limit(max(depth for _, depth in parts), MAX_DEPTH, "levels of objects in objects")
    _limit(sum(map(len, enums)), MAX_ENUM_VALUES, "enum values")
    _limit(characters, MAX_CHARACTERS, "characters of names and enum values")
    _limit(
        max(long_enums, default=0),
        MAX_LONG_ENUM_CHARACTERS,
        f"characters in an enum of more than {LONG_ENUM} values",
    )


def _limit(number: int, limit: int, what: str) -> None:
    if number > limit:
        raise CodexError(
            f"the output schema has {number} {what}, and OpenAI's strict mode takes {limit}: "
            "ask for less at once"
        )


def _characters(enum: list[Any]) -> int:
    return sum(len(value) for value in enum if isinstance(value, str))


def _subschemas(schema: Mapping[str, Any], depth: int) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield the schema and all that it is made of, each with the number of objects around it."""
    inside = depth + (schema.get("type") == "object")
    yield schema, inside
    for definition in schema.get("$defs", {}).values():
        yield from _subschemas(definition, 0)
    for part in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        yield from _subschemas(part, inside)
    if "items" in schema:
        yield from _subschemas(schema["items"], inside)

"""JSON Schemas as Codex hands them to the model.

Codex leaves out most constraints, silently, and makes an array of the first type of a tuple. (Verified with
0.163.0 and 0.169.0.) What it leaves out is put in words, so that the model knows of it; what is left is what
Codex takes as it is, so that the model is told what was said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

__all__ = ["LIMIT", "in_words", "size_of"]

LIMIT = 5_000
"""How large a tool's schema may be, in bytes of JSON. From a larger one Codex takes all descriptions, then
the definitions, then what is nested deeply, until it fits. (Verified with 0.163.0 and 0.169.0.)"""

_KEPT = frozenset({"type", "description", "enum", "required", "minItems", "$ref"})
_OF_SCHEMAS = frozenset({"anyOf", "oneOf", "allOf"})
_OF_NAMED_SCHEMAS = frozenset({"properties", "$defs"})
_TOLD = (
    "format",
    "pattern",
    "contentEncoding",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "examples",
    "default",
)


def in_words(schema: Any) -> dict[str, Any]:
    """Return *schema* with what Codex would leave out in its descriptions."""
    if not isinstance(schema, dict):
        return {}  # `true`; `false` stands nowhere but for no more items or properties
    document = _without_tuples(cast("dict[str, Any]", schema))
    said: dict[str, Any] = {}
    for keyword, value in document.items():
        said.update(_said(keyword, value))
    if "additionalProperties" in said:
        said.setdefault("properties", {})  # Codex adds it
    return _telling(said, [f"{key}: {_text(document[key])}" for key in _TOLD if key in document])


def _said(keyword: str, value: Any) -> dict[str, Any]:
    if keyword in _KEPT:
        return {keyword: value}
    if keyword in _OF_SCHEMAS:
        return {keyword: [in_words(part) for part in value]}
    if keyword in _OF_NAMED_SCHEMAS:
        return {keyword: {name: in_words(part) for name, part in value.items()}}
    if keyword == "const":
        return {"enum": [value]}
    if keyword == "additionalProperties" and isinstance(value, bool):
        return {keyword: value}
    if keyword in ("items", "additionalProperties"):
        return {keyword: in_words(value)}
    return {}


def _without_tuples(schema: dict[str, Any]) -> dict[str, Any]:
    if "prefixItems" not in schema:
        return schema
    items: list[Any] = schema["prefixItems"]
    number = len(items)
    array = {key: value for key, value in schema.items() if key not in ("prefixItems", "maxItems")}
    told = {"items": {"anyOf": items}, "minItems": number}
    return _telling({**array, **told}, [f"{number} items, of these types in this order"])


def _telling(schema: dict[str, Any], told: list[str]) -> dict[str, Any]:
    if not told:
        return schema
    words = "; ".join(told)
    description = schema.get("description")
    return {**schema, "description": f"{description} ({words})" if description else words}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def size_of(schema: Mapping[str, Any]) -> int:
    """Return how large a schema is, in bytes of JSON."""
    return len(msgspec.json.encode(schema))

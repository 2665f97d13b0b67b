"""Schemas inside definitions, read as type expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model import Annotation
from .places import Place
from .schema import reference

_NULL = {"type": "null"}
_PRIMITIVES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}


def nullable(schema: Any, place: Place) -> tuple[Annotation, bool]:
    """Return the type of a schema, without null, and whether it may be null.

    Raises:
        UnknownSchema: the schema has a form that is not known.
    """
    if not isinstance(schema, dict):
        return annotation(schema, place), False
    if _NULL in schema.get("anyOf", ()):
        place.check(schema, "anyOf")
        [other] = [branch for branch in schema["anyOf"] if branch != _NULL]
        return nullable(other, place)[0], True
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        left = [kind for kind in kinds if kind != "null"]
        return annotation({**schema, "type": left if len(left) > 1 else left[0]}, place), True
    return annotation(schema, place), False


def annotation(schema: Any, place: Place) -> Annotation:
    """Return the type of a schema.

    Raises:
        UnknownSchema: the schema has a form that is not known.
    """
    if schema is True:
        return Annotation("Any")
    if "$ref" in schema:
        place.check(schema, "$ref")
        return Annotation(reference(schema), frozenset({reference(schema)}))
    if "allOf" in schema:
        place.check(schema, "allOf")
        [inner] = schema["allOf"]
        return annotation(inner, place)
    if _NULL in schema.get("anyOf", ()):
        return optional(nullable(schema, place)[0])
    if "anyOf" in schema:
        place.check(schema, "anyOf")
        return _union([annotation(branch, place) for branch in schema["anyOf"]])
    return _plain(schema, place)


def _plain(schema: Mapping[str, Any], place: Place) -> Annotation:
    kind = schema.get("type")
    if isinstance(kind, list):
        if "null" in kind:
            return optional(nullable(schema, place)[0])
        return _union([_plain({**schema, "type": each}, place) for each in kind])
    if kind == "array":
        place.check(schema, "type", "items")
        return _array(annotation(schema["items"], place), place)
    if kind == "object":
        place.check(schema, "type", "additionalProperties")
        values = schema.get("additionalProperties", True)
        return wrap("Mapping", annotation(values, place), "str, ")
    if kind == "string" and "enum" in schema:
        place.check(schema, "type", "enum")
        return words(schema["enum"])
    if kind in _PRIMITIVES:
        place.check(schema, "type", "format", "minimum", "minLength")
        return Annotation(_PRIMITIVES[kind])
    place.check(schema)
    return Annotation("Any")


def _array(items: Annotation, place: Place) -> Annotation:
    if place.direction == "received":
        return Annotation(f"tuple[{items.text}, ...]", items.names)
    return wrap("Sequence", items)


def words(values: list[str]) -> Annotation:
    """Return the type of words from a list."""
    return Annotation(f"Literal[{', '.join(map(repr, values))}]")


def wrap(name: str, inner: Annotation, first: str = "") -> Annotation:
    """Return a generic type of *inner*."""
    return Annotation(f"{name}[{first}{inner.text}]", inner.names)


def optional(inner: Annotation) -> Annotation:
    """Return the type *inner* or ``None``."""
    return inner if inner.text == "Any" else wrap("Optional", inner)


def _union(members: list[Annotation]) -> Annotation:
    names = frozenset[str]().union(*(member.names for member in members))
    return Annotation(f"Union[{', '.join(member.text for member in members)}]", names)

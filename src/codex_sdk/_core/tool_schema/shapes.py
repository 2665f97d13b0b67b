"""Shapes that arguments of tools may have, and answers in strict mode may not.

A tool is offered to the model without strict mode: objects may be open, keys may be left out, and a part
may be anything. What else arguments are made of is shared with :mod:`..output_schema`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import msgspec

from ...exceptions import CodexError
from ..output_schema.shapes import Definitions, Mismatch, Record, Shape, unique

__all__ = ["Anything", "Fields", "Foreign", "Members", "foreign"]

_ALL_KINDS = frozenset({"string", "boolean", "integer", "number", "null", "array", "object"})
_OBJECT = frozenset({"object"})


@attrs.frozen(eq=False)
class Anything(Shape):
    """Whatever JSON there is."""

    label: str = "anything"

    @property
    def kinds(self) -> frozenset[str]:
        return _ALL_KINDS

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return {}

    def read(self, answer: Any) -> Any:
        return answer

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return True


@attrs.frozen(eq=False)
class Members(Shape):
    """An object with any keys, each of which holds a value of one shape."""

    label: str
    value: Shape

    @property
    def kinds(self) -> frozenset[str]:
        return _OBJECT

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        value = self.value.schema(definitions)
        return {"type": "object", "properties": {}, "additionalProperties": value}

    def read(self, answer: Any) -> Any:
        if not isinstance(answer, dict):
            raise Mismatch(f"Expected `object`, got {answer!r:.100}")
        document = cast("dict[str, Any]", answer)
        return Record(self.label, dict.fromkeys(document, self.value), dict).read(document)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.value.is_verbatim(seen)


@attrs.frozen(eq=False)
class Fields(Shape):
    """An object of which some keys may be left out.

    Attributes:
        record: the object with all its keys.
        omissible: those that may be left out.
    """

    label: str
    record: Record
    omissible: frozenset[str]

    @property
    def kinds(self) -> frozenset[str]:
        return _OBJECT

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        required = [key for key in self.record.fields if key not in self.omissible]
        return {**self.record.schema(definitions), "required": required}

    def read(self, answer: Any) -> Any:
        left_out = self.omissible.difference(
            cast("dict[str, Any]", answer) if isinstance(answer, dict) else ()
        )
        given = {key: shape for key, shape in self.record.fields.items() if key not in left_out}
        return attrs.evolve(self.record, fields=given).read(answer)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.record.is_verbatim(seen)


@attrs.frozen(eq=False)
class Foreign(Shape):
    """A type that pydantic describes and validates.

    Attributes:
        document: its JSON Schema, with the definitions that it needs.
        validate: makes the value from JSON.
        is_class: whether it is a class, whose schema is a definition.
    """

    label: str
    document: Mapping[str, Any]
    validate: Callable[[bytes], Any]
    is_class: bool

    @property
    def kinds(self) -> frozenset[str]:
        return _kinds_of(self.document, self.document.get("$defs", {}))

    @property
    def is_named(self) -> bool:
        return self.is_class

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return definitions.reference(self) if self.is_class else self.body(definitions)

    def body(self, definitions: Definitions) -> dict[str, Any]:
        document = {**self.document}
        parts: Mapping[str, Any] = document.pop("$defs", {})
        names: dict[str, str] = {}
        for name in parts:
            names[name] = unique(name, definitions.schemas)
            definitions.schemas[names[name]] = {}  # taken
        for name, part in parts.items():
            definitions.schemas[names[name]] = _renamed(part, names)
        renamed: dict[str, Any] = _renamed(document, names)
        return renamed

    def read(self, answer: Any) -> Any:
        from pydantic import ValidationError

        try:
            return self.validate(msgspec.json.encode(answer))
        except ValidationError as error:
            first = error.errors()[0]
            raise Mismatch(first["msg"], first["loc"]) from error

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return False


def _kinds_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> frozenset[str]:
    """Return the JSON types of the documents that satisfy a schema; all, where that does not show."""
    if "$ref" in schema:
        rest = {**definitions}
        part: Any = rest.pop(schema["$ref"].rpartition("/")[2], {})
        return _kinds_of(part, rest)
    members: list[Any] = schema.get("anyOf") or schema.get("oneOf") or []
    if members:
        return frozenset(kind for member in members for kind in _kinds_of(member, definitions))
    kind: Any = schema.get("type")
    if kind == "number":
        return frozenset({"integer", "number"})
    return frozenset({kind}) if isinstance(kind, str) else _ALL_KINDS


def _items(parts: Any) -> list[Any]:
    return [*parts]


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a schema with the references in it following their definitions to other names."""
    if isinstance(schema, list):
        return [_renamed(part, names) for part in _items(schema)]
    if not isinstance(schema, dict):
        return schema
    renamed: dict[str, Any] = {}
    for key, value in cast("dict[str, Any]", schema).items():
        if key == "$ref" and isinstance(value, str):
            renamed[key] = f"#/$defs/{names[value.rpartition('/')[2]]}"
        else:
            renamed[key] = _renamed(value, names)
    return renamed


def foreign(hint: Any, label: str, where: str) -> Foreign:
    """Return the shape of a type that pydantic knows; CodexError if it does not."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        document = adapter.json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise CodexError(f"{where}: pydantic has no JSON Schema for it: {error}") from error
    return Foreign(label, document, adapter.validate_json, isinstance(hint, type))

"""JSON Schemas, of the kind that pydantic writes, as shapes of answers.

What is read is JSON again: the document that satisfies the schema, with the encodings of
:mod:`.shapes` undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from ...exceptions import CodexError
from .shapes import (
    JSON_LEAVES,
    Array,
    Choice,
    Described,
    Leaf,
    Named,
    Omissible,
    OneOf,
    Record,
    Shape,
    fixed_tuple,
    pairs,
)

__all__ = ["json_schema_shape"]

_STRING = {"type": "string"}

Schema = Mapping[str, Any]


def json_schema_shape(schema: Schema, name: str) -> Shape:
    """Return the shape of the documents that satisfy *schema*.

    Keywords that strict mode has no word for are not checked: validate what was read.

    Raises:
        CodexError: strict mode cannot express the schema; the message names the place.
    """
    schemas = _Schemas(schema.get("$defs", {}))
    if "$ref" in schema:
        return schemas.shape(schema, name)
    named = Named(label=name)
    named.shape = schemas.shape(schema, name)
    return named


class _Schemas:
    """A schema and its definitions, each of which has one shape."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions
        self._named: dict[str, Named] = {}

    def shape(self, schema: Any, where: str) -> Shape:
        """Return the shape of a schema; *where* it is used is for error messages."""
        if not _is_schema(schema):
            raise _unknown(where)
        shape = self._shape(schema, where)
        if "description" in schema and not isinstance(shape, (Leaf, Array)):
            return Described(shape, description=schema["description"])
        return shape

    def _shape(self, schema: Schema, where: str) -> Shape:
        if "$ref" in schema:
            return self._reference(schema["$ref"].rpartition("/")[2])
        if len(schema.get("allOf", ())) == 1:
            return self.shape(schema["allOf"][0], where)
        if "const" in schema or "enum" in schema:
            return _choice(schema.get("enum", [schema.get("const")]), where)
        members = schema.get("anyOf") or schema.get("oneOf")
        if members:
            return OneOf("union", tuple(self.shape(member, where) for member in members))
        return self._typed(schema, where)

    def _typed(self, schema: Schema, where: str) -> Shape:
        kind: Any = schema.get("type")
        if isinstance(kind, list):
            return self._shape(
                {"anyOf": [{**schema, "type": one} for one in schema["type"]]}, where
            )
        if kind == "object":
            return self._object(schema, where)
        if kind == "array":
            return self._array(schema, where)
        if kind in JSON_LEAVES:
            return Leaf(kind, JSON_LEAVES[kind], schema)
        raise _unknown(where)

    def _reference(self, name: str) -> Shape:
        if name not in self._named:
            named = self._named[name] = Named(label=name)
            named.shape = self.shape(self._definitions[name], name)
        return self._named[name]

    def _object(self, schema: Schema, where: str) -> Shape:
        if "properties" not in schema:
            return self._open_object(schema, where)
        required = schema.get("required", ())
        fields = {
            key: self.shape(value, f"{where}.{key}") for key, value in schema["properties"].items()
        }
        return Record(
            schema.get("title", "object"),
            {
                key: shape if key in required else Omissible(key, shape)
                for key, shape in fields.items()
            },
            dict,
        )

    def _open_object(self, schema: Schema, where: str) -> Shape:
        patterns = schema.get("patternProperties", {})
        keys, values = schema.get("propertyNames", _STRING), schema.get("additionalProperties")
        if len(patterns) == 1:
            ((pattern, values),) = patterns.items()
            keys = {**_STRING, "pattern": pattern}
        sizes = {
            limit: schema[name]
            for limit, name in (("minItems", "minProperties"), ("maxItems", "maxProperties"))
            if name in schema
        }
        key = self.shape({**_STRING, **keys}, f"a key of {where}")
        return pairs(key, self.shape(values, f"a value of {where}"), list, sizes)

    def _array(self, schema: Schema, where: str) -> Shape:
        if "prefixItems" in schema:
            if "items" in schema and schema["items"] is not False:
                raise CodexError(
                    f"{where}: a sequence whose first items have types of their own cannot be expressed"
                )
            items = enumerate(schema["prefixItems"])
            return fixed_tuple(
                [self.shape(item, f"{where}[{index}]") for index, item in items], list
            )
        item = self.shape(schema.get("items"), f"an item of {where}")
        return Array("array", item, list, list, schema)


def _is_schema(schema: Any) -> TypeGuard[Schema]:
    return isinstance(schema, Mapping)


def _choice(values: list[Any], where: str) -> Shape:
    if any(isinstance(value, (list, dict)) for value in values):
        raise CodexError(f"{where}: a choice between lists or objects cannot be expressed")
    return Choice("choice", tuple((value, value) for value in values))


def _unknown(where: str) -> CodexError:
    return CodexError(f"{where} may be anything, and OpenAI's strict mode wants to know what")

"""JSON that fits a JSON Schema, of the part of JSON Schema that the CLI uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from .values import JSON, SCALARS

ANYTHING = {"type": ["string", "object"]}


class Instances:
    """Makes what fits the definitions of a schema.

    Keys that may be left out are left out, or hold neither null nor their default: what is read and written
    again then has to be the same.
    """

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._made: dict[str, st.SearchStrategy[Any]] = {}

    def named(self, name: str) -> st.SearchStrategy[Any]:
        if name not in self._made:
            definition = self._definitions[name]
            if definition.get("type") == "object":
                definition = {
                    "properties": {},
                    **definition,
                }  # without it, it is an object with none
            self._made[name] = self._of(definition)
        return self._made[name]

    def _of(self, schema: Any) -> st.SearchStrategy[Any]:
        if schema is True or not schema.keys() - {"description", "default"}:
            return JSON
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return st.deferred(lambda: self.named(name))
        if "allOf" in schema:
            [inner] = schema["allOf"]
            return self._of(inner)
        branches = schema.get("oneOf") or schema.get("anyOf")
        if branches and "properties" in schema:
            return st.one_of(self._object(schema, branch) for branch in branches)
        if branches:  # the last of which may say that the union is open
            return st.one_of(self._of(branch) for branch in branches if branch != ANYTHING)
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return st.one_of(self._of_kind(kind, schema) for kind in kinds)

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if kind == "object" and "properties" in schema:
            return self._object(schema, {})
        if kind == "object":
            more = schema.get("additionalProperties", True)
            return st.dictionaries(st.text(max_size=3), self._of(more), max_size=2)
        if kind == "array":
            return st.lists(self._of(schema["items"]), max_size=2)
        if kind == "integer":
            return st.integers(int(schema.get("minimum", -(2**53))), 2**53)
        return SCALARS[{"null": type(None), "string": str, "number": float, "boolean": bool}[kind]]

    def _object(
        self, schema: Mapping[str, Any], branch: Mapping[str, Any]
    ) -> st.SearchStrategy[Any]:
        """Return what makes objects with the keys of a schema and, if it has branches, of one of them."""
        properties = {**schema.get("properties", {}), **branch.get("properties", {})}
        required = {*schema.get("required", ()), *branch.get("required", ())}
        return st.fixed_dictionaries(
            {key: self._of(inner) for key, inner in properties.items() if key in required},
            optional={
                key: self._said(inner) for key, inner in properties.items() if key not in required
            },
        )

    def _said(self, schema: Any) -> st.SearchStrategy[Any]:
        default = schema.get("default") if isinstance(schema, Mapping) else None
        return self._of(schema).filter(lambda value: value is not None and value != default)

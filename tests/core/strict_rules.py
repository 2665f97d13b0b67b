"""A checker of what OpenAI's strict mode takes of JSON Schema.

Written from the documentation of Structured Outputs ("Supported schemas") and from error messages of
the API, apart from the code under test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

COMMON = {"type", "description", "enum", "const"}
OF_TYPE = {
    "string": {"pattern", "format", "minLength", "maxLength"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "null": set(),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
FORMATS = {
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


def violations(schema: dict[str, Any]) -> list[str]:
    """Return what strict mode would refuse in *schema*."""
    Draft202012Validator.check_schema(schema)
    found = []
    if schema.get("type") != "object" or "anyOf" in schema:
        found.append("the root is no object")
    definitions = schema.get("$defs", {})
    root = {key: value for key, value in schema.items() if key != "$defs"}
    for name, part in (("$", root), *definitions.items()):
        for path, node in nodes(part, name):
            found += [f"{path}: {reason}" for reason in _violations(node, definitions)]
    return found + list(_excesses(schema))


def nodes(schema: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield all schemas in *schema*, itself included, each with its path."""
    yield path, schema
    for key, part in schema.get("properties", {}).items():
        yield from nodes(part, f"{path}.{key}")
    for index, part in enumerate(schema.get("anyOf", ())):
        yield from nodes(part, f"{path}|{index}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def _violations(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        yield from _reference(node, definitions)
    elif "anyOf" in node:
        if not node["anyOf"] or node.keys() - {"anyOf", "description"}:
            yield f"anyOf cannot have keywords {sorted(node)}"
    else:
        yield from _typed(node)


def _reference(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    if len(node) > 1:
        yield f"$ref cannot have keywords {sorted(node.keys() - {'$ref'})}"
    target = node["$ref"]
    if target != "#" and target.removeprefix("#/$defs/") not in definitions:
        yield f"reference to {target}, which is no definition at the top level"


def _typed(node: dict[str, Any]) -> Iterator[str]:
    if "type" not in node:
        yield "schema must have a 'type' key"
        return
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    for keyword in node.keys() - COMMON - set().union(*(OF_TYPE[kind] for kind in types)):
        yield f"{keyword!r} is not permitted"
    if "object" in types:
        yield from _object(node)
    if "array" in types and not isinstance(node.get("items"), dict):
        yield "array schema missing items"
    if node.get("format", "date") not in FORMATS:
        yield f"{node['format']!r} is not a valid format"
    if re.search(r"\(\?<?[=!]", node.get("pattern", "")):
        yield "regex lookaround is not supported"
    for value in node.get("enum", ()):
        if not Draft202012Validator({"type": types}).is_valid(value):
            yield f"enum value {value!r} does not match its type {types}"


def _object(node: dict[str, Any]) -> Iterator[str]:
    if node.get("additionalProperties") is not False:
        yield "'additionalProperties' is required to be supplied and to be false"
    if sorted(node.get("required", ())) != sorted(node.get("properties", ())):
        yield "'required' is required to be an array including every key in properties"


def _excesses(schema: dict[str, Any]) -> Iterator[str]:
    parts = [schema, *schema.get("$defs", {}).values()]
    every = [node for part in parts for _, node in nodes(part, "")]
    enums = [node["enum"] for node in every if "enum" in node]
    names = [name for node in every for name in node.get("properties", ())]
    strings = [value for enum in enums for value in enum if isinstance(value, str)]
    if len(names) > 5_000:
        yield "too many properties"
    if sum(map(len, enums)) > 1_000:
        yield "too many enum values"
    if sum(map(len, (*names, *strings, *schema.get("$defs", ())))) > 120_000:
        yield "too many characters"
    if max(map(_depth, parts)) > 10:
        yield "objects nested too deeply"


def _depth(schema: dict[str, Any]) -> int:
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    if "items" in schema:
        inner.append(schema["items"])
    return (schema.get("type") == "object") + max(map(_depth, inner), default=0)

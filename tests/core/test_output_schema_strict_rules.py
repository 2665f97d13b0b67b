"""The checker of strict mode's rules finds what the API would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from .strict_rules import violations

CLOSED = {"type": "object", "additionalProperties": False}


def closed(**properties: Any) -> dict[str, Any]:
    return {**CLOSED, "properties": properties, "required": [*properties]}


def test_a_schema_that_keeps_the_rules_passes() -> None:
    schema = closed(
        name={"type": "string", "pattern": "^a", "description": "d"},
        sizes={"type": "array", "items": {"type": "number", "minimum": 0}, "maxItems": 3},
        next={"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/part"}, {"type": "null"}]},
        mood={"type": ["string", "null"], "enum": ["a", None]},
    )
    assert violations({**schema, "$defs": {"part": closed()}}) == []


@pytest.mark.parametrize(
    ("schema", "violation"),
    [
        ({"type": "array", "items": {"type": "null"}}, "the root is no object"),
        ({"anyOf": [closed()]}, "the root is no object"),
        ({**closed(), "additionalProperties": True}, "additionalProperties"),
        ({"type": "object", "properties": {}, "required": []}, "additionalProperties"),
        ({**CLOSED, "properties": {"a": {"type": "null"}}, "required": []}, "required"),
        (closed(a={}), "'type' key"),
        (closed(a={"enum": ["a"]}), "'type' key"),
        (closed(a={"type": "string", "default": ""}), "'default' is not permitted"),
        (closed(a={"type": "string", "title": "A"}), "'title' is not permitted"),
        (closed(a={"type": "string", "minimum": 1}), "'minimum' is not permitted"),
        (closed(a={"type": "string", "format": "uri"}), "'uri' is not a valid format"),
        (closed(a={"type": "string", "pattern": "^(?!x)"}), "lookaround"),
        (closed(a={"type": "string", "pattern": "(?<=x)y"}), "lookaround"),
        (closed(a={"type": "integer", "enum": ["1"]}), "does not match its type"),
        (closed(a={"type": "array"}), "missing items"),
        (
            closed(a={"type": "array", "items": {"type": "null"}, "uniqueItems": True}),
            "uniqueItems",
        ),
        (closed(a={"oneOf": [{"type": "null"}]}), "'type' key"),
        (closed(a={"anyOf": [{"type": "null"}], "type": "null"}), "anyOf cannot have"),
        (closed(a={"$ref": "#", "description": "d"}), "$ref cannot have keywords ['description']"),
        (closed(a={"$ref": "#/$defs/none"}), "no definition at the top level"),
        (closed(a={"$ref": "#/properties/a"}), "no definition at the top level"),
        ({**closed(), "$defs": {"a": {"type": "object"}}}, "a: 'additionalProperties'"),
        (closed(**{f"a{n}": {"type": "null"} for n in range(5001)}), "too many properties"),
        (closed(a={"type": "integer", "enum": list(range(1001))}), "too many enum values"),
        (closed(**{"a" * 120_001: {"type": "null"}}), "too many characters"),
    ],
)
def test_a_schema_that_breaks_a_rule_is_found(schema: dict[str, Any], violation: str) -> None:
    assert any(violation in found for found in violations(schema)), violations(schema)


def test_objects_nested_too_deeply_are_found() -> None:
    schema = closed()
    for _ in range(10):
        schema = closed(a=schema)
    assert violations(schema) == ["objects nested too deeply"]

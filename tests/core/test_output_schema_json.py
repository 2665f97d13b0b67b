"""JSON Schemas of the caller's as output schemas."""

from __future__ import annotations

import json
from collections import UserDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codex_sdk._core.output_schema import json_output
from codex_sdk.exceptions import CodexError, CodexParseError

SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "files": {"type": "array", "items": {"$ref": "#/$defs/file"}},
    },
    "required": ["summary"],
    "$defs": {"file": {"type": "object", "properties": {"the size": {"type": "integer"}}}},
}


def test_the_schema_is_sent_as_it_is() -> None:
    assert json_output(SCHEMA).schema == SCHEMA
    assert list(json_output(SCHEMA).schema) == list(SCHEMA)


def test_a_schema_that_is_changed_afterwards_changes_nothing() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    output = json_output(schema)
    schema["properties"]["late"] = {"type": "string"}
    assert output.schema == {"type": "object", "properties": {}}


@pytest.mark.parametrize("mapping", [MappingProxyType(SCHEMA), UserDict(SCHEMA)])
def test_any_mapping_will_do(mapping: Any) -> None:
    assert json_output(mapping).schema == SCHEMA


def test_an_answer_that_satisfies_the_schema_is_returned() -> None:
    answer = {"summary": "s", "files": [{"the size": 3, "more": None}]}
    assert json_output(SCHEMA).parse(json.dumps(answer)) == answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("nonsense", "the answer is no JSON"),
        ("[]", "at $: [] is not of type 'object'"),
        ("{}", "at $: 'summary' is a required property"),
        ('{"summary": 1}', "at $.summary: 1 is not of type 'string'"),
        (
            '{"summary": "", "files": [{}, {"the size": "x"}]}',
            "at $.files[1]['the size']: 'x' is not of type 'integer'",
        ),
    ],
)
def test_a_violation_is_a_parse_error_with_path_and_text(answer: str, message: str) -> None:
    with pytest.raises(CodexParseError) as caught:
        json_output(SCHEMA).parse(answer)
    assert message in str(caught.value)
    assert f"it is: {answer}" in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ([1, 2], "an output schema is a mapping"),
        (True, "an output schema is a mapping"),
        ("{}", "an output schema is a mapping"),
        (None, "an output schema is a mapping"),
        ({"type": "bogus"}, r"no valid JSON Schema at \$\.type"),
        ({"properties": {"a": {"minimum": "1"}}}, r"no valid JSON Schema at \$\.properties\.a"),
        ({"enum": [{1, 2}]}, "the output schema is no JSON"),
        ({"maximum": float("inf")}, "the output schema is no JSON"),
        ({"$ref": "#/$defs/missing"}, "refers to '#/\\$defs/missing', which is not in it"),
        (
            {"items": {"$ref": "https://example.org/schema"}},
            "refers to 'https://example.org/schema'",
        ),
        ({"anyOf": [True, {"not": {"$ref": "other.json"}}]}, "refers to 'other.json'"),
    ],
)
def test_what_is_no_schema_is_refused_at_once(schema: Any, message: str) -> None:
    with pytest.raises(CodexError, match=message) as caught:
        json_output(schema)
    assert type(caught.value) is CodexError


def test_a_value_that_looks_like_a_reference_is_none() -> None:
    schema = {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "x"}}
    assert json_output(schema).parse('{"$ref": "x"}') == {"$ref": "x"}


def test_the_draft_is_the_one_that_the_schema_names() -> None:
    tuple_of_draft_7 = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"n": {"type": "integer"}},
        "items": [{"$ref": "#/definitions/n"}, {"type": "string"}],
    }
    output = json_output(tuple_of_draft_7)
    assert output.parse('[1, "a"]') == [1, "a"]
    with pytest.raises(CodexParseError, match=r"at \$\[1\]"):
        output.parse("[1, 2]")
    with pytest.raises(CodexError, match="no valid JSON Schema"):
        json_output({"items": [{"type": "integer"}]})


def test_identifiers_within_the_schema_resolve() -> None:
    schema = {
        "$id": "https://example.org/root",
        "properties": {"a": {"$ref": "part"}, "b": {"$ref": "#anchored"}},
        "$defs": {
            "part": {"$id": "part", "type": "integer"},
            "other": {"$anchor": "anchored", "type": "string"},
        },
    }
    inner = {"$id": "inner/", "items": {"$ref": "deep"}, "$defs": {"d": {"$id": "deep"}}}
    output = json_output({**schema, "contains": inner})
    assert output.parse('{"a": 1, "b": "x"}') == {"a": 1, "b": "x"}
    with pytest.raises(CodexParseError, match=r"at \$\.a"):
        output.parse('{"a": "x"}')


def test_a_schema_without_an_end_is_a_parse_error_not_a_crash() -> None:
    output = json_output({"$ref": "#"})
    with pytest.raises(CodexParseError, match="nested too deeply"):
        output.parse("1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=3),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts, max_size=3)
    ),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from([{"type": kind} for kind in ("null", "boolean", "integer", "string")])
    | JSON.map(lambda value: {"const": value}),
    lambda parts: st.one_of(
        parts.map(lambda schema: {"type": "array", "items": schema}),
        st.dictionaries(st.text(max_size=3), parts, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
        st.lists(parts, min_size=1, max_size=3).map(lambda schemas: {"anyOf": schemas}),
    ),
    max_leaves=6,
)


@given(schema=SCHEMAS, answer=JSON)
def test_an_answer_is_taken_if_and_only_if_it_satisfies_the_schema(
    schema: Any, answer: Any
) -> None:
    output = json_output(schema)
    if Draft202012Validator(schema).is_valid(answer):
        assert output.parse(json.dumps(answer)) == answer
    else:
        with pytest.raises(CodexParseError, match=r" at \$"):
            output.parse(json.dumps(answer))

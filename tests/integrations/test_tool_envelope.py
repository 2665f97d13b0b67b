"""The envelope in which a model without tools asks for tool calls."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codex_sdk.integrations.tool_envelope import (
    ToolCallEnvelope,
    ToolPlan,
    ToolPlanValidationError,
    build_envelope_schema,
    parse_tool_plan,
    validate_tool_plan,
)

ADD = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"],
}
SCHEMAS = {"add": ADD, "now": {"type": "object"}}


def call(name: str = "add", arguments: str = '{"a": 1, "b": 2}', id: str = "c1") -> dict[str, Any]:
    return {"id": id, "name": name, "arguments": arguments}


def envelope(*calls: dict[str, Any], final: Any = "") -> dict[str, Any]:
    return {"tool_calls": list(calls), "final": final}


def refusal(plan: ToolPlan, **rules: Any) -> str:
    with pytest.raises(ToolPlanValidationError) as caught:
        validate_tool_plan(plan, tool_schemas=SCHEMAS, **rules)
    assert caught.value.message in str(caught.value)
    return caught.value.code


def test_the_schema_takes_calls_of_the_tools_and_of_no_others() -> None:
    validator = Draft202012Validator(build_envelope_schema(["add", "now"]))
    assert validator.is_valid(envelope(call(), call("now")))
    assert validator.is_valid(envelope(final="42"))
    assert not validator.is_valid(envelope(call("rm")))
    assert not validator.is_valid({"final": "42"})
    assert not validator.is_valid({**envelope(), "more": 1})


def test_the_schema_bounds_the_number_of_calls() -> None:
    validator = Draft202012Validator(build_envelope_schema(["add"], min_calls=1, max_calls=1))
    assert validator.is_valid(envelope(call()))
    assert not validator.is_valid(envelope())
    assert not validator.is_valid(envelope(call(), call()))


def test_without_tools_the_schema_lists_no_names() -> None:
    Draft202012Validator.check_schema(build_envelope_schema())
    assert "enum" not in json.dumps(build_envelope_schema())


def test_calls_win_over_a_final_answer() -> None:
    plan = parse_tool_plan(envelope(call(), final="42"))
    assert plan == ToolPlan("tool_calls", (ToolCallEnvelope("c1", "add", '{"a": 1, "b": 2}'),))
    assert parse_tool_plan(json.dumps(envelope(final="42"))) == ToolPlan("final", content="42")


def test_what_is_nearly_an_envelope_is_read() -> None:
    plan = parse_tool_plan({"tool_calls": [{"name": "add", "arguments": {"a": 1}}]})
    assert plan.calls == (ToolCallEnvelope("", "add", '{"a": 1}'),)
    assert parse_tool_plan({"tool_calls": [call(arguments=" ")]}).calls[0].arguments == "{}"
    assert parse_tool_plan({"final": {"x": 1}}).content == '{"x": 1}'
    assert parse_tool_plan({"final": None}).content == ""


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"tool_calls": 1}',
        '{"tool_calls": [1]}',
        '{"tool_calls": [{"name": ""}]}',
        '{"tool_calls": [{"id": "c"}]}',
    ],
)
def test_what_is_no_envelope_is_refused(text: str) -> None:
    with pytest.raises(ToolPlanValidationError) as caught:
        parse_tool_plan(text)
    assert caught.value.code == "invalid_envelope"
    assert len(str(caught.value)) < 500
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


def test_a_plan_that_is_allowed_comes_back() -> None:
    plan = parse_tool_plan(envelope(call(), call("now", "{}", "c2")))
    assert validate_tool_plan(plan, tool_schemas=SCHEMAS, tool_choice="required") == plan


@pytest.mark.parametrize(
    ("choice", "plan"),
    [
        ("none", envelope(call())),
        ("required", envelope(final="42")),
        ({"type": "function", "name": "now"}, envelope(call())),
        ({"type": "function", "function": {"name": "now"}}, envelope(call("now"), call())),
        ({"type": "function", "name": "now"}, envelope(final="42")),
    ],
)
def test_a_plan_that_is_not_what_was_chosen_is_refused(choice: Any, plan: Any) -> None:
    assert refusal(parse_tool_plan(plan), tool_choice=choice) == "tool_choice_mismatch"


@pytest.mark.parametrize("choice", ["sometimes", {"type": "function"}, {"name": "rm"}])
def test_a_choice_that_is_none_is_refused(choice: Any) -> None:
    plan = parse_tool_plan(envelope(call()))
    assert refusal(plan, tool_choice=choice) == "invalid_tool_choice"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls_disabled"),
        ({"max_tool_calls": 1}, "too_many_tool_calls"),
    ],
)
def test_too_many_calls_are_refused(rules: Any, code: str) -> None:
    plan = parse_tool_plan(envelope(call(), call(id="c2")))
    assert refusal(plan, **rules) == code
    one = parse_tool_plan(envelope(call()))
    assert validate_tool_plan(one, tool_schemas=SCHEMAS, **rules) == one


def test_a_call_of_no_tool_is_refused() -> None:
    assert refusal(parse_tool_plan(envelope(call("rm")))) == "unknown_tool"


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"a": 1}', '{"a": "1", "b": 2}'])
def test_wrong_arguments_are_refused(arguments: str) -> None:
    plan = parse_tool_plan(envelope(call(arguments=arguments)))
    assert refusal(plan) == "invalid_tool_arguments"


def test_arguments_may_be_left_to_the_tool() -> None:
    plan = parse_tool_plan(envelope(call(arguments='{"a": 1}')))
    rules = {"tool_schemas": SCHEMAS, "strict_schema_validation": False}
    assert validate_tool_plan(plan, **rules) == plan  # type: ignore[arg-type]
    assert refusal(parse_tool_plan(envelope(call(arguments="[]")))) == "invalid_tool_arguments"


@given(st.lists(st.sampled_from(["", "a", "call_1", "call_2", "call_1_"]), max_size=6))
def test_every_call_has_an_id_of_its_own(ids: list[str]) -> None:
    plan = parse_tool_plan(envelope(*(call(id=each) for each in ids)))
    checked = [c.id for c in validate_tool_plan(plan, tool_schemas=SCHEMAS).calls]
    assert all(checked)
    assert len(set(checked)) == len(ids)
    first_uses = [ids.index(each) for each in set(ids) if each]
    assert all(checked[place] == ids[place] for place in first_uses)

"""What holds for every output type: its schema is strict, and it reads what the schema lets through."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from codex_sdk._core.output_schema import Output, pydantic_output, typed_output
from codex_sdk.exceptions import CodexParseError

from .answer_types import Case, Say, cases, models
from .strict_rules import violations

Location = tuple[Any, ...]


def answer_of(case: Case, output: Output[Any], say: Say) -> Any:
    """Return the answer that says a value; one that is no object is the value of one."""
    schema: Any = output.schema
    if case.is_object:
        return say(schema, schema)
    return {"value": say(schema["properties"]["value"], schema)}


def check_values(data: st.DataObject, case: Case, output: Output[Any]) -> None:
    value, say = data.draw(case.values)
    answer = answer_of(case, output, say)
    Draft202012Validator(output.schema).validate(answer)
    assert output.parse(json.dumps(answer)) == value


@given(data=st.data(), case=cases())
def test_every_type_has_a_strict_schema_and_reads_each_of_its_values(
    data: st.DataObject, case: Case
) -> None:
    output = typed_output(case.hint)
    assert violations(dict(output.schema)) == []
    check_values(data, case, output)


@given(data=st.data(), case=models())
def test_every_model_has_a_strict_schema_and_reads_each_of_its_values(
    data: st.DataObject, case: Case
) -> None:
    output = pydantic_output(case.hint)
    assert violations(dict(output.schema)) == []
    check_values(data, case, output)


def locations(answer: Any, at: Location = ()) -> Iterator[Location]:
    yield at
    if isinstance(answer, (dict, list)):
        keys = answer.keys() if isinstance(answer, dict) else range(len(answer))
        for key in keys:
            yield from locations(answer[key], (*at, key))


def part_at(answer: Any, location: Location) -> Any:
    for key in location:
        answer = answer[key]
    return answer


def mutated(data: st.DataObject, answer: Any) -> tuple[Any, Location]:
    """Return the answer with one thing in it changed, and where that is."""
    answer = copy.deepcopy(answer)
    location = data.draw(st.sampled_from(sorted(locations(answer), key=repr)))
    part = part_at(answer, location)
    replacement = data.draw(st.sampled_from([None, True, 7, 0.5, "?", [], [None], {}, {"?": 1}]))
    if isinstance(part, dict) and data.draw(st.booleans()):
        if part and data.draw(st.booleans()):
            del part[data.draw(st.sampled_from(sorted(part)))]
        else:
            part["unexpected"] = replacement
    elif location:
        part_at(answer, location[:-1])[location[-1]] = replacement
    else:
        answer = replacement
    return answer, location


def path_in(message: str) -> Location:
    """Return the path that an error message names; all keys in these tests are identifiers."""
    path = re.search(r" at \$(\S*): ", message)
    assert path, message
    keys = re.findall(r"\.(\w+)|\[(\d+)\]", path[1])
    return tuple(name or int(index) for name, index in keys)


@given(data=st.data(), case=cases())
def test_an_answer_that_violates_the_schema_is_refused_with_the_place(
    data: st.DataObject, case: Case
) -> None:
    output = typed_output(case.hint)
    _, say = data.draw(case.values)
    answer, location = mutated(data, answer_of(case, output, say))
    assume(not Draft202012Validator(output.schema).is_valid(answer))
    with pytest.raises(CodexParseError) as caught:
        output.parse(json.dumps(answer))
    named = path_in(str(caught.value))
    common = min(len(named), len(location))
    assert named[:common] == location[:common]


@given(text=st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_text_that_is_no_json_is_refused(text: str) -> None:
    output = typed_output(list[int])
    with pytest.raises(CodexParseError):
        output.parse(text)

"""What is taken out of an app-server's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import CodexParseError
from codex_sdk._core.results import part_of

STARTED = {"thread": {"id": "t-1", "name": None}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["thread", "id", "config", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_what_is_there_is_returned() -> None:
    assert part_of(STARTED, "thread/start", "thread", "id", of=str) == "t-1"
    assert part_of(STARTED, "thread/start", "thread", of=dict) is STARTED["thread"]
    assert part_of(STARTED, "thread/start", of=dict) is STARTED


@pytest.mark.parametrize(
    "result",
    [
        None,
        [],
        "text",
        7,
        {},
        {"thread": None},
        {"thread": "t"},
        {"thread": {"id": 7}},
        {"thread": {"id": ""}},
    ],
)
def test_what_is_not_there_is_named_with_the_method_and_the_answer(result: Any) -> None:
    with pytest.raises(CodexParseError) as caught:
        part_of(result, "thread/start", "thread", "id", of=str)

    told = str(caught.value)
    assert told.startswith(
        "the app-server's answer to thread/start has no thread.id that is a text: "
    )
    assert told.endswith(json.dumps(result))


def test_an_answer_that_is_no_object_is_called_so() -> None:
    with pytest.raises(CodexParseError, match="answer to config/read is not an object: "):
        part_of([], "config/read", of=dict)


@given(json_values)
def test_nothing_else_is_raised_whatever_the_server_says(result: Any) -> None:
    try:
        found = part_of(result, "thread/start", "thread", "id", of=str)
    except CodexParseError:
        return
    assert result["thread"]["id"] == found


def test_long_answers_are_cut() -> None:
    with pytest.raises(CodexParseError) as caught:
        part_of({"much": "x" * 10_000}, "thread/start", "thread", "id", of=str)
    assert len(str(caught.value)) < 400


def test_no_secret_is_repeated() -> None:
    result = {
        "config": [
            {"said": "it is sk-0123456789"},
            {
                "experimental_bearer_token": "tok-abcdef",
                "http_headers": {"Authorization": "Bearer xyz"},
            },
        ]
    }
    with pytest.raises(CodexParseError) as caught:
        part_of(
            result, "config/read", "config", of=dict, secrets={"CODEX_API_KEY": "sk-0123456789"}
        )
    told = str(caught.value)
    assert "<CODEX_API_KEY>" in told
    assert "0123456789" not in told
    assert "abcdef" not in told
    assert "xyz" not in told

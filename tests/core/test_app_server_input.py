"""What programs give to an app-server, in the protocol's words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from codex_sdk import CodexError, protocol
from codex_sdk._core.app_server_input import (
    camel_case,
    normalize_app_server_input,
    plain,
    protocol_params,
)


def test_a_text_is_one_item() -> None:
    assert normalize_app_server_input("hi") == [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "text", "text": "hi"}, {"type": "text", "text": "hi"}),
        (
            {"type": "local_image", "path": PurePosixPath("/a.png")},
            {"type": "localImage", "path": "/a.png"},
        ),
        ({"type": "localImage", "path": "/a.png"}, {"type": "localImage", "path": "/a.png"}),
        (
            {"type": "skill", "name": "s", "path": PurePosixPath("/s/SKILL.md")},
            {"type": "skill", "name": "s", "path": "/s/SKILL.md"},
        ),
        ({"type": "image", "url": "data:x"}, {"type": "image", "url": "data:x"}),
        ({"type": "newer", "someKey": [1]}, {"type": "newer", "someKey": [1]}),
        (
            protocol.SkillUserInput(name="s", path="/s"),
            {"type": "skill", "name": "s", "path": "/s"},
        ),
    ],
)
def test_items_are_in_the_protocol_s_words(item: Any, expected: Any) -> None:
    assert normalize_app_server_input([item]) == [expected]


@pytest.mark.parametrize(
    "elements",
    [
        {"text_elements": [{"byte_range": {"start": 0, "end": 2}}]},
        {"textElements": [{"byteRange": {"start": 0, "end": 2}}]},
        {"text_elements": ({"byteRange": {"start": 0, "end": 2}},)},
    ],
)
def test_elements_of_a_text_have_the_keys_that_take_effect(elements: Any) -> None:
    [item] = normalize_app_server_input([{"type": "text", "text": "hi", **elements}])

    assert item["text_elements"] == [{"byteRange": {"start": 0, "end": 2}}]
    assert "textElements" not in item


def test_the_items_of_the_caller_are_left_alone() -> None:
    item = {"type": "local_image", "path": "/a.png"}

    normalize_app_server_input([item])

    assert item == {"type": "local_image", "path": "/a.png"}


@pytest.mark.parametrize(
    ("input", "reason"),
    [
        ([], "no items"),
        ({"type": "text", "text": "hi"}, "a list of them"),
        (protocol.TextUserInput(text="hi"), "a list of them"),
        (7, "neither a text nor a sequence"),
        ([{"type": "text", "text": "hi"}, "there"], "input item 1 is no mapping"),
        ([{"text": "hi"}], 'input item 0 is no mapping with a "type"'),
        ([{"type": None}], "input item 0"),
    ],
)
def test_what_is_no_input_is_refused(input: Any, reason: str) -> None:
    with pytest.raises(CodexError, match=reason):
        normalize_app_server_input(input)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cwd", "cwd"),
        ("thread_id", "threadId"),
        ("stream_stdout_stderr", "streamStdoutStderr"),
        ("data_base64", "dataBase64"),
        ("alreadyCamel", "alreadyCamel"),
        ("_meta", "_meta"),
    ],
)
def test_names_in_snake_case_become_camel_case(name: str, expected: str) -> None:
    assert camel_case(name) == expected


def test_params_lose_what_is_none_and_keep_what_is_null() -> None:
    params = {"approval_policy": "never", "model": None, "service_tier": protocol.NULL}

    assert protocol_params(params) == {"approvalPolicy": "never", "serviceTier": None}


def test_keys_below_the_params_are_the_caller_s_own() -> None:
    schema = {"type": "object", "properties": {"snake_case": {"enum": [None]}}}

    assert protocol_params({"output_schema": schema}) == {"outputSchema": schema}


def test_objects_of_the_protocol_may_stand_anywhere() -> None:
    target = protocol.CustomReviewTarget(instructions="look")

    assert plain({"a": [target], "b": (PurePosixPath("/x"), 1)}) == {
        "a": [{"type": "custom", "instructions": "look"}],
        "b": ["/x", 1],
    }

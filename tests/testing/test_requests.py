"""A received request says what the model was asked, in whichever form the CLI wrote it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from codex_sdk.testing import InputImage, ModelRequest, ToolOutput


def request(body: Any = None, **headers: str) -> ModelRequest:
    return ModelRequest(number=1, method="POST", path="/v1/responses", headers=headers, json=body)


def message(role: str, *texts: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {
        "type": "message",
        "role": role,
        "content": [{"type": kind, "text": text} for text in texts],
    }


def test_texts_are_told_apart_by_who_wrote_them() -> None:
    received = request(
        {
            "input": [
                message("developer", "rules", "skills"),
                message("user", "environment"),
                message("user", "first"),
                message("assistant", "answer"),
                message("user", "second"),
            ]
        }
    )
    assert received.user_texts() == ("environment", "first", "second")
    assert received.prompt == "second"
    assert received.developer_texts() == ("rules", "skills")
    assert received.assistant_texts() == ("answer",)


def test_content_may_be_a_plain_string() -> None:
    assert request({"input": "hello"}).prompt == "hello"
    received = request(
        {"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    )
    assert received.user_texts() == ("a",)
    assert received.assistant_texts() == ("b",)


def test_instructions_are_found_in_either_place() -> None:
    assert request({"instructions": "be brief", "input": []}).instructions == "be brief"
    newer = request({"input": [message("developer", "be brief", "more")]})
    assert newer.instructions == "be brief"


def test_tools_are_found_in_either_place_and_in_namespaces() -> None:
    inner = {"type": "function", "name": "inner"}
    received = request(
        {
            "tools": [
                {"type": "function", "name": "shell"},
                {"type": "web_search"},
                {"type": "namespace", "name": "space", "tools": [inner]},
            ],
            "input": [
                {"type": "additional_tools", "tools": [{"type": "custom", "name": "extra"}]},
                message("user", "hi"),
            ],
        }
    )
    assert received.tool_names() == ("shell", "web_search", "space.inner", "extra")


def test_outputs_of_every_kind_of_tool_are_found() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    received = request(
        {
            "input": [
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "done"},
                {"type": "custom_tool_call_output", "call_id": "2", "output": parts},
            ]
        }
    )
    assert received.function_outputs() == (ToolOutput("1", "done"), ToolOutput("2", "ab"))


def test_images_give_their_data() -> None:
    url = "data:image/png;base64," + b64encode(b"\x89PNG").decode()
    content = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "look"}]
    received = request({"input": [{"type": "message", "role": "user", "content": content}]})
    (image,) = received.images()
    assert (image.media_type, image.data) == ("image/png", b"\x89PNG")
    assert received.prompt == "look"


def test_an_image_by_reference_has_no_data() -> None:
    image = InputImage("https://example.org/a.png")
    assert image.media_type == ""
    with pytest.raises(ValueError, match="not in the request"):
        _ = image.data


def test_the_repr_of_an_image_is_short() -> None:
    assert len(repr(InputImage("data:image/png;base64," + "A" * 10_000))) < 100


def test_the_output_schema_is_the_one_asked_for() -> None:
    schema = {"type": "object"}
    text = {"format": {"type": "json_schema", "schema": schema}, "verbosity": "low"}
    assert request({"text": text}).output_schema == schema
    assert request({"text": {"verbosity": "low"}}).output_schema is None
    assert request({}).output_schema is None


@pytest.mark.parametrize("body", [None, [], 3, "text", {"input": 3, "text": [], "tools": {}}])
def test_a_body_of_another_shape_is_no_error(body: Any) -> None:
    received = request(body)
    assert received.prompt == received.model == received.instructions == ""
    assert received.user_texts() == received.tool_names() == received.images() == ()
    assert received.output_schema is None


def test_no_repr_shows_a_secret() -> None:
    received = request({"model": "m", "input": "hello"}, authorization="Bearer sk-1", accept="*/*")
    assert received.headers["authorization"] == "Bearer sk-1"
    assert "sk-1" not in repr(received) + repr(received.headers) + str(received.headers)
    assert "'accept': '*/*'" in repr(received.headers)


def test_the_repr_says_what_was_asked_and_stays_short() -> None:
    text = repr(request({"model": "m", "input": "hello " * 1000}))
    assert text.startswith("<ModelRequest 1: POST /v1/responses, model 'm', prompt 'hello hello")
    assert len(text) < 300

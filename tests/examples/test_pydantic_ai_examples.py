"""The examples for PydanticAI, as they stand, on the real CLI and a scripted model."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest

from codex_sdk.testing import AddFile, ApplyPatch, FunctionCall, Message, ModelRequest, Reply

from .workplace import Workplace

pytestmark = pytest.mark.skipif(
    find_spec("pydantic_ai") is None, reason="PydanticAI needs Python 3.11"
)


def call(request: ModelRequest, name: str, arguments: dict[str, Any]) -> FunctionCall | str:
    """Call a tool, in whichever way the CLI lets PydanticAI's tools be called."""
    if name in request.tool_names():
        return FunctionCall(name, arguments)
    made = {"id": "1", "name": name, "arguments": json.dumps(arguments)}
    return json.dumps({"tool_calls": [made], "final": None})


def say(request: ModelRequest, answer: Any) -> Message:
    """Answer, in the envelope if one is asked for."""
    schema = request.output_schema
    if schema is not None and "tool_calls" in schema["properties"]:
        answer = {"tool_calls": [], "final": answer}
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return Message(*text.partition(" "))


def has_result(request: ModelRequest) -> bool:
    return bool(request.function_outputs()) or "[tool result" in request.prompt


def test_model_provider_lets_codex_call_tools(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> Any:
        city = "Oslo" if "Oslo" in "".join(request.user_texts()) else "Lisbon"
        if not has_result(request):
            return call(request, "temperature", {"city": city})
        degrees = {"Oslo": -4.0, "Lisbon": 21.5}[city]
        assert str(degrees) in json.dumps(request.json)
        return say(request, {"city": city, "degrees": degrees, "advice": f"Go to {city}."})

    workplace.model.will_reply(*[reply] * 4)

    printed = workplace.run_example("pydantic_ai_model_provider", CODEX_MODEL="gpt-5-codex")

    assert printed.splitlines() == [
        "Oslo, -4.0 °C: Go to Oslo.",
        "Lisbon, 21.5 °C: Go to Lisbon.",
    ]


def test_streaming_shows_tools_and_texts(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> Any:
        if not has_result(request):
            return call(request, "add", {"a": 19, "b": 23})
        return say(request, "It is 42.")

    workplace.model.will_reply(reply, reply)

    printed = workplace.run_example(
        "pydantic_ai_streaming", "What", "is", "19", "+", "23?", CODEX_MODEL="gpt-5-codex"
    )

    assert printed.replace('"a":19,"b":23', '"a": 19, "b": 23').splitlines() == [
        '> add({"a": 19, "b": 23})',
        "< 42",
        "It is 42.",
    ]


def test_handoff_has_the_work_done_by_codex(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> Any:
        if "by the codex_handoff tool" not in json.dumps(request.json):
            if request.function_outputs():
                return "Written."
            return Reply(ApplyPatch(AddFile("NOTES.md", "Says hello.\n")))
        if not has_result(request):
            return call(request, "codex_handoff", {"prompt": "Write NOTES.md."})
        assert "Written." in json.dumps(request.json)
        return say(request, "There is a file NOTES.md now.")

    workplace.model.will_reply(*[reply] * 4)

    printed = workplace.run_example("pydantic_ai_handoff", CODEX_MODEL="gpt-5-codex")

    assert "- file_change: completed" in printed
    assert printed.endswith("There is a file NOTES.md now.\n")
    assert (workplace.directory / "NOTES.md").read_text(encoding="utf-8") == "Says hello.\n"

"""Which reply a request gets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import pytest

from codex_sdk.testing import Cut, HttpReply, ModelRequest, Reply
from codex_sdk.testing.script import Playbook, exhausted_reply


def request(*texts: str) -> ModelRequest:
    messages = [{"role": "user", "content": text} for text in texts]
    return ModelRequest(number=1, method="POST", path="/", headers={}, json={"input": messages})


async def replies(playbook: Playbook, *prompts: str) -> list[Any]:
    return [_short(await playbook.reply_to(request(prompt))) for prompt in prompts]


def _short(reply: Any) -> Any:
    if isinstance(reply, HttpReply):
        return reply.status
    return reply.steps[0]


async def test_a_list_is_given_in_order() -> None:
    playbook = Playbook(["a", Reply("b"), HttpReply(500)], exhausted_reply)
    assert await replies(playbook, "1", "2", "3", "4") == ["a", "b", 500, 400]


@pytest.mark.parametrize("script", ["a", Reply("a"), ("a",), {"a": None}.keys()])
async def test_one_reply_answers_one_request(script: Any) -> None:
    assert await replies(Playbook(script, exhausted_reply), "1", "2") == ["a", 400]


async def test_a_function_answers_all_requests() -> None:
    playbook = Playbook(lambda request: request.prompt.upper(), exhausted_reply)
    assert await replies(playbook, "a", "b") == ["A", "B"]


async def test_an_async_function_in_a_list_answers_one() -> None:
    async def shout(request: ModelRequest) -> str:
        return request.prompt.upper()

    assert await replies(Playbook([shout, "b"], exhausted_reply), "a", "x") == ["A", "b"]


async def test_a_generator_is_asked_as_the_requests_come() -> None:
    asked: list[int] = []

    def script() -> Iterator[str]:
        for number in range(3):
            asked.append(number)
            yield str(number)

    playbook = Playbook(script(), exhausted_reply)
    assert await replies(playbook, "a", "b") == ["0", "1"]
    assert asked == [0, 1]


async def test_conversations_are_told_apart_by_their_markers() -> None:
    playbook = Playbook({"red": ["r1", "r2"], "blue": repeat("b")}, exhausted_reply)
    prompts = ("a red one", "blue", "red", "blue", "red", "green")
    assert await replies(playbook, *prompts) == ["r1", "b", "r2", "b", 400, 400]


async def test_the_latest_marker_of_a_conversation_counts() -> None:
    playbook = Playbook({"red": repeat("r"), "blue": repeat("b")}, exhausted_reply)
    assert _short(await playbook.reply_to(request("red", "blue", "go on"))) == "b"
    assert _short(await playbook.reply_to(request("blue", "red", "go on"))) == "r"


async def test_a_script_can_be_extended() -> None:
    playbook = Playbook("a", exhausted_reply)
    playbook.extend(["b", "c"])
    playbook.extend(["m"], when="marked")
    playbook.extend(["n"], when="marked")
    prompts = ("1", "marked", "2", "3", "marked", "4")
    assert await replies(playbook, *prompts) == ["a", "m", "b", "c", "n", 400]


async def test_what_answers_when_the_script_has_run_out_can_be_chosen() -> None:
    assert await replies(Playbook((), "more"), "1", "2") == ["more", "more"]
    assert await replies(Playbook((), Cut()), "1") == [Cut()]
    assert await replies(Playbook((), lambda _: "f"), "1", "2") == ["f", "f"]


async def test_the_default_says_that_the_script_has_run_out() -> None:
    reply = await Playbook((), exhausted_reply).reply_to(request("the prompt"))
    assert isinstance(reply, HttpReply)
    assert reply.body == (
        "the script of ModelServer has no reply left for request 1, whose prompt is 'the prompt'"
    )


async def test_a_function_that_returns_no_reply_is_an_error() -> None:
    with pytest.raises(TypeError, match="a reply is a string, a step"):
        await Playbook(lambda _: 3, exhausted_reply).reply_to(request("a"))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("script", [3, None])
def test_what_is_no_script_is_refused(script: Any) -> None:
    with pytest.raises(TypeError):
        Playbook(script, exhausted_reply)

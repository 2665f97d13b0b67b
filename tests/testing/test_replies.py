"""Replies are values that can be trusted: what makes no sense is refused when it is written down."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    Cut,
    Delay,
    DeleteFile,
    Failed,
    Gate,
    HttpReply,
    Incomplete,
    Message,
    ModelServer,
    Reply,
    RunCommand,
    ServerEvent,
    UpdateFile,
)


def test_replies_compare_hash_and_pickle_by_content() -> None:
    reply = Reply("Let me see.", Message("a", Delay(1), "b"), RunCommand("ls"), Cut())
    assert pickle.loads(pickle.dumps(reply)) == reply
    assert hash(reply) == hash(
        Reply("Let me see.", Message("a", Delay(1), "b"), RunCommand("ls"), Cut())
    )
    assert reply != Reply("Let me see.", Message("a", Delay(1), "b"), RunCommand("ls"))


def test_a_reply_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Reply("a").steps = ()  # type: ignore[misc]


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 601])
def test_a_delay_is_bounded(seconds: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 600"):
        Delay(seconds)


@pytest.mark.parametrize("ending", [Cut(), Failed(), Incomplete(), Message("Hel", Cut())])
def test_nothing_follows_an_ending(ending: Any) -> None:
    Reply("before", ending)
    with pytest.raises(ValueError, match="nothing can follow"):
        Reply(ending, "after")


def test_nothing_follows_a_cut_inside_a_message() -> None:
    with pytest.raises(ValueError, match="nothing can follow"):
        Message("Hel", Cut(), "lo")


@pytest.mark.parametrize("step", [3, None, b"bytes", HttpReply(500), Reply("nested")])
def test_only_steps_make_a_reply(step: Any) -> None:
    with pytest.raises(TypeError, match="a step of a reply"):
        Reply(step)


def test_only_text_and_pauses_make_a_message() -> None:
    with pytest.raises(TypeError, match="a part of a message"):
        Message("a", RunCommand("ls"))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [99, 101, 600])
def test_an_http_reply_has_the_status_of_a_final_response(status: int) -> None:
    with pytest.raises(ValueError, match="is not between 200 and 599"):
        HttpReply(status)


def test_a_raw_event_has_a_type() -> None:
    with pytest.raises(ValueError, match="'type'"):
        ServerEvent({"data": 1})


def test_a_patch_is_changes_or_one_string() -> None:
    ApplyPatch(AddFile("a", "A\n"), UpdateFile("b", "B", "C"), DeleteFile("c"))
    with pytest.raises(ValueError, match="needs a change"):
        ApplyPatch()
    with pytest.raises(TypeError, match="one string, or changes"):
        ApplyPatch("*** Begin Patch", DeleteFile("c"))


@pytest.mark.parametrize("script", [[3], ["a", None], [["nested"]]])
def test_a_script_with_an_entry_that_is_no_reply_is_refused_at_once(script: Any) -> None:
    with pytest.raises(TypeError, match="an entry of a script"):
        ModelServer(script)


def test_the_message_text_is_its_strings_joined() -> None:
    assert Message("Hel", Gate(), "lo", Delay(0)).text == "Hello"

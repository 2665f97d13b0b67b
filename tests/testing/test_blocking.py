"""The server in a thread of its own, for programs without an event loop."""

from __future__ import annotations

import json
import urllib.request
from threading import Thread
from typing import Any

import pytest

from codex_sdk import CodexError
from codex_sdk.testing import BlockingModelServer, Gate, ModelRequest, Reply

from .http_client import body_of


def ask(url: str, prompt: str = "hello") -> str:
    request = urllib.request.Request(f"{url}/responses", data=body_of(prompt), method="POST")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
        lines = response.read().decode().split("\n")
    events: list[Any] = [json.loads(line[len("data: ") :]) for line in lines if line[:5] == "data:"]
    return "".join(event["delta"] for event in events if "delta" in event)


def test_a_program_without_an_event_loop_can_use_it() -> None:
    server = BlockingModelServer("one")
    server.will_reply(lambda request: request.prompt.upper())
    with server:
        assert ask(server.url) == "one"
        assert ask(server.url, "two") == "TWO"
        server.will_reply("three")
        server.will_reply("four", when="marked")
        assert ask(server.url, "marked") == "four"
        assert ask(server.url) == "three"
        assert [request.prompt for request in server.requests] == [
            "hello",
            "two",
            "marked",
            "hello",
        ]
        assert server.other_requests == ()
        assert server.codex_options().base_url == server.url
        home = server.codex_home
        assert home.is_dir()
    assert not home.exists()


def test_a_test_can_wait_for_requests_and_hold_replies() -> None:
    gate = Gate()
    answers: list[str] = []
    with BlockingModelServer(Reply("held", gate)) as server:
        client = Thread(target=lambda: answers.append(ask(server.url)))
        client.start()
        assert server.wait_for_request().prompt == "hello"
        gate.reached_sync()
        assert answers == []
        gate.release()
        client.join()
    assert answers == ["held"]


def test_waiting_has_an_end() -> None:
    with BlockingModelServer() as server, pytest.raises(TimeoutError):
        server.wait_for_request(timeout=0.01)


def test_errors_leave_as_themselves() -> None:
    with pytest.raises(ValueError, match="mine"), BlockingModelServer():
        raise ValueError("mine")


def test_an_error_of_the_script_is_raised_at_the_end() -> None:
    def respond(request: ModelRequest) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with BlockingModelServer(respond) as server, pytest.raises(OSError, match="400"):
            ask(server.url)


def test_a_server_that_does_not_run_cannot_be_used() -> None:
    server = BlockingModelServer()
    with pytest.raises(CodexError, match="not running"):
        server.wait_for_request()
    with pytest.raises(CodexError, match="not running"):
        _ = server.url

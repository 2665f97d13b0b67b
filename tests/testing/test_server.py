"""The server at the level of HTTP, on both event loops."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from codex_sdk import CodexError
from codex_sdk.testing import (
    BlockingModelServer,
    Cut,
    Delay,
    Gate,
    HttpReply,
    Message,
    ModelRequest,
    ModelServer,
    OutputItem,
    Reply,
    RunCommand,
)

from .http_client import ask, ask_for_text, body_of, connected


async def test_requests_are_answered_in_order_and_recorded() -> None:
    async with ModelServer(["one", "two"]) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert await ask_for_text(server.url, "first") == "one"
        assert await ask_for_text(server.url, "second") == "two"
        assert [request.prompt for request in server.requests] == ["first", "second"]
        assert [request.number for request in server.requests] == [1, 2]
        assert server.requests[0].model == "a-model"


async def test_a_connection_serves_one_request_after_the_other() -> None:
    async with (
        ModelServer(["one", HttpReply(500), "three"]) as server,
        connected(server.url) as client,
    ):
        statuses = []
        for _ in range(3):
            await client.send("POST", "/v1/responses", body_of("x"))
            response = await client.receive()
            assert response is not None
            assert response.complete
            statuses.append(response.status)
        assert statuses == [200, 500, 200]


async def test_an_http_reply_is_sent_as_written() -> None:
    body = {"error": {"code": "slow_down"}}
    reply = HttpReply(
        429, body, headers={"Retry-After": "3", "Content-Type": "application/problem"}
    )
    async with ModelServer(
        [reply, HttpReply(418), HttpReply(400, "text"), HttpReply(204)]
    ) as server:
        response = await ask(server.url)
        assert response is not None
        assert (response.status, response.json()) == (429, body)
        assert response.headers["retry-after"] == "3"
        assert response.headers["content-type"] == "application/problem"
        teapot, text, empty = [await ask(server.url) for _ in range(3)]
        assert teapot is not None
        assert "418" in teapot.json()["error"]["message"]
        assert text is not None
        assert text.body == b"text"
        assert empty is not None
        assert (empty.status, empty.body) == (204, b"")


async def test_a_cut_breaks_the_response_off() -> None:
    script = [Cut(), Reply(Message("Hel", Cut())), Reply("Hello", Cut(clean=True)), Cut(clean=True)]
    async with ModelServer(script) as server:
        assert await ask(server.url) is None
        torn = await ask(server.url)
        assert torn is not None
        assert (torn.complete, torn.text()) == (False, "Hel")
        early = await ask(server.url)
        assert early is not None
        assert (early.complete, early.text()) == (True, "Hello")
        assert early.events()[-1]["type"] == "response.output_item.done"
        empty = await ask(server.url)
        assert empty is not None
        assert (empty.status, empty.complete, empty.body) == (200, True, b"")


async def test_a_gate_holds_the_reply_until_it_is_released() -> None:
    gate = Gate()
    async with (
        ModelServer(Reply(Message("a", gate, "b"))) as server,
        connected(server.url) as client,
    ):
        await client.send("POST", "/v1/responses", body_of("x"))
        await gate.reached()
        received = b""
        while b'"delta": "a"' not in received:
            received += await client.stream.receive()
        assert b'"delta": "b"' not in received
        gate.release()
        while b"response.completed" not in received:
            received += await client.stream.receive()


async def test_a_leading_gate_holds_the_status_back() -> None:
    gate = Gate()
    async with ModelServer(Reply(gate, "a")) as server, connected(server.url) as client:
        await client.send("POST", "/v1/responses", body_of("x"))
        await gate.reached()
        with anyio.move_on_after(0.05) as silence:
            await client.stream.receive()
        assert silence.cancelled_caught
        gate.release()
        response = await client.receive()
        assert response is not None
        assert response.text() == "a"


async def test_a_delay_is_a_pause() -> None:
    async with ModelServer(Reply(Delay(0.05), "a")) as server:
        start = anyio.current_time()
        assert await ask_for_text(server.url) == "a"
        assert anyio.current_time() - start >= 0.05


async def test_requests_can_be_waited_for() -> None:
    async with ModelServer(["a", "b"]) as server, anyio.create_task_group() as group:
        for prompt in ("first", "second"):
            group.start_soon(ask, server.url, prompt)
            number = len(server.requests) + 1
            assert (await server.wait_for_request(number)).prompt == prompt
        assert (await server.wait_for_request()).prompt == "first"


async def test_many_conversations_at_once_each_get_their_own_replies() -> None:
    names = [f"<{number}>" for number in range(30)]
    script = {name: [f"{name} one", f"{name} two"] for name in names}
    answers: dict[str, list[str]] = {}

    async def converse(name: str) -> None:
        answers[name] = [await ask_for_text(server.url, name) for _ in range(2)]

    async with ModelServer(script) as server:
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(converse, name)
        assert answers == script


async def test_a_slow_reply_does_not_hold_up_another() -> None:
    gate = Gate()
    async with ModelServer({"slow": Reply(gate, "slow"), "fast": "fast"}) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, server.url, "slow")
            await gate.reached()
            assert await ask_for_text(server.url, "fast") == "fast"
            gate.release()


async def test_the_script_can_be_extended_while_the_server_runs() -> None:
    async with ModelServer() as server:
        server.will_reply("a", "b")
        server.will_reply("m", when="marked")
        assert [await ask_for_text(server.url, prompt) for prompt in ("x", "marked", "y")] == [
            "a",
            "m",
            "b",
        ]


async def test_other_requests_are_answered_and_kept_apart() -> None:
    async with ModelServer("a") as server, connected(server.url) as client:
        statuses = []
        upgrade = {"connection": "upgrade", "upgrade": "websocket"}
        for method, path, headers in (
            ("GET", "/v1/models?client_version=1", {}),
            ("GET", "/v1/elsewhere", {}),
            ("GET", "/v1/responses", upgrade),
        ):
            await client.send(method, path, headers=headers)
            response = await client.receive()
            assert response is not None
            statuses.append(response.status)
        assert statuses == [200, 404, 426]
        assert server.requests == ()
        assert [request.path for request in server.other_requests] == [
            "/v1/models?client_version=1",
            "/v1/elsewhere",
            "/v1/responses",
        ]


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"{", {}, 400, "the body of the request is no JSON"),
        (b"\x28\xb5\x2f\xfd", {"content-encoding": "zstd"}, 415, "content-encoding zstd"),
    ],
)
async def test_an_unreadable_body_is_refused_and_uses_no_reply(
    body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    async with ModelServer("a") as server:
        async with connected(server.url) as client:
            await client.send("POST", "/v1/responses", body, headers)
            response = await client.receive()
        assert response is not None
        assert response.status == status
        assert message in response.json()["error"]["message"]
        assert server.requests == ()
        assert await ask_for_text(server.url) == "a"


@pytest.mark.parametrize(
    "garbage", [b"garbage\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9", b""]
)
async def test_what_is_no_http_harms_nobody(garbage: bytes) -> None:
    async with ModelServer("a") as server:
        async with connected(server.url) as client:
            await client.stream.send(garbage)
        assert await ask_for_text(server.url) == "a"


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    async with ModelServer("a") as server, connected(server.url) as client:
        body = body_of("x")
        head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        await client.stream.send(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert (await client.stream.receive()).startswith(b"HTTP/1.1 100 ")
        await client.stream.send(body)
        assert (await client.stream.receive()).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_hangs_up_ends_its_reply() -> None:
    ended = anyio.Event()

    async def respond(request: ModelRequest) -> str:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        return "never"

    async with ModelServer([respond, "a"]) as server:
        async with connected(server.url) as client:
            await client.send("POST", "/v1/responses", body_of("x"))
            await server.wait_for_request()
        await ended.wait()
        assert await ask_for_text(server.url) == "a"


async def test_a_client_that_does_not_read_can_be_left() -> None:
    async with ModelServer(Message(*["x" * 1_000_000] * 20)) as server:
        async with connected(server.url) as client:
            await client.send("POST", "/v1/responses", body_of("x"))
            await server.wait_for_request()


@pytest.mark.parametrize("step", [Gate(), Delay(600), Message("a", Gate())])
async def test_leaving_the_server_ends_what_hangs(step: Any) -> None:
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            async with ModelServer(Reply(step)) as server:
                group.start_soon(ask, server.url)
                await server.wait_for_request()


async def test_a_cancelled_server_ends_at_once() -> None:
    with anyio.CancelScope() as scope:
        async with ModelServer(Reply(Gate())) as server, anyio.create_task_group() as group:
            group.start_soon(ask, server.url)
            await server.wait_for_request()
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not await anyio.Path(server.codex_home).exists()


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine")])
async def test_an_error_of_the_body_leaves_as_itself(error: BaseException) -> None:
    with pytest.raises(type(error), match="mine") as caught:
        async with ModelServer():
            raise error
    assert caught.value is error


async def test_an_error_of_the_script_fails_the_turn_and_is_raised_at_the_end() -> None:
    def respond(request: ModelRequest) -> str:
        raise ZeroDivisionError(f"in {request.prompt}")

    with pytest.raises(ZeroDivisionError, match="in hello") as caught:
        async with ModelServer(respond) as server:
            response = await ask(server.url)
            assert response is not None
            assert response.status == 400
            message = b"the script of ModelServer raised ZeroDivisionError: in hello"
            assert response.body == message
            raise RuntimeError("what the program made of it")
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (RunCommand("ls"), CodexError),
        (OutputItem({"type": "x", "data": object()}), TypeError),
        (HttpReply(500, headers={"bad name": "x"}), Exception),
    ],
)
async def test_a_reply_that_cannot_be_sent_is_an_error_of_the_script(
    reply: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with ModelServer([reply, "a"]) as server:
            response = await ask(server.url)
            assert response is not None
            assert response.status == 400
            assert await ask_for_text(server.url) == "a"


async def test_a_server_that_does_not_run_has_no_url() -> None:
    server = ModelServer()
    url, home = lambda: server.url, lambda: server.codex_home
    for use in (url, home, server.codex_options, server.environment):
        with pytest.raises(CodexError, match="not running"):
            use()
    async with server:
        pass
    with pytest.raises(CodexError, match="once"):
        async with server:
            pass


def test_the_options_lead_nowhere_but_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENAI_API_KEY",
        "CODEX_API_KEY",
        "GITHUB_TOKEN",
        "HTTP_PROXY",
        "OPENAI_BASE_URL",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "the-user's-own")
    with BlockingModelServer() as server:
        options = server.codex_options()
        assert server.environment() == {**(options.env or {}), "CODEX_API_KEY": "test-key"}
        assert server.environment() is not server.environment()
        assert (options.base_url, options.api_key) == (server.url, "test-key")
        assert options.config_overrides is None
        env = options.env or {}
        assert env["PATH"] == os.environ["PATH"]
        assert "the-user's-own" not in env.values()
        home, codex_home = Path(env["HOME"]), Path(env["CODEX_HOME"])
        assert codex_home == server.codex_home
        assert [path.name for path in codex_home.iterdir()] == ["config.toml"]
        assert home in codex_home.parents
        assert Path(env["TMPDIR"]).is_dir()
    assert not home.exists()
    assert not Path(env["TMPDIR"]).exists()


async def test_the_options_can_be_changed() -> None:
    async with ModelServer() as server:
        options = server.codex_options(
            env={"MINE": "1"}, config_overrides={"a.b": 1}, unknown_events="keep"
        )
        assert options.env is not None
        assert (options.env["MINE"], options.env["HOME"]) == (
            "1",
            server.codex_options().env["HOME"],
        )  # type: ignore[index]
        assert options.config_overrides == {"a.b": 1}
        assert options.unknown_events == "keep"
        assert server.codex_options(retries=2, config_overrides={"a.b": 1}).config_overrides == {
            "model_providers.codex_sdk.request_max_retries": 2,
            "model_providers.codex_sdk.stream_max_retries": 2,
            "a.b": 1,
        }
        with pytest.raises(TypeError, match="no_such_option"):
            server.codex_options(no_such_option=1)

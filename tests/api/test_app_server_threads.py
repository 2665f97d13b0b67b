"""Threads on an app-server that does what the test says: what no real one does on demand."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import (
    AppServerClosedError,
    AppServerTimeoutError,
    Codex,
    CodexAppServerError,
    CodexError,
    CodexOptions,
    CodexParseError,
    CodexTimeoutError,
    CodexWarning,
    ItemUpdatedEvent,
    Thread,
    ThreadMismatchError,
    ThreadOptions,
    TurnFailedError,
    TurnOptions,
    Usage,
)
from codex_sdk._runtime import app_server_connection
from codex_sdk.testing import ClientRequest, ErrorReply, FakeAppServer

from ..tracing import Tracing, tracing

__all__ = ["tracing"]

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"
OTHER_ID = "01a2b3c4-0000-7000-8000-000000000002"


@pytest.fixture
def options(tmp_path: Path) -> ThreadOptions:
    return ThreadOptions(
        model="m",
        sandbox_mode="read-only",
        working_directory=tmp_path,
        skip_git_repo_check=True,
    )


@asynccontextmanager
async def connected(server: FakeAppServer, **options: Any) -> AsyncIterator[Codex]:
    """Open a client of *server*."""
    made = CodexOptions(backend="app-server", **options)
    async with Codex(made, connect=server.connect) as codex:
        yield codex


def loaded(thread_id: str = THREAD_ID, **changes: Any) -> dict[str, Any]:
    return {
        "thread": {"id": thread_id, "name": None},
        "model": "m",
        "approvalPolicy": "never",
        "sandbox": {"type": "readOnly", "networkAccess": False},
        **changes,
    }


class TurnServer(FakeAppServer):
    """An app-server on which every turn says hello at once."""

    async def run(
        self, *pieces: str, status: str = "completed", thread_id: str = THREAD_ID
    ) -> dict[str, Any]:
        """Tell of a turn from its start to its end, and return the answer to ``turn/start``."""
        of = {"threadId": thread_id, "turnId": "u-1"}
        turn = {"id": "u-1", "status": status, "items": [], "error": None}
        message = {"type": "agentMessage", "id": "i", "text": "".join(pieces)}
        await self.notify("turn/started", {**of, "turn": turn})
        for piece in pieces:
            await self.notify("item/agentMessage/delta", {**of, "itemId": "i", "delta": piece})
        await self.notify("item/completed", {**of, "item": message})
        await self.notify("turn/completed", {**of, "turn": turn})
        return {"turn": turn}

    async def unload(self, request: ClientRequest) -> None:
        """Unload a thread, as a server does that delays it by nothing."""
        await request.reply({"status": "unsubscribed"})
        await self.notify("thread/closed", {"threadId": request.params["threadId"]})

    def says(self, *pieces: str) -> Callable[[ClientRequest], Awaitable[Any]]:
        """Return a reply to ``turn/start``."""
        return lambda request: self.run(*pieces, thread_id=request.params["threadId"])


def a_server(**replies: Any) -> TurnServer:
    """Return a server that knows how to start threads and to run turns, and what else is said."""
    server = TurnServer()
    server.on("config/read", {"config": {}})
    server.on("thread/start", loaded())
    server.on("thread/resume", lambda request: loaded(request.params["threadId"]))
    server.on("thread/unsubscribe", server.unload)
    server.on("thread/backgroundTerminals/clean", {})
    server.on("turn/start", server.says("Hello"))
    for method, reply in replies.items():
        server.on(method.replace("_", "/", 1), reply)
    return server


def asked_of(server: FakeAppServer, method: str) -> list[Any]:
    return [request.params for request in server.requests if request.method == method]


async def test_a_thread_is_started_once_and_each_turn_is_one_request(
    options: ThreadOptions,
) -> None:
    async with a_server() as server, connected(server) as codex:
        thread = codex.start_thread(options)
        for _ in range(3):
            assert (await thread.run("hi")).final_response == "Hello"
        assert thread.id == THREAD_ID
        methods = [request.method for request in server.requests]
        assert methods == [
            "initialize",
            "config/read",
            "thread/start",
            *["turn/start"] * 3,
        ]
        assert server.requests[0].params["capabilities"]["experimentalApi"] is True
        assert asked_of(server, "turn/start")[0] == {
            "threadId": THREAD_ID,
            "input": [{"type": "text", "text": "hi"}],
        }


async def test_nothing_is_started_before_the_first_turn(options: ThreadOptions) -> None:
    async with a_server() as server, connected(server) as codex:
        codex.start_thread(options)
        await anyio.wait_all_tasks_blocked()
        assert server.connections == 0
        await codex.start_thread(options).run("hi")
        assert server.connections == 1


async def test_a_server_that_does_not_answer_is_given_up(
    options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_server_connection, "_HANDSHAKE_BOUND", 0.05)
    async with a_server(initialize=lambda _: anyio.sleep_forever()) as server:
        async with connected(server) as codex:
            with pytest.raises(AppServerTimeoutError, match=r"initialize within 0\.05 seconds"):
                await codex.start_thread(options).run("hi")
    monkeypatch.undo()
    monkeypatch.setattr(app_server_connection, "_ANSWER_BOUND", 0.05)
    monkeypatch.setattr(app_server_connection, "_ANSWERED_AT_ONCE", {"turn/start"})
    async with a_server(**{"turn/start": lambda _: anyio.sleep_forever()}) as server:
        async with connected(server) as codex:
            with pytest.raises(AppServerTimeoutError, match=r"turn/start within 0\.05 seconds"):
                await codex.start_thread(options).run("hi")


async def test_a_first_turn_that_is_cancelled_does_not_end_the_others(
    options: ThreadOptions,
) -> None:
    async with a_server() as server:
        server.on("initialize", lambda request: _slowly(request, 0.2))
        async with connected(server) as codex, anyio.create_task_group() as task_group:

            async def hasty() -> None:
                with pytest.raises(CodexTimeoutError):
                    await codex.start_thread(options).run("hi", TurnOptions(timeout=0.05))

            async def patient() -> None:
                assert (await codex.start_thread(options).run("hi")).final_response == "Hello"

            task_group.start_soon(hasty)
            task_group.start_soon(patient)


async def _slowly(request: ClientRequest, seconds: float) -> Any:
    await anyio.sleep(seconds)
    return {"userAgent": "x/0.163.0 (y)", "codexHome": "/nowhere"}


@pytest.mark.parametrize(
    "weaker",
    [
        {"sandbox": {"type": "workspaceWrite"}},
        {"sandbox": {"type": "dangerFullAccess"}},
        {"approvalPolicy": "on-request"},
    ],
    ids=str,
)
async def test_a_thread_with_less_safety_than_asked_for_runs_no_turn(
    options: ThreadOptions, weaker: dict[str, Any]
) -> None:
    server = a_server(thread_start=loaded(**weaker))
    async with server, connected(server) as codex:
        for _ in range(2):  # not the second time either
            with pytest.raises(CodexError, match="not used"):
                await codex.start_thread(options).run("hi")
        assert asked_of(server, "turn/start") == []
        assert asked_of(server, "thread/unsubscribe") == [{"threadId": THREAD_ID}] * 2


async def test_another_model_is_warned_of(options: ThreadOptions) -> None:
    server = a_server(thread_start=loaded(model="another"))
    async with server, connected(server) as codex:
        with pytest.warns(CodexWarning, match="'another', not with 'm'"):
            await codex.start_thread(options).run("hi")


async def test_another_thread_than_the_one_to_resume_is_an_error(options: ThreadOptions) -> None:
    server = a_server(thread_resume=loaded(OTHER_ID))
    async with server, connected(server) as codex:
        with pytest.raises(ThreadMismatchError) as caught:
            await codex.resume_thread(THREAD_ID, options).run("hi")
        assert (caught.value.requested, caught.value.actual) == (THREAD_ID, OTHER_ID)
        assert asked_of(server, "turn/start") == []


async def test_a_thread_in_other_words_is_the_same_thread(options: ThreadOptions) -> None:
    server = a_server(thread_resume=loaded(THREAD_ID))
    async with server, connected(server) as codex:
        thread = codex.resume_thread(THREAD_ID.upper(), options)
        await thread.run("hi")
        assert thread.id == THREAD_ID


async def test_another_handle_with_other_options_has_the_thread_loaded_again(
    options: ThreadOptions,
) -> None:
    async with a_server() as server, connected(server) as codex:
        thread = codex.start_thread(options)
        await thread.run("hi")
        await codex.resume_thread(THREAD_ID, options).run("the same options")
        assert asked_of(server, "thread/resume") == []
        changed = attrs.evolve(options, model="n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CodexWarning)
            await codex.resume_thread(THREAD_ID, changed).run("others")
        await thread.run("and back")
        methods = [request.method for request in server.requests][5:]
        again = ["config/read", "thread/unsubscribe", "thread/resume", "turn/start"]
        assert methods == again * 2
        assert [params["model"] for params in asked_of(server, "thread/resume")] == ["n", "m"]


@pytest.mark.parametrize("answer", [None, [], {}, {"thread": None}, {"thread": {"id": 7}}])
@pytest.mark.parametrize("method", ["thread/start", "thread/resume"])
async def test_an_answer_that_names_no_thread_is_an_error_with_the_answer(
    options: ThreadOptions, method: str, answer: Any
) -> None:
    async with a_server(**{method: answer}) as server, connected(server) as codex:
        begun = method == "thread/resume"
        thread = codex.resume_thread(THREAD_ID, options) if begun else codex.start_thread(options)
        with pytest.raises(
            CodexParseError, match=rf"answer to {method} has no thread\.id"
        ) as caught:
            await thread.run("hello")
        assert json.dumps(answer) in str(caught.value)


@pytest.mark.parametrize("answer", [None, [], {}, {"config": "none"}])
async def test_an_answer_that_is_no_configuration_is_an_error(
    options: ThreadOptions, answer: Any
) -> None:
    async with a_server(**{"config/read": answer}) as server, connected(server) as codex:
        with pytest.raises(CodexParseError, match="answer to config/read has no config"):
            await codex.start_thread(options).run("hello")


@pytest.mark.parametrize("sandbox", [None, "readOnly", []])
async def test_a_sandbox_that_is_none_is_not_the_one_that_was_asked_for(
    options: ThreadOptions, sandbox: Any
) -> None:
    async with a_server(**{"thread/start": loaded(sandbox=sandbox)}) as server:
        async with connected(server) as codex:
            with pytest.raises(CodexError, match="weaker sandbox"):
                await codex.start_thread(options).run("hello")


async def test_a_thread_that_the_server_has_closed_is_resumed(options: ThreadOptions) -> None:
    async with a_server() as server, connected(server) as codex:
        thread = codex.start_thread(options)
        await thread.run("hi")
        await server.notify("thread/closed", {"threadId": THREAD_ID})
        await anyio.wait_all_tasks_blocked()
        await thread.run("again")
        assert len(asked_of(server, "thread/resume")) == 1


async def test_refusals_say_what_to_do(options: ThreadOptions) -> None:
    refusal = ErrorReply("thread-store conflict: thread x already has an active writer", -32600)
    server = a_server(thread_resume=refusal)
    async with server, connected(server) as codex:
        with pytest.raises(CodexAppServerError, match="another process has loaded this thread"):
            await codex.resume_thread(THREAD_ID, options).run("hi")


async def test_what_is_refused_here_never_reaches_the_server(
    options: ThreadOptions, tmp_path: Path
) -> None:
    image = {"type": "local_image", "path": str(tmp_path / "nowhere.png")}
    async with a_server() as server, connected(server) as codex:
        thread = codex.start_thread(options)
        for given in ("  ", "\ud800", [image, {"type": "text", "text": "hi"}]):
            with pytest.raises(CodexError):
                await thread.run(given)  # type: ignore[arg-type]
        with pytest.raises(CodexError, match="mapping"):
            await thread.run("hi", TurnOptions(output_schema=[]))  # type: ignore[arg-type]
        assert server.connections == 0


async def test_usage_of_a_resumed_thread_is_told_by_its_first_turn(
    options: ThreadOptions,
) -> None:
    def counts(tokens: int) -> dict[str, int]:
        return {"inputTokens": tokens, "cachedInputTokens": 0, "outputTokens": tokens}

    async def reply(request: ClientRequest) -> Any:
        of = {"threadId": THREAD_ID, "turnId": "u-1"}
        for total in (110, 130):
            told = {"total": counts(total), "last": counts(10 if total == 110 else 20)}
            await server.notify("thread/tokenUsage/updated", {**of, "tokenUsage": told})
        return await server.run("Hello")

    server = a_server(turn_start=reply)
    async with server, connected(server) as codex:
        turn = await codex.resume_thread(THREAD_ID, options).run("hi")
    assert turn.usage == Usage(130, 0, 130)
    assert turn.turn_usage == Usage(30, 0, 30)


async def test_a_thousand_pieces_are_one_text(options: ThreadOptions) -> None:
    pieces = [f"{number} " for number in range(1_000)]
    server = a_server()
    server.on("turn/start", server.says(*pieces))
    async with server, connected(server) as codex:
        async with codex.start_thread(options).stream("hi") as stream:
            events = [event async for event in stream]
            turn = await stream.turn()
    updates = [event for event in events if isinstance(event, ItemUpdatedEvent)]
    assert "".join(event.delta or "" for event in updates) == "".join(pieces)
    assert updates[-1].item.to_dict()["text"] == turn.final_response == "".join(pieces)


async def test_a_malformed_notification_is_a_parse_error_and_ends_the_turn(
    options: ThreadOptions,
) -> None:
    async def reply(request: ClientRequest) -> Any:
        of = {"threadId": THREAD_ID, "turnId": "u-1"}
        await server.notify("turn/started", {**of, "turn": {"id": "u-1"}})
        await server.notify("item/completed", {**of, "item": {"type": "agentMessage", "id": 7}})
        return {"turn": {"id": "u-1"}}

    async def interrupt(request: ClientRequest) -> Any:
        await server.run(status="interrupted")
        return {}

    server = a_server(turn_start=reply, turn_interrupt=interrupt)
    async with server, connected(server) as codex:
        with pytest.raises(CodexParseError, match="malformed item/completed"):
            await codex.start_thread(options).run("hi")
        assert len(asked_of(server, "turn/interrupt")) == 1


async def test_a_time_limit_does_not_reach_beyond_the_turns_end(options: ThreadOptions) -> None:
    async with a_server() as server, connected(server) as codex:
        thread = codex.start_thread(options)
        await thread.run("hi")  # so that the limit is not for connecting too
        async with thread.stream("hi", TurnOptions(timeout=1.0)) as stream:
            await anyio.sleep(1.3)  # a slow reader of a turn that was over in time
            assert (await stream.turn()).final_response == "Hello"


async def test_warnings_of_the_thread_are_items_of_its_turn(options: ThreadOptions) -> None:
    async def reply(request: ClientRequest) -> Any:
        await server.notify("warning", {"threadId": THREAD_ID, "message": "Beware"})
        await server.notify("warning", {"threadId": OTHER_ID, "message": "not yours"})
        return await server.run("Hello")

    server = a_server(turn_start=reply)
    async with server, connected(server) as codex:
        turn = await codex.start_thread(options).run("hi")
    assert [item.message for item in turn.errors()] == ["Beware"]


async def test_a_warning_at_the_very_end_is_not_too_late(options: ThreadOptions) -> None:
    warning = {"method": "warning", "params": {"threadId": THREAD_ID, "message": "Beware"}}
    turn = {"id": "u-1", "status": "completed", "items": []}
    end = {"method": "turn/completed", "params": {"threadId": THREAD_ID, "turn": turn}}

    async def reply(request: ClientRequest) -> Any:
        await request.reply({"turn": turn})
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in (warning, end))
        await server.send_raw(lines)  # in one piece

    server = a_server(turn_start=reply)
    async with server, connected(server) as codex:
        turn_of_thread = await codex.start_thread(options).run("hi")
    assert [item.message for item in turn_of_thread.errors()] == ["Beware"]


async def test_a_server_that_hangs_up_fails_its_turn_and_is_replaced(
    options: ThreadOptions,
) -> None:
    async def hang_up(request: ClientRequest) -> None:
        await request.reply({"turn": {"id": "u-1"}})
        server.on("turn/start", server.says("I am back."))
        server.hang_up(exit_code=3, stderr="out of memory")

    server = a_server(turn_start=hang_up)
    async with server, connected(server) as codex:
        thread = codex.start_thread(options)
        with pytest.raises(AppServerClosedError, match="out of memory") as caught:
            await thread.run("hi")
        assert caught.value.exit_code == 3
        assert (await thread.run("again")).final_response == "I am back."
        assert server.connections == 2
        # What the first server had not stored cannot be resumed, and begins anew.
        assert len(asked_of(server, "thread/start")) == 2
        assert asked_of(server, "thread/resume") == []


async def test_the_interrupted_turn_is_the_one_that_runs(options: ThreadOptions) -> None:
    async def start(request: ClientRequest) -> Any:
        turn = {"id": "u-1", "status": "inProgress"}
        await server.notify("turn/started", {"threadId": THREAD_ID, "turn": turn})
        return {"turn": turn}

    async def interrupt(request: ClientRequest) -> Any:
        assert request.params == {"threadId": THREAD_ID, "turnId": "u-1"}
        await server.run(status="interrupted")
        return {}

    server = a_server(turn_start=start, turn_interrupt=interrupt)
    async with server, connected(server) as codex:
        thread = codex.start_thread(options)
        async with thread.stream("hi") as stream:
            await anext(stream)
            await thread.interrupt()
            with pytest.raises(TurnFailedError, match="interrupted"):
                await stream.turn()
            with pytest.raises(CodexError, match="runs no turn"):
                await thread.interrupt()


async def test_the_settings_of_the_client_are_those_of_the_server_not_of_its_threads(
    options: ThreadOptions,
) -> None:
    async with a_server() as server, connected(server, config_overrides={"a.b": 1}) as codex:
        await codex.start_thread(options).run("hi")
        assert "config" not in asked_of(server, "thread/start")[0]


async def test_spans_say_which_backend_it_was(options: ThreadOptions, tracing: Tracing) -> None:
    async with a_server() as server, connected(server) as codex:
        await codex.start_thread(options).run("hi")
    attributes = dict(tracing.the("codex_sdk.thread.turn").attributes or {})
    assert attributes["transport"] == "app-server"
    assert attributes["thread_id"] == THREAD_ID


async def test_exec_users_load_nothing_of_the_app_server() -> None:
    code = (
        "import sys, codex_sdk; codex_sdk.Codex().start_thread(); "
        "print([n for n in sys.modules if 'codex_sdk' in n and ('app_server' in n or 'protocol' in n)])"
    )
    done = await anyio.run_process([sys.executable, "-c", code], env=dict(os.environ))
    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("steps", range(6))
async def test_a_reader_that_asyncio_cancels_loses_no_event(
    options: ThreadOptions, steps: int
) -> None:
    of = {"threadId": THREAD_ID, "turnId": "u-1"}
    turn = {"id": "u-1", "status": "completed", "items": [], "error": None}
    server = a_server(turn_start={"turn": turn})
    types: list[str] = []

    async def read() -> None:
        async for event in stream:
            types.append(event.type)  # noqa: PERF401 - the call is cancelled

    async with server, connected(server) as codex:
        async with codex.start_thread(options).stream("hi") as stream:
            await server.notify("turn/started", {**of, "turn": turn})
            reading = asyncio.create_task(read())
            while types != ["thread.started", "turn.started"]:
                await checkpoint()
            message = {"type": "agentMessage", "id": "i", "text": "Hello"}
            await server.notify("item/completed", {**of, "item": message})
            for _ in range(steps):
                await checkpoint()
            reading.cancel()
            await asyncio.wait([reading])
            await server.notify("turn/completed", {**of, "turn": turn})
            await read()
    assert types == ["thread.started", "turn.started", "item.completed", "turn.completed"]


async def test_a_turn_that_waits_for_the_server_when_the_client_is_closed_is_refused(
    options: ThreadOptions,
) -> None:
    server = a_server()
    begun = anyio.Event()

    @asynccontextmanager
    async def slowly() -> AsyncIterator[Any]:
        begun.set()
        await anyio.sleep_forever()
        yield

    outcomes: list[str] = []

    async def run(thread: Thread) -> None:
        with pytest.raises(CodexError, match="was closed before") as caught:
            await thread.run("hi")
        outcomes.append(str(caught.value))

    with anyio.fail_after(10):
        async with server, anyio.create_task_group() as task_group:
            made = CodexOptions(backend="app-server")
            async with Codex(made, connect=slowly) as codex:
                for _ in range(2):
                    task_group.start_soon(run, codex.start_thread(options))
                await begun.wait()
    assert len(outcomes) == 2

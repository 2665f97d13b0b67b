"""Threads on one app-server of the real CLI: the same as on ``codex exec``, and what exec cannot do."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from codex_sdk import (
    AbortController,
    AppServerClosedError,
    Codex,
    CodexAbortError,
    CodexAppServerError,
    CodexError,
    CodexTimeoutError,
    CodexWarning,
    ItemStartedEvent,
    ItemUpdatedEvent,
    Thread,
    ThreadEvent,
    ThreadHooks,
    ThreadOptions,
    TurnFailedError,
    TurnOptions,
)
from codex_sdk._runtime import loaded_threads
from codex_sdk.app_server.approvals import ApprovalDecisions, RequestHandlers
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    CallMcpTool,
    Cut,
    Failed,
    FunctionCall,
    Gate,
    HttpReply,
    Message,
    ModelRequest,
    ModelServer,
    OutputItem,
    Reasoning,
    Reply,
    RunCommand,
    WebSearch,
)

from ..survivors import litter
from ..testing import mcp_server
from .conftest import MakeCodex, Survivors
from .test_options import CHOICES, NASTY
from .test_turns import PNG

Connect = Callable[..., AbstractAsyncContextManager[Codex]]


@pytest.fixture
def connect(make_codex: MakeCodex) -> Connect:
    """Return the function that opens a client with an app-server of the CLI under test."""

    @asynccontextmanager
    async def connected(
        server: ModelServer, clients: dict[str, Any] | None = None, **changes: Any
    ) -> AsyncIterator[Codex]:
        made = make_codex(server, backend="app-server", **changes)
        async with Codex(made.options, **clients or {}) as codex:
            yield codex

    return connected


@pytest.fixture
def commands(processes: Survivors) -> Survivors:
    """Return the function that lists the test's living processes but the server and its own helpers."""
    own = (" app-server", "__codex_snapshot")

    def others() -> list[str]:
        return [line for line in processes() if not any(name in line for name in own)]

    return others


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do: nothing announces it."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


# The same on both backends

PLAN = [{"step": "one", "status": "completed"}, {"step": "two", "status": "in_progress"}]
TURNS: dict[str, list[Any]] = {
    "everything": [
        Reply(Reasoning("**Looking**\n\nat it"), RunCommand("echo hello; exit 3")),
        Reply(Message("mid", "dle"), FunctionCall("update_plan", {"plan": PLAN[1:]})),
        Reply(ApplyPatch(AddFile("new.txt", "new\n"))),
        Reply(FunctionCall("update_plan", {"plan": PLAN})),
        Reply(CallMcpTool("tiny", "add", {"a": 1, "b": 2})),
        Reply(WebSearch("weather"), RunCommand("true")),
        Reply(Message("All ", "done.")),
    ],
    "a refusal": [HttpReply(400, "no")],
    "a failure": [Failed("context_length_exceeded", "too long")],
    "a second try": [Reply(Message("a"), Cut()), "fine"],
    "silence": [Reply()],
    "no summary": [
        Reply(OutputItem({"type": "reasoning", "id": "rs_1", "summary": []}), Message("ok"))
    ],
}


@pytest.mark.parametrize("name", TURNS)
async def test_a_turn_gives_the_same_on_both_backends(
    make_codex: MakeCodex, options: ThreadOptions, workspace: Path, legacy: bool, name: str
) -> None:
    told = {}
    for backend in ("exec", "app-server"):
        async with ModelServer(TURNS[name]) as server:
            configure(server, legacy)
            overrides = {"model_providers.codex_sdk.stream_max_retries": 1}
            made = make_codex(server, backend=backend, config_overrides=overrides)
            async with made as codex:
                told[backend] = await all_events(codex.start_thread(options))
        (workspace / "new.txt").unlink(missing_ok=True)
    same = [event for event in told["app-server"] if not is_only_of_app_server(event, legacy)]
    assert list(map(plain, same)) == list(map(plain, told["exec"]))


def configure(server: ModelServer, legacy: bool) -> None:
    """Give the CLI a tool server, and the model a tool for plans."""
    program = Path(mcp_server.__file__)
    lines = [
        "[mcp_servers.tiny]",
        f"command = {json.dumps(sys.executable)}",
        f"args = [{json.dumps(str(program))}]",
        ""
        if legacy
        else 'default_tools_approval_mode = "approve"\n[tools.update_plan]\nenabled = true',
    ]
    with (server.codex_home / "config.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", *lines, ""]))


async def all_events(thread: Thread) -> list[ThreadEvent]:
    async with thread.stream("Do it") as stream:
        return [event async for event in stream]


def is_only_of_app_server(event: ThreadEvent, legacy: bool) -> bool:
    if isinstance(event, ItemStartedEvent) and legacy:
        return event.item.type in ("file_change", "web_search")
    return isinstance(event, ItemUpdatedEvent) and event.delta is not None


def plain(event: ThreadEvent) -> dict[str, Any]:
    """Return an event without what differs from one turn to the next."""
    data = event.to_dict()
    data.pop("thread_id", None)
    if "item" in data:
        del data["item"]["id"]
    return data


async def test_texts_come_piece_by_piece_and_whole(
    connect: Connect, options: ThreadOptions
) -> None:
    pieces = ["Once ", "upon ", "a ", "time."]
    async with ModelServer([Message(*pieces)]) as server, connect(server) as codex:
        events = await all_events(codex.start_thread(options))
    updates = [event for event in events if isinstance(event, ItemUpdatedEvent)]
    assert [event.delta for event in updates] == pieces
    so_far = [event.item.text for event in updates if event.item.type == "agent_message"]
    assert so_far == ["".join(pieces[: number + 1]) for number in range(len(pieces))]


async def test_later_turns_know_of_earlier_ones_and_count_their_own_tokens(
    connect: Connect, options: ThreadOptions, legacy: bool
) -> None:
    async with ModelServer(lambda request: "ok") as server:
        async with connect(server) as codex:
            thread = codex.start_thread(options)
            first = await thread.run("The first prompt")
            second = await thread.run("The second prompt")
            assert thread.id is not None
        async with connect(server) as codex:
            third = await codex.resume_thread(thread.id, options).run("The third prompt")
            last = await codex.resume_last_thread(options).run("The fourth prompt")
        assert "The first prompt" in server.requests[-1].user_texts()
        assert server.requests[-1].prompt == "The fourth prompt"
    assert first.usage == first.turn_usage == second.turn_usage
    assert second.usage is not None
    assert second.usage.input_tokens == 20
    assert third.turn_usage == (None if legacy else first.usage)
    assert last.final_response == "ok"


@pytest.mark.parametrize("delay", [None, 600])
async def test_threads_that_were_unloaded_for_others_go_on_where_they_were(
    connect: Connect, options: ThreadOptions, monkeypatch: pytest.MonkeyPatch, delay: int | None
) -> None:
    monkeypatch.setattr(loaded_threads, "_KEPT_LOADED", 1)
    overrides = {} if delay is None else {"thread_unload_delay_secs": delay}
    async with ModelServer(lambda request: "ok") as server:
        async with connect(server, config_overrides=overrides) as codex:
            threads = [codex.start_thread(options) for _ in range(3)]
            for turn in range(3):
                for number, thread in enumerate(threads):
                    await thread.run(f"{number}.{turn}")
    prompts = [request.user_texts() for request in server.requests[-3:]]
    for number, texts in enumerate(prompts):
        assert [text for text in texts if text[1:2] == "."] == [
            f"{number}.{turn}" for turn in range(3)
        ]


class Answer(BaseModel):
    """What the model is asked for."""

    number: int


async def test_every_way_to_run_a_turn_works(
    connect: Connect, options: ThreadOptions, tmp_path: Path
) -> None:
    (tmp_path / "one,two.png").write_bytes(PNG)
    seen: list[str] = []
    hooks = ThreadHooks(on_event=lambda event: seen.append(event.type))
    schema = Answer.model_json_schema()
    async with ModelServer(lambda request: '{"number": 7}') as server, connect(server) as codex:
        thread = codex.start_thread(options)
        assert (await thread.run_json("hi", output_schema=schema)).output == {"number": 7}
        assert server.requests[-1].output_schema == schema
        assert (await thread.run_pydantic("hi", output_model=Answer)).output == Answer(number=7)
        assert (await thread.run_typed("hi", output_type=Answer)).output == Answer(number=7)
        await thread.run_with_hooks("hi", hooks=hooks)
        assert seen[0] == "thread.started"
        assert seen[-1] == "turn.completed"
        streamed = await thread.run_streamed("hi")
        assert [event.type async for event in streamed.events][-1] == "turn.completed"
        image = {"type": "local_image", "path": tmp_path / "one,two.png"}
        await thread.run([image, {"type": "text", "text": "Look"}])  # type: ignore[list-item]
        assert len(server.requests[-1].images()) == 1
        assert server.requests[-1].prompt == "Look"
        assert server.requests[-1].output_schema is None


def test_synchronous_helpers_have_a_server_of_their_own(
    make_codex: MakeCodex, options: ThreadOptions, processes: Survivors
) -> None:
    from codex_sdk.testing import BlockingModelServer

    with BlockingModelServer(lambda request: "ok") as server:
        thread = make_codex(server, backend="app-server").start_thread(options)  # type: ignore[arg-type]
        assert thread.run_sync("The first prompt").final_response == "ok"
        assert processes() == []
        assert thread.run_sync("The second prompt").final_response == "ok"
        assert "The first prompt" in server.requests[-1].user_texts()


async def test_outside_a_block_it_is_said_what_to_do(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer() as server:
        codex = make_codex(server, backend="app-server")
        with pytest.raises(CodexError, match="async with Codex"):
            await codex.start_thread(options).run("hi")
        async with codex:
            pass
        with pytest.raises(CodexError, match="async with Codex"):
            await codex.start_thread(options).run("hi")


async def test_turns_of_fifty_threads_run_at_once_on_one_connection(
    connect: Connect, options: ThreadOptions, processes: Survivors
) -> None:
    count = 50
    answers: dict[str, str] = {}
    arrived = anyio.Event()
    waiting = 0

    async def reply(request: ModelRequest) -> str:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            arrived.set()
        await arrived.wait()  # all at the same time, or never
        return f"You said {request.prompt}"

    async with ModelServer(reply) as server, connect(server) as codex:

        async def run(prompt: str) -> None:
            answers[prompt] = (await codex.start_thread(options).run(prompt)).final_response

        async with anyio.create_task_group() as task_group:
            for number in range(count):
                task_group.start_soon(run, f"number {number}")
        assert sum("app-server" in line for line in processes()) == 1
    assert answers == {f"number {n}": f"You said number {n}" for n in range(count)}


# The same errors


async def test_a_thread_runs_one_turn_at_a_time(connect: Connect, options: ThreadOptions) -> None:
    gate = Gate()
    async with ModelServer([Reply(gate, Message("ok"))]) as server, connect(server) as codex:
        thread = codex.start_thread(options)
        async with thread.stream("go") as stream:
            await anext(stream)
            assert thread.id is not None
            again = codex.resume_thread(thread.id, options)
            for other in (thread, again):
                with pytest.raises(CodexError, match="already runs a turn"):
                    await other.run("me too")
            gate.release()
            assert (await stream.turn()).final_response == "ok"


async def test_a_thread_that_does_not_exist_is_never_a_new_one(
    connect: Connect, options: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "new") as server, connect(server) as codex:
        with pytest.raises(CodexAppServerError, match="there is no thread of that id"):
            await codex.resume_thread("01a2b3c4-0000-7000-8000-000000000001", options).run("hi")
        with pytest.raises(CodexAppServerError):
            await codex.resume_thread("no-such-name", options).run("hi")


async def test_a_thread_goes_on_after_a_failed_turn(
    connect: Connect, options: ThreadOptions
) -> None:
    async with ModelServer([HttpReply(400, "no"), "better"]) as server, connect(server) as codex:
        thread = codex.start_thread(options)
        with pytest.raises(TurnFailedError, match="no") as caught:
            await thread.run("hi")
        assert caught.value.error is not None
        assert (await thread.run("again")).final_response == "better"


async def test_a_prompt_that_is_too_long_is_refused_in_plain_words(
    connect: Connect, options: ThreadOptions, legacy: bool
) -> None:
    prompt = "x" * 1_048_577
    async with ModelServer(["ok"]) as server, connect(server) as codex:
        thread = codex.start_thread(options)
        if legacy:
            assert (await thread.run(prompt)).final_response == "ok"
        else:
            with pytest.raises(CodexError, match=r"1048577 characters.* 1048576 at most"):
                await thread.run(prompt)
            assert (await thread.run(prompt[:-1])).final_response == "ok"


async def test_a_working_directory_is_checked_as_exec_checks_it(
    connect: Connect, options: ThreadOptions, workspace: Path
) -> None:
    async with ModelServer(lambda request: "ok") as server, connect(server) as codex:
        outside = attrs.evolve(options, skip_git_repo_check=None, working_directory="/var/tmp")
        with pytest.raises(CodexError, match=r"ThreadOptions\(skip_git_repo_check=True\)"):
            await codex.start_thread(outside).run("hi")
        await anyio.run_process(["git", "init", "--quiet", str(workspace)])
        inside = attrs.evolve(options, skip_git_repo_check=None)
        assert (await codex.start_thread(inside).run("hi")).final_response == "ok"
        nowhere = attrs.evolve(options, working_directory=workspace / "nowhere")
        with pytest.raises(CodexError, match="not there"):
            await codex.start_thread(nowhere).run("hi")


# Options


@pytest.fixture
def known(options: ThreadOptions, legacy: bool) -> ThreadOptions:
    """Return options with a model that the CLI under test knows."""
    return attrs.evolve(options, model="gpt-5-codex" if legacy else "gpt-5.5")


async def test_options_take_effect(
    connect: Connect, known: ThreadOptions, workspace: Path, legacy: bool
) -> None:
    (workspace / "rules.md").write_text("Speak like a pirate.", encoding="utf-8")
    wanted = attrs.evolve(
        known,
        sandbox_mode="read-only",
        model_reasoning_effort="low",
        model_instructions_file="rules.md",
        web_search_mode="live",
        config_overrides={"developer_instructions": 'Be "brief".'},
    )
    async with ModelServer(["ok", "ok"]) as server, connect(server) as codex:
        await codex.start_thread(wanted).run("hi")
        await codex.start_thread(known).run("hi")
        request, plain_request = server.requests
    assert request.model == known.model
    assert request.json["reasoning"]["effort"] == "low"
    assert request.instructions == "Speak like a pirate."
    assert 'Be "brief".' in request.developer_texts()
    searches = [tool for _, tool in request.tools() if tool["type"] == "web_search"]
    assert [tool["external_web_access"] for tool in searches] == [True]
    assert "Speak like a pirate." not in plain_request.instructions
    assert request.headers["authorization"] == "Bearer test-key"


@pytest.mark.parametrize("choice", CHOICES, ids=str)
async def test_the_cli_has_no_complaint_about_any_option(
    connect: Connect, known: ThreadOptions, choice: dict[str, Any], anyio_backend_name: str
) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("what an option does to the CLI has nothing to do with our event loop")
    async with ModelServer(["ok"]) as server, connect(server) as codex:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CodexWarning)
            turn = await codex.start_thread(attrs.evolve(known, **choice)).run("hi")
    assert turn.errors() == []


async def test_config_overrides_of_any_characters_arrive_as_they_were(
    connect: Connect, known: ThreadOptions
) -> None:
    text = "|".join([*NASTY, "nul \0 nul"])
    variables = {name: name for name in ("a.b c", "é", "'")}
    overrides = {
        "developer_instructions": text,
        "shell_environment_policy": {"set": variables},
    }
    options = attrs.evolve(known, config_overrides=overrides)
    script = [RunCommand("env -0 | tr '\\0' '\\n'"), "ok"]
    async with ModelServer(script) as server, connect(server) as codex:
        turn = await codex.start_thread(options).run("hi")
    assert text in server.requests[0].developer_texts()
    printed = "".join(item.aggregated_output for item in turn.commands()).splitlines()
    assert {f"{name}={name}" for name in variables} <= {*printed}


async def test_what_only_exec_can_do_is_warned_of(
    connect: Connect, options: ThreadOptions, legacy: bool
) -> None:
    options = attrs.evolve(options, exec_policy_enabled=False)
    async with ModelServer(["ok"]) as server, connect(server) as codex:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            await codex.start_thread(options).run("hi")
    assert [warning.category for warning in caught] == [CodexWarning] * (not legacy)


def writing(*places: Path) -> list[Any]:
    """Have the model write to several places, and then say so."""
    return [RunCommand("; ".join(f"touch {place}" for place in places) + "; true"), "tried"]


async def test_the_sandbox_lets_the_agent_write_where_it_may(
    connect: Connect, options: ThreadOptions, workspace: Path
) -> None:
    # Not below /tmp, which the sandbox lets everybody write to.
    with TemporaryDirectory(dir="/var/tmp") as folder:
        places = {name: Path(folder, name) for name in "abc"}
        for place in places.values():
            place.mkdir()
        files = [place / "file" for place in places.values()]
        options = attrs.evolve(
            options,
            sandbox_mode="workspace-write",
            working_directory=places["a"],
            additional_directories=[Path("..", places["b"].name)],
        )
        async with ModelServer(writing(*files)) as server, connect(server) as codex:
            await codex.start_thread(options).run("go")
        assert [file.exists() for file in files] == [True, True, False]
        assert list(litter(places["a"])) == []


async def test_the_users_configuration_is_left_alone(
    connect: Connect, options: ThreadOptions, workspace: Path
) -> None:
    await anyio.run_process(["git", "init", "--quiet", str(workspace)])
    async with ModelServer(lambda request: "ok") as server:
        config = server.codex_home / "config.toml"
        before = config.read_text(encoding="utf-8")
        async with connect(server) as codex:
            for mode in ("workspace-write", "danger-full-access", "read-only", None):
                thread = codex.start_thread(attrs.evolve(options, sandbox_mode=mode))
                await thread.run("hi")
        assert config.read_text(encoding="utf-8") == before
        assert not (server.codex_home / "auth.json").exists()


async def test_a_resumed_thread_runs_with_the_options_that_it_is_resumed_with(
    connect: Connect, known: ThreadOptions, workspace: Path, legacy: bool
) -> None:
    other = attrs.evolve(
        known,
        sandbox_mode=None,
        model="gpt-5.2" if legacy else "gpt-5.4",
        working_directory=workspace.parent,
    )
    loose = attrs.evolve(known, model_reasoning_effort="low")

    def model(request: ModelRequest) -> Any:
        last = request.function_outputs()
        return RunCommand("touch written") if "write" in request.prompt and not last else "ok"

    file, other_file = workspace / "written", workspace.parent / "written"
    async with ModelServer(model) as server:
        async with connect(server) as codex:
            thread = codex.start_thread(loose)
            await thread.run("one")
            assert thread.id is not None
            # on the same connection, where the server has loaded it with other options
            await codex.resume_thread(thread.id, other).run("write")
            assert not file.exists()
            assert not other_file.exists()
            request = server.requests[-1]
            assert request.model == other.model
            assert request.json["reasoning"].get("effort") != "low"
            await codex.resume_thread(thread.id, attrs.evolve(known, model=None)).run("three")
            assert server.requests[-1].model not in (other.model, loose.model)


async def test_a_thread_whose_turn_has_failed_goes_on_with_other_options(
    connect: Connect, known: ThreadOptions, workspace: Path, legacy: bool
) -> None:
    other = attrs.evolve(known, sandbox_mode="read-only", model_reasoning_effort="low")
    file = workspace / "written"
    async with ModelServer([HttpReply(400, "no"), *writing(file), "ok"]) as server:
        async with connect(server) as codex:
            thread = codex.start_thread(known)
            with pytest.raises(TurnFailedError):
                await thread.run("one")
            assert thread.id is not None
            await codex.resume_thread(thread.id, other).run("two")
            assert server.requests[-1].json["reasoning"]["effort"] == "low"
            assert not file.exists()
            await codex.resume_thread(thread.id, known).run("three")
            assert server.requests[-1].json["reasoning"].get("effort") != "low"


async def test_a_thread_in_use_keeps_its_options(connect: Connect, known: ThreadOptions) -> None:
    gate = Gate()
    other = attrs.evolve(known, model_reasoning_effort="low")
    async with ModelServer(["one", Message(gate, "two"), "three"]) as server:
        async with connect(server) as codex, anyio.create_task_group() as task_group:
            thread = codex.start_thread(known)
            await thread.run("1")
            assert thread.id is not None
            task_group.start_soon(thread.run, "2")
            await gate.reached()
            same = codex.resume_thread(thread.id.upper(), other)
            with pytest.raises(CodexError, match="already runs a turn"):
                await same.run("3")
            gate.release()
        assert len(server.requests) == 2


async def test_many_threads_at_once_change_their_options(
    connect: Connect, known: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "ok") as server, connect(server) as codex:

        async def take_turns(number: int) -> None:
            thread = codex.start_thread(known)
            await thread.run(f"{number} begins")
            for effort in ("low", "high"):
                options = attrs.evolve(known, model_reasoning_effort=effort)
                assert thread.id is not None
                await codex.resume_thread(thread.id, options).run(f"{number} with {effort}")

        async with anyio.create_task_group() as task_group:
            for number in range(6):
                task_group.start_soon(take_turns, number)
    told = {(it.prompt, it.json["reasoning"].get("effort")) for it in server.requests}
    asked = {(f"{n} with {effort}", effort) for n in range(6) for effort in ("low", "high")}
    assert asked <= told


async def test_a_sandbox_of_the_past_is_not_that_of_today(
    connect: Connect, known: ThreadOptions, workspace: Path
) -> None:
    file = workspace / "written"
    async with ModelServer(["ok", *writing(file)]) as server:
        async with connect(server) as codex:
            thread = codex.start_thread(known)
            await thread.run("one")
            assert thread.id is not None
        async with connect(server) as codex:
            without = attrs.evolve(known, sandbox_mode=None)
            await codex.resume_thread(thread.id, without).run("two")
    assert not file.exists()


# Approvals


async def test_nobody_is_asked_without_handlers_and_no_is_the_answer_with_a_policy(
    connect: Connect, options: ThreadOptions, workspace: Path
) -> None:
    options = attrs.evolve(options, sandbox_mode="read-only", approval_policy="untrusted")
    file = workspace / "written"
    async with ModelServer(writing(file)) as server, connect(server) as codex:
        turn = await codex.start_thread(options).run("go", TurnOptions(timeout=30))
    assert [command.status for command in turn.commands()][-1] in ("declined", "failed")
    assert not file.exists()


@pytest.mark.parametrize("answer", ["accept", "decline"])
@pytest.mark.parametrize("by", ["handlers", "approvals"])
async def test_who_is_asked_decides(
    connect: Connect, options: ThreadOptions, workspace: Path, answer: Any, by: str
) -> None:
    options = attrs.evolve(options, approval_policy="untrusted")
    file = workspace / "written"
    asked: list[Any] = []

    async def decide(request: Any) -> str:
        await anyio.lowlevel.checkpoint()
        asked.append(request)
        return str(answer)

    clients: dict[str, Any] = {"handlers": RequestHandlers(on_command_approval=decide)}
    if by == "approvals":
        clients = {"approvals": ApprovalDecisions(command_execution=answer)}
    async with ModelServer(writing(file)) as server, connect(server, clients) as codex:
        turn = await codex.start_thread(options).run("go")
    assert turn.final_response == "tried"
    assert file.exists() == (answer == "accept")
    assert ["touch" in request.command for request in asked] == [True] * (by == "handlers")


async def test_a_handler_that_raises_has_declined_and_the_turn_says_so(
    connect: Connect, options: ThreadOptions, workspace: Path
) -> None:
    options = attrs.evolve(options, approval_policy="untrusted")
    file = workspace / "written"

    def fail(request: Any) -> str:
        raise ValueError("out of order")

    clients = {"handlers": RequestHandlers(on_command_approval=fail)}
    async with ModelServer(writing(file)) as server, connect(server, clients) as codex:
        with pytest.raises(CodexError, match="out of order"):
            await codex.start_thread(options).run("go")
    assert not file.exists()


# What an app-server can do besides


async def test_a_fork_has_the_history_and_goes_its_own_way(
    connect: Connect, options: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "ok") as server, connect(server) as codex:
        thread = codex.start_thread(options)
        with pytest.raises(CodexError, match="has not begun"):
            await thread.fork()
        await thread.run("The root")
        fork = await thread.fork()
        assert fork.id not in (None, thread.id)
        turn = await fork.run("A branch")
        assert {"The root", "A branch"} <= {*server.requests[-1].user_texts()}
        assert turn.turn_usage is not None
        assert turn.turn_usage.input_tokens == 10
        await thread.run("The trunk")
        assert "A branch" not in server.requests[-1].user_texts()


async def test_a_turn_is_steered(connect: Connect, options: ThreadOptions, legacy: bool) -> None:
    gate = Gate()
    script = [Reply(gate, RunCommand("true")), "first", "second"]
    async with ModelServer(script) as server, connect(server) as codex:
        thread = codex.start_thread(options)
        async with thread.stream("Go left") as stream:
            await gate.reached()
            if legacy:
                with pytest.raises(CodexAppServerError, match="does not have this method"):
                    await thread.steer("Go right")
                return
            await thread.steer("Go right")
            gate.release()
            await stream.turn()
        assert {"Go left", "Go right"} <= {*server.requests[-1].user_texts()}
        with pytest.raises(CodexError, match="runs no turn"):
            await thread.steer("Go back")


async def test_an_interrupted_turn_has_failed_and_leaves_no_command(
    connect: Connect, options: ThreadOptions, workspace: Path, commands: Survivors
) -> None:
    started = workspace / "started"
    script = [RunCommand("touch started; sleep 600; true", timeout=600), "I can go on."]
    async with ModelServer(script) as server, connect(server) as codex:
        thread = codex.start_thread(options)

        async def interrupt() -> None:
            await eventually(started.exists)
            await thread.interrupt()

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(interrupt)
            with pytest.raises(TurnFailedError, match="interrupted"):
                await thread.run("go", TurnOptions(timeout=40))
        assert commands() == []
        assert (await thread.run("go on")).final_response == "I can go on."
        with pytest.raises(CodexError, match="runs no turn"):
            await thread.interrupt()


async def test_a_turn_can_be_interrupted_from_its_first_event_on(
    connect: Connect, options: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "too late") as server, connect(server) as codex:
        for _ in range(5):
            thread = codex.start_thread(options)
            async with thread.stream("go") as stream:
                await anext(stream)
                with suppress(CodexError):  # it may be over already
                    await thread.interrupt()
                with suppress(TurnFailedError):
                    await stream.turn()
                assert stream.is_over
            assert (await thread.run("again")).final_response == "too late"


async def test_threads_are_named_listed_and_archived(
    connect: Connect, options: ThreadOptions, legacy: bool, make_codex: MakeCodex
) -> None:
    async with ModelServer(lambda request: "ok") as server:
        by_exec = make_codex(server).start_thread(options)
        await by_exec.run("From exec")
        async with connect(server) as codex:
            thread = codex.start_thread(options)
            await thread.run("From the app-server")
            assert thread.name is None
            if not legacy:
                await thread.set_name("Mine")
                assert thread.name == "Mine"
            listed = {stored.id: stored async for stored in codex.threads()}
            assert (by_exec.id in listed) == (not legacy)
            assert thread.id is not None
            assert listed[thread.id].preview == "From the app-server"
            assert listed[thread.id].name == (None if legacy else "Mine")
            assert listed[thread.id].working_directory == options.working_directory
            await thread.archive()
            assert thread.id not in [stored.id async for stored in codex.threads()]
            if legacy:
                with pytest.raises(CodexError, match="cannot choose by archived"):
                    await anext(codex.threads(archived=True))
            else:
                archived = [stored.id async for stored in codex.threads(archived=True)]
                assert archived == [thread.id]
                found = codex.threads(working_directory="/nowhere")
                assert [stored async for stored in found] == []


async def test_all_pages_of_the_list_are_read(
    connect: Connect, options: ThreadOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codex_sdk._runtime.stored_threads._PAGE", 2)
    async with ModelServer(lambda request: "ok") as server, connect(server) as codex:
        threads = [codex.start_thread(options) for _ in range(5)]
        for thread in threads:
            await thread.run("hi")
        listed = [stored.id async for stored in codex.threads()]
    assert sorted(listed) == sorted(str(thread.id) for thread in threads)


# Stopping

SLEEP = "sleep 600; true"


async def leave(thread: Thread, seconds: float) -> None:
    async with thread.stream("go"):
        await anyio.sleep(seconds)


async def abort(thread: Thread, seconds: float) -> None:
    controller = AbortController()
    timer = threading.Timer(seconds, controller.abort, ("enough",))
    timer.start()
    with pytest.raises(CodexAbortError, match="enough"):
        await thread.run("go", TurnOptions(signal=controller.signal))
    timer.join()


async def run_out_of_time(thread: Thread, seconds: float) -> None:
    with pytest.raises(CodexTimeoutError):
        await thread.run("go", TurnOptions(timeout=seconds + 0.001))


async def cancel(thread: Thread, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await thread.run("go")


async def close(thread: Thread, seconds: float) -> None:
    async with aclosing(thread.run_streamed_events("go")) as events:
        await anext(events)
        await anyio.sleep(seconds)


WAYS = [leave, abort, run_out_of_time, cancel, close]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sandbox_mode", ["danger-full-access", "workspace-write"])
async def test_turns_stopped_at_random_moments_leave_nothing(
    connect: Connect,
    options: ThreadOptions,
    commands: Survivors,
    processes: Survivors,
    workspace: Path,
    sandbox_mode: Any,
) -> None:
    options = attrs.evolve(options, sandbox_mode=sandbox_mode)

    def model(request: ModelRequest) -> Any:
        if request.prompt == "go on":
            return "I can go on."
        return Reply(Message("a", "b"), RunCommand(SLEEP, timeout=600))

    async with ModelServer(model) as server:
        async with connect(server) as codex:
            for way, seconds in moments(20):
                thread = codex.start_thread(options)
                await way(thread, seconds)
                # The server itself starts a shell for each thread, which ends by itself.
                await eventually(lambda: not commands())
                assert list(litter(workspace)) == [], f"after {way.__name__} at {seconds} s"
                assert (await thread.run("go on")).final_response == "I can go on."
        assert processes() == []


def moments(count: int) -> list[tuple[Any, float]]:
    """Let hypothesis choose the ways and the moments."""
    chosen: list[tuple[Any, float]] = []

    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(WAYS), st.floats(0, 0.4))
    def choose(way: Any, seconds: float) -> None:
        chosen.append((way, seconds))

    choose()
    return chosen


async def test_the_end_of_the_block_ends_everything(
    connect: Connect, options: ThreadOptions, workspace: Path, processes: Survivors
) -> None:
    script = [RunCommand(f"touch started; {SLEEP}", timeout=600)]
    async with ModelServer(script) as server:
        async with connect(server) as codex:
            events = codex.start_thread(options).run_streamed_events("go")
            await anext(events)
            await eventually((workspace / "started").exists)
        assert processes() == []
        with pytest.raises(CodexError, match="closed"):
            async for _ in events:
                pass


async def test_a_server_that_is_killed_fails_its_turns_and_is_replaced(
    connect: Connect, options: ThreadOptions, workspace: Path, processes: Survivors
) -> None:
    gate = Gate()

    def model(request: ModelRequest) -> Any:
        return "I am back." if request.prompt == "again" else Reply(gate, Message("never"))

    async with ModelServer(model) as server, connect(server) as codex:
        threads = [codex.start_thread(options) for _ in range(2)]
        errors: list[AppServerClosedError] = []

        async def run(thread: Thread) -> None:
            with pytest.raises(AppServerClosedError) as caught:
                await thread.run("go")
            errors.append(caught.value)

        async with anyio.create_task_group() as task_group:
            for thread in threads:
                task_group.start_soon(run, thread)
            await server.wait_for_request(2)
            (line,) = (line for line in processes() if " app-server" in line)
            os.kill(int(line.split()[0]), signal.SIGKILL)
            with anyio.fail_after(5):
                await eventually(lambda: len(errors) == 2)
        assert {error.exit_code for error in errors} == {-signal.SIGKILL}
        for thread in threads:
            assert (await thread.run("again")).final_response == "I am back."
            assert "go" in server.requests[-1].user_texts()


async def test_a_server_that_cannot_start_says_why(
    connect: Connect, options: ThreadOptions, legacy: bool
) -> None:
    if legacy:
        pytest.skip("it does not exit, nor answer, before its stdin ends")
    async with (
        ModelServer() as server,
        connect(server, config_overrides={"sandbox_mode": 7}) as codex,
    ):
        with pytest.raises(CodexError, match="sandbox_mode"):
            await codex.start_thread(options).run("hi")


async def test_exec_refuses_by_name_what_it_cannot_do(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer() as server:
        codex = make_codex(server)
        thread = codex.start_thread(options)
        for call in (thread.fork, thread.interrupt, thread.archive):
            with pytest.raises(CodexError, match='backend="app-server"'):
                await call()
        for call in (thread.steer, thread.set_name):
            with pytest.raises(CodexError, match='backend="app-server"'):
                await call("x")
        with pytest.raises(CodexError, match='backend="app-server"'):
            thread.name  # noqa: B018
        with pytest.raises(CodexError, match='backend="app-server"'):
            codex.threads()
        with pytest.raises(CodexError, match='backend="app-server"'):
            Codex(codex.options, approvals=ApprovalDecisions())

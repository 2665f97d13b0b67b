"""The client of an app-server, and the real CLI."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from codex_sdk import (
    AppServerClosedError,
    AppServerOptions,
    AppServerTimeoutError,
    CodexAppServerError,
    CodexError,
    protocol,
)
from codex_sdk.app_server import AppServerClient, AppServerNotification
from codex_sdk.testing import Gate, ModelServer, Reply, RunCommand

from .. import survivors
from ..app_server_calls import CALLS, DIRECTORY, THREAD, TURN, Call

Survivors = Callable[[], list[str]]
MakeClient = Callable[..., AppServerClient]

THREAD_OPTIONS = {"model": "gpt-5-codex", "approval_policy": "never"}
UNSANDBOXED = {**THREAD_OPTIONS, "sandbox": "danger-full-access"}


@pytest.fixture
def make_client(codex_cli: str, mark: str) -> MakeClient:
    """Return the function that makes a client of the CLI under test for a model server."""

    def make(server: ModelServer, **changes: Any) -> AppServerClient:
        options = server.codex_options()
        env = {**(options.env or {}), survivors.NAME: mark, **changes.pop("env", {})}
        fields = {
            "codex_path_override": codex_cli,
            "base_url": options.base_url,
            "api_key": options.api_key,
            "env": {name: value for name, value in env.items() if value is not None},
            **changes,
        }
        return AppServerClient(AppServerOptions(**fields))

    return make


async def started_thread(client: AppServerClient, workspace: Path, **params: Any) -> str:
    started = await client.thread_start(cwd=workspace, **{**THREAD_OPTIONS, **params})
    thread_id: str = started["thread"]["id"]
    return thread_id


async def until(client: AppServerClient, method: str) -> AppServerNotification:
    """Return the next notification of *method*."""
    with anyio.fail_after(30):
        async for notification in client.notifications():
            if notification.method == method:
                return notification
    raise AssertionError(f"the client was closed before {method}")


async def completed_turn(client: AppServerClient, thread_id: str) -> str:
    """Run a turn; return its id."""
    started = await client.turn_start(thread_id, "hi")
    completed = await until(client, "turn/completed")
    assert completed.params["turn"]["status"] == "completed", completed.params
    turn_id: str = started["turn"]["id"]
    return turn_id


def authorizations(server: ModelServer) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


async def outcome(call: Awaitable[Any]) -> Any:
    """Return what a call returned, or the exception that it raised."""
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return error


async def eventually(condition: Callable[[], bool], within: float = 30) -> None:
    with anyio.fail_after(within):
        while not condition():  # noqa: ASYNC110 - of other processes, there is no event
            await anyio.sleep(0.02)


# The handshake, the key and the endpoint


async def test_the_server_says_what_it_is(
    make_client: MakeClient, codex_cli: str, legacy: bool, workspace: Path
) -> None:
    told = await anyio.run_process([codex_cli, "--version"])
    async with ModelServer() as server, make_client(server) as client:
        info = client.server_info
        assert str(info.version) == told.stdout.decode().split()[-1]
        assert info.user_agent.startswith("codex_sdk_python/")
        if not legacy:
            assert info.codex_home == str(server.codex_home)
            assert (info.platform_family, info.platform_os) == ("unix", sys.platform)


@pytest.mark.parametrize("from_environment", [False, True])
async def test_the_key_and_the_endpoint_take_effect_and_nothing_is_written(
    make_client: MakeClient, workspace: Path, from_environment: bool
) -> None:
    async with ModelServer(["Hello"]) as server:
        users_login = json.dumps({"OPENAI_API_KEY": "sk-of-the-user"})
        (server.codex_home / "auth.json").write_text(users_login)
        (server.codex_home / "config.toml").write_text("")
        given = {"env": {"CODEX_API_KEY": "test-key"}, "api_key": None} if from_environment else {}
        async with make_client(server, **given) as client:
            await completed_turn(client, await started_thread(client, workspace))
        assert authorizations(server) == ["Bearer test-key"]
        assert (server.codex_home / "auth.json").read_text() == users_login


async def test_the_key_reaches_a_provider_of_the_user_s_configuration(
    make_client: MakeClient, workspace: Path
) -> None:
    async with ModelServer(["Hello"]) as server:
        async with make_client(server, base_url=None) as client:
            await completed_turn(client, await started_thread(client, workspace))
        assert authorizations(server) == ["Bearer test-key"]
        assert not (server.codex_home / "auth.json").exists()


async def test_the_key_reaches_openai_s_own_provider(
    make_client: MakeClient, workspace: Path
) -> None:
    async with ModelServer(["Hello"]) as server:
        overrides = {"model_provider": "openai"}
        async with make_client(server, config_overrides=overrides) as client:
            await completed_turn(client, await started_thread(client, workspace))
        assert authorizations(server) == ["Bearer test-key"]


async def test_without_a_key_the_user_s_login_is_used(
    make_client: MakeClient, workspace: Path
) -> None:
    async with ModelServer(["Hello"]) as server:
        (server.codex_home / "auth.json").write_text('{"OPENAI_API_KEY": "sk-of-the-user"}')
        async with make_client(server, api_key=None) as client:
            await completed_turn(client, await started_thread(client, workspace))
        assert authorizations(server) == ["Bearer sk-of-the-user"]


async def test_the_commands_of_the_model_do_not_see_the_key_of_a_current_cli(
    make_client: MakeClient, workspace: Path, legacy: bool
) -> None:
    if legacy:
        pytest.skip("a legacy CLI has the key in its environment")
    async with ModelServer([RunCommand("env > seen; true"), "Done."]) as server:
        async with make_client(server) as client:
            thread = await started_thread(client, workspace, **UNSANDBOXED)
            await completed_turn(client, thread)
    seen = (workspace / "seen").read_text()
    assert "PATH=" in seen
    assert "test-key" not in seen


async def test_a_refused_login_is_an_error(make_client: MakeClient, legacy: bool) -> None:
    if legacy:
        pytest.skip("a legacy CLI is not logged in")
    async with ModelServer() as server:
        overrides = {"forced_login_method": "chatgpt"}
        client = make_client(server, config_overrides=overrides)
        result = await outcome(client.start())
        await client.close()
    assert isinstance(result, CodexError)
    assert "test-key" not in str(result)


async def test_a_cli_that_does_not_start_says_why(make_client: MakeClient) -> None:
    async with ModelServer() as server:
        client = make_client(
            server,
            config_overrides={"model_provider": "nope"},
            base_url=None,
            request_timeout=5,  # a legacy CLI says nothing until its input ends
        )
        with pytest.raises(AppServerClosedError, match="nope") as caught:
            async with client:
                await started_thread(client, server.codex_home)
    assert caught.value.exit_code == 1


# Requests


REFUSED_BY_LEGACY = """
    thread_read thread_name_set thread_metadata_update thread_shell_command
    thread_background_terminals_clean turn_steer experimental_feature_list
    experimental_feature_enablement_set collaboration_mode_list external_agent_config_detect
    external_agent_config_import windows_sandbox_setup_start skills_config_write skills_remote_list
    skills_remote_read skills_remote_export skills_remote_write app_list plugin_list plugin_read
    plugin_install plugin_uninstall fs_create_directory fs_write_file fs_read_file fs_get_metadata
    fs_read_directory fs_copy fs_remove fs_watch fs_unwatch command_exec_write command_exec_resize
    command_exec_terminate mcp_server_refresh thread_compact_start thread_revert thread_unarchive
    thread_unsubscribe thread_delete
""".split()

REFUSED_BY_CURRENT = """
    thread_rollback skills_remote_list skills_remote_read skills_remote_export skills_remote_write
""".split()

NO_SUCH_METHOD = r"the Codex CLI that is connected, \d+\.\d+\.\d+\S*, does not have this method"

REFUSED = {
    "turn_steer": "active turn",
    "turn_interrupt": "no active turn to interrupt",
    "plugin_read": "plugins feature is disabled",
    "plugin_install": "does not exist",
    "command_exec_write": "no active command/exec",
    "command_exec_resize": "no active command/exec",
    "command_exec_terminate": "no active command/exec",
    "mcp_server_oauth_login": "No MCP server named 'x' found",
    "account_rate_limits_read": "authentication required",
    "feedback_upload": "disabled by configuration",
    "thread_delete": "forked history still references it",
}
"""What has nothing to act on here, or is switched off, with what the server says to it."""


def expected_refusal(name: str, legacy: bool) -> str | None:
    if name in (REFUSED_BY_LEGACY if legacy else REFUSED_BY_CURRENT):
        return NO_SUCH_METHOD
    if legacy and name == "feedback_upload":
        return None
    return REFUSED.get(name)


def filled_in(value: Any, words: Mapping[str, str]) -> Any:
    """Return *value* with the ids and the directory of this test in place of what stands for them."""
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        for word, actual in words.items():
            text = text.replace(word, actual)
        return text
    if isinstance(value, dict):
        return {key: filled_in(member, words) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled_in(member, words) for member in value]
    return value


async def test_each_method_is_answered_or_refused_for_a_reason_that_is_known(
    make_client: MakeClient, workspace: Path, legacy: bool
) -> None:
    surprises: dict[str, Any] = {}
    async with ModelServer(exhausted=lambda _: "Done.") as server:
        overrides = {"feedback.enabled": False}
        env = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        async with make_client(
            server, config_overrides=overrides, env=env, experimental_api_enabled=True
        ) as client:
            thread = await started_thread(client, workspace)
            turn = await completed_turn(client, thread)
            words = {THREAD: thread, TURN: turn, DIRECTORY: str(workspace)}
            for call in CALLS:
                if call.name == "turn_start":
                    continue  # is how there came to be a turn
                result = await outcome(_called(client, call, words))
                if not _is_expected(result, expected_refusal(call.name, legacy)):
                    surprises[call.name] = result
                if call.name in ("review_start", "thread_compact_start") and isinstance(
                    result, dict
                ):
                    await until(client, "turn/completed")

    assert surprises == {}


async def _called(client: AppServerClient, call: Call, words: Mapping[str, str]) -> Any:
    arguments = filled_in(call.arguments, words)
    keywords = {key: filled_in(value, words) for key, value in call.keywords.items()}
    return await getattr(client, call.name)(*arguments, **keywords)


def _is_expected(result: Any, refusal: str | None) -> bool:
    if refusal is None:
        return isinstance(result, dict)
    return isinstance(result, CodexAppServerError) and bool(re.search(refusal, str(result)))


async def test_results_are_what_the_server_says(make_client: MakeClient, workspace: Path) -> None:
    async with ModelServer(["Hello"]) as server, make_client(server) as client:
        thread = await started_thread(client, workspace)
        await completed_turn(client, thread)
        kinds = ["vscode", "appServer"]
        listed = await client.thread_list(limit=10, source_kinds=kinds)
        forked = await client.thread_fork(thread)
        config = await client.config_read()
        models = await client.model_list()

    assert [one["id"] for one in listed["data"]] == [thread]
    assert forked["thread"]["id"] != thread
    assert config["config"]["model_provider"] == "codex_sdk"
    assert models["data"][0]["model"]


async def test_calls_are_typed_whatever_the_version(
    make_client: MakeClient, workspace: Path
) -> None:
    async with ModelServer(["Hello"]) as server, make_client(server) as client:
        started = await client.call(protocol.ThreadStartParams(cwd=str(workspace)))
        turn = await client.call(
            protocol.TurnStartParams(
                thread_id=started.thread.id, input=[protocol.TextUserInput(text="hi")]
            )
        )
        delta = await until(client, "item/agentMessage/delta")
        completed = await until(client, "turn/completed")
        models = await client.call(protocol.ModelListParams())
        config = await client.call(protocol.ConfigReadParams())

    assert started.cwd == str(workspace)
    assert isinstance(delta.payload, protocol.AgentMessageDeltaNotification)
    assert delta.payload.delta == "Hello"
    assert isinstance(completed.payload, protocol.TurnCompletedNotification)
    assert completed.payload.turn.id == turn.turn.id
    assert completed.payload.turn.status == "completed"
    assert models.data
    assert config.config.model_provider == "codex_sdk"


async def test_the_elements_of_a_text_reach_the_server(
    make_client: MakeClient, workspace: Path, legacy: bool
) -> None:
    if legacy:
        pytest.skip("a legacy CLI has no elements")
    element = {"byte_range": {"start": 0, "end": 2}, "placeholder": "P"}
    async with ModelServer(["Hello"]) as server, make_client(server) as client:
        thread = await started_thread(client, workspace)
        item = {"type": "text", "text": "hi you", "text_elements": [element]}
        await client.turn_start(thread, [item])
        started = await until(client, "item/started")
        await until(client, "turn/completed")
    [content] = started.params["item"]["content"]
    assert content["text_elements"] == [{"byteRange": {"start": 0, "end": 2}, "placeholder": "P"}]


async def test_hundreds_of_requests_at_once_are_all_answered(make_client: MakeClient) -> None:
    async with ModelServer() as server, make_client(server) as client:
        results: list[Any] = []

        async def ask() -> None:
            results.append(await client.thread_list(limit=1))

        async with anyio.create_task_group() as task_group:
            for _ in range(300):
                task_group.start_soon(ask)

    assert len(results) == 300
    assert all(result["data"] == [] for result in results)


async def test_a_server_that_is_stopped_answers_nobody_and_hangs_nobody(
    make_client: MakeClient, processes: Survivors
) -> None:
    async with ModelServer() as server, make_client(server) as client:
        [process] = [psutil.Process(int(line.split()[0])) for line in processes()]
        process.suspend()
        try:
            with pytest.raises(AppServerTimeoutError, match="model/list"):
                await client.request("model/list", timeout=0.2)
        finally:
            process.resume()
        assert (await client.model_list())["data"]


# Turns


async def test_a_second_turn_is_refused_while_the_first_one_runs(
    make_client: MakeClient, workspace: Path
) -> None:
    gate = Gate()
    async with ModelServer([Reply(gate, "One"), "Two"]) as server, make_client(server) as client:
        thread = await started_thread(client, workspace)
        await client.turn_start(thread, "hi")
        with pytest.raises(CodexError, match=f"{thread}.*already runs a turn"):
            await client.turn_start(thread, "hi")
        gate.release()
        await until(client, "turn/completed")
        await completed_turn(client, thread)
    assert len(server.requests) == 2


async def test_a_turn_is_interrupted_and_then_there_is_none_to_interrupt(
    make_client: MakeClient, workspace: Path
) -> None:
    async with (
        ModelServer([Reply(Gate(), "never said")]) as server,
        make_client(server) as client,
    ):
        thread = await started_thread(client, workspace)
        turn = (await client.turn_start(thread, "hi"))["turn"]["id"]
        await server.wait_for_request()
        assert await client.turn_interrupt(thread, turn) == {}
        completed = await until(client, "turn/completed")
        assert completed.params["turn"]["status"] == "interrupted"
        with anyio.fail_after(20):
            with pytest.raises(CodexAppServerError, match="no active turn"):
                await client.turn_interrupt(thread, turn)


# The end


@asynccontextmanager
async def sleeping_turn(
    make_client: MakeClient, workspace: Path, processes: Survivors
) -> AsyncIterator[AppServerClient]:
    """Run a turn whose command sleeps outside any sandbox."""
    async with ModelServer([RunCommand("sleep 50; true")]) as server:
        async with make_client(server) as client:
            thread = await started_thread(client, workspace, **UNSANDBOXED)
            await client.turn_start(thread, "hi")
            await eventually(lambda: any("sleep 50" in line for line in processes()))
            yield client


async def test_closing_leaves_no_process(
    make_client: MakeClient, workspace: Path, processes: Survivors
) -> None:
    async with sleeping_turn(make_client, workspace, processes) as client:
        await client.close()
        assert processes() == []


async def test_a_block_that_is_cancelled_leaves_no_process(
    make_client: MakeClient, workspace: Path, processes: Survivors
) -> None:
    with anyio.CancelScope() as scope:
        async with sleeping_turn(make_client, workspace, processes):
            scope.cancel()
            await anyio.sleep_forever()
    assert processes() == []


async def test_the_death_of_the_server_in_mid_turn_is_told_to_everybody_at_once(
    make_client: MakeClient, workspace: Path, processes: Survivors
) -> None:
    async with sleeping_turn(make_client, workspace, processes) as client:
        results: list[Any] = []

        async def read() -> None:
            async for _ in client.notifications():
                continue

        async def wait(call: Callable[[], Awaitable[Any]]) -> None:
            results.append(await outcome(call()))

        [pid] = [int(line.split()[0]) for line in processes() if "app-server" in line]
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(wait, read)
            task_group.start_soon(wait, client.next_request)
            exec_params = {
                "command": ["sleep", "50"],
                "sandbox_policy": {"type": "dangerFullAccess"},
            }
            task_group.start_soon(wait, lambda: client.command_exec(**exec_params))
            await anyio.sleep(0.2)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: len(results) == 3, within=5)

        assert [type(result) for result in results] == [AppServerClosedError] * 3
        assert [result.exit_code for result in results] == [-signal.SIGKILL] * 3
        with pytest.raises(AppServerClosedError):
            await client.model_list()

        await client.start()  # ends first what the dead server has left behind
        assert len(processes()) == 1
        assert (await client.model_list())["data"]


async def test_a_client_without_a_block_leaves_no_process(
    make_client: MakeClient, processes: Survivors
) -> None:
    async with ModelServer() as server:
        client = make_client(server)
        await client.start()
        assert len(processes()) == 1
        assert (await client.model_list())["data"]
        await client.close()
        assert processes() == []


def test_a_loop_that_is_closed_under_a_client_leaves_no_process(
    make_client: MakeClient, processes: Survivors, anyio_backend: tuple[str, dict[str, Any]]
) -> None:
    async def forget() -> None:
        async with ModelServer() as server:
            await make_client(server).start()
            assert len(processes()) == 1

    backend, options = anyio_backend
    anyio.run(forget, backend=backend, backend_options=options)
    assert processes() == []


async def test_several_clients_share_a_server_that_runs_already(
    make_client: MakeClient,
    codex_cli: str,
    workspace: Path,
    legacy: bool,
    tmp_path: Path,
    mark: str,
) -> None:
    if legacy:
        pytest.skip("a legacy CLI does not listen")
    socket = Path("/tmp") / f"codex-sdk-{mark[:12]}.sock"
    async with ModelServer(["One", "Two"]) as server:
        env = {**server.environment(), survivors.NAME: mark}
        command = [
            "timeout",
            "-k",
            "1",
            "50",
            codex_cli,
            "app-server",
            "--listen",
            f"unix://{socket}",
        ]
        async with await anyio.open_process(command, env=env, stdout=None, stderr=None) as process:
            try:
                await eventually(socket.exists)
                options = AppServerOptions(url=f"unix://{socket}")
                async with AppServerClient(options) as one, AppServerClient(options) as two:
                    for client in (one, two):
                        await completed_turn(client, await started_thread(client, workspace))
            finally:
                process.terminate()
    assert len(server.requests) == 2


async def test_several_servers_can_be_started_on_a_new_home(
    make_client: MakeClient, tmp_path: Path
) -> None:
    answers: list[dict[str, Any]] = []
    async with ModelServer() as server:
        clients = [make_client(server, env={"CODEX_HOME": str(tmp_path)}) for _ in range(4)]

        async def use(client: AppServerClient) -> None:
            async with client:
                answers.append(await client.request("thread/list", {}))

        async with anyio.create_task_group() as group:
            for client in clients:
                group.start_soon(use, client)
    assert [answer["data"] for answer in answers] == [[]] * 4

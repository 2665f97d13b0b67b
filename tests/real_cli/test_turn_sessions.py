"""Turns of the real CLI's app-server: side by side, steered, and left early without a trace."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from codex_sdk import CodexAppServerError, CodexError
from codex_sdk.app_server import AppServerClient, AppServerNotification
from codex_sdk.app_server.turn_session import AppServerTurnSession
from codex_sdk.testing import Gate, Message, ModelServer, Reply, RunCommand

from ..survivors import litter
from ..testing import mcp_server
from .app_servers import Cli
from .conftest import Survivors

# A command that ignores what can be ignored, in a session of its own, beside one that does not.
STUBBORN = "setsid bash -c 'trap \"\" INT TERM HUP; sleep 601' & sleep 600; true"


@pytest.fixture
def cli(codex_cli: str, mark: str, legacy: bool, workspace: Path) -> Cli:
    return Cli(codex_cli, mark, legacy, workspace)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do: nothing announces it."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def told(notifications: list[AppServerNotification], method: str) -> list[Any]:
    return [notification.params for notification in notifications if notification.method == method]


# Streams


async def test_a_turn_streams_its_text_and_ends(cli: Cli) -> None:
    replies = [Reply(Message("Hel", "lo ", "there"))]
    async with ModelServer(replies) as server, cli.client(server) as client:
        async with client.turn_session(await cli.thread(client), "go") as session:
            pieces = [text async for text in session.text_deltas()]
            final = await session.wait()

        assert pieces == ["Hel", "lo ", "there"]
        assert final is not None
        assert final["id"] == session.turn_id
        assert final["status"] == "completed"


async def test_turns_side_by_side_see_their_own_notifications_only(cli: Cli) -> None:
    gates = {name: Gate() for name in "ab"}
    script = {name: [Reply(Message(f"{name}1 ", gate, f"{name}2"))] for name, gate in gates.items()}
    async with ModelServer(script) as server, cli.client(server) as client:
        sessions = {
            name: await client.turn_session(await cli.thread(client), name) for name in gates
        }
        for gate in gates.values():
            await gate.reached()
        for name in "ba":  # the one that was started later ends first
            gates[name].release()
            await sessions[name].wait()

        for name, session in sessions.items():
            seen = [notification async for notification in session.notifications()]
            deltas = told(seen, "item/agentMessage/delta")
            assert "".join(delta["delta"] for delta in deltas) == f"{name}1 {name}2"
            assert {params.get("threadId") for params in (note.params for note in seen)} == {
                session.thread_id
            }
            assert seen[-1].method == "turn/completed"


async def test_fifty_threads_run_turns_at_the_same_time_on_one_connection(cli: Cli) -> None:
    number = 50
    gate = Gate()

    def model(request: Any) -> Reply:
        return Reply(gate, Message(f"to {request.prompt}"))

    texts: dict[int, str] = {}

    async def turn(client: AppServerClient, index: int) -> None:
        thread_id = await cli.thread(client)
        async with client.turn_session(thread_id, f"turn {index}") as session:
            texts[index] = "".join([text async for text in session.text_deltas()])

    async with ModelServer(model) as server, cli.client(server) as client:
        async with anyio.create_task_group() as task_group:
            for index in range(number):
                task_group.start_soon(turn, client, index)
            await server.wait_for_request(number)  # all of them run now
            gate.release()

        assert texts == {index: f"to turn {index}" for index in range(number)}


# Steering


async def test_a_turn_is_steered(cli: Cli) -> None:
    gate = Gate()
    replies = [Reply(Message("one", gate)), "two"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        async with client.turn_session(await cli.thread(client), "go") as session:
            await gate.reached()
            if cli.legacy:
                with pytest.raises(CodexAppServerError, match=r"0\.80\.0.* does not have"):
                    await session.steer("and two")
                return
            assert await session.steer("and two") == {"turnId": session.turn_id}
            gate.release()
            await session.wait()

        assert server.requests[-1].user_texts()[-1] == "and two"
        with pytest.raises(CodexAppServerError, match="no active turn"):
            await session.steer("too late")


async def test_a_busy_thread_takes_no_second_turn(cli: Cli) -> None:
    gate = Gate()
    async with ModelServer([Reply(Message("one", gate)), "two"]) as server:
        async with cli.client(server) as client:
            thread_id = await cli.thread(client)
            async with client.turn_session(thread_id, "go") as session:
                await gate.reached()
                with pytest.raises(CodexError, match="already runs a turn"):
                    await client.turn_session(thread_id, "again")
                gate.release()
                await session.wait()
            async with client.turn_session(thread_id, "again") as session:
                assert [text async for text in session.text_deltas()] == ["two"]


# Leaving early


async def leave(client: AppServerClient, session: AppServerTurnSession) -> None:
    await session.close()


async def interrupt(client: AppServerClient, session: AppServerTurnSession) -> None:
    await session.interrupt()
    final = await session.wait()
    assert final is not None
    assert final["status"] == "interrupted"


async def close_client(client: AppServerClient, session: AppServerTurnSession) -> None:
    await client.close()


WAYS = [leave, interrupt, close_client]


@pytest.mark.parametrize("sandbox", ["danger-full-access", "workspace-write"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_turn_that_is_left_leaves_no_process_and_no_litter(
    cli: Cli,
    workspace: Path,
    sandbox: str,
    way: Callable[[AppServerClient, AppServerTurnSession], Awaitable[None]],
) -> None:
    async with ModelServer(lambda _: RunCommand(STUBBORN, timeout=600)) as server:
        async with cli.client(server) as client:
            thread_id = await cli.thread(client, sandbox=sandbox, approval_policy="never")
            session = await client.turn_session(thread_id, "go")
            await eventually(lambda: len(running(cli.commands(), "sleep 60")) >= 2)

            await way(client, session)

            assert not running(cli.commands(), "sleep 60")
            assert list(litter(workspace)) == []


def running(commands: list[str], command: str) -> list[str]:
    return [running for running in commands if command in running]


@pytest.mark.timeout(240)
async def test_turns_left_at_any_moment_leave_nothing(cli: Cli, workspace: Path) -> None:
    async with ModelServer(lambda _: RunCommand("sleep 600; true", timeout=600)) as server:
        for number in range(16):
            sandbox = ("danger-full-access", "workspace-write")[number % 2]
            async with cli.client(server) as client:
                thread_id = await cli.thread(client, sandbox=sandbox, approval_policy="never")
                async with client.turn_session(thread_id, "go"):
                    await anyio.sleep(number * 0.015)

                # besides, the server reads the shell's settings, for a moment
                assert not running(cli.commands(), "sleep 600")
                assert list(litter(workspace)) == []


async def test_the_thread_goes_on_after_a_turn_that_was_left(cli: Cli) -> None:
    replies = [RunCommand("sleep 600; true", timeout=600), "here again"]
    async with ModelServer(replies) as server, cli.client(server) as client:
        thread_id = await cli.thread(client, approval_policy="never")
        async with client.turn_session(thread_id, "go"):
            await eventually(lambda: bool(running(cli.commands(), "sleep 600")))

        async with client.turn_session(thread_id, "again") as session:
            assert [text async for text in session.text_deltas()] == ["here again"]


async def test_the_commands_of_other_turns_run_on(cli: Cli) -> None:
    script: dict[str, Any] = {
        "left": [RunCommand("sleep 601; true", timeout=600)],
        "kept": [RunCommand("sleep 602; true", timeout=600)],
    }
    async with ModelServer(script) as server, cli.client(server) as client:
        start = partial(cli.thread, client, approval_policy="never")
        kept = await client.turn_session(await start(), "kept")
        left = await client.turn_session(await start(), "left")
        await eventually(lambda: len(running(cli.commands(), "sleep 60")) >= 2)

        await left.close()

        sleeping = running(cli.commands(), "sleep 60")
        if cli.legacy:  # which of them is whose cannot be told: both end with the last turn
            assert any("sleep 602" in command for command in sleeping)
        else:
            assert sleeping
            assert all("sleep 602" in command for command in sleeping)
        await kept.close()
        assert not running(cli.commands(), "sleep 60")


async def test_what_a_finished_turn_left_running_on_purpose_runs_on(cli: Cli) -> None:
    if cli.legacy:
        pytest.skip("0.80 kills what a command has not waited for")
    replies = [RunCommand("sleep 602; true", timeout=0.3), "it runs", RunCommand("sleep 603; true")]
    async with ModelServer(replies) as server, cli.client(server) as client:
        thread_id = await cli.thread(client, approval_policy="never")
        async with client.turn_session(thread_id, "go") as session:
            await session.wait()
        assert running(cli.commands(), "sleep 602")

        async with client.turn_session(thread_id, "go"):
            await eventually(lambda: bool(running(cli.commands(), "sleep 603")))

        assert running(cli.commands(), "sleep 602")
        assert not running(cli.commands(), "sleep 603")


async def test_mcp_servers_outlive_the_turns(cli: Cli) -> None:
    adder = {"command": sys.executable, "args": [mcp_server.__file__]}
    options = {"config_overrides": {"mcp_servers.adder": adder}}
    async with (
        ModelServer(lambda _: RunCommand("sleep 600; true", timeout=600)) as server,
        cli.client(server, **options) as client,
    ):
        thread_id = await cli.thread(client, approval_policy="never")
        async with client.turn_session(thread_id, "go"):
            await eventually(lambda: bool(running(cli.commands(), "sleep 600")))
            before = mcp_servers()

        assert before
        assert mcp_servers() == before


def mcp_servers() -> list[int]:
    """Return the numbers of the MCP servers that Codex has started."""
    return [
        process.pid
        for process in psutil.Process().children(recursive=True)
        if mcp_server.__file__ in process.cmdline()
    ]


async def test_nothing_is_left_of_a_server_that_dies(cli: Cli, processes: Survivors) -> None:
    async with ModelServer(lambda _: RunCommand("sleep 600; true", timeout=600)) as server:
        async with cli.client(server) as client:
            thread_id = await cli.thread(client, approval_policy="never")
            session = await client.turn_session(thread_id, "go")
            await eventually(lambda: bool(running(cli.commands(), "sleep 600")))
            [app_server] = [
                child for child in psutil.Process().children() if "app-server" in child.cmdline()
            ]
            os.kill(app_server.pid, signal.SIGKILL)
            with pytest.raises(CodexError, match="SIGKILL"):
                await session.wait()

            assert processes() == []

"""Each kind of reply, and what the real CLI makes of it."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from codex_sdk import Usage
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    CallMcpTool,
    Cut,
    Delay,
    DeleteFile,
    Failed,
    FunctionCall,
    Gate,
    HttpReply,
    Incomplete,
    Message,
    ModelRequest,
    ModelServer,
    Reasoning,
    Reply,
    RunCommand,
    UpdateFile,
    WebSearch,
)

from . import mcp_server
from .cli import Finished, codex_exec, is_legacy

pytestmark = pytest.mark.timeout(120)

MODELS = [None, "gpt-5-codex", "gpt-5.5"]
"""The CLI's default; one without and one with a tool for patches, as newer CLIs see it."""

PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Session:
    """The CLI under test, in a workspace of its own."""

    def __init__(self, codex: str, workspace: Path) -> None:
        self.codex = codex
        self.workspace = workspace

    @property
    def is_legacy(self) -> bool:
        return is_legacy(self.codex)

    async def run(
        self, server: ModelServer, *arguments: str, prompt: str = "hello", retries: int = 0
    ) -> Finished:
        options = server.codex_options(retries=retries)
        return await codex_exec(self.codex, options, *arguments, prompt=prompt, cwd=self.workspace)

    async def reply(self, *script: Any, model: str | None = None) -> Finished:
        """Run one turn with *script*, which must be used up."""
        arguments = ["--sandbox=danger-full-access"]
        if model is not None:
            arguments.append(f"--model={model}")
        async with ModelServer(script) as server:
            finished = await self.run(server, *arguments)
            assert len(server.requests) == len(script)
            return finished


@pytest.fixture
def session(codex_cli: str, tmp_path: Path) -> Session:
    return Session(codex_cli, tmp_path)


async def test_a_text_is_an_agent_message(session: Session) -> None:
    finished = await session.reply(Message("Hel", "lo"))
    assert finished.exit_code == 0
    assert [event["type"] for event in finished.events if event["type"] != "item.completed"] == [
        "thread.started",
        "turn.started",
        "turn.completed",
    ]
    assert finished.items == [{"type": "agent_message", "text": "Hello"}]


async def test_the_home_is_one_that_the_cli_has_nothing_to_say_about(session: Session) -> None:
    finished = await session.reply("Hello")
    assert finished.stderr == ""


async def test_a_reply_holds_several_items(session: Session) -> None:
    finished = await session.reply(Reply(Reasoning("**Think**\n\nhard"), "one", "two"))
    assert finished.items == [
        {"type": "reasoning", "text": "**Think**\n\nhard"},
        {"type": "agent_message", "text": "one"},
        {"type": "agent_message", "text": "two"},
    ]


async def test_usage_is_added_up(session: Session) -> None:
    usage = Usage(11, 3, 7, cache_write_input_tokens=2, reasoning_output_tokens=1)
    finished = await session.reply(Reply(RunCommand("true"), usage=usage), Reply("a", usage=usage))
    reported = finished.events[-1]["usage"]
    expected = {"input_tokens": 22, "cached_input_tokens": 6, "output_tokens": 14}
    if not session.is_legacy:
        expected |= {"cache_write_input_tokens": 4, "reasoning_output_tokens": 2}
    assert reported == expected


async def test_a_reply_may_report_no_usage(session: Session) -> None:
    finished = await session.reply(Reply("a", usage=None))
    assert set(finished.events[-1]["usage"].values()) == {0}


@pytest.mark.parametrize("model", MODELS)
async def test_commands_run_with_every_model(session: Session, model: str | None) -> None:
    async with ModelServer([RunCommand("echo oops >&2; exit 3"), "done"]) as server:
        arguments = ["--sandbox=danger-full-access", *([f"--model={model}"] if model else [])]
        finished = await session.run(server, *arguments)
        (output,) = server.requests[1].function_outputs()
    command, message = finished.items
    assert command["type"] == "command_execution"
    assert command["command"].endswith("-lc 'echo oops >&2; exit 3'")
    assert (command["aggregated_output"], command["exit_code"]) == ("oops\n", 3)
    assert command["status"] == "failed"
    assert message["text"] == "done"
    assert "oops" in output.text


async def test_a_command_runs_where_it_is_told_to(session: Session) -> None:
    (session.workspace / "inner").mkdir()
    finished = await session.reply(RunCommand("pwd", workdir="inner"), "done")
    assert finished.items[0]["aggregated_output"] == f"{session.workspace}/inner\n"


async def test_a_command_that_takes_too_long_does_not_hold_the_turn_up(session: Session) -> None:
    async with ModelServer([RunCommand("sleep 600", timeout=0.5), "done"]) as server:
        finished = await session.run(server, "--sandbox=danger-full-access")
    assert finished.items[-1] == {"type": "agent_message", "text": "done"}
    assert server.requests[1].function_outputs()


async def test_one_reply_may_run_several_commands(session: Session) -> None:
    finished = await session.reply(Reply(RunCommand("echo 1"), RunCommand("echo 2")), "done")
    outputs = [item.get("aggregated_output") for item in finished.items]
    assert sorted(outputs[:2]) == ["1\n", "2\n"]


@pytest.mark.parametrize("model", MODELS)
async def test_patches_apply_with_every_model(session: Session, model: str | None) -> None:
    updated, deleted = session.workspace / "updated.txt", session.workspace / "deleted.txt"
    updated.write_text("one\ntwo\n")
    deleted.write_text("x\n")
    patch = ApplyPatch(
        AddFile("added.txt", "it's\n$HOME `new`\n"),
        UpdateFile("updated.txt", "two\n", "three\n"),
        DeleteFile("deleted.txt"),
    )
    finished = await session.reply(patch, "done", model=model)
    change, message = finished.items
    assert (change["type"], change["status"]) == ("file_change", "completed")
    kinds = {Path(entry["path"]).name: entry["kind"] for entry in change["changes"]}
    assert kinds == {"added.txt": "add", "updated.txt": "update", "deleted.txt": "delete"}
    assert message["text"] == "done"
    assert (session.workspace / "added.txt").read_text() == "it's\n$HOME `new`\n"
    assert updated.read_text() == "one\nthree\n"
    assert not deleted.exists()


@pytest.mark.parametrize("model", MODELS)
async def test_mcp_tools_are_called_with_every_model(session: Session, model: str | None) -> None:
    server_command = {"command": sys.executable, "args": [mcp_server.__file__]}
    table = ",".join(f"{name}={json.dumps(value)}" for name, value in server_command.items())
    arguments = [f"--config=mcp_servers.adder={{{table}}}"]
    if model is not None:
        arguments.append(f"--model={model}")
    async with ModelServer([CallMcpTool("adder", "add", {"a": 1, "b": 2}), "done"]) as server:
        finished = await session.run(server, *arguments)
    call, _ = finished.items
    assert (call["type"], call["server"], call["tool"]) == ("mcp_tool_call", "adder", "add")
    assert (call["arguments"], call["status"]) == ({"a": 1, "b": 2}, "completed")
    assert call["result"]["content"] == [{"type": "text", "text": "sum=3"}]


async def test_a_plan_is_a_todo_list(session: Session) -> None:
    def plan(first: str) -> FunctionCall:
        steps = [{"step": "one", "status": first}, {"step": "two", "status": "pending"}]
        return FunctionCall("update_plan", {"plan": steps})

    async with ModelServer([plan("in_progress"), plan("completed"), "done"]) as server:
        finished = await session.run(server, "--config=tools.update_plan.enabled=true")
    todo = [e for e in finished.events if e.get("item", {}).get("type") == "todo_list"]
    assert [event["type"] for event in todo] == ["item.started", "item.updated", "item.completed"]
    assert todo[-1]["item"]["items"] == [
        {"text": "one", "completed": True},
        {"text": "two", "completed": False},
    ]


async def test_a_web_search_is_an_item(session: Session) -> None:
    finished = await session.reply(Reply(WebSearch("weather"), "rain"))
    search, _ = finished.items
    assert (search["type"], search["query"]) == ("web_search", "weather")


async def test_an_unknown_tool_is_reported_to_the_model(session: Session) -> None:
    async with ModelServer([FunctionCall("bogus"), "done"]) as server:
        finished = await session.run(server)
        (output,) = server.requests[1].function_outputs()
    assert finished.exit_code == 0
    assert output.text == "unsupported call: bogus"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (HttpReply(400, "what you sent"), "what you sent"),
        (HttpReply(401), "unexpected status 401 Unauthorized: "),
        (HttpReply(403), "unexpected status 403 Forbidden: "),
        (HttpReply(429), "exceeded retry limit, last status: 429 Too Many Requests"),
        (HttpReply(500), "We're currently experiencing high demand"),
        (
            HttpReply(429, {"error": {"type": "usage_limit_reached", "plan_type": "pro"}}),
            "You've hit your usage limit",
        ),
        (Failed("server_error", "boom"), "stream disconnected before completion: boom"),
        (Failed("context_length_exceeded"), "Codex ran out of room in the model's context window"),
        (Failed("insufficient_quota"), "Quota exceeded."),
        (Cut(), "stream disconnected before completion: error sending request"),
        (Message("Hel", Cut()), "stream disconnected before completion: Transport error"),
        (
            Message("Hel", Cut(clean=True)),
            "stream disconnected before completion: stream closed before response.completed",
        ),
    ],
)
async def test_failures_fail_the_turn_at_once(session: Session, reply: Any, message: str) -> None:
    finished = await session.reply(reply)
    assert finished.exit_code == 1
    assert finished.error.startswith(message)
    assert finished.reconnections == 0


async def test_some_failures_differ_by_generation(session: Session) -> None:
    messages = [
        (await session.reply(reply)).error
        for reply in (
            Failed("rate_limit_exceeded", "boom"),
            Failed("invalid_prompt", "boom"),
            Incomplete("max_output_tokens"),
        )
    ]
    if session.is_legacy:
        assert messages == [
            "stream disconnected before completion: boom",
            "stream disconnected before completion: boom",
            "stream disconnected before completion: stream closed before response.completed",
        ]
    else:
        assert messages == [
            "rate limit exceeded: boom",
            "boom",
            "Incomplete response returned, reason: max_output_tokens",
        ]


async def test_with_retries_codex_goes_on_after_a_failure(session: Session) -> None:
    async with ModelServer([HttpReply(503), Message("Hel", Cut()), "Hello"]) as server:
        finished = await session.run(server, retries=1)
        assert len(server.requests) == 3
    assert finished.items == [{"type": "agent_message", "text": "Hello"}]
    assert finished.reconnections == 1


async def test_a_script_that_has_run_out_fails_the_turn_and_says_so(session: Session) -> None:
    async with ModelServer([RunCommand("true")]) as server:
        finished = await session.run(server, prompt="my prompt", retries=5)
        assert len(server.requests) == 2
    assert finished.exit_code == 1
    assert finished.error == (
        "the script of ModelServer has no reply left for request 2, whose prompt is 'my prompt'"
    )


async def test_a_script_that_raises_fails_the_turn_and_says_so(session: Session) -> None:
    finished: list[Finished] = []
    with pytest.raises(ZeroDivisionError):
        async with ModelServer(lambda request: str(1 // (request.number - 1))) as server:
            finished.append(await session.run(server))
    assert finished[0].error.startswith("the script of ModelServer raised ZeroDivisionError: ")


async def test_a_function_sees_the_request(session: Session) -> None:
    async def respond(request: ModelRequest) -> str:
        await checkpoint()
        return f"You said: {request.prompt}"

    async with ModelServer(respond) as server:
        finished = await session.run(server, prompt="Grüße \u2028 😀")
    assert finished.items[0]["text"] == "You said: Grüße \u2028 😀"


async def test_the_turn_waits_at_a_gate_and_for_a_delay(session: Session) -> None:
    gate = Gate()
    finished: list[Finished] = []

    async def run() -> None:
        finished.append(await session.run(server))

    async with ModelServer(Reply(Message("a", gate, "b"), Delay(0.1))) as server:
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await gate.reached()
            assert finished == []
            gate.release()
    assert finished[0].items == [{"type": "agent_message", "text": "ab"}]


async def test_a_server_that_ends_fails_the_turn_that_hangs(session: Session) -> None:
    finished: list[Finished] = []

    async def run(server: ModelServer) -> None:
        finished.append(await session.run(server))

    async with anyio.create_task_group() as group:
        async with ModelServer(Message("a", Gate())) as server:
            group.start_soon(run, server)
            await server.wait_for_request()
    assert finished[0].exit_code != 0


async def test_many_turns_at_once_each_get_their_own_replies(session: Session) -> None:
    names = [f"<{number}>" for number in range(8)]
    script = {name: [RunCommand(f"echo '{name}'"), f"done {name}"] for name in names}
    finished: dict[str, Finished] = {}

    async def run(name: str) -> None:
        finished[name] = await session.run(server, prompt=f"Do {name}, please.")

    async with ModelServer(script) as server, anyio.create_task_group() as group:
        for name in names:
            group.start_soon(run, name)
    for name in names:
        command, message = finished[name].items
        assert command["aggregated_output"] == f"{name}\n"
        assert message["text"] == f"done {name}"


async def test_the_request_tells_what_codex_sent(session: Session) -> None:
    image = session.workspace / "image.png"
    image.write_bytes(PNG)
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    schema_file = session.workspace / "schema.json"
    schema_file.write_text(json.dumps(schema))
    async with ModelServer(["{}", "again"]) as server:
        finished = await session.run(
            server,
            "--model=gpt-5.5",
            f"--image={image}",
            f"--output-schema={schema_file}",
            prompt="Look!",
        )
        thread_id = finished.events[0]["thread_id"]
        await session.run(server, "--model=gpt-5.5", "resume", thread_id, prompt="And now?")
        first, second = server.requests
    assert first.path == "/v1/responses"
    assert first.headers["authorization"] == "Bearer test-key"
    assert first.model == "gpt-5.5"
    assert first.instructions.startswith("You are")
    assert first.prompt.strip() == "Look!"
    assert any("<environment_context>" in text for text in first.user_texts())
    assert [picture.data for picture in first.images()] == [PNG]
    assert first.output_schema == schema
    assert "update_plan" in first.tool_names() or "exec_command" in first.tool_names()
    assert second.prompt.strip() == "And now?"
    assert second.assistant_texts() == ("{}",)
    assert second.output_schema is None


async def test_the_environment_is_enough_to_run_the_cli_by_hand(session: Session) -> None:
    async with ModelServer("Hello") as server:
        command = [session.codex, "exec", "--json", "--skip-git-repo-check", "hello"]
        env = server.environment()
        done = await anyio.run_process(command, env=env, cwd=session.workspace)
        assert b'"text":"Hello"' in done.stdout
        assert server.requests[0].headers["authorization"] == f"Bearer {env['CODEX_API_KEY']}"


async def test_the_cli_asks_nobody_but_the_server(session: Session) -> None:
    async with ModelServer([RunCommand("sleep 0.5"), "done"]) as server:
        proxy = server.url.removesuffix("/v1")
        options = server.codex_options(env={"HTTPS_PROXY": proxy, "https_proxy": proxy})
        await codex_exec(session.codex, options, cwd=session.workspace)
        # by itself, a newer CLI fetches plugins from GitHub
        assert [request.path for request in server.other_requests] == []


async def test_a_provider_that_prefers_websockets_falls_back_to_http(session: Session) -> None:
    async with ModelServer("Hello") as server:
        options = server.codex_options(
            env={"OPENAI_BASE_URL": server.url},
            config_overrides={"model_provider": "openai", "openai_base_url": server.url},
        )
        finished = await codex_exec(session.codex, options, cwd=session.workspace)
        assert len(server.requests) == 1
        assert [r.method for r in server.other_requests] == ([] if session.is_legacy else ["GET"])
    assert finished.items == [{"type": "agent_message", "text": "Hello"}]

"""What turns of the real CLI give."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import attrs
import pytest

from codex_sdk import (
    CodexCLIError,
    CodexError,
    CodexOptions,
    ThreadMismatchError,
    ThreadOptions,
    TurnFailedError,
    TurnOptions,
    Usage,
)
from codex_sdk.testing import (
    AddFile,
    ApplyPatch,
    Failed,
    HttpReply,
    Message,
    ModelServer,
    Reasoning,
    Reply,
    RunCommand,
)

from .conftest import MakeCodex

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_a_turn_gives_its_items_its_answer_and_its_usage(
    make_codex: MakeCodex, options: ThreadOptions, workspace: Path
) -> None:
    usage = Usage(11, 3, 7)
    script = [
        Reply(Reasoning("**Looking**\n\nat it"), RunCommand("echo hello; exit 3"), usage=usage),
        Reply(ApplyPatch(AddFile("new.txt", "new\n")), usage=usage),
        Reply(Message("All ", "done."), usage=usage),
    ]
    async with ModelServer(script) as server:
        turn = await make_codex(server).start_thread(options).run("Do it")
    assert turn.final_response == "All done."
    assert [item.text for item in turn.reasoning()] == ["**Looking**\n\nat it"]
    (command,) = turn.commands()
    assert (command.aggregated_output, command.exit_code, command.status) == (
        "hello\n",
        3,
        "failed",
    )
    (change,) = turn.file_changes()
    assert [Path(c.path).name for c in change.changes] == ["new.txt"]
    assert (workspace / "new.txt").read_text() == "new\n"
    assert turn.usage is not None
    assert (turn.usage.input_tokens, turn.usage.output_tokens) == (33, 21)
    assert turn.turn_usage == turn.usage


async def test_the_stream_gives_each_item_as_it_starts_and_ends(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer([RunCommand("echo hi"), "ok"]) as server:
        thread = make_codex(server).start_thread(options)
        async with thread.stream("Do it") as stream:
            events = [event async for event in stream if event.type != "error"]
            assert stream.thread_id == thread.id
    kinds = [
        (event.type, event.item.type)
        for event in events
        if event.type in ("item.started", "item.completed") and event.item.type != "error"
    ]
    assert kinds == [
        ("item.started", "command_execution"),
        ("item.completed", "command_execution"),
        ("item.completed", "agent_message"),
    ]


async def test_later_turns_know_of_earlier_ones_and_count_their_own_tokens(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer(lambda request: "ok") as server:
        codex = make_codex(server)
        thread = codex.start_thread(options)
        await thread.run("The first prompt")
        second = await thread.run("The second prompt")
        assert thread.id is not None
        third = await codex.resume_thread(thread.id, options).run("The third prompt")
        last = await codex.resume_last_thread(options).run("The fourth prompt")
        assert "The first prompt" in server.requests[-1].user_texts()
        assert server.requests[-1].prompt == "The fourth prompt"
    assert second.usage is not None
    assert second.turn_usage is not None
    assert second.turn_usage.input_tokens == second.usage.input_tokens // 2
    assert third.turn_usage is None
    assert last.final_response == "ok"


async def test_images_reach_the_model_whatever_their_names(
    make_codex: MakeCodex, options: ThreadOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [Path("-dash.png"), Path("one,two.png"), tmp_path / "plain, with space.png"]
    for path in paths:
        path.write_bytes(PNG)
    async with ModelServer(lambda request: "ok") as server:
        thread = make_codex(server).start_thread(options)
        await thread.run("no image")
        await thread.run(
            [
                {"type": "local_image", "path": paths[0]},
                {"type": "text", "text": "Look"},
                *({"type": "local_image", "path": str(path)} for path in paths[1:]),  # type: ignore[list-item]
            ]
        )
        request = server.requests[-1]
        assert len(request.images()) == 3
        assert request.prompt == "Look"
        assert "no image" in request.user_texts()


async def test_a_prompt_of_any_characters_arrives_as_it_was(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    prompt = "--help \u2028 '\"\\ \U0001f600 \x1b[31m\n\ttab \x00 end" + "é" * 300_000
    async with ModelServer(["ok"]) as server:
        await make_codex(server).start_thread(options).run(prompt)
        assert server.requests[-1].prompt == prompt


async def test_text_from_the_model_arrives_as_it_was(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    text = "\u2028\u0085 \U0001f600 '\"\\ \x00\n" + "x" * 1_000_000
    async with ModelServer([text]) as server:
        turn = await make_codex(server).start_thread(options).run("Say it")
    assert turn.final_response == text


async def test_the_output_schema_reaches_the_model_also_in_a_later_turn(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    async with ModelServer(lambda request: '{"ok": true}') as server:
        thread = make_codex(server).start_thread(options)
        await thread.run("hi")
        assert server.requests[-1].output_schema is None
        result = await thread.run_json("hi", output_schema=schema)
        assert server.requests[-1].output_schema == schema
    assert result.output == {"ok": True}
    assert json.loads(result.turn.final_response) == {"ok": True}


async def test_a_failed_turn_says_why(make_codex: MakeCodex, options: ThreadOptions) -> None:
    async with ModelServer([Failed("context_length_exceeded", "too long")]) as server:
        with pytest.raises(TurnFailedError, match="ran out of room") as caught:
            await make_codex(server).start_thread(options).run("hi")
    assert caught.value.error is not None


async def test_a_thread_goes_on_after_a_failed_turn(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer([HttpReply(400, "no"), "better"]) as server:
        thread = make_codex(server).start_thread(options)
        with pytest.raises(TurnFailedError, match="no"):
            await thread.run("hi")
        assert (await thread.run("again")).final_response == "better"
        assert "hi" in server.requests[-1].user_texts()


async def test_a_setting_that_the_cli_refuses_is_a_cli_error(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    async with ModelServer() as server:
        codex = make_codex(server, config_overrides={"sandbox_mode": 7})
        with pytest.raises(CodexCLIError, match="sandbox_mode") as caught:
            await codex.start_thread(attrs.evolve(options, sandbox_mode=None)).run("hi")
    assert caught.value.exit_code == 1


async def test_a_thread_that_does_not_exist_is_never_a_new_one(
    make_codex: MakeCodex, options: ThreadOptions, legacy: bool
) -> None:
    async with ModelServer(lambda request: "a new conversation") as server:
        codex = make_codex(server)
        for thread_id in ("01a2b3c4-0000-7000-8000-000000000001", "no-such-name"):
            with pytest.raises((ThreadMismatchError, CodexCLIError)):
                await codex.resume_thread(thread_id, options).run("hi")


async def test_the_base_url_redirects_the_model_requests(
    codex_cli: str, options: ThreadOptions, tmp_path: Path
) -> None:
    """Without any configuration but the options; with a key, and the key where it belongs."""
    from codex_sdk import Codex

    home = tmp_path / "home"
    home.mkdir()
    async with ModelServer(["redirected"]) as server:
        client = CodexOptions(
            codex_path_override=codex_cli,
            base_url=server.url,
            api_key="sk-for-this-test",
            env={"HOME": str(home), "CODEX_HOME": str(home), "PATH": "/usr/bin:/bin"},
        )
        turn = await Codex(client).start_thread(options).run("hi")
        assert turn.final_response == "redirected"
        assert server.requests[0].headers["authorization"] == "Bearer sk-for-this-test"
        assert not [r for r in server.other_requests if "upgrade" in r.headers]


async def test_turns_of_many_threads_run_side_by_side(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    import anyio

    answers: dict[str, str] = {}
    async with ModelServer(lambda request: f"You said {request.prompt}") as server:
        codex = make_codex(server)

        async def run(prompt: str) -> None:
            answers[prompt] = (await codex.start_thread(options).run(prompt)).final_response

        async with anyio.create_task_group() as task_group:
            for number in range(8):
                task_group.start_soon(run, f"number {number}")
    assert answers == {f"number {n}": f"You said number {n}" for n in range(8)}


async def test_a_turn_without_a_git_repository_needs_the_option(
    make_codex: MakeCodex, options: ThreadOptions
) -> None:
    # Not below /tmp, where the sandboxes of other tests that run just now may have put a .git.
    options = attrs.evolve(options, skip_git_repo_check=None, working_directory="/var/tmp")
    async with ModelServer(["ok"]) as server:
        thread = make_codex(server).start_thread(options)
        with pytest.raises(CodexError, match=r"ThreadOptions\(skip_git_repo_check=True\)"):
            await thread.run("hi", TurnOptions(timeout=30))

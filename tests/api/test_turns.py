"""Running and reading turns, against stand-in CLIs."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from codex_sdk import (
    AgentMessageItem,
    CodexError,
    ItemCompletedEvent,
    ThreadHooks,
    ThreadStartedEvent,
    TurnFailedError,
    TurnOptions,
    Usage,
)

from .conftest import MakeCodex

HELLO = """
prompt = sys.stdin.read()
started()
message("You said: " + prompt)
completed()
"""

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"


async def test_run_returns_the_items_the_last_message_and_the_usage(codex_like: MakeCodex) -> None:
    codex = codex_like(
        """
        started()
        message("first", 0)
        emit({"type": "item.completed", "item": {"id": "item_1", "type": "reasoning", "text": "hm"}})
        message("last", 2)
        completed()
        """
    )
    turn = await codex.start_thread().run("hi")
    assert [item.id for item in turn.items] == ["item_0", "item_1", "item_2"]
    assert turn.final_response == "last"
    assert turn.usage == Usage(input_tokens=11, cached_input_tokens=3, output_tokens=7)
    assert [message.text for message in turn.agent_messages()] == ["first", "last"]
    assert [item.text for item in turn.reasoning()] == ["hm"]


async def test_a_prompt_of_any_size_and_script_reaches_the_cli_whole(codex_like: MakeCodex) -> None:
    codex = codex_like(
        """
        started()
        message("x" * 300_000)  # more than a pipe holds, before the prompt is read
        time.sleep(0.05)
        message(sys.stdin.buffer.read().decode()[-20:])
        completed()
        """
    )
    turn = await codex.start_thread().run("\U0001f600é" * 2_500_000)
    assert turn.final_response == "\U0001f600é" * 10


async def test_texts_are_joined_by_blank_lines(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    turn = await thread.run([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    assert turn.final_response == "You said: one\n\ntwo"


async def test_a_stream_gives_each_event_in_order_and_then_the_turn(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    async with thread.stream("hi") as stream:
        events = [event async for event in stream]
        turn = await stream.turn()
        assert stream.thread_id == THREAD_ID
    assert [event.type for event in events] == [
        "thread.started",
        "turn.started",
        "item.completed",
        "turn.completed",
    ]
    assert events[0] == ThreadStartedEvent(THREAD_ID)
    assert events[2] == ItemCompletedEvent(AgentMessageItem("item_0", "You said: hi"))
    assert turn == await stream.turn()
    assert thread.id == THREAD_ID


async def test_the_turn_holds_what_was_iterated_over_and_what_was_not(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like("started()\nmessage('a', 0)\nmessage('b', 1)\ncompleted()").start_thread()
    async with thread.stream("hi") as stream:
        async for event in stream:
            if event.type == "item.completed":
                break
        turn = await stream.turn()
    assert [message.text for message in turn.agent_messages()] == ["a", "b"]


async def test_batches_hold_the_same_events_as_iteration(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    async with thread.stream("hi") as stream:
        types = [(await anext(stream)).type]
        while batch := await stream.receive_batch():
            types += [event.type for event in batch]
    assert types == ["thread.started", "turn.started", "item.completed", "turn.completed"]


async def test_events_come_while_the_turn_runs(codex_like: MakeCodex, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    thread = codex_like(
        f"""
        started()
        while not os.path.exists({str(go_on)!r}):
            time.sleep(0.005)
        completed()
        """
    ).start_thread()
    async with thread.stream("hi") as stream:
        async for event in stream:
            if event.type == "turn.started":
                go_on.touch()
        assert (await stream.turn()).final_response == ""


async def test_a_stream_is_read_inside_its_block_only(codex_like: MakeCodex) -> None:
    stream = codex_like(HELLO).start_thread().stream("hi")
    with pytest.raises(CodexError, match="inside `async with"):
        await anext(stream)
    async with stream:
        pass
    with pytest.raises(CodexError, match="before the turn was over"):
        await stream.turn()
    with pytest.raises(CodexError, match="a stream is one turn"):
        async with stream:
            pass


async def test_a_second_turn_on_a_busy_thread_is_refused(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    async with thread.stream("hi") as stream:
        with pytest.raises(CodexError, match="already runs a turn"):
            await thread.run("me too")
        assert (await stream.turn()).final_response == "You said: hi"
    assert (await thread.run("again")).final_response == "You said: again"


async def test_turns_of_different_threads_run_side_by_side(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    codex = codex_like(
        f"""
        me = sys.stdin.read()
        open({str(tmp_path)!r} + "/here-" + me, "w").close()
        while not all(os.path.exists({str(tmp_path)!r} + "/here-" + name) for name in "abc"):
            time.sleep(0.005)
        started(); message(me); completed()
        """
    )
    answers: list[str] = []

    async def run(name: str) -> None:
        answers.append((await codex.start_thread().run(name)).final_response)

    async with anyio.create_task_group() as task_group:
        for name in "abc":
            task_group.start_soon(run, name)
    assert sorted(answers) == ["a", "b", "c"]


async def test_a_second_turn_of_a_thread_resumes_it(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "sys.stdin.read(); started(); message(' '.join(sys.argv[1:])); completed()"
    ).start_thread()
    first, second = await thread.run("hi"), await thread.run("hi")
    assert "resume" not in first.final_response
    assert second.final_response.endswith(f"resume -- {THREAD_ID}")


async def test_a_failed_turn_is_an_event_of_the_stream_and_an_error_of_run(
    codex_like: MakeCodex,
) -> None:
    codex = codex_like(
        """
        started()
        emit({"type": "error", "message": "Reconnecting... 1/5"})
        emit({"type": "turn.failed", "error": {"message": "no more tokens"}})
        sys.exit(1)
        """
    )
    with pytest.raises(TurnFailedError, match="no more tokens") as caught:
        await codex.start_thread().run("hi")
    assert caught.value.error is not None
    assert caught.value.error.message == "no more tokens"
    async with codex.start_thread().stream("hi") as stream:
        types = [event.type async for event in stream]
        with pytest.raises(TurnFailedError):
            await stream.turn()
    assert types == ["thread.started", "turn.started", "error", "turn.failed"]


async def test_an_error_event_does_not_end_the_turn(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "started(); emit({'type': 'error', 'message': 'Reconnecting'}); message('ok'); completed()"
    ).start_thread()
    assert (await thread.run("hi")).final_response == "ok"


async def test_hooks_are_called_in_order_and_async_ones_are_awaited(codex_like: MakeCodex) -> None:
    calls: list[str] = []

    async def on_item(item: object) -> None:
        await anyio.lowlevel.checkpoint()
        calls.append("item")

    hooks = ThreadHooks(
        on_event=lambda event: calls.append(event.type),
        on_thread_started=lambda event: calls.append(event.thread_id),
        on_item_completed=lambda event: calls.append("item completed"),
        on_item=on_item,
        on_item_type={"agent_message": lambda item: calls.append(item.text)},
        on_turn_completed=lambda event: calls.append("done"),
    )
    turn = await codex_like(HELLO).start_thread().run_with_hooks("hi", hooks=hooks)
    assert turn.final_response == "You said: hi"
    assert calls == [
        *["thread.started", THREAD_ID, "turn.started"],
        *["item.completed", "item completed", "item", "You said: hi"],
        *["turn.completed", "done"],
    ]


async def test_a_hook_that_raises_ends_the_turn_with_its_own_exception(
    codex_like: MakeCodex,
) -> None:
    def refuse(item: object) -> None:
        raise LookupError("not this one")

    thread = codex_like("started(); message('hi'); time.sleep(600)").start_thread()
    with pytest.raises(LookupError, match="not this one"):
        await thread.run_with_hooks("hi", hooks=ThreadHooks(on_item=refuse))


async def test_the_loose_forms_give_the_same_events(codex_like: MakeCodex) -> None:
    codex = codex_like(HELLO)
    streamed = await codex.start_thread().run_streamed("hi")
    events = [event async for event in streamed.events]
    assert events == [e async for e in codex.start_thread().run_streamed_events("hi")]
    assert [event.type for event in events][-1] == "turn.completed"
    async with codex:
        assert events == [e async for e in codex.start_thread().run_streamed_events("hi")]


def test_the_sync_form_runs_a_turn(codex_like: MakeCodex) -> None:
    assert codex_like(HELLO).start_thread().run_sync("hi").final_response == "You said: hi"


async def test_the_sync_form_refuses_a_running_loop(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    with pytest.raises(CodexError, match=r"await run\(\) instead"):
        thread.run_sync("hi")
    with pytest.raises(CodexError, match=r"await run_json\(\) instead"):
        thread.run_json_sync("hi", output_schema={"type": "object"})
    with pytest.raises(CodexError, match=r"await run_typed\(\) instead"):
        thread.run_typed_sync("hi", output_type=int)
    turn = await anyio.to_thread.run_sync(thread.run_sync, "hi")
    assert turn.final_response == "You said: hi"


async def test_a_text_that_is_no_prompt_is_refused(codex_like: MakeCodex) -> None:
    thread = codex_like(HELLO).start_thread()
    with pytest.raises(CodexError, match="the prompt is empty"):
        await thread.run(" \n")
    with pytest.raises(CodexError, match="lone surrogate at position 3"):
        await thread.run("abc\ud800")
    with pytest.raises(CodexError, match="input item 1"):
        await thread.run([{"type": "text", "text": "a"}, {"type": "sound"}])  # type: ignore[list-item]


async def test_an_output_schema_reaches_the_cli_as_a_file_that_is_gone_afterwards(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like(
        """
        path = next(a for a in sys.argv if a.startswith("--output-schema=")).partition("=")[2]
        started(); message(json.dumps([path, json.load(open(path))])); completed()
        """
    ).start_thread()
    schema = {"type": "object", "title": "\U0001f600"}
    turn = await thread.run("hi", TurnOptions(output_schema=schema))
    path, sent = json.loads(turn.final_response)
    assert sent == schema
    assert not await anyio.Path(path).exists()

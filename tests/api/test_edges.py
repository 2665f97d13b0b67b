"""What happens at the edges of a turn: when limits, readers, loops and processes end in an odd order."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import anyio
import psutil
import pytest

from codex_sdk import (
    AbortController,
    AbortSignal,
    CodexAbortError,
    CodexCLIError,
    CodexError,
    CodexParseError,
    CodexTimeoutError,
    ThreadOptions,
    TurnOptions,
)

from .conftest import MakeCodex

asyncio_only = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"debug": True})], ids=["asyncio"]
)


@asyncio_only
async def test_no_event_is_lost_when_native_timeouts_end_the_reading(codex_like: MakeCodex) -> None:
    thread = codex_like(
        """
        started()
        for number in range(300):
            message(str(number), number)
            time.sleep(0.001)
        completed()
        """
    ).start_thread()
    texts: list[str] = []
    async with thread.stream("hi") as stream:
        while True:
            try:
                event = await asyncio.wait_for(anext(stream), 0.0004)
            except asyncio.TimeoutError:
                continue
            except StopAsyncIteration:
                break
            if event.type == "item.completed" and event.item.type == "agent_message":
                texts.append(event.item.text)
        turn = await stream.turn()
    assert texts == [str(number) for number in range(300)]
    assert len(turn.items) == 300


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_limit_that_runs_by_another_clock_still_raises(codex_like: MakeCodex) -> None:
    import trio.testing

    thread = codex_like("started(); time.sleep(600)").start_thread()
    failures: list[BaseException] = []

    async def run() -> None:
        try:
            await thread.run("hi", TurnOptions(signal=AbortSignal.timeout(5)))
        except CodexAbortError as error:
            failures.append(error)

    await anyio.to_thread.run_sync(
        lambda: trio.run(run, clock=trio.testing.MockClock(rate=50))  # 5 s of it are 0.1 s of ours
    )
    (failure,) = failures
    assert isinstance(failure, CodexAbortError)
    assert isinstance(failure.reason, TimeoutError)


async def test_what_ended_the_turn_is_what_came_first(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    asked, aborted = tmp_path / "asked", tmp_path / "aborted"
    thread = codex_like(
        f"""
        def stop(*_):
            open({str(asked)!r}, "w").close()
            while not os.path.exists({str(aborted)!r}):
                time.sleep(0.01)
            os._exit(0)
        signal.signal(signal.SIGTERM, stop); started(); time.sleep(600)
        """
    ).start_thread()
    controller, over = AbortController(), threading.Event()

    def abort() -> None:
        while not (asked.exists() or over.wait(0.01)):
            pass
        controller.abort("while it was being stopped")
        aborted.touch()

    aborting = threading.Thread(target=abort)
    aborting.start()
    try:
        with pytest.raises(CodexTimeoutError):
            await thread.run("hi", TurnOptions(timeout=1.0, signal=controller.signal))
    finally:
        over.set()  # a CLI that had not begun to run when its time was over was asked nothing
        aborting.join()


FINISHING = """
started(); message("done"); completed()
time.sleep(0.3)
open({0!r}, "w").close()
"""


async def test_leaving_at_the_last_event_lets_the_cli_finish(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    codex = codex_like(FINISHING.format(str(done)))
    async with codex.start_thread().stream("hi") as stream:
        async for event in stream:
            if event.type == "turn.completed":
                break
    assert done.exists()
    done.unlink()
    thread = codex.start_thread()
    async for event in thread.run_streamed_events("hi"):
        if event.type == "turn.completed":
            break
    del event
    gc.collect()
    await thread.run("the next turn waits for the end of the one before")
    assert done.exists()


async def test_a_slow_reader_does_not_use_up_the_time_limit(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); message('done'); completed()").start_thread()
    async with thread.stream("hi", TurnOptions(timeout=20)) as stream:
        await anext(stream)
        # Where the limit is not lifted when the last event is read ahead, it ends this.
        while anyio.current_effective_deadline() != float("inf"):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        turn = await stream.turn()
    assert turn.final_response == "done"


async def test_an_abort_while_the_block_is_left_loses_nothing(codex_like: MakeCodex) -> None:
    controller = AbortController()
    thread = codex_like("started(); message('found'); time.sleep(600)").start_thread()

    async def find() -> str | None:
        async with thread.stream("hi", TurnOptions(signal=controller.signal)) as stream:
            async for event in stream:
                if event.type == "item.completed" and event.item.type == "agent_message":
                    controller.abort("no longer needed")
                    return event.item.text
        return None

    assert await find() == "found"


async def test_limits_hold_while_another_turns_end_is_waited_for(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); started(); time.sleep(600)"
    ).start_thread()
    async for _ in thread.run_streamed_events("hi"):
        break
    gc.collect()
    with pytest.raises(CodexTimeoutError):
        await thread.run("next", TurnOptions(timeout=0.1))
    with pytest.raises(CodexError, match="the prompt is empty"):  # and the slot is free in the end
        await thread.run("")


async def test_a_cancelled_scope_spawns_nothing(codex_like: MakeCodex, tmp_path: Path) -> None:
    thread = codex_like(f"open({str(tmp_path)!r} + '/spawned', 'w')").start_thread()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await thread.run("hi")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(thread.run_streamed_events("hi"))
    assert not (tmp_path / "spawned").exists()


async def test_a_directory_that_is_gone_is_no_os_error(
    codex_like: MakeCodex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    thread = codex_like("started(); message('fine'); completed()").start_thread()
    assert (await thread.run("hi")).final_response == "fine"


async def test_a_name_that_is_no_path_leaves_the_clis_own_error(codex_like: MakeCodex) -> None:
    codex = codex_like("print('File name too long', file=sys.stderr); sys.exit(5)")
    thread = codex.start_thread(ThreadOptions(working_directory="a" * 300))
    with pytest.raises(CodexCLIError, match="File name too long"):
        await thread.run("hi")


async def list_hidden(folder: Path) -> list[Path]:
    return await anyio.to_thread.run_sync(lambda: list(folder.rglob(".*")))


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox in question is Linux's")
async def test_litter_is_removed_where_the_sandbox_made_it(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()  # there before, and not ours to remove
    script = f"""
    os.chdir({str(tmp_path)!r})
    for name in (".codex", "sub/.git", "sub/.aws"):
        os.mkdir(name)
    open("sub/.aws/config", "w").close()
    started(); completed()
    """
    options = ThreadOptions(working_directory=tmp_path, additional_directories=["sub"])
    await codex_like(script).start_thread(options).run("hi")
    left = {str(path.relative_to(tmp_path)) for path in await list_hidden(tmp_path)}
    assert left == {".git", "sub/.aws"}


async def test_the_cause_of_an_error_survives_a_loose_iterator(codex_like: MakeCodex) -> None:
    controller, reason = AbortController(), ValueError("why")
    thread = codex_like("started(); time.sleep(600)").start_thread()
    with pytest.raises(CodexAbortError) as caught:
        async for _ in thread.run_streamed_events("hi", TurnOptions(signal=controller.signal)):
            controller.abort(reason)
    assert caught.value.__cause__ is reason
    with pytest.raises(CodexError) as refused:
        async for _ in thread.run_streamed_events([{"type": "text"}]):  # type: ignore[list-item]
            pass
    assert isinstance(refused.value.__cause__, KeyError)


async def test_a_failure_after_completion_is_raised_again(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); message('a'); completed(); sys.exit(3)").start_thread()
    async with thread.stream("hi") as stream:
        for _ in range(2):
            with pytest.raises(CodexCLIError, match="completed the turn"):
                await stream.turn()


async def test_a_turn_without_a_thread_is_an_error(codex_like: MakeCodex) -> None:
    codex = codex_like("emit({'type': 'turn.started'}); message('whose?'); completed()")
    with pytest.raises(CodexParseError, match="without naming its thread"):
        await codex.resume_thread("01a2b3c4-0000-7000-8000-000000000001").run("hi")


async def test_a_wrong_answers_error_has_the_turn_that_it_is_from(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); message('[1, \"two\"]'); completed()").start_thread()
    with pytest.raises(CodexParseError) as caught:
        await thread.run_typed("hi", output_type=list[int])
    assert caught.value.turn is not None
    assert caught.value.turn.usage is not None


async def test_every_secret_of_the_environment_is_blanked_out(codex_like: MakeCodex) -> None:
    env = {**os.environ, "OPENAI_API_KEY": "sk-other-secret", "CODEX_API_KEY": "sk-abcdefghijk"}
    codex = codex_like(
        """
        print("x" + os.environ["CODEX_API_KEY"] * 3000, file=sys.stderr)
        print(os.environ["OPENAI_API_KEY"], file=sys.stderr); sys.exit(1)
        """,
        env=env,
    )
    with pytest.raises(CodexCLIError) as caught:
        await codex.start_thread().run("hi")
    assert "other-secret" not in str(caught.value)
    assert "hijk" not in str(caught.value)
    assert "<OPENAI_API_KEY>" in str(caught.value)


async def test_a_loose_iterator_keeps_nothing_that_it_has_handed_over(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like(
        """
        started()
        for number in range(100):
            message("x" * 1_000_000, number)
        completed()
        """
    ).start_thread()
    before = psutil.Process().memory_info().rss
    async for event in thread.run_streamed_events("hi"):
        last = event.type
    assert last == "turn.completed"
    assert psutil.Process().memory_info().rss - before < 50_000_000


@pytest.mark.parametrize("timeout", [float("nan"), -1, "5", True])
def test_a_time_limit_is_a_number_of_seconds(timeout: object) -> None:
    with pytest.raises(CodexError, match="number of seconds"):
        TurnOptions(timeout=timeout)  # type: ignore[arg-type]
    with pytest.raises(CodexError, match="number of seconds"):
        AbortSignal.timeout(timeout)  # type: ignore[arg-type]


def test_the_sync_form_refuses_a_callback_of_a_running_loop(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); completed()").start_thread()
    failures: list[BaseException] = []

    def callback() -> None:
        try:
            thread.run_sync("hi")
        except CodexError as error:
            failures.append(error)

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert len(failures) == 1


def test_ctrl_c_in_the_sync_form_is_a_keyboard_interrupt(
    stand_in: Callable[[str], str], no_process_left: Callable[[], list[str]]
) -> None:
    program = f"""
    import os, signal, threading, time
    from codex_sdk import Codex, CodexOptions

    options = CodexOptions(codex_path_override={stand_in("started(); time.sleep(600)")!r})
    thread = Codex(options).start_thread()

    def interrupt():
        while thread.id is None:  # until the turn runs
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        thread.run_sync("hi")
    except KeyboardInterrupt:
        print("interrupted")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
    assert no_process_left() == []


@pytest.mark.parametrize(
    "form", ["thread.run_streamed_events('hi').__anext__()", "thread.run('hi')"]
)
def test_a_loop_that_is_closed_under_a_turn_neither_keeps_it_alive_nor_the_thread_busy(
    stand_in: Callable[[str], str], no_process_left: Callable[[], list[str]], form: str
) -> None:
    cli = stand_in(
        """
        started()
        if "resume" not in sys.argv:
            time.sleep(600)
        message("free again"); completed()
        """
    )
    program = f"""
    import asyncio, faulthandler
    from codex_sdk import Codex, CodexOptions

    faulthandler.dump_traceback_later(40, exit=True)  # says where, if this should ever hang
    thread = Codex(CodexOptions(codex_path_override={cli!r})).start_thread()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    async def until_it_runs():
        task = asyncio.ensure_future({form})
        while thread.id is None:
            await asyncio.sleep(0.01)

    loop.run_until_complete(until_it_runs())
    loop.close()
    print(thread.run_sync("go on").final_response)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout.split() == ["free", "again"], done
    assert no_process_left() == []


def test_hidden_parts_of_options() -> None:
    from codex_sdk import CodexOptions

    options = CodexOptions(
        base_url="https://user:s3cret@host/v1",
        config_overrides={1: "s3cret"},  # type: ignore[dict-item]
    )
    assert "s3cret" not in repr(options)
    assert json.dumps(repr(options))

"""After each way of ending a turn: no process of it is left, and the caller knows why it ended."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from textwrap import dedent

import anyio
import pytest

from codex_sdk import (
    AbortController,
    AbortSignal,
    CodexAbortError,
    CodexError,
    CodexTimeoutError,
    ThreadHooks,
    TurnOptions,
)
from codex_sdk._io import stopping

from .conftest import MakeCodex

SLEEPER = "started(); time.sleep(600)"

# Ignores what can be ignored, and has a command like that in a session of its own.
STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
child = subprocess.Popen(
    [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
)
child.stdout.readline()
started()
time.sleep(600)
"""

Survivors = Callable[[], list[str]]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for who ignores SIGTERM. Programs of their own, which two of the tests run, do."""
    monkeypatch.setattr(stopping, "_LEADER_GRACE", 0.3)


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("script", [SLEEPER, STUBBORN], ids=["sleeper", "stubborn"])
class TestEachWayOfStopping:
    async def test_leaving_the_block(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        async with codex_like(script).start_thread().stream("hi") as stream:
            await anext(stream)
            assert no_process_left()
        assert no_process_left() == []

    async def test_an_exception_in_the_body(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        with pytest.raises(LookupError, match=r"^mine$"):
            async with codex_like(script).start_thread().stream("hi") as stream:
                await anext(stream)
                raise LookupError("mine")
        assert no_process_left() == []

    async def test_an_abort_from_another_thread(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        controller = AbortController()
        reason = ValueError("enough")
        with pytest.raises(CodexAbortError, match="enough") as caught:
            async with (
                codex_like(script)
                .start_thread()
                .stream("hi", TurnOptions(signal=controller.signal)) as stream
            ):
                await anext(stream)
                threading.Thread(target=controller.abort, args=(reason,)).start()
                await stream.turn()
        assert caught.value.reason is reason
        assert no_process_left() == []

    async def test_the_time_limit(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        with pytest.raises(CodexTimeoutError, match=r"0\.5 seconds") as caught:
            await codex_like(script).start_thread().run("hi", TurnOptions(timeout=0.5))
        assert isinstance(caught.value, TimeoutError)
        assert no_process_left() == []

    async def test_a_cancellation_of_the_callers(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        thread = codex_like(script).start_thread()
        with anyio.CancelScope() as scope:
            hooks = ThreadHooks(on_turn_started=lambda event: scope.cancel())
            await thread.run_with_hooks("hi", hooks=hooks)
        assert scope.cancelled_caught
        assert no_process_left() == []

    async def test_closing_a_loose_iterator(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        async with aclosing(codex_like(script).start_thread().run_streamed_events("hi")) as events:
            await anext(events)
        assert no_process_left() == []
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    async def test_breaking_out_of_a_loose_iterator(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        async for _ in codex_like(script).start_thread().run_streamed_events("hi"):
            break
        gc.collect()
        await eventually(lambda: no_process_left() == [])

    async def test_cancelling_the_reader_of_a_loose_iterator(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        events = codex_like(script).start_thread().run_streamed_events("hi")
        async with anyio.create_task_group() as task_group:
            for _ in range(2):
                await anext(events)

            async def read() -> None:
                await anext(events)

            task_group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            task_group.cancel_scope.cancel()
        assert no_process_left() == []

    async def test_closing_the_client_of_a_loose_iterator(
        self, codex_like: MakeCodex, script: str, no_process_left: Survivors
    ) -> None:
        codex = codex_like(script)
        async with codex:
            events = codex.start_thread().run_streamed_events("hi")
            await anext(events)
        assert no_process_left() == []
        with pytest.raises(CodexError, match="client that ran the turn was closed"):
            async for _ in events:
                pass

    def test_the_end_of_the_event_loop(
        self,
        stand_in: Callable[[str], str],
        script: str,
        no_process_left: Survivors,
        anyio_backend_name: str,
    ) -> None:
        program = f"""
        import anyio
        from codex_sdk import Codex, CodexOptions

        async def main():
            global events
            codex = Codex(CodexOptions(codex_path_override={stand_in(script)!r}))
            events = codex.start_thread().run_streamed_events("hi")
            print((await anext(events)).type)

        anyio.run(main, backend={anyio_backend_name!r})
        """
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", dedent(program)],
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("thread.started\n", "", 0)
        assert no_process_left() == []

    def test_ctrl_c(
        self,
        stand_in: Callable[[str], str],
        script: str,
        no_process_left: Survivors,
        anyio_backend_name: str,
    ) -> None:
        program = f"""
        import anyio, os, signal
        from codex_sdk import Codex, CodexOptions

        async def main():
            codex = Codex(CodexOptions(codex_path_override={stand_in(script)!r}))
            async with codex.start_thread().stream("hi") as stream:
                async for event in stream:
                    print(event.type, flush=True)
                    if event.type == "turn.started":
                        os.kill(os.getpid(), signal.SIGINT)

        anyio.run(main, backend={anyio_backend_name!r})
        """
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", dedent(program)],
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.stdout == "thread.started\nturn.started\n"
        # On Python 3.10, anyio.run() ends with the cancellation itself, whatever it runs.
        bare = anyio_backend_name == "asyncio" and sys.version_info < (3, 11)
        assert done.stderr.rstrip().endswith("CancelledError" if bare else "KeyboardInterrupt")
        assert no_process_left() == []


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what is promised soon, but not by any event: a dropped iterator cannot be awaited."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_signal_that_is_aborted_already_spawns_nothing(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    controller = AbortController()
    controller.abort("before it began")
    thread = codex_like(f"open({str(tmp_path)!r} + '/spawned', 'w')").start_thread()
    options = TurnOptions(signal=controller.signal)
    with pytest.raises(CodexAbortError, match="before it began"):
        await thread.run("hi", options)
    with pytest.raises(CodexAbortError, match="before it began"):
        async for _ in thread.run_streamed_events("hi", options):
            pass
    assert not (tmp_path / "spawned").exists()


async def test_the_time_limits_error_tells_what_codex_last_said(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "started(); emit({'type': 'error', 'message': 'Reconnecting... 3/5'}); time.sleep(600)"
    ).start_thread()
    with pytest.raises(CodexTimeoutError, match=r"Reconnecting\.\.\. 3/5") as caught:
        await thread.run("hi", TurnOptions(timeout=6))  # in which it has to start, and to say that
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


async def test_signals_that_time_out_end_the_turn(codex_like: MakeCodex) -> None:
    signal = AbortSignal.any(AbortController().signal, AbortSignal.timeout(0.3))
    with pytest.raises(CodexAbortError) as caught:
        await codex_like(SLEEPER).start_thread().run("hi", TurnOptions(signal=signal, timeout=60))
    assert isinstance(caught.value.reason, TimeoutError)
    assert caught.value.__cause__ is caught.value.reason


async def test_an_abort_of_a_loose_turn_reaches_its_reader(codex_like: MakeCodex) -> None:
    controller = AbortController()
    events = (
        codex_like(SLEEPER)
        .start_thread()
        .run_streamed_events("hi", TurnOptions(signal=controller.signal))
    )
    with pytest.raises(CodexAbortError, match="stop"):
        async for event in events:
            if event.type == "turn.started":
                controller.abort("stop")


async def test_an_abort_after_the_last_event_changes_nothing(codex_like: MakeCodex) -> None:
    controller = AbortController()
    thread = codex_like("started(); message('done'); completed()").start_thread()
    async with thread.stream("hi", TurnOptions(signal=controller.signal, timeout=30)) as stream:
        async for event in stream:
            if event.type == "turn.completed":
                controller.abort("too late")
        await anyio.lowlevel.checkpoint()
        turn = await stream.turn()
    assert turn.final_response == "done"


async def test_a_stopped_thread_can_go_on(codex_like: MakeCodex) -> None:
    thread = codex_like(
        """
        started()
        if "resume" not in sys.argv:
            time.sleep(600)
        message("resumed " + sys.argv[-1]); completed()
        """
    ).start_thread()
    async with thread.stream("hi") as stream:
        await anext(stream)
    assert (await thread.run("go on")).final_response == f"resumed {thread.id}"


async def test_a_thread_that_was_stopped_before_it_was_stored_begins_anew(
    codex_like: MakeCodex,
) -> None:
    """0.169.0 tells the id of a thread a moment before it can be resumed."""
    thread = codex_like(
        """
        prompt = sys.stdin.read()
        started(prompt, stored=prompt != "hi")
        if prompt == "hi":
            time.sleep(600)
        message(" ".join(sys.argv)); completed()
        """
    ).start_thread()
    async with thread.stream("hi") as stream:
        await anext(stream)
    assert "resume" not in (await thread.run("again")).final_response
    assert thread.id == "again"
    assert (await thread.run("again")).final_response.endswith("resume -- again")


async def test_a_loose_iterator_that_is_never_read_spawns_nothing(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    thread = codex_like(f"open({str(tmp_path)!r} + '/spawned', 'w')").start_thread()
    thread.run_streamed_events("hi")
    await (await thread.run_streamed("hi")).events.aclose()
    gc.collect()
    assert not (tmp_path / "spawned").exists()


async def test_after_a_break_out_of_a_loose_iterator_the_next_turn_waits_for_the_end(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    thread = codex_like(
        f"""
        started()
        if "resume" not in sys.argv:
            open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
            signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), os._exit(1)))
            message("first"); time.sleep(600)
        message("alive" if os.path.exists("/proc/" + open({str(tmp_path / "pid")!r}).read()) else "gone")
        completed()
        """
    ).start_thread()
    async for event in thread.run_streamed_events("hi"):
        if event.type == "item.completed":
            break
    assert (await thread.run("next")).final_response == "gone"


async def test_a_loose_iterator_raises_what_the_turn_raises(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); sys.exit(7)").start_thread()
    with pytest.raises(CodexError, match="code 7"):
        async for _ in thread.run_streamed_events("hi"):
            pass


async def test_a_loose_iterator_dropped_in_another_thread_stops_its_turn(
    codex_like: MakeCodex, no_process_left: Survivors
) -> None:
    holder = [codex_like(SLEEPER).start_thread().run_streamed_events("hi")]
    await anext(holder[0])
    await anyio.to_thread.run_sync(holder.clear)
    gc.collect()
    await eventually(lambda: no_process_left() == [])


def test_an_aborted_sync_turn_raises_the_reason(codex_like: MakeCodex) -> None:
    controller = AbortController()
    threading.Timer(0.3, controller.abort, ("by a timer",)).start()
    with pytest.raises(CodexAbortError, match="by a timer"):
        codex_like(SLEEPER).start_thread().run_sync("hi", TurnOptions(signal=controller.signal))

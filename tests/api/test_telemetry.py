"""The spans of a turn, and the trace that its process is told of."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

import anyio
import pytest
import trio
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from codex_sdk import (
    AbortController,
    CodexAbortError,
    CodexCLIError,
    CodexError,
    CodexTimeoutError,
    Thread,
    ThreadHooks,
    ThreadOptions,
    TurnFailedError,
    TurnOptions,
)

from ..tracing import Tracing, tracing
from .conftest import MakeCodex

__all__ = ["tracing"]

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"

ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""The traceparent of another program's span."""

TURN, EXEC = "codex_sdk.thread.turn", "codex_sdk.exec"

HELLO = "started(); message('hello'); completed()"
SLEEPER = "started(); time.sleep(600)"
FAILING = "started(); emit({'type': 'turn.failed', 'error': {'message': 'no more quota'}})"

# Answers with the variables that it has been given.
ENVIRONMENT = """
started()
names = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
message(json.dumps({name: os.environ[name] for name in names if name in os.environ}))
completed()
"""


def is_child(span: ReadableSpan, parent: ReadableSpan | trace.Span) -> bool:
    """Say whether *span* is a direct child of *parent*."""
    outer = parent.get_span_context()
    assert outer is not None
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == (
        outer.trace_id,
        outer.span_id,
    )


def traceparent(span: ReadableSpan) -> str:
    inner = span.get_span_context()
    assert inner is not None
    return f"00-{inner.trace_id:032x}-{inner.span_id:016x}-01"


@contextmanager
def coming_from(**carrier: str) -> Iterator[None]:
    """Continue the trace that another program has named."""
    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


async def environment_of(thread: Thread) -> dict[str, str]:
    found: dict[str, str] = json.loads((await thread.run("hi")).final_response)
    return found


class TestSpans:
    async def test_a_turn_and_its_process_are_spans_below_the_callers(
        self, codex_like: MakeCodex, tracing: Tracing, tmp_path: Path
    ) -> None:
        options = ThreadOptions(
            model="gpt-5-codex",
            sandbox_mode="read-only",
            working_directory=tmp_path,
            approval_policy="never",
        )
        with tracing.tracer.start_as_current_span("caller") as caller:
            await codex_like(HELLO).start_thread(options).run("hi")
        turn, process = tracing.the(TURN), tracing.the(EXEC)
        assert is_child(turn, caller)
        assert is_child(process, turn)
        described = {
            "thread_id": THREAD_ID,
            "model": "gpt-5-codex",
            "sandbox_mode": "read-only",
            "working_directory": str(tmp_path),
        }
        assert dict(turn.attributes or {}) == {**described, "transport": "exec"}
        assert dict(process.attributes or {}) == {**described, "approval_policy": "never"}
        assert [name for name, _ in tracing.started] == ["caller", TURN, EXEC]

    async def test_what_is_not_known_is_left_out(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        thread = codex_like(HELLO).start_thread()
        await thread.run("hi")
        by = {"transport": "exec"}
        assert tracing.started == [(TURN, by), (EXEC, {})]
        assert dict(tracing.the(TURN).attributes or {}) == {"thread_id": THREAD_ID, **by}
        await thread.run("again")
        again = {"thread_id": THREAD_ID}
        assert tracing.started[2:] == [(TURN, {**again, **by}), (EXEC, again)]

    async def test_a_turn_that_does_not_start_is_a_span_without_a_process(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        with pytest.raises(CodexError, match="empty"):
            await codex_like(HELLO).start_thread().run("")
        [turn] = tracing.finished
        assert (turn.name, turn.status.status_code) == (TURN, StatusCode.ERROR)

    async def test_the_process_is_current_inside_the_block_and_the_callers_span_after_it(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        with tracing.tracer.start_as_current_span("caller") as caller:
            async with codex_like(HELLO).start_thread().stream("hi") as stream:
                async for _ in stream:
                    with tracing.tracer.start_as_current_span("step"):
                        await anyio.lowlevel.checkpoint()
            assert trace.get_current_span() is caller
        steps = [span for span in tracing.finished if span.name == "step"]
        assert len(steps) == 4
        assert all(is_child(step, tracing.the(EXEC)) for step in steps)

    async def test_turns_side_by_side_keep_to_their_own_parents(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        codex = codex_like(ENVIRONMENT)
        both_run = [anyio.Event(), anyio.Event()]
        told: dict[str, str] = {}

        async def turn(number: int) -> None:
            with tracing.tracer.start_as_current_span(f"caller {number}"):
                async with codex.start_thread().stream("hi") as stream:
                    await anext(stream)
                    both_run[number].set()
                    await both_run[1 - number].wait()
                    answer = (await stream.turn()).final_response
                    told[f"caller {number}"] = json.loads(answer)["TRACEPARENT"]

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(turn, 0)
            task_group.start_soon(turn, 1)
        for name in ("caller 0", "caller 1"):
            caller = tracing.the(name)
            [child] = [span for span in tracing.finished if is_child(span, caller)]
            [grandchild] = [span for span in tracing.finished if is_child(span, child)]
            assert [child.name, grandchild.name] == [TURN, EXEC]
            assert told[name] == traceparent(grandchild)

    @pytest.mark.parametrize("with_client", [False, True], ids=["loop", "client"])
    async def test_a_loose_turn_is_a_child_of_the_span_in_which_it_began(
        self, codex_like: MakeCodex, tracing: Tracing, with_client: bool
    ) -> None:
        codex = codex_like(HELLO)

        async def read() -> None:
            events = codex.start_thread().run_streamed_events("hi")
            with tracing.tracer.start_as_current_span("caller") as caller:
                await anext(events)
                assert trace.get_current_span() is caller
            with tracing.tracer.start_as_current_span("later"):
                async for _ in events:
                    pass

        if with_client:
            async with codex:
                await read()
        else:
            await read()
        assert is_child(tracing.the(TURN), tracing.the("caller"))
        assert is_child(tracing.the(EXEC), tracing.the(TURN))

    def test_a_sync_turn_is_a_child_of_the_callers_span(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        with tracing.tracer.start_as_current_span("caller") as caller:
            codex_like(HELLO).start_thread().run_sync("hi")
        assert is_child(tracing.the(TURN), caller)


def outcome(span: ReadableSpan) -> tuple[str, list[object]]:
    """Return a span's status, and the types of the exceptions that it recorded."""
    recorded = [(event.attributes or {})["exception.type"] for event in span.events]
    return span.status.status_code.name, recorded


def outcomes(tracing: Tracing) -> list[tuple[str, list[object]]]:
    """Return how the turn and its process ended; both are to know the thread, and to be closed once."""
    turn, process = tracing.the(TURN), tracing.the(EXEC)
    for span in (turn, process):
        assert (span.attributes or {})["thread_id"] == THREAD_ID
    return [outcome(turn), outcome(process)]


FINE: tuple[str, list[object]] = ("UNSET", [])


def failed(error: type[Exception]) -> tuple[str, list[object]]:
    name = error.__name__
    home = "" if error.__module__ == "builtins" else f"{error.__module__}."
    return "ERROR", [home + name]


class TestEnds:
    """After each way of ending a turn, two spans are closed that say how it ended."""

    async def test_a_completed_turn(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        await codex_like(HELLO).start_thread().run("hi")
        assert outcomes(tracing) == [FINE, FINE]

    async def test_a_turn_failed(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        with pytest.raises(TurnFailedError):
            await codex_like(FAILING).start_thread().run("hi")
        assert outcomes(tracing) == [failed(TurnFailedError), failed(TurnFailedError)]
        assert tracing.the(TURN).status.description == "TurnFailedError: no more quota"

    async def test_a_turn_failed_that_is_only_an_event(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        async for _ in codex_like(FAILING).start_thread().run_streamed_events("hi"):
            pass
        assert outcomes(tracing) == [("ERROR", []), FINE]
        assert tracing.the(TURN).status.description == "no more quota"

    async def test_a_failure_of_the_cli(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        with pytest.raises(CodexCLIError):
            await codex_like("started(); sys.exit(7)").start_thread().run("hi")
        assert outcomes(tracing) == [failed(CodexCLIError), failed(CodexCLIError)]
        assert "code 7" in str(tracing.the(EXEC).status.description)

    async def test_leaving_the_block(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        async with codex_like(SLEEPER).start_thread().stream("hi") as stream:
            await anext(stream)
        assert outcomes(tracing) == [FINE, FINE]

    async def test_an_exception_in_the_block(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        with pytest.raises(LookupError):
            async with codex_like(SLEEPER).start_thread().stream("hi") as stream:
                await anext(stream)
                raise LookupError("mine")
        assert outcomes(tracing) == [failed(LookupError), failed(LookupError)]

    async def test_an_abort(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        controller = AbortController()
        options = TurnOptions(signal=controller.signal)
        with pytest.raises(CodexAbortError):
            async with codex_like(SLEEPER).start_thread().stream("hi", options) as stream:
                await anext(stream)
                controller.abort("enough")
                await stream.turn()
        assert outcomes(tracing) == [failed(CodexAbortError), FINE]

    async def test_the_time_limit(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        thread = codex_like(SLEEPER).start_thread()
        with pytest.raises(CodexTimeoutError):
            await thread.run("hi", TurnOptions(timeout=4.0))  # in which it has to tell its id
        assert outcomes(tracing) == [failed(CodexTimeoutError), FINE]

    async def test_a_cancelled_scope(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        with anyio.CancelScope() as scope:
            hooks = ThreadHooks(on_turn_started=lambda _: scope.cancel())
            await codex_like(SLEEPER).start_thread().run_with_hooks("hi", hooks=hooks)
        assert scope.cancelled_caught
        assert outcomes(tracing) == [FINE, FINE]

    async def test_a_native_cancellation(
        self, codex_like: MakeCodex, tracing: Tracing, anyio_backend_name: str
    ) -> None:
        thread = codex_like(SLEEPER).start_thread()
        if anyio_backend_name == "trio":
            await cancelled_by_trio(thread)
        else:
            await cancelled_by_asyncio(thread)
        assert outcomes(tracing) == [FINE, FINE]

    async def test_closing_a_loose_iterator(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        async with aclosing(codex_like(SLEEPER).start_thread().run_streamed_events("hi")) as events:
            await anext(events)
        assert outcomes(tracing) == [FINE, FINE]

    async def test_dropping_a_loose_iterator(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        async for _ in codex_like(SLEEPER).start_thread().run_streamed_events("hi"):
            break
        gc.collect()
        await eventually(lambda: len(tracing.finished) == 2)
        assert outcomes(tracing) == [FINE, FINE]

    async def test_dropping_a_loose_iterator_in_another_thread(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        holder = [codex_like(SLEEPER).start_thread().run_streamed_events("hi")]
        await anext(holder[0])
        await anyio.to_thread.run_sync(holder.clear)
        gc.collect()
        await eventually(lambda: len(tracing.finished) == 2)
        assert outcomes(tracing) == [FINE, FINE]

    async def test_closing_the_client(self, codex_like: MakeCodex, tracing: Tracing) -> None:
        async with codex_like(SLEEPER) as codex:
            events = codex.start_thread().run_streamed_events("hi")
            await anext(events)
        assert outcomes(tracing) == [FINE, FINE]


async def cancelled_by_trio(thread: Thread) -> None:
    with trio.CancelScope() as scope:
        hooks = ThreadHooks(on_turn_started=lambda _: scope.cancel())
        await thread.run_with_hooks("hi", hooks=hooks)
    assert scope.cancelled_caught


async def cancelled_by_asyncio(thread: Thread) -> None:
    hooks = ThreadHooks(on_turn_started=lambda _: task.cancel())
    task = asyncio.create_task(thread.run_with_hooks("hi", hooks=hooks))
    with pytest.raises(asyncio.CancelledError):
        await task


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what is promised soon, but not by any event: a dropped iterator cannot be awaited."""
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


class TestTraceOfTheProcess:
    async def test_it_is_the_one_of_its_own_span(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        told = await environment_of(codex_like(ENVIRONMENT).start_thread())
        assert told == {"TRACEPARENT": traceparent(tracing.the(EXEC))}

    async def test_the_state_of_the_trace_goes_along(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        with coming_from(traceparent=ELSEWHERE, tracestate="vendor=1,other=2"):
            told = await environment_of(codex_like(ENVIRONMENT).start_thread())
        assert told["TRACESTATE"] == "vendor=1,other=2"
        assert told["TRACEPARENT"] == traceparent(tracing.the(EXEC))
        assert told["TRACEPARENT"].split("-")[1] == ELSEWHERE.split("-")[1]

    async def test_a_trace_that_is_not_recorded_goes_on_without_being_recorded(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        with coming_from(traceparent=ELSEWHERE.removesuffix("01") + "00"):
            told = await environment_of(codex_like(ENVIRONMENT).start_thread())
        _, trace_id, _, flags = told["TRACEPARENT"].split("-")
        assert (trace_id, flags) == (ELSEWHERE.split("-")[1], "00")
        assert tracing.finished == ()

    async def test_nothing_is_left_of_a_trace_that_the_environment_named(
        self, codex_like: MakeCodex, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRACEPARENT", ELSEWHERE)
        monkeypatch.setenv("TRACESTATE", "vendor=1")
        told = await environment_of(codex_like(ENVIRONMENT).start_thread())
        assert told == {"TRACEPARENT": traceparent(tracing.the(EXEC))}

    async def test_the_programs_baggage_stays_with_the_program(
        self, codex_like: MakeCodex, tracing: Tracing
    ) -> None:
        token = context.attach(baggage.set_baggage("customer", "4711"))
        try:
            told = await environment_of(codex_like(ENVIRONMENT).start_thread())
        finally:
            context.detach(token)
        assert told.keys() == {"TRACEPARENT"}

    async def test_without_a_trace_there_is_none(self, codex_like: MakeCodex) -> None:
        assert await environment_of(codex_like(ENVIRONMENT).start_thread()) == {}

    async def test_without_opentelemetry_there_is_none(
        self, codex_like: MakeCodex, tracing: Tracing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "opentelemetry"]:
            monkeypatch.setitem(sys.modules, name, None)
        with tracing.tracer.start_as_current_span("caller"):
            assert await environment_of(codex_like(ENVIRONMENT).start_thread()) == {}
        assert [name for name, _ in tracing.started] == ["caller"]

    async def test_without_a_trace_of_ours_the_one_that_the_environment_names_stays(
        self, codex_like: MakeCodex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        named = {"TRACEPARENT": ELSEWHERE, "TRACESTATE": "vendor=1"}
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        assert await environment_of(codex_like(ENVIRONMENT).start_thread()) == named


@pytest.mark.skipif(find_spec("logfire") is None, reason="logfire is not installed")
def test_a_program_that_logfire_is_set_up_in_gets_the_spans(
    stand_in: Callable[[str], str], tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    code = f"""
    import json, logfire
    from logfire.testing import TestExporter
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from codex_sdk import Codex, CodexOptions

    exporter = TestExporter()
    thread = Codex(CodexOptions(codex_path_override={stand_in(ENVIRONMENT)!r})).start_thread()
    thread.run_sync("not traced")
    logfire.configure(
        send_to_logfire=False,
        console=False,
        additional_span_processors=[SimpleSpanProcessor(exporter)],
    )
    with logfire.span("caller"):
        print(thread.run_sync("hi").final_response)
    print(json.dumps(exporter.exported_spans_as_dict()))
    """
    program.write_text(dedent(code), encoding="utf-8")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=50)
    assert (done.stderr, done.returncode) == ("", 0)
    told, spans = map(json.loads, done.stdout.splitlines())
    by_name: dict[str, Any] = {span["name"]: span for span in spans}
    assert list(by_name) == [EXEC, TURN, "caller"]
    assert by_name[TURN]["parent"]["span_id"] == by_name["caller"]["context"]["span_id"]
    assert by_name[EXEC]["parent"]["span_id"] == by_name[TURN]["context"]["span_id"]
    assert by_name[EXEC]["attributes"]["thread_id"] == THREAD_ID
    assert int(told["TRACEPARENT"].split("-")[2], 16) == by_name[EXEC]["context"]["span_id"]

"""The trace of a turn goes on in the real CLI, and in what that runs."""

from __future__ import annotations

from opentelemetry.trace import SpanContext

from codex_sdk import ThreadOptions
from codex_sdk.testing import ModelServer, RunCommand

from ..tracing import Tracing, tracing
from .conftest import MakeCodex

__all__ = ["tracing"]


def process_span(tracing: Tracing) -> SpanContext:
    context = tracing.the("codex_sdk.exec").get_span_context()
    assert context is not None
    return context


async def test_a_command_of_the_models_is_told_of_the_trace(
    make_codex: MakeCodex, options: ThreadOptions, tracing: Tracing
) -> None:
    async with ModelServer([RunCommand("echo $TRACEPARENT"), "done"]) as server:
        turn = await make_codex(server).start_thread(options).run("Look")
    [command] = turn.commands()
    _, trace_id, span_id, _ = command.aggregated_output.split("-")
    process = process_span(tracing)
    assert (int(trace_id, 16), int(span_id, 16)) == (process.trace_id, process.span_id)


def exporting_to(server: ModelServer) -> dict[str, object]:
    """Return the configuration of a CLI that exports its spans to *server*."""
    return {
        "otel.trace_exporter": {
            "otlp-http": {"endpoint": f"{server.url}/traces", "protocol": "json"}
        }
    }


def exported(server: ModelServer) -> list[dict[str, str]]:
    return [
        span
        for post in server.other_requests
        for resource in post.json["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


async def test_the_clis_own_spans_and_requests_are_part_of_the_trace(
    make_codex: MakeCodex, options: ThreadOptions, tracing: Tracing
) -> None:
    async with ModelServer(["done"]) as server:
        codex = make_codex(server, config_overrides=exporting_to(server))
        await codex.start_thread(options).run("Look")
        [request] = server.requests
    process = process_span(tracing)
    ours = [span for span in exported(server) if int(span["traceId"], 16) == process.trace_id]
    # A CLI on a busy machine may exit before it has exported all of its spans.
    assert not ours or f"{process.span_id:016x}" in {span["parentSpanId"] for span in ours}
    assert int(request.headers["traceparent"].split("-")[1], 16) == process.trace_id


async def test_each_turn_of_an_app_server_is_part_of_its_own_trace(
    make_codex: MakeCodex, options: ThreadOptions, tracing: Tracing, legacy: bool
) -> None:
    async with ModelServer(lambda _: "done") as server:
        changes = {"backend": "app-server", "config_overrides": exporting_to(server)}
        async with make_codex(server, **changes) as codex:
            for _ in range(2):
                await codex.start_thread(options).run("Look")
    turns = [span for span in tracing.finished if span.name == "codex_sdk.thread.turn"]
    traces = [span.context.trace_id for span in turns if span.context]
    assert len(set(traces)) == 2
    told = [int(request.headers["traceparent"].split("-")[1], 16) for request in server.requests]
    if legacy:  # knows the trace alone in which the server was started
        assert told == [traces[0], traces[0]]
    else:
        assert told == traces

"""Tracing through the OpenTelemetry API, where that is installed.

Spans go to whatever the program has set up: an OpenTelemetry SDK, Logfire, or nothing at all, in which
case they cost next to nothing. This package configures no tracing of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["RunningSpan", "in_current_trace", "span", "start_span", "trace_context"]


class RunningSpan:
    """A span that is open, or nothing where there is no tracing. Once it has ended, nothing is told to it."""

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._ended = False

    @property
    def _open(self) -> Span | None:
        return None if self._ended else self._span

    def set(self, name: str, value: Any) -> None:
        """Set an attribute; ``None`` is left out."""
        if self._open is not None and value is not None:
            self._open.set_attribute(name, value)

    def fail(self, description: str) -> None:
        """Mark the span as failed."""
        if self._open is not None:
            from opentelemetry.trace import StatusCode

            self._open.set_status(StatusCode.ERROR, description)

    def record(self, error: Exception) -> None:
        """Record *error* as what the span failed with."""
        if self._open is not None:
            self._open.record_exception(error)
            self.fail(f"{type(error).__name__}: {error}")

    def link(self, other: RunningSpan) -> None:
        """Tell that the span goes on with what *other* has begun."""
        if self._open is not None and other._span is not None:
            self._open.add_link(other._span.get_span_context())

    @contextmanager
    def current(self) -> Generator[None, None, None]:
        """Make the span the current one during the block.

        An exception that leaves the block is recorded, and marks the span as failed; a cancellation does not.
        """
        if self._span is None:
            yield
            return
        from opentelemetry.trace import use_span

        with use_span(self._span, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except (
                Exception
            ) as error:  # not left to the API: its 1.31 takes cancellations for errors
                self.record(error)
                raise

    def end(self) -> None:
        """End the span, from whatever task; may be called again."""
        if self._span is not None and not self._ended:
            self._ended = True
            self._span.end()


def start_span(name: str, attributes: Mapping[str, Any]) -> RunningSpan:
    """Open the span *name* as a child of the caller's current one, and leave that the current one.

    It is for work that is not one block of code: who opens it has to end it. Attributes that are ``None`` are
    left out.
    """
    tracer = _tracer()
    if tracer is None:
        return RunningSpan(None)
    known = {key: value for key, value in attributes.items() if value is not None}
    return RunningSpan(tracer.start_span(name, attributes=known))


@contextmanager
def span(name: str, attributes: Mapping[str, Any]) -> Generator[RunningSpan, None, None]:
    """Open the span *name* for the block, as a child of the caller's current one.

    Attributes that are ``None`` are left out. An exception that leaves the block is recorded, and
    marks the span as failed; a cancellation does not.
    """
    running = start_span(name, attributes)
    try:
        with running.current():
            yield running
    finally:
        running.end()


def in_current_trace(environment: Mapping[str, str]) -> dict[str, str]:
    """Return *environment*, changed so that a child process takes part in the current trace.

    The variables are named as the W3C's ``traceparent`` and ``tracestate`` headers, in capitals, which
    is what the Codex CLI reads. Where no trace is active, nothing is changed.
    """
    context = {key.upper(): value for key, value in trace_context().items()}
    if context:  # a TRACESTATE that was inherited belongs to the TRACEPARENT that is replaced
        environment = {key: environment[key] for key in environment if key not in _VARIABLES}
    return {**environment, **context}


_VARIABLES = ("TRACEPARENT", "TRACESTATE")


def trace_context() -> dict[str, str]:
    """Return the current trace as the W3C's headers ``traceparent`` and ``tracestate``; empty without one."""
    try:
        from opentelemetry.trace import TraceFlags, get_current_span
    except ImportError:
        return {}
    context = get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    # The CLI reads no traceparent with a flag newer than this one (verified on 0.80.0 to 0.169.0).
    sampled = context.trace_flags & TraceFlags.SAMPLED
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{sampled:02x}"
    state = context.trace_state.to_header()
    return {"traceparent": parent, **({"tracestate": state} if state else {})}


def _tracer() -> Tracer | None:
    """Return a tracer of whatever provider the program has set up by now."""
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("codex_sdk")

"""Tracing through the OpenTelemetry API, where that is installed.

Spans go to whatever the program has set up: an OpenTelemetry SDK, Logfire, or nothing at all, in which
case they cost next to nothing. This package configures no tracing of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["span", "trace_environment"]


class RunningSpan:
    """A span that is open, or nothing where there is no tracing."""

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def set(self, name: str, value: Any) -> None:
        """Set an attribute; ``None`` is left out."""
        if self._span is not None and value is not None:
            self._span.set_attribute(name, value)


@contextmanager
def span(name: str, attributes: Mapping[str, Any]) -> Generator[RunningSpan, None, None]:
    """Open the span *name* for the block, as a child of the caller's current one.

    Attributes that are ``None`` are left out. An exception that leaves the block is recorded, and
    marks the span as failed; a cancellation does not.
    """
    tracer = _tracer()
    if tracer is None:
        yield RunningSpan(None)
        return
    known = {key: value for key, value in attributes.items() if value is not None}
    with tracer.start_as_current_span(name, attributes=known) as opened:
        yield RunningSpan(opened)


def trace_environment() -> dict[str, str]:
    """Return the environment variables that make a child process part of the current trace.

    They are named as the W3C's ``traceparent`` and ``tracestate`` headers, in capitals, which is what
    the Codex CLI reads. Empty where no trace is active.
    """
    if _tracer() is None:
        return {}
    from opentelemetry.propagate import inject

    carrier: dict[str, str] = {}
    inject(carrier)
    return {name.upper(): value for name, value in carrier.items()}


@cache
def _tracer() -> Tracer | None:
    """Return a tracer that follows whatever provider the program sets up, now or later."""
    try:
        from opentelemetry.trace import get_tracer
    except ImportError:
        return None
    return get_tracer("codex_sdk")

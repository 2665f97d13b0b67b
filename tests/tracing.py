"""OpenTelemetry for a test: what spans were opened, and how they ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["Tracing", "tracing"]


class _Starts(SpanProcessor):
    def __init__(self) -> None:
        self.attributes: list[tuple[str, dict[str, object]]] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        self.attributes.append((span.name, dict(span.attributes or {})))


class Tracing:
    """An OpenTelemetry SDK that keeps its spans.

    Attributes:
        started: name and first attributes of each span, in the order in which they were opened.
        tracer: opens the test's own spans.
    """

    def __init__(self) -> None:
        starts, self._exporter = _Starts(), InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(starts)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.started = starts.attributes
        self.tracer = self.provider.get_tracer("the test")

    @property
    def finished(self) -> tuple[ReadableSpan, ...]:
        """The spans that have been closed, in this order."""
        return self._exporter.get_finished_spans()

    def the(self, name: str) -> ReadableSpan:
        """Return the one span of that name, which has been closed."""
        [span] = [span for span in self.finished if span.name == name]
        return span


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Tracing]:
    """Trace one test; what is opened has to be closed, and OpenTelemetry to have nothing to complain of.

    By its public API a provider is for the rest of the process, and other tests are to run without one.
    """
    tracing = Tracing()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracing.provider)
    yield tracing
    opened = sorted(name for name, _ in tracing.started)
    assert sorted(span.name for span in tracing.finished) == opened
    complaints = [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert complaints == []  # of a span that is ended twice, of a context that is left in another

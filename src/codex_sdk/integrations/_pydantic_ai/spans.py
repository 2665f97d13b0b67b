"""What is told of Codex's work in traces, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from pydantic_ai.messages import FinishReason, ModelResponse
from pydantic_ai.usage import RequestUsage

from ...options import ThreadOptions
from ...telemetry import RunningSpan, span

__all__ = [
    "agent_attributes",
    "describe_finish",
    "describe_response",
    "describe_thread",
    "describe_usage",
    "handoff_span",
]

AGENT_NAME = "codex"


def handoff_span(
    tool: str, options: ThreadOptions | None, **attributes: Any
) -> AbstractContextManager[RunningSpan]:
    """Open the span of a job that is handed over by the tool of that name."""
    model = None if options is None else options.model
    agent = agent_attributes(options, provider=AGENT_NAME, model=model)
    return span("codex_sdk.pydantic_ai.handoff", {**agent, "tool": tool, **attributes})


def agent_attributes(
    options: ThreadOptions | None, *, provider: str, model: str | None
) -> dict[str, Any]:
    """Return the attributes of a span in which Codex works.

    Codex is an agent of its own, which may ask its model several times: so the operation is not ``"chat"``.
    """
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "model": None if options is None else options.model,
        "sandbox_mode": None if options is None else options.sandbox_mode,
    }


def describe_thread(running: RunningSpan, details: Mapping[str, Any]) -> None:
    """Tell which thread and turn it is: *details* are a response's ``provider_details``."""
    running.set("gen_ai.conversation.id", details.get("thread_id"))
    for name in ("thread_id", "turn_id"):
        running.set(name, details.get(name))


def describe_usage(running: RunningSpan, usage: RequestUsage) -> None:
    """Tell how many tokens a job has used, if that is known: no other span does."""
    if usage.unmeasured_requests:
        return
    running.set("gen_ai.usage.input_tokens", usage.input_tokens)
    running.set("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens)
    running.set("gen_ai.usage.output_tokens", usage.output_tokens)


def describe_finish(running: RunningSpan, reason: FinishReason | None) -> None:
    """Tell how a response has ended."""
    if reason is not None:
        running.set("gen_ai.response.finish_reasons", [reason])


def describe_response(running: RunningSpan, response: ModelResponse) -> None:
    """Tell of a whole response. Its tokens are left out: PydanticAI's own span has them."""
    describe_thread(running, response.provider_details or {})
    describe_finish(running, response.finish_reason)

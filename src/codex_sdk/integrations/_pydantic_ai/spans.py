"""What is told of Codex's work in traces, in the words of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai.messages import FinishReason, ModelResponse

from ...options import ThreadOptions
from ...telemetry import RunningSpan

__all__ = ["agent_attributes", "describe_finish", "describe_response", "describe_thread"]

AGENT_NAME = "codex"


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


def describe_finish(running: RunningSpan, reason: FinishReason | None) -> None:
    """Tell how a response has ended."""
    if reason is not None:
        running.set("gen_ai.response.finish_reasons", [reason])


def describe_response(running: RunningSpan, response: ModelResponse) -> None:
    """Tell of a whole response. Its tokens are left out: PydanticAI's own span has them."""
    describe_thread(running, response.provider_details or {})
    describe_finish(running, response.finish_reason)

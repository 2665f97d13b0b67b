"""The tokens of a turn of ``codex exec``, as PydanticAI counts them."""

from __future__ import annotations

from pydantic_ai.usage import RequestUsage

from ...turn import Turn

__all__ = ["turn_usage"]


def turn_usage(turn: Turn) -> RequestUsage:
    """Return the tokens of *turn*, or that they were not measured."""
    usage = turn.turn_usage
    if usage is None:
        return RequestUsage(unmeasured_requests=1)
    return RequestUsage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.reasoning_output_tokens or 0,
    )

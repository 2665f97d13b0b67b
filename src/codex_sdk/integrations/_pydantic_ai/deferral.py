"""What of PydanticAI's deferred tools a job has to know: whether there are any, and what was decided on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import attrs
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart
from pydantic_ai.tools import DeferredToolRequests, RunContext

__all__ = ["Decided", "answered_calls", "can_defer", "deferral", "open_calls"]


def can_defer(ctx: RunContext[Any]) -> bool:
    """Whether a run of the agent may end with ``DeferredToolRequests``, by the agent's own output type."""
    return ctx.agent is not None and _includes_requests(ctx.agent.output_type)


def _includes_requests(output: Any) -> bool:
    """Whether an output type, a union of some or a sequence of some includes ``DeferredToolRequests``."""
    output = getattr(output, "__value__", output)  # of a named alias
    if get_origin(output) is Annotated:
        output = get_args(output)[0]
    members: Sequence[Any] = ()
    if isinstance(output, Sequence) and not isinstance(output, str):
        members = output  # pyright: ignore[reportUnknownVariableType]
    elif get_origin(output) in (Union, UnionType):
        members = get_args(output)
    return output is DeferredToolRequests or any(map(_includes_requests, members))


def deferral(thread_id: str | None, approvals: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of a call that is deferred: JSON data, which :class:`Decided` reads."""
    return {"thread_id": thread_id, "approvals": [dict(approval) for approval in approvals]}


@attrs.frozen
class Decided:
    """What was decided on outside of the run.

    Attributes:
        approved: whether the call was approved, and with it what the job had waited for.
        thread_id: the thread that the job was on, if that is told.
        approvals: what it had waited for; ``None``: that is not told.
    """

    approved: bool
    thread_id: str | None = None
    approvals: Sequence[dict[str, Any]] | None = None

    @classmethod
    def of(cls, ctx: RunContext[Any]) -> Decided:
        """Return what the call is told, which may be the metadata of its deferral, or anything else."""
        told: Any = ctx.tool_call_metadata
        if not ctx.tool_call_approved or not isinstance(told, Mapping):
            return cls(ctx.tool_call_approved)
        metadata = cast("Mapping[str, Any]", told)
        thread_id, approvals = metadata.get("thread_id"), metadata.get("approvals")
        return cls(
            approved=True,
            thread_id=thread_id if isinstance(thread_id, str) else None,
            approvals=_mappings(approvals),
        )

    def approvals_but(self, redeemed: Collection[str]) -> list[dict[str, Any]]:
        """Return :attr:`approvals` without those whose ids are in *redeemed*."""
        told = self.approvals or ()
        return [each for each in told if str(each.get("item_id")) not in redeemed]


def _mappings(values: Any) -> list[dict[str, Any]] | None:
    if not isinstance(values, Sequence):
        return None
    given: Sequence[Any] = values  # pyright: ignore[reportUnknownVariableType]
    return [dict(cast("Mapping[str, Any]", each)) for each in given if isinstance(each, Mapping)]


def open_calls(messages: Sequence[ModelMessage]) -> set[str]:
    """Return the ids of the calls that the model asked for last: this run makes them, or one after it."""
    responses = [message for message in messages if isinstance(message, ModelResponse)]
    return {call.tool_call_id for call in responses[-1].tool_calls} if responses else set()


def answered_calls(messages: Sequence[ModelMessage]) -> Collection[str]:
    """Return the ids of the calls that have a result."""
    parts = [part for message in messages for part in message.parts]
    return {part.tool_call_id for part in parts if isinstance(part, ToolReturnPart)}

"""Approvals that Codex asks for in a job, as calls of tools that somebody has to approve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, RunContext, ToolApproved

from ..._core.jsonrpc import Request
from ..._core.server_requests import COMMAND_APPROVAL, FILE_CHANGE_APPROVAL

__all__ = ["APPROVALS", "approval_of", "decision", "shown"]

APPROVALS: Mapping[str, str] = {
    COMMAND_APPROVAL: "command_execution",
    FILE_CHANGE_APPROVAL: "file_change",
}
"""The kind of what is to be approved, by the request's method."""

_SHOWN = (
    "command",
    "cwd",
    "reason",
    "additionalPermissions",
    "networkApprovalContext",
    "changes",
    "grantRoot",
)
"""What somebody who is asked for an approval has to see: all that is allowed by it."""


def approval_of(request: Request, item: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return, as JSON data, what *request* asks to be approved; *item* is what it is about, if known."""
    told = {**(item or {}), **request.params}
    facts = {name: told[name] for name in _SHOWN if told.get(name) is not None}
    return {"kind": APPROVALS[request.method], "item_id": str(told.get("itemId")), **facts}


def shown(approval: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is approved, apart from its id: equal approvals allow the same."""
    return {name: approval[name] for name in _SHOWN if name in approval}


async def decision(
    ctx: RunContext[Any], name: str, approval: Mapping[str, Any], request: Request
) -> bool | None:
    """Ask the agent's handler for deferred tool calls; ``None``: nobody decides there.

    Raises:
        UserError: something else was approved, which Codex cannot be told to do.
    """
    if ctx.root_capability is None:
        return None
    item_id = approval["item_id"]
    asked = ToolCallPart(f"{name}.{approval['kind']}", shown(approval), item_id)
    requests = DeferredToolRequests(approvals=[asked], metadata={item_id: dict(request.params)})
    results = await ctx.root_capability.handle_deferred_tool_calls(ctx, requests=requests)
    result = None if results is None else results.to_tool_call_results().get(item_id)
    if not isinstance(result, ToolApproved):
        return None if result is None else False
    if result.override_args not in (None, asked.args):
        raise UserError(
            f"{asked.tool_name!r} is what Codex asks for: it can be approved or denied, "
            "but not with other arguments"
        )
    return True

"""One job that is handed over: a turn of Codex, inside the call of a tool."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream
from pydantic import ValidationError
from pydantic_ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    ToolFailed,
    UserError,
)
from pydantic_ai.messages import ToolCallPart, ToolReturnPart
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import DeferredToolRequests, RunContext, ToolApproved, ToolDenied
from pydantic_ai.usage import RequestUsage

from ..._core.item_mapping import TurnMapper
from ..._core.jsonrpc import Notification, Request
from ..._core.server_requests import (
    COMMAND_APPROVAL,
    FILE_CHANGE_APPROVAL,
    answer_of,
    safe_answer,
)
from ..._io.task_groups import open_task_group
from ..._runtime.app_server_connection import AppServerConnection
from ..._runtime.app_server_turn import running_turn
from ...events import ItemCompletedEvent, ThreadEvent, TurnFailedEvent
from ...exceptions import TurnFailedError
from ...items import AgentMessageItem, ThreadItem
from .._item_summaries import summarize_items
from .history import content_parts
from .item_event import CodexItemEvent
from .native import result_part
from .native_turn import request_usage

__all__ = ["Job"]

_TOOL_CALL = "item/tool/call"
_APPROVALS: Mapping[str, str] = {
    COMMAND_APPROVAL: "command_execution",
    FILE_CHANGE_APPROVAL: "file_change",
}


class _Question:
    """A request of the server's, which the task of the tool answers: it knows the run."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Any = None
        self.answered = anyio.Event()


class Job:
    """A turn that works on what was handed over.

    Attributes:
        items: what Codex has done.
        usage: the tokens that it has used.
    """

    def __init__(
        self,
        ctx: RunContext[Any],
        name: str,
        tools: ToolManager[Any] | None,
        names: Mapping[str, str],
    ) -> None:
        self._names: dict[str, str] = {codex: own for own, codex in names.items()}
        self.items: list[ThreadItem] = []
        self.usage = RequestUsage()
        self._ctx = ctx
        self._name = name
        self._tools = tools
        self._mapper = TurnMapper("keep")
        self._begun: dict[str, Mapping[str, Any]] = {}
        self._ask, self._questions = anyio.create_memory_object_stream[_Question](16)

    @property
    def final_response(self) -> str:
        """The last thing that Codex said."""
        said = [item.text for item in self.items if isinstance(item, AgentMessageItem)]
        return said[-1] if said else ""

    async def run(self, connection: AppServerConnection, thread_id: str, prompt: str) -> None:
        """Have Codex work on *prompt*; leaving, however that happens, ends the turn.

        Raises:
            TurnFailedError: Codex could not complete the turn.
            CodexError: the server refuses, or is gone.
        """
        params = {"input": [{"type": "text", "text": prompt}]}
        with self._ask, self._questions:
            async with (
                running_turn(connection, thread_id, params, on_request=self._pass_on) as turn,
                open_task_group() as task_group,
            ):
                task_group.start_soon(self._answer_all, self._questions)
                while batch := await turn.receive_batch():
                    for notification in batch:
                        await self._take(notification, thread_id)
                task_group.cancel_scope.cancel("the turn is over")

    async def _pass_on(self, request: Request) -> Any:
        question = _Question(request)
        await self._ask.send(question)
        await question.answered.wait()
        return question.answer

    async def _answer_all(self, questions: ObjectReceiveStream[_Question]) -> None:
        async with open_task_group() as task_group:
            async for question in questions:
                task_group.start_soon(self._answer, question)

    async def _answer(self, question: _Question) -> None:
        request = question.request
        if request.method == _TOOL_CALL and self._tools is not None:
            question.answer = await self._call(self._tools, request)
        elif request.method in _APPROVALS:
            word = "accept" if await self._is_approved(request) else "decline"
            question.answer = answer_of(request, word)
        else:
            question.answer = safe_answer(request, now=int(time.time()))
        question.answered.set()

    async def _call(self, tools: ToolManager[Any], request: Request) -> dict[str, Any]:
        """Call a tool of the program's for Codex."""
        params = request.params
        name: str = params["tool"]
        call = ToolCallPart(self._names.get(name, name), params["arguments"], params["callId"])
        try:
            result = await tools.handle_call(call, wrap_validation_errors=False)
        except (ModelRetry, ToolFailed, ValidationError) as error:
            return _result(str(error), ok=False)
        except (ApprovalRequired, CallDeferred):
            return _result("this call would have to be approved, and nobody is there", ok=False)
        if isinstance(result, ToolDenied):
            return _result(result.message, ok=False)
        part = ToolReturnPart(call.tool_name, result, call.tool_call_id)
        content = content_parts(part.content_items(mode="str"))
        return {"contentItems": [result_part(item) for item in content], "success": True}

    async def _is_approved(self, request: Request) -> bool:
        """Ask the handler of the agent for deferred tool calls; without one, nothing is approved."""
        capability = self._ctx.root_capability
        if capability is None:
            return False
        item_id = str(request.params.get("itemId"))
        arguments = {**self._begun.get(item_id, {}), **request.params}
        asked = {name: arguments[name] for name in _SHOWN if arguments.get(name) is not None}
        call = ToolCallPart(f"{self._name}.{_APPROVALS[request.method]}", asked, item_id)
        requests = DeferredToolRequests(approvals=[call], metadata={item_id: dict(request.params)})
        results = await capability.handle_deferred_tool_calls(self._ctx, requests=requests)
        if results is None:
            return False
        return isinstance(results.to_tool_call_results().get(item_id), ToolApproved)

    async def _take(self, notification: Notification, thread_id: str) -> None:
        if notification.method == "item/started":
            item: Mapping[str, Any] = notification.params["item"]
            self._begun[item["id"]] = item
        elif notification.method == "thread/tokenUsage/updated":
            usage = request_usage(notification.params["tokenUsage"]["last"])
            self.usage += usage
            self._ctx.usage.incr(usage)
        for event in self._mapper.events([notification]):
            await self._tell(event, thread_id)

    async def _tell(self, event: ThreadEvent, thread_id: str) -> None:
        if isinstance(event, TurnFailedEvent):
            raise TurnFailedError(event.error.message, error=event.error)
        if isinstance(event, ItemCompletedEvent):
            self.items.append(event.item)
            [summary] = summarize_items([event.item], 1)
            with suppress(UserError):  # outside of an agent's run, nobody listens
                await self._ctx.emit(CodexItemEvent(item=summary, thread_id=thread_id))


_SHOWN = ("command", "cwd", "reason", "changes", "grantRoot")
"""What somebody who is asked for an approval has to see."""


def _result(text: str, *, ok: bool) -> dict[str, Any]:
    return {"contentItems": [{"type": "inputText", "text": text}], "success": ok}

"""One job that is handed over: a turn of Codex, worked on in one or more calls of a tool."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup
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
from pydantic_ai.tools import RunContext, ToolDenied
from pydantic_ai.usage import RequestUsage

from ..._core.item_mapping import TurnMapper
from ..._core.jsonrpc import Notification, Request
from ..._core.server_requests import answer_of, safe_answer
from ..._io.task_groups import open_task_group
from ..._runtime.app_server_connection import AppServerConnection
from ...events import ItemCompletedEvent, ThreadEvent, TurnFailedEvent
from ...exceptions import CodexError, TurnFailedError
from ...items import AgentMessageItem, ThreadItem
from .._item_summaries import summarize_items
from .approvals import APPROVALS, approval_of, decision, shown
from .history import content_parts
from .item_event import CodexItemEvent
from .native import result_part
from .native_turn import OpenTurn, request_usage

__all__ = ["Job", "JobCall"]

_log = logging.getLogger("codex_sdk")

_TOOL_CALL = "item/tool/call"
_SETTLING = 0.03
"""Seconds to wait for approvals that are asked for together with one that has come, so that whoever decides
sees all of them at once. Measured on 0.169: at most 0.004."""

_STOP_BOUND = 30.0
"""Seconds that stopping the turn may hold up who has failed. Measured: at most some tenths."""


@attrs.define(eq=False)
class JobCall:
    """The call of the tool in which a job is worked on.

    Attributes:
        ctx: the run that it is made in.
        name: the tool's name.
        tools: the tools of the program's.
        names: how these are called by Codex, by their own names.
        defers: whether an approval that nobody decides on may be left to another run.
        approved: approvals that somebody has decided on before, each for once, as :meth:`Job.approvals` has
            told them.
        redeemed: the ids of those that were made use of in the conversation, and are of no use again.
    """

    ctx: RunContext[Any]
    name: str
    tools: ToolManager[Any] | None
    names: Mapping[str, str]
    defers: bool
    approved: list[dict[str, Any]]
    redeemed: set[str]

    def own_name(self, name: str) -> str:
        """Return how the tool is called in the program that Codex calls *name*."""
        return next((own for own, codex in self.names.items() if codex == name), name)

    def takes(self, approval: Mapping[str, Any]) -> bool:
        """Whether *approval* was decided on before, apart from its id; that is used up then."""
        for decided in self.approved:
            same_kind = decided.get("kind") == approval["kind"]
            if same_kind and shown(decided) == shown(approval):
                self.approved.remove(decided)
                self.redeemed.add(str(decided.get("item_id")))
                return True
        return False


class _Question:
    """A request of the server's, which is answered in a call of the tool: that knows the run."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Any = None
        self.answered = anyio.Event()
        self.approval: dict[str, Any] = {}
        self.is_over = False

    def give(self, answer: Any) -> None:
        self.answer = answer
        self.answered.set()


class Job:
    """A turn that works on what was handed over.

    Attributes:
        thread_id: the thread.
        prompt: what was handed over.
        turn: the turn.
        items: what Codex has done.
        usage: the tokens that it has used.
        call_usage: those of them that it has used in the last call of :meth:`work`.
        seconds: how long it was worked on.
    """

    def __init__(self, thread_id: str, prompt: str) -> None:
        self.thread_id = thread_id
        self.prompt = prompt
        self.turn: OpenTurn = OpenTurn(thread_id, self._ask)
        self.items: list[ThreadItem] = []
        self.usage: RequestUsage = RequestUsage()
        self.call_usage: RequestUsage = RequestUsage()
        self.seconds: float = 0.0
        self._mapper = TurnMapper("keep")
        self._new: deque[_Question] = deque()
        self._changed = anyio.Event()
        self._waiting: list[_Question] = []
        self._being_answered = 0
        self._has_failed = False
        self._suspended = False
        self._receiving = anyio.CancelScope()

    @property
    def final_response(self) -> str:
        """The last thing that Codex said."""
        said = [item.text for item in self.items if isinstance(item, AgentMessageItem)]
        return said[-1] if said else ""

    @property
    def approvals(self) -> list[dict[str, Any]]:
        """What the job waits to be approved, as JSON data: what somebody has to see who decides on it."""
        return [question.approval for question in self._waiting]

    async def start(self, connection: AppServerConnection) -> None:
        """Have Codex begin.

        Raises:
            CodexError: the server refuses, or is gone.
        """
        await self.turn.start(connection, {"input": [{"type": "text", "text": self.prompt}]})

    async def stop(self) -> None:
        """End the turn, if it has not ended; may be called again, and from any task."""
        self.turn.begin_to_stop()
        with anyio.move_on_after(_STOP_BOUND, shield=True):
            await self.turn.stop()

    async def count_the_rest(self, ctx: RunContext[Any]) -> None:
        """Add what a turn that was stopped has told of its tokens in the end to the run's."""
        with anyio.move_on_after(_STOP_BOUND, shield=True), suppress(CodexError):
            while True:
                self._count(await self.turn.receive(), ctx)

    def approve(self, seen: Collection[Mapping[str, Any]] | None, redeemed: set[str]) -> None:
        """Accept those of :attr:`approvals` that were *seen* by who has approved; ``None``: all.

        Others go on waiting: an approval may come late, or twice, when the job waits for something else.
        *redeemed* takes the ids of those that were accepted.
        """
        waiting, self._waiting = self._waiting, []
        for question in waiting:
            if seen is None or question.approval in seen:
                redeemed.add(str(question.approval["item_id"]))
                question.give(answer_of(question.request, "accept"))
            else:
                self._waiting.append(question)

    async def work(self, call: JobCall) -> bool:
        """Work on the job up to its end; false: it waits for :attr:`approvals`, which *call* defers.

        Raises:
            TurnFailedError: Codex could not complete the turn.
            CodexError: the server is gone.
        """
        self._suspended = False
        self.call_usage = RequestUsage()
        began = anyio.current_time()
        try:
            async with open_task_group() as task_group:
                task_group.start_soon(self._answer_all, call)
                over = await self._read(call)
                task_group.cancel_scope.cancel("nothing more is to be answered now")
        finally:
            self.seconds += anyio.current_time() - began
        return over

    async def _read(self, call: JobCall) -> bool:
        while not self._suspended:
            notification = None
            with (
                anyio.CancelScope() as self._receiving
            ):  # which takes a notification, or is cancelled
                notification = await self.turn.receive()
            if notification is not None:
                await self._take(notification, call)
                if notification.method == "turn/completed":
                    return True
        return False

    async def _ask(self, request: Request) -> Any:
        """Return the answer to a request of the server's, whenever a call of the tool has given it."""
        question = _Question(request)
        self._new.append(question)
        self._changed.set()
        try:
            await question.answered.wait()
            return question.answer
        finally:
            question.is_over = True

    async def _answer_all(self, call: JobCall) -> None:
        """Answer what the server asks for; return when there is nothing but approvals which *call* defers."""
        async with open_task_group() as task_group:
            while True:
                self._changed = anyio.Event()
                self._begin_to_answer(call, task_group)
                with anyio.move_on_after(_SETTLING if self._waits_for_approvals else None):
                    await self._changed.wait()
                if not self._changed.is_set():
                    break
        self._suspended = True
        self._receiving.cancel("only somebody outside of this run can go on")

    def _begin_to_answer(self, call: JobCall, task_group: TaskGroup) -> None:
        while self._new:
            question = self._new.popleft()
            if not question.is_over:
                self._being_answered += 1
                task_group.start_soon(self._answer, question, call)

    @property
    def _waits_for_approvals(self) -> bool:
        """Whether nothing is left to be done here but to have approvals decided on elsewhere."""
        self._waiting = [question for question in self._waiting if not question.is_over]
        return bool(self._waiting) and not self._being_answered

    async def _answer(self, question: _Question, call: JobCall) -> None:
        request = question.request
        try:
            if request.method == _TOOL_CALL and call.tools is not None:
                question.give(await _call(call, call.tools, request))
            elif request.method in APPROVALS:
                await self._decide(question, call)
            else:
                question.give(safe_answer(request, now=int(time.time())))
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                raise
            _log.warning(
                "when a job had failed already, a tool for Codex failed too", exc_info=True
            )
        finally:
            self._being_answered -= 1
            self._changed.set()

    async def _decide(self, question: _Question, call: JobCall) -> None:
        item = self.turn.item(str(question.request.params.get("itemId")))
        question.approval = approval_of(question.request, item)
        approved: bool | None = True
        if not call.takes(question.approval):
            approved = await decision(call.ctx, call.name, question.approval, question.request)
        if approved is None and call.defers:
            self._waiting.append(question)
        else:
            question.give(answer_of(question.request, "accept" if approved else "decline"))

    async def _take(self, notification: Notification, call: JobCall) -> None:
        self._count(notification, call.ctx)
        for event in self._mapper.events([notification]):
            await self._tell(event, call.ctx)

    def _count(self, notification: Notification, ctx: RunContext[Any]) -> None:
        if notification.method == "thread/tokenUsage/updated":
            usage = request_usage(notification.params["tokenUsage"]["last"])
            self.usage += usage
            self.call_usage += usage
            ctx.usage.incr(usage)

    async def _tell(self, event: ThreadEvent, ctx: RunContext[Any]) -> None:
        if isinstance(event, TurnFailedEvent):
            raise TurnFailedError(event.error.message, error=event.error)
        if isinstance(event, ItemCompletedEvent):
            self.items.append(event.item)
            [summary] = summarize_items([event.item], 1)
            with suppress(UserError):  # outside of an agent's run, nobody listens
                await ctx.emit(CodexItemEvent(item=summary, thread_id=self.thread_id))


async def _call(call: JobCall, tools: ToolManager[Any], request: Request) -> dict[str, Any]:
    """Call a tool of the program's for Codex."""
    params = request.params
    part = ToolCallPart(call.own_name(params["tool"]), params["arguments"], params["callId"])
    try:
        result = await tools.handle_call(part, wrap_validation_errors=False)
    except (ModelRetry, ToolFailed, ValidationError) as error:
        return _result(str(error), ok=False)
    except (ApprovalRequired, CallDeferred):
        return _result("this call would have to be approved, and nobody is there", ok=False)
    if isinstance(result, ToolDenied):
        return _result(result.message, ok=False)
    returned = ToolReturnPart(part.tool_name, result, part.tool_call_id)
    content = content_parts(returned.content_items(mode="str"))
    return {"contentItems": [result_part(item) for item in content], "success": True}


def _result(text: str, *, ok: bool) -> dict[str, Any]:
    return {"contentItems": [{"type": "inputText", "text": text}], "success": ok}

"""The call of a tool by which a job is handed over, or gone on with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import attrs
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import RunContext
from pydantic_ai.toolsets import AbstractToolset

from ..._runtime.app_server_connection import AppServerConnection
from ...exceptions import CodexError
from .deferral import Decided, deferral, open_calls
from .job import Job, JobCall
from .native import dynamic_tool
from .native_threads import RunTurns
from .tool_names import codex_names
from .workshop import Place, Workshop

__all__ = ["Handover", "Outcome"]

_calls: ContextVar[tuple[object, ...]] = ContextVar("codex_sdk_pydantic_ai_calls", default=())
"""The calls that the running code is part of, since tools are called for Codex in them."""


@attrs.frozen
class Outcome:
    """What has become of a job.

    Attributes:
        job: the job; ``None``, where it was put off.
        deferred: the metadata for who decides whether it is gone on with; ``None``, where it is done.
    """

    job: Job | None
    deferred: dict[str, Any] | None = None


@attrs.frozen(kw_only=True)
class Handover:
    """A call of the tool.

    Attributes:
        ctx: the run, with the call's id and what was decided on it.
        name: the tool's name.
        prompt: what is handed over.
        place: the thread of the conversation.
        workshop: where the job is done.
        run: what the run has suspended.
        tools: the tools for Codex.
        timeout: seconds that the job may take.
        defers: whether approvals that nobody decides on are left to another run.
        jobs: the job that is worked on, once there is one.
    """

    ctx: RunContext[Any]
    name: str
    prompt: str
    place: Place
    workshop: Workshop
    run: RunTurns
    tools: AbstractToolset[Any] | None
    timeout: float | None
    defers: bool
    jobs: list[Job] = attrs.field(factory=list[Job], init=False)

    @property
    def call_id(self) -> str:
        """The id of the call, which stays the same when it is made again."""
        return self.ctx.tool_call_id or ""

    async def outcome(self) -> Outcome:
        """Have Codex work on the job, when the thread is free, up to its end or to its deferral.

        However else this is left, the turn has ended then.

        Raises:
            ToolFailed: Codex has failed, takes too long, or works on a job that this call is part of.
        """
        if self.place.call in _calls.get():
            raise ToolFailed(
                "Codex works in this conversation on a job that this call is part of: "
                "it can hand over another one in a conversation of its own"
            )
        async with self.place.lock():
            with self._being_made():
                return await self._outcome()

    @contextmanager
    def _being_made(self) -> Generator[None, None, None]:
        """Let calls that are part of this one know that."""
        self.place.call = object()
        token = _calls.set((*_calls.get(), self.place.call))
        try:
            yield
        finally:
            _calls.reset(token)
            self.place.call = None

    async def _outcome(self) -> Outcome:
        budget = _shorter(self.timeout, self.ctx.remaining_time())
        try:
            with anyio.move_on_after(budget) as scope:  # a TimeoutError may be a tool's
                return await self._work(scope)
        except CodexError as error:
            raise ToolFailed(f"Codex failed: {error}") from error
        raise ToolFailed(f"Codex was stopped after {budget or 0.0:g} seconds")

    async def _work(self, scope: anyio.CancelScope) -> Outcome:
        tools = None
        if self.tools is not None:
            tools = await ToolManager(self.tools).for_run_step(self.ctx)
        names = codex_names(tool.name for tool in ([] if tools is None else tools.tool_defs))
        redeemed = self.place.redeemed
        call = JobCall(self.ctx, self.name, tools, names, self.defers, [], redeemed)
        decided = Decided.of(self.ctx)
        job = await self._resumed() if decided.approved else None
        if job is not None:
            if self.timeout is not None:
                left = self.timeout - job.seconds
                scope.deadline = min(scope.deadline, anyio.current_time() + left)
            job.approve(decided.approvals, redeemed)
            return await self._worked_on(job, call, None)
        self.place.thread_id = self.place.thread_id or decided.thread_id
        if not await self._makes_way():
            return Outcome(None, deferral(self.place.thread_id, ()))
        call.approved.extend(decided.approvals_but(redeemed))
        definitions = [] if tools is None else tools.tool_defs
        connection, thread_id = await self.workshop.thread(
            self.place, [dynamic_tool(tool, names[tool.name]) for tool in definitions]
        )
        return await self._worked_on(Job(thread_id, self.prompt), call, connection)

    async def _resumed(self) -> Job | None:
        """Return the job that the call goes on with; one that was handed over in other words is stopped."""
        job = await self.workshop.resume(self.place, self.call_id)
        if job is not None and job.prompt != self.prompt:
            await job.stop()
            await job.count_the_rest(self.ctx)
            return None
        return job

    async def _makes_way(self) -> bool:
        """Stop what is suspended on the thread; false: it is a job which was handed over together with this.

        That one has to be gone on with first, or both would go on stopping each other.
        """
        suspended = self.workshop.suspended_calls(self.place.thread_id)
        together = open_calls(self.ctx.messages) - {self.call_id}
        if self.defers and not together.isdisjoint(suspended):
            return False
        for job in await self.workshop.give_up(self.place.conversation, suspended):
            await job.count_the_rest(self.ctx)
        return True

    async def _worked_on(
        self, job: Job, call: JobCall, connection: AppServerConnection | None
    ) -> Outcome:
        """Begin the job on *connection*, or go on with it, where that is ``None``."""
        self.jobs.append(job)
        suspended = False
        try:
            if connection is not None:
                await job.start(connection)
            if await job.work(call):
                return Outcome(job)
            deferred = deferral(job.thread_id, job.approvals)
            suspended = await self.workshop.suspend(job, self.place, self.call_id, self.run)
            return Outcome(job, deferred)
        finally:
            if not suspended:
                await job.stop()  # noqa: ASYNC102 - it shields itself
                await job.count_the_rest(self.ctx)  # noqa: ASYNC102 - so does this


def _shorter(one: float | None, other: float | None) -> float | None:
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits) if limits else None

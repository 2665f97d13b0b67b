"""Codex as a toolset: a tool that hands jobs over, and knows the run that it is called in."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from pydantic_ai import FunctionToolset
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.messages import ToolReturn
from pydantic_ai.tools import RunContext
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.toolsets.abstract import ToolsetTool

from ...options import CodexOptions, ThreadOptions
from .._item_summaries import summarize_items
from .deferral import answered_calls, can_defer
from .handover import Handover
from .job import Job
from .native_threads import RunTurns
from .spans import describe_thread, describe_usage, handoff_span
from .workshop import Workshop

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CodexToolset"]

DEFAULT_CONVERSATIONS = 1000
"""Conversations whose threads are remembered: some hundred bytes each."""

DEFAULT_DESCRIPTION = (
    "Hand a task over to Codex, a coding agent that reads and edits files and runs commands in its "
    "workspace. The prompt has to say all that Codex needs to know: it does not see this conversation, but "
    "remembers earlier tasks of it."
)


class CodexToolset(FunctionToolset[Any]):
    """A tool by which an agent hands jobs over to Codex: ``Agent(…, toolsets=[CodexToolset(…)])``.

    What it can do beyond :func:`codex_handoff_tool`:

    * Each conversation of PydanticAI's has a Codex thread of its own, which knows the earlier jobs.
    * Codex's progress comes as :class:`CodexItemEvent` in the run's stream of events.
    * The tokens that Codex uses are added to the run's, and count for its limits.
    * When Codex asks for an approval (``ThreadOptions(approval_policy="on-request")``), the agent's handler
      for deferred tool calls (``HandleDeferredToolCalls``) decides, on a call of the tool
      ``codex.command_execution`` or ``codex.file_change``. Where it does not decide, and the agent's output
      type includes ``DeferredToolRequests``, the run ends with such requests, and the job waits for the run
      that is given the results. Else the answer is no.
    * Tools of the program's can be given to Codex (*tools*).
    * A failed or overlong job is told to the agent's model, and does not end the run. A run that ends or
      is cancelled stops the jobs that it has begun.

    It needs a CLI of version 0.100 or later, whose app-server runs while a run of the agent, or ``async with
    agent``, lasts.

    Args:
        codex_options: how Codex is found and configured.
        thread_options: where and with which permissions it works.
        name: the tool's name.
        description: what the tool tells the model about itself.
        id: the toolset's id.
        tools: tools that Codex may call during a job.
        include_items: whether a result lists what Codex did; it is in the result's metadata in any case.
        items_limit: how many items are listed at most: the last ones.
        timeout_seconds: how long a job may take; ``None``: as long as the run may.
        conversations: how many conversations are remembered.
        defer_approvals: whether approvals that no handler decides on end the run with
            ``DeferredToolRequests``; ``None``: where the agent's output type includes these. An
            ``output_type`` of a single run cannot be seen: that takes ``True``.
        kept_jobs: how many jobs may wait for a decision at a time; the oldest is given up for a newer one.
        wait_timeout: seconds that a job waits for a decision. Until then, its turn and the server go on
            running. A job that was given up is begun again when it is approved after all.
    """

    def __init__(
        self,
        *,
        codex_options: CodexOptions | None = None,
        thread_options: ThreadOptions | None = None,
        name: str = "codex",
        description: str | None = None,
        id: str = "codex",
        tools: AbstractToolset[Any] | None = None,
        include_items: bool = False,
        items_limit: int = 50,
        timeout_seconds: float | None = None,
        conversations: int = DEFAULT_CONVERSATIONS,
        defer_approvals: bool | None = None,
        kept_jobs: int = 32,
        wait_timeout: float = 600.0,
        _workshop: Workshop | None = None,
    ) -> None:
        super().__init__(id=id)
        self._settings: dict[str, Any] = {
            "name": name,
            "description": description,
            "id": id,
            "include_items": include_items,
            "items_limit": items_limit,
            "timeout_seconds": timeout_seconds,
            "defer_approvals": defer_approvals,
        }
        self._name = name
        self._tools = tools
        self._include_items = include_items
        self._items_limit = items_limit
        self._timeout = timeout_seconds
        self._defers = defer_approvals
        self._is_owner = _workshop is None
        self._run = RunTurns()
        self._error: BaseException | None = None
        self._workshop = _workshop or Workshop(
            codex_options or CodexOptions(),
            thread_options or ThreadOptions(),
            conversations=conversations,
            keep=kept_jobs,
            wait=wait_timeout,
        )
        self.add_function(
            self._codex, name=name, description=description or DEFAULT_DESCRIPTION, takes_ctx=True
        )

    async def for_run(self, ctx: RunContext[Any]) -> CodexToolset:
        """Return a toolset for one run, with the same threads."""
        tools = None if self._tools is None else await self._tools.for_run(ctx)
        return CodexToolset(tools=tools, _workshop=self._workshop, **self._settings)

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tool. A job whose call has a result now was denied, and is stopped."""
        if self._workshop.has_suspended:
            answered = answered_calls(ctx.messages)
            for job in await self._workshop.give_up(ctx.conversation_id or "", answered):
                await job.count_the_rest(ctx)
        return await super().get_tools(ctx)

    async def __aenter__(self) -> Self:
        if self._tools is not None:
            await self._entered(self._tools)
        self._workshop.enter(owner=self._is_owner)
        self._error = sys.exc_info()[1]  # which is there if the run is made while one is handled
        return self

    async def _entered(self, tools: AbstractAsyncContextManager[Any]) -> None:
        await tools.__aenter__()

    def __aexit__(self, *details: Any) -> Any:
        # PydanticAI passes no error on. Where this look for one is wrong, a job waits for its time limit, or
        # is begun again when it is approved.
        return self._left(details, failed=sys.exc_info()[1] not in (None, self._error))

    async def _left(self, details: tuple[Any, ...], *, failed: bool) -> bool | None:
        """Leave the workshop, and then the tools: not inside a scope, which they may have entered before."""
        if not self._is_owner:
            self._run.ended = True
        try:
            if failed:
                await self._workshop.give_up_run(self._run)
        finally:
            try:
                await self._workshop.leave(owner=self._is_owner)  # noqa: ASYNC102 - it shields itself
            finally:
                suppresses = await self._tools_left(details)  # noqa: ASYNC102 - as in an `async with`
        return suppresses

    async def _tools_left(self, details: tuple[Any, ...]) -> bool | None:
        return None if self._tools is None else await self._tools.__aexit__(*details)

    async def close(self) -> None:
        """End the server of the running event loop, and all jobs on it.

        Leaving ``async with agent`` does that too. Without either, the server ends with the last run that
        uses it, or when no job waits for approvals any more.
        """
        await self._workshop.close()

    async def _codex(self, ctx: RunContext[Any], prompt: str) -> ToolReturn[Any]:
        """Hand a task over to Codex.

        Args:
            ctx: the run.
            prompt: The task, with everything that Codex has to know of it.
        """
        place = self._workshop.place(ctx.conversation_id or "")
        handover = Handover(
            ctx=ctx,
            name=self._name,
            prompt=prompt,
            place=place,
            workshop=self._workshop,
            run=self._run,
            tools=self._tools,
            timeout=self._timeout,
            defers=can_defer(ctx) if self._defers is None else self._defers,
        )
        async with self._workshop.calling():
            with handoff_span(self._name, self._workshop.options) as running:
                try:
                    outcome = await handover.outcome()
                finally:
                    describe_thread(running, {"thread_id": place.thread_id})
                    for job in handover.jobs:
                        describe_usage(running, job.call_usage)
                running.set("deferred", None if outcome.deferred is None else True)
        if outcome.job is None or outcome.deferred is not None:
            raise ApprovalRequired(metadata=outcome.deferred)
        return self._result(outcome.job)

    def _result(self, job: Job) -> ToolReturn[Any]:
        items = summarize_items(job.items, self._items_limit)
        result: Any = job.final_response
        if self._include_items:
            result = {"final_response": job.final_response, "items": items}
        metadata = {"thread_id": job.thread_id, "items": items, "usage": job.usage}
        return ToolReturn(result, metadata=metadata)

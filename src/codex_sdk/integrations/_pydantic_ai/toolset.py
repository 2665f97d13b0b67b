"""Codex as a toolset: a tool that hands jobs over, and knows the run that it is called in."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import anyio
from pydantic_ai import FunctionToolset
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.messages import ToolReturn
from pydantic_ai.tool_manager import ToolManager
from pydantic_ai.tools import RunContext
from pydantic_ai.toolsets import AbstractToolset

from ...exceptions import CodexError
from ...options import CodexOptions, ThreadOptions
from ...telemetry import span
from .._item_summaries import summarize_items
from .job import Job
from .native import dynamic_tool
from .tool_names import codex_names
from .workshop import Place, Workshop

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
      ``codex.command_execution`` or ``codex.file_change``. Without one, the answer is no.
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
        }
        self._name = name
        self._tools = tools
        self._include_items = include_items
        self._items_limit = items_limit
        self._timeout = timeout_seconds
        self._workshop = _workshop or Workshop(
            codex_options or CodexOptions(),
            thread_options or ThreadOptions(),
            conversations=conversations,
        )
        self.add_function(
            self._codex, name=name, description=description or DEFAULT_DESCRIPTION, takes_ctx=True
        )

    async def for_run(self, ctx: RunContext[Any]) -> CodexToolset:
        """Return a toolset for one run, with the same threads."""
        tools = None if self._tools is None else await self._tools.for_run(ctx)
        return CodexToolset(tools=tools, _workshop=self._workshop, **self._settings)

    async def __aenter__(self) -> Self:
        if self._tools is not None:
            await self._entered(self._tools)
        self._workshop.enter()
        return self

    async def _entered(self, tools: AbstractAsyncContextManager[Any]) -> None:
        await tools.__aenter__()

    def __aexit__(self, *details: Any) -> Any:
        return self._left(details)

    async def _left(self, details: tuple[Any, ...]) -> bool | None:
        """Leave the workshop, and then the tools: not inside a scope, which they may have entered before."""
        with anyio.move_on_after(_CLOSE_BOUND, shield=True):
            await self._workshop.leave()
        return None if self._tools is None else await self._tools.__aexit__(*details)

    async def _codex(self, ctx: RunContext[Any], prompt: str) -> ToolReturn[Any]:
        """Hand a task over to Codex.

        Args:
            ctx: the run.
            prompt: The task, with everything that Codex has to know of it.
        """
        place = self._workshop.place(ctx.conversation_id or "")
        with span("codex_sdk.pydantic_ai.handoff", {"tool": self._name}) as running:
            async with place.lock():
                job = await self._run(ctx, place, prompt)
            running.set("thread_id", place.thread_id)
        items = summarize_items(job.items, self._items_limit)
        result: Any = job.final_response
        if self._include_items:
            result = {"final_response": job.final_response, "items": items}
        metadata = {"thread_id": place.thread_id, "items": items, "usage": job.usage}
        return ToolReturn(result, metadata=metadata)

    async def _run(self, ctx: RunContext[Any], place: Place, prompt: str) -> Job:
        budget = _shorter(self._timeout, ctx.remaining_time())
        try:
            with anyio.fail_after(budget):
                tools = await self._manager(ctx)
                offered = [] if tools is None else tools.tool_defs
                names = codex_names(tool.name for tool in offered)
                definitions = [dynamic_tool(tool, names[tool.name]) for tool in offered]
                connection, thread_id = await self._workshop.thread(place, definitions)
                job = Job(ctx, self._name, tools, names)
                await job.run(connection, thread_id, prompt)
                return job
        except CodexError as error:
            raise ToolFailed(f"Codex failed: {error}") from error
        except TimeoutError as error:
            raise ToolFailed(f"Codex was stopped after {budget:g} seconds") from error

    async def _manager(self, ctx: RunContext[Any]) -> ToolManager[Any] | None:
        if self._tools is None:
            return None
        return await ToolManager(self._tools).for_run_step(ctx)


_CLOSE_BOUND = 30.0
"""Seconds that ending the server may hold up the end of a run. Measured: some tenths."""


def _shorter(one: float | None, other: float | None) -> float | None:
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits) if limits else None

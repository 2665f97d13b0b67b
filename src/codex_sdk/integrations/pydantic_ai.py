"""Codex as a tool of a PydanticAI agent: the agent decides when to hand a job over."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
from pydantic_ai import Tool

from .._host import Host, current_host
from ..codex import Codex
from ..exceptions import CodexError
from ..options import CodexOptions, ThreadOptions, TurnOptions
from ..thread import Thread
from ..turn import Turn
from ._item_summaries import summarize_items
from ._pydantic_ai.item_event import CodexItemEvent
from ._pydantic_ai.spans import describe_thread, describe_usage, handoff_span
from ._pydantic_ai.toolset import CodexToolset
from ._pydantic_ai.turn_usage import turn_usage

__all__ = ["CodexHandoff", "CodexItemEvent", "CodexToolset", "codex_handoff_tool"]

DEFAULT_NAME = "codex_handoff"
DEFAULT_DESCRIPTION = (
    "Hand a task over to Codex, a coding agent that reads and edits files and runs commands in its "
    "workspace. The prompt has to say all that Codex needs to know: it does not see this conversation."
)
DEFAULT_ITEMS_LIMIT = 50
"""Items of Codex's work that a result shows at most: more would fill the agent's own context."""


def _not_negative(_: object, __: object, limit: int) -> None:
    if limit < 0:
        raise CodexError(f"items_limit is the number of items to show, and cannot be {limit}")


@attrs.define(kw_only=True)
class CodexHandoff:
    """What runs a handed-over job, apart from the tool that an agent calls it by.

    Attributes:
        codex: the client whose threads do the work; by default a new one.
        codex_options: the options of that new client; not together with ``codex``.
        thread_options: where and with which permissions Codex works.
        name: the tool's name.
        description: what the tool tells the agent about itself.
        persist_thread: whether all calls go to one thread, so that Codex remembers earlier ones. Calls
            then wait for each other. The thread is this object's, not the agent run's: runs that are to
            know nothing of each other need a handoff each, or ``False``.
        include_items: whether a result lists what Codex did.
        items_limit: how many items it lists at most: the last ones.
        include_usage: whether a result has the tokens of the turn.
        timeout_seconds: how long a turn may take; after that it is stopped, with
            :class:`CodexTimeoutError` (a ``TimeoutError``). The time for which a call waits for
            another one does not count. ``None``: no limit.
    """

    codex: Codex | None = None
    codex_options: CodexOptions | None = None
    thread_options: ThreadOptions | None = None
    name: str = DEFAULT_NAME
    description: str | None = None
    persist_thread: bool = True
    include_items: bool = False
    items_limit: int = attrs.field(default=DEFAULT_ITEMS_LIMIT, validator=_not_negative)
    include_usage: bool = True
    timeout_seconds: float | None = None
    _client: Codex = attrs.field(init=False, repr=False, eq=False)
    _thread: Thread | None = attrs.field(default=None, init=False, repr=False, eq=False)
    _turns: tuple[Host, anyio.Lock] | None = attrs.field(
        default=None, init=False, repr=False, eq=False
    )

    def __attrs_post_init__(self) -> None:
        if self.codex is not None and self.codex_options is not None:
            raise CodexError("codex_options are for a new client: pass them or codex, not both")
        self._client = self.codex or Codex(self.codex_options)

    async def run(self, prompt: str) -> dict[str, Any]:
        """Have Codex work on *prompt*, and return what the agent is told about it.

        The result has ``thread_id`` and ``final_response``; ``usage`` if asked for (``None`` where the
        turn's own tokens cannot be known); and ``items`` if asked for.

        Raises:
            CodexTimeoutError: the turn took longer than ``timeout_seconds``.
            CodexError: see :class:`codex_sdk.TurnStream`.
        """
        opened = handoff_span(self.name, self.thread_options, persist_thread=self.persist_thread)
        with opened as running:
            thread, turn = await self._run(prompt)
            describe_thread(running, {"thread_id": thread.id})
            describe_usage(running, turn_usage(turn))
            return self._result(thread, turn)

    async def _run(self, prompt: str) -> tuple[Thread, Turn]:
        options = TurnOptions(timeout=self.timeout_seconds)
        if not self.persist_thread:
            thread = self._client.start_thread(self.thread_options)
            return thread, await thread.run(prompt, options)
        async with self._lock():
            if self._thread is None:
                self._thread = self._client.start_thread(self.thread_options)
            return self._thread, await self._thread.run(prompt, options)

    def _lock(self) -> anyio.Lock:
        """Return the lock of the running event loop: each call of ``run_sync`` has a loop of its own."""
        host = current_host()
        if self._turns is None or self._turns[0] != host:
            self._turns = host, anyio.Lock()
        return self._turns[1]

    def _result(self, thread: Thread, turn: Turn) -> dict[str, Any]:
        result: dict[str, Any] = {"thread_id": thread.id, "final_response": turn.final_response}
        if self.include_usage:
            usage = turn.turn_usage
            result["usage"] = None if usage is None else usage.to_dict()
        if self.include_items:
            result["items"] = summarize_items(turn.items, self.items_limit)
        return result

    def tool(self) -> Tool[Any]:
        """Return the tool to give to an agent; its one argument is ``prompt``."""

        async def codex_handoff(prompt: str) -> dict[str, Any]:
            """Run the handed-over job.

            Args:
                prompt: The task, with everything that Codex has to know of it.
            """
            return await self.run(prompt)

        return Tool(
            codex_handoff,
            takes_ctx=False,
            name=self.name,
            description=self.description or DEFAULT_DESCRIPTION,
        )


def codex_handoff_tool(
    *,
    codex: Codex | None = None,
    codex_options: CodexOptions | None = None,
    thread_options: ThreadOptions | None = None,
    name: str = DEFAULT_NAME,
    description: str | None = None,
    persist_thread: bool = True,
    include_items: bool = False,
    items_limit: int = DEFAULT_ITEMS_LIMIT,
    include_usage: bool = True,
    timeout_seconds: float | None = None,
) -> Tool[Any]:
    """Return a tool by which an agent hands jobs over to Codex; :class:`CodexHandoff` has the options.

    ``Agent(…, tools=[codex_handoff_tool(…)])``. Its calls run in the agent's own event loop. An error of
    Codex's leaves the agent's run as it is.
    """
    handoff = CodexHandoff(
        codex=codex,
        codex_options=codex_options,
        thread_options=thread_options,
        name=name,
        description=description,
        persist_thread=persist_thread,
        include_items=include_items,
        items_limit=items_limit,
        include_usage=include_usage,
        timeout_seconds=timeout_seconds,
    )
    return handoff.tool()

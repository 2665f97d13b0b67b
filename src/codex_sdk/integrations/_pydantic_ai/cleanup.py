"""The end of a run is the end of its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import DeferredToolRequests, RunContext

from .native import current_run
from .native_threads import RunTurns

if TYPE_CHECKING:
    from ..pydantic_ai_model import CodexModel

__all__ = ["CodexRunCleanup"]

_STOP_BOUND = 30.0
"""Seconds that stopping turns may hold up the end of a run. Measured: at most some tenths."""


class CodexRunCleanup(AbstractCapability[Any]):
    """Stops the turns that a run of an agent has left waiting for the results of tools, as soon as it ends.

    ``Agent(model, capabilities=[CodexRunCleanup(model)])``. Without it, that is done for runs that fail or
    are cancelled. A run may also end well while a turn waits: it was left in the middle, or its output
    came together with calls of tools that were not made. Such turns wait for ``wait_timeout`` otherwise.

    Turns that wait for an approval or a result from outside (``DeferredToolRequests``) go on waiting.
    """

    def __init__(self, model: CodexModel) -> None:
        self._model = model

    @classmethod
    def get_serialization_name(cls) -> None:
        """Return None: a model is nothing that a specification could hold."""
        return

    async def wrap_run(
        self, ctx: RunContext[Any], *, handler: WrapRunHandler
    ) -> AgentRunResult[Any]:
        """Run the agent, and stop the turns that it has left."""
        run = RunTurns()
        token = current_run.set(run)
        waits = False
        try:
            result = await handler()
            waits = isinstance(result.output, DeferredToolRequests)
            return result
        finally:
            current_run.reset(token)
            if not waits:
                run.ended = True
                with anyio.move_on_after(_STOP_BOUND, shield=True):
                    await self._model.end_run(run)

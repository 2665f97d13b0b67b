"""The end of a run is the end of its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.capabilities import AbstractCapability, WrapRunHandler
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import DeferredToolRequests, RunContext

if TYPE_CHECKING:
    from ..pydantic_ai_model import CodexModel

__all__ = ["CodexRunCleanup"]


class CodexRunCleanup(AbstractCapability[Any]):
    """Decides by a run's output which of its turns go on waiting for the results of tools.

    ``Agent(model, capabilities=[CodexRunCleanup(model)])``. A run that has ended for somebody's decision
    (``DeferredToolRequests``) has its turns wait, and no other one does. Without it, that is decided by the
    tools that were called: turns wait for those which always need an approval or run elsewhere. So it is of
    use where tools decide by themselves to raise ``ApprovalRequired`` or ``CallDeferred``: without it, the
    next run tells the conversation to a new turn. And it stops the turns of a run that was left in the
    middle, between such a call and its result.
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
        async with self._model.run_turns() as run:
            run.deferred = False
            result = await handler()
            run.deferred = isinstance(result.output, DeferredToolRequests)
            return result

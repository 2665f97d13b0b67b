"""What a finished turn is."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import attrs

from ._value import Value
from .events import Usage
from .items import (
    AgentMessageItem,
    CollabToolCallItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    McpToolCallItem,
    ReasoningItem,
    ThreadItem,
    TodoListItem,
    WebSearchItem,
)

T = TypeVar("T")
ItemT = TypeVar("ItemT")


@attrs.frozen
class Turn(Value):
    """A completed turn.

    Attributes:
        items: the items that were completed, in order.
        final_response: the text of the last agent message; ``""`` if there was none.
        usage: tokens as the CLI reports them: over the thread so far, not this turn alone.
        turn_usage: tokens of this turn alone; ``None`` where they cannot be known: in the first turn
            of a resumed thread, and in the first after one that did not complete.
    """

    items: tuple[ThreadItem, ...]
    final_response: str
    usage: Usage | None
    turn_usage: Usage | None = None

    def agent_messages(self) -> list[AgentMessageItem]:
        """Return the agent's messages."""
        return self._of(AgentMessageItem)

    def reasoning(self) -> list[ReasoningItem]:
        """Return the summaries of the agent's reasoning."""
        return self._of(ReasoningItem)

    def commands(self) -> list[CommandExecutionItem]:
        """Return the commands that the agent ran."""
        return self._of(CommandExecutionItem)

    def file_changes(self) -> list[FileChangeItem]:
        """Return the patches that the agent applied, or tried to."""
        return self._of(FileChangeItem)

    def mcp_tool_calls(self) -> list[McpToolCallItem]:
        """Return the calls of MCP tools."""
        return self._of(McpToolCallItem)

    def collab_tool_calls(self) -> list[CollabToolCallItem]:
        """Return the dealings with sub-agents."""
        return self._of(CollabToolCallItem)

    def web_searches(self) -> list[WebSearchItem]:
        """Return the web searches."""
        return self._of(WebSearchItem)

    def todo_lists(self) -> list[TodoListItem]:
        """Return the agent's plans."""
        return self._of(TodoListItem)

    def errors(self) -> list[ErrorItem]:
        """Return the CLI's warnings."""
        return self._of(ErrorItem)

    def _of(self, item_type: type[ItemT]) -> list[ItemT]:
        return [item for item in self.items if isinstance(item, item_type)]

    def to_dict(self) -> dict[str, Any]:
        """Return the turn as JSON-ready data."""
        return {
            "items": [item.to_dict() for item in self.items],
            "final_response": self.final_response,
            "usage": None if self.usage is None else self.usage.to_dict(),
            "turn_usage": None if self.turn_usage is None else self.turn_usage.to_dict(),
        }


@attrs.frozen
class ParsedTurn(Generic[T]):
    """A completed turn, and its answer as structured data."""

    turn: Turn
    output: T


RunResult = Turn

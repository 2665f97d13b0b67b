"""The items of a thread: what Codex said and did during a turn.

Field names and literals are those of the JSONL that ``codex exec --experimental-json`` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

import attrs

from ._value import Value

CommandExecutionStatus = Literal["in_progress", "completed", "failed", "declined"]
PatchChangeKind = Literal["add", "delete", "update"]
PatchApplyStatus = Literal["in_progress", "completed", "failed"]
McpToolCallStatus = Literal["in_progress", "completed", "failed"]
CollabTool = Literal["spawn_agent", "send_input", "wait", "wait_agent", "close_agent"]
CollabToolCallStatus = Literal["in_progress", "completed", "failed"]
CollabAgentStatus = Literal[
    "pending_init", "running", "interrupted", "completed", "errored", "shutdown", "not_found"
]


class _Growing(Value):
    """Base of items whose text comes in pieces, which are put together when it is first read.

    A long text comes in thousands of pieces, each with an item that holds all pieces so far: as texts of
    their own, these would take quadratic time and memory.
    """

    __slots__ = ("_pieces",)

    if not TYPE_CHECKING:  # checkers would take every misspelled attribute for one

        def __getattr__(self, name: str) -> str:
            """Put the text together; reached only while the attribute is not set."""
            if name not in _GROWING_FIELDS or not hasattr(self, "_pieces"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            pieces, count = self._pieces
            text = "".join(pieces[:count])
            object.__setattr__(self, name, text)
            return text

    def to_dict(self) -> dict[str, Any]:
        """Return the item in the shape in which the CLI wrote it."""
        for name in _GROWING_FIELDS:
            getattr(self, name, None)  # what converts the item does not call __getattr__
        return super().to_dict()


_GROWING_FIELDS = ("text", "aggregated_output")

GrowingT = TypeVar("GrowingT", bound=_Growing)


def grown(item: GrowingT, pieces: Sequence[str]) -> GrowingT:
    """Return *item*, which was just made, with the text that *pieces* are now; they may become more."""
    field = next(name for name in _GROWING_FIELDS if hasattr(item, name))
    object.__delattr__(item, field)
    object.__setattr__(item, "_pieces", (pieces, len(pieces)))
    return item


@attrs.frozen
class AgentMessageItem(_Growing):
    """A message of the agent. With an output schema, ``text`` is the JSON document asked for."""

    type: Literal["agent_message"] = attrs.field(default="agent_message", kw_only=True, repr=False)
    id: str
    text: str


@attrs.frozen
class ReasoningItem(_Growing):
    """The summary of a piece of the agent's reasoning."""

    type: Literal["reasoning"] = attrs.field(default="reasoning", kw_only=True, repr=False)
    id: str
    text: str


@attrs.frozen
class CommandExecutionItem(_Growing):
    """A command that the agent ran.

    ``aggregated_output`` interleaves stdout and stderr; current CLIs cut it at about 1 MiB. A command
    that fails has ``status="failed"`` and does not fail the turn.
    """

    type: Literal["command_execution"] = attrs.field(
        default="command_execution", kw_only=True, repr=False
    )
    id: str
    command: str
    aggregated_output: str
    exit_code: int | None = None
    status: CommandExecutionStatus = "in_progress"


@attrs.frozen
class FileUpdateChange(Value):
    """One file of a patch. A moved file is an ``update`` of its old path."""

    path: str
    kind: PatchChangeKind


@attrs.frozen
class FileChangeItem(Value):
    """A patch that the agent applied, or tried to."""

    type: Literal["file_change"] = attrs.field(default="file_change", kw_only=True, repr=False)
    id: str
    changes: tuple[FileUpdateChange, ...]
    status: PatchApplyStatus


@attrs.frozen
class McpToolCallItemResult(Value):
    """What an MCP server answered: content blocks as the Model Context Protocol defines them."""

    content: tuple[Any, ...]
    structured_content: Any = None


@attrs.frozen
class McpToolCallItemError(Value):
    """Why an MCP tool call did not happen."""

    message: str


@attrs.frozen
class McpToolCallItem(Value):
    """A call of a tool of an MCP server.

    A tool that answers "is an error" has ``status="failed"`` and its answer in ``result``; a call that
    never reached the tool has ``error``.
    """

    type: Literal["mcp_tool_call"] = attrs.field(default="mcp_tool_call", kw_only=True, repr=False)
    id: str
    server: str
    tool: str
    status: McpToolCallStatus
    arguments: Any = None
    result: McpToolCallItemResult | None = None
    error: McpToolCallItemError | None = None


@attrs.frozen
class CollabAgentState(Value):
    """How a sub-agent stands."""

    status: CollabAgentStatus
    message: str | None = None


@attrs.frozen
class CollabToolCallItem(Value):
    """The agent spawned, addressed, awaited or closed a sub-agent.

    ``agents_states`` is keyed by the sub-agents' thread ids; entries that cannot be read are left out.
    ``tool`` and the statuses may hold words that are newer than this package, which passes them through;
    a ``reasoning_effort`` that it does not know is ``None``.
    """

    type: Literal["collab_tool_call"] = attrs.field(
        default="collab_tool_call", kw_only=True, repr=False
    )
    id: str
    tool: CollabTool
    sender_thread_id: str
    receiver_thread_ids: tuple[str, ...]
    prompt: str | None
    agents_states: Mapping[str, CollabAgentState]
    status: CollabToolCallStatus
    model: str | None = None
    reasoning_effort: str | None = None


@attrs.frozen
class WebSearchItem(Value):
    """A web search. ``action`` (newer CLIs) tells a search from an opened page and a find in a page."""

    type: Literal["web_search"] = attrs.field(default="web_search", kw_only=True, repr=False)
    id: str
    query: str = ""
    action: Mapping[str, Any] | None = None


@attrs.frozen
class TodoItem(Value):
    """One entry of the agent's plan."""

    text: str
    completed: bool


@attrs.frozen
class TodoListItem(Value):
    """The agent's plan as it stands."""

    type: Literal["todo_list"] = attrs.field(default="todo_list", kw_only=True, repr=False)
    id: str
    items: tuple[TodoItem, ...]


@attrs.frozen
class ErrorItem(Value):
    """A warning of the CLI: an unknown setting, a model without metadata, a compacted history.

    It does not end the turn.
    """

    type: Literal["error"] = attrs.field(default="error", kw_only=True, repr=False)
    id: str
    message: str


@attrs.frozen
class UnknownItem(Value):
    """An item of a type that this version of the package does not know, kept as it came.

    Seen only with ``CodexOptions(unknown_events="keep")``. ``type`` is always ``"unknown"``, so that
    comparing ``item.type`` with a known type narrows the union; the CLI's word is in ``wire_type``. It is
    a known word where the item held a status, say, that this package does not know. ``id`` is empty where
    the item had none.
    """

    type: Literal["unknown"] = attrs.field(default="unknown", kw_only=True, repr=False)
    id: str
    wire_type: str
    raw: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the item as the CLI wrote it."""
        return dict(self.raw)


ThreadItem = Union[
    AgentMessageItem,
    ReasoningItem,
    CommandExecutionItem,
    FileChangeItem,
    McpToolCallItem,
    CollabToolCallItem,
    WebSearchItem,
    TodoListItem,
    ErrorItem,
    UnknownItem,
]

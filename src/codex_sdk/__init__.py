"""Embed the Codex agent in Python programs.

Importing this package is cheap: each name is loaded, with what it needs, when it is first used.
"""

from __future__ import annotations

# Checkers know the name. Importing typing for it would cost more than all the rest.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._io.locate import CodexBinary as CodexBinary
    from ._io.locate import find_codex as find_codex
    from ._runtime.stored_threads import StoredThread as StoredThread
    from ._runtime.stored_threads import StoredThreads as StoredThreads
    from .abort import AbortController as AbortController
    from .abort import AbortSignal as AbortSignal
    from .app_server import ApprovalDecisions as ApprovalDecisions
    from .app_server import AppServerClient as AppServerClient
    from .app_server import AppServerInput as AppServerInput
    from .app_server import AppServerNotification as AppServerNotification
    from .app_server import AppServerRequest as AppServerRequest
    from .app_server import AppServerTurnSession as AppServerTurnSession
    from .app_server import AppServerUserInput as AppServerUserInput
    from .app_server import RequestHandlers as RequestHandlers
    from .app_server import UnfinishedHandlerError as UnfinishedHandlerError
    from .codex import Codex as Codex
    from .events import ItemCompletedEvent as ItemCompletedEvent
    from .events import ItemStartedEvent as ItemStartedEvent
    from .events import ItemUpdatedEvent as ItemUpdatedEvent
    from .events import ThreadError as ThreadError
    from .events import ThreadErrorEvent as ThreadErrorEvent
    from .events import ThreadEvent as ThreadEvent
    from .events import ThreadStartedEvent as ThreadStartedEvent
    from .events import TurnCompletedEvent as TurnCompletedEvent
    from .events import TurnFailedEvent as TurnFailedEvent
    from .events import TurnStartedEvent as TurnStartedEvent
    from .events import UnknownEvent as UnknownEvent
    from .events import Usage as Usage
    from .exceptions import AppServerClosedError as AppServerClosedError
    from .exceptions import AppServerTimeoutError as AppServerTimeoutError
    from .exceptions import CodexAbortError as CodexAbortError
    from .exceptions import CodexAppServerError as CodexAppServerError
    from .exceptions import CodexCLIError as CodexCLIError
    from .exceptions import CodexError as CodexError
    from .exceptions import CodexNotFoundError as CodexNotFoundError
    from .exceptions import CodexParseError as CodexParseError
    from .exceptions import CodexTimeoutError as CodexTimeoutError
    from .exceptions import CodexWarning as CodexWarning
    from .exceptions import ThreadMismatchError as ThreadMismatchError
    from .exceptions import TurnFailedError as TurnFailedError
    from .hooks import ThreadHooks as ThreadHooks
    from .inputs import Input as Input
    from .inputs import LocalImageInput as LocalImageInput
    from .inputs import TextInput as TextInput
    from .inputs import UserInput as UserInput
    from .items import AgentMessageItem as AgentMessageItem
    from .items import CollabAgentState as CollabAgentState
    from .items import CollabAgentStatus as CollabAgentStatus
    from .items import CollabTool as CollabTool
    from .items import CollabToolCallItem as CollabToolCallItem
    from .items import CollabToolCallStatus as CollabToolCallStatus
    from .items import CommandExecutionItem as CommandExecutionItem
    from .items import CommandExecutionStatus as CommandExecutionStatus
    from .items import ErrorItem as ErrorItem
    from .items import FileChangeItem as FileChangeItem
    from .items import FileUpdateChange as FileUpdateChange
    from .items import McpToolCallItem as McpToolCallItem
    from .items import McpToolCallItemError as McpToolCallItemError
    from .items import McpToolCallItemResult as McpToolCallItemResult
    from .items import McpToolCallStatus as McpToolCallStatus
    from .items import PatchApplyStatus as PatchApplyStatus
    from .items import PatchChangeKind as PatchChangeKind
    from .items import ReasoningItem as ReasoningItem
    from .items import ThreadItem as ThreadItem
    from .items import TodoItem as TodoItem
    from .items import TodoListItem as TodoListItem
    from .items import UnknownItem as UnknownItem
    from .items import WebSearchItem as WebSearchItem
    from .options import ApprovalMode as ApprovalMode
    from .options import ApprovalsReviewer as ApprovalsReviewer
    from .options import AppServerClientInfo as AppServerClientInfo
    from .options import AppServerOptions as AppServerOptions
    from .options import BackendName as BackendName
    from .options import CodexOptions as CodexOptions
    from .options import ModelPersonality as ModelPersonality
    from .options import ModelReasoningEffort as ModelReasoningEffort
    from .options import SandboxMode as SandboxMode
    from .options import ThreadOptions as ThreadOptions
    from .options import TurnOptions as TurnOptions
    from .options import UnknownEvents as UnknownEvents
    from .options import WebSearchMode as WebSearchMode
    from .thread import RunStreamedResult as RunStreamedResult
    from .thread import StreamedTurn as StreamedTurn
    from .thread import Thread as Thread
    from .thread import TurnStream as TurnStream
    from .tools import Tool as Tool
    from .tools import ToolImage as ToolImage
    from .tools import ToolSet as ToolSet
    from .tools import tool as tool
    from .turn import ParsedTurn as ParsedTurn
    from .turn import RunResult as RunResult
    from .turn import Turn as Turn

    __version__: str

__all__ = [
    "AbortController",
    "AbortSignal",
    "AgentMessageItem",
    "AppServerClient",
    "AppServerClientInfo",
    "AppServerClosedError",
    "AppServerInput",
    "AppServerNotification",
    "AppServerOptions",
    "AppServerRequest",
    "AppServerTimeoutError",
    "AppServerTurnSession",
    "AppServerUserInput",
    "ApprovalDecisions",
    "ApprovalMode",
    "ApprovalsReviewer",
    "BackendName",
    "Codex",
    "CodexAbortError",
    "CodexAppServerError",
    "CodexBinary",
    "CodexCLIError",
    "CodexError",
    "CodexNotFoundError",
    "CodexOptions",
    "CodexParseError",
    "CodexTimeoutError",
    "CodexWarning",
    "CollabAgentState",
    "CollabAgentStatus",
    "CollabTool",
    "CollabToolCallItem",
    "CollabToolCallStatus",
    "CommandExecutionItem",
    "CommandExecutionStatus",
    "ErrorItem",
    "FileChangeItem",
    "FileUpdateChange",
    "Input",
    "ItemCompletedEvent",
    "ItemStartedEvent",
    "ItemUpdatedEvent",
    "LocalImageInput",
    "McpToolCallItem",
    "McpToolCallItemError",
    "McpToolCallItemResult",
    "McpToolCallStatus",
    "ModelPersonality",
    "ModelReasoningEffort",
    "ParsedTurn",
    "PatchApplyStatus",
    "PatchChangeKind",
    "ReasoningItem",
    "RequestHandlers",
    "RunResult",
    "RunStreamedResult",
    "SandboxMode",
    "StoredThread",
    "StoredThreads",
    "StreamedTurn",
    "TextInput",
    "Thread",
    "ThreadError",
    "ThreadErrorEvent",
    "ThreadEvent",
    "ThreadHooks",
    "ThreadItem",
    "ThreadMismatchError",
    "ThreadOptions",
    "ThreadStartedEvent",
    "TodoItem",
    "TodoListItem",
    "Tool",
    "ToolImage",
    "ToolSet",
    "Turn",
    "TurnCompletedEvent",
    "TurnFailedError",
    "TurnFailedEvent",
    "TurnOptions",
    "TurnStartedEvent",
    "TurnStream",
    "UnfinishedHandlerError",
    "UnknownEvent",
    "UnknownEvents",
    "UnknownItem",
    "Usage",
    "UserInput",
    "WebSearchItem",
    "WebSearchMode",
    "find_codex",
    "tool",
]

_HOMES = {
    "CodexBinary": "._io.locate",
    "find_codex": "._io.locate",
    "StoredThread": "._runtime.stored_threads",
    "StoredThreads": "._runtime.stored_threads",
    "AbortController": ".abort",
    "AbortSignal": ".abort",
    "AppServerClient": ".app_server",
    "AppServerInput": ".app_server",
    "AppServerNotification": ".app_server",
    "AppServerRequest": ".app_server",
    "AppServerTurnSession": ".app_server",
    "AppServerUserInput": ".app_server",
    "ApprovalDecisions": ".app_server",
    "RequestHandlers": ".app_server",
    "UnfinishedHandlerError": ".app_server",
    "Codex": ".codex",
    "ItemCompletedEvent": ".events",
    "ItemStartedEvent": ".events",
    "ItemUpdatedEvent": ".events",
    "ThreadError": ".events",
    "ThreadErrorEvent": ".events",
    "ThreadEvent": ".events",
    "ThreadStartedEvent": ".events",
    "TurnCompletedEvent": ".events",
    "TurnFailedEvent": ".events",
    "TurnStartedEvent": ".events",
    "UnknownEvent": ".events",
    "Usage": ".events",
    "AppServerClosedError": ".exceptions",
    "AppServerTimeoutError": ".exceptions",
    "CodexAbortError": ".exceptions",
    "CodexAppServerError": ".exceptions",
    "CodexCLIError": ".exceptions",
    "CodexError": ".exceptions",
    "CodexNotFoundError": ".exceptions",
    "CodexParseError": ".exceptions",
    "CodexTimeoutError": ".exceptions",
    "CodexWarning": ".exceptions",
    "ThreadMismatchError": ".exceptions",
    "TurnFailedError": ".exceptions",
    "ThreadHooks": ".hooks",
    "Input": ".inputs",
    "LocalImageInput": ".inputs",
    "TextInput": ".inputs",
    "UserInput": ".inputs",
    "AgentMessageItem": ".items",
    "CollabAgentState": ".items",
    "CollabAgentStatus": ".items",
    "CollabTool": ".items",
    "CollabToolCallItem": ".items",
    "CollabToolCallStatus": ".items",
    "CommandExecutionItem": ".items",
    "CommandExecutionStatus": ".items",
    "ErrorItem": ".items",
    "FileChangeItem": ".items",
    "FileUpdateChange": ".items",
    "McpToolCallItem": ".items",
    "McpToolCallItemError": ".items",
    "McpToolCallItemResult": ".items",
    "McpToolCallStatus": ".items",
    "PatchApplyStatus": ".items",
    "PatchChangeKind": ".items",
    "ReasoningItem": ".items",
    "ThreadItem": ".items",
    "TodoItem": ".items",
    "TodoListItem": ".items",
    "UnknownItem": ".items",
    "WebSearchItem": ".items",
    "AppServerClientInfo": ".options",
    "AppServerOptions": ".options",
    "ApprovalMode": ".options",
    "ApprovalsReviewer": ".options",
    "BackendName": ".options",
    "CodexOptions": ".options",
    "ModelPersonality": ".options",
    "ModelReasoningEffort": ".options",
    "SandboxMode": ".options",
    "ThreadOptions": ".options",
    "TurnOptions": ".options",
    "UnknownEvents": ".options",
    "WebSearchMode": ".options",
    "RunStreamedResult": ".thread",
    "StreamedTurn": ".thread",
    "Thread": ".thread",
    "TurnStream": ".thread",
    "Tool": ".tools",
    "ToolImage": ".tools",
    "ToolSet": ".tools",
    "tool": ".tools",
    "ParsedTurn": ".turn",
    "RunResult": ".turn",
    "Turn": ".turn",
}
"""In which module each public name lives."""


if not TYPE_CHECKING:  # checkers are to see the names above, and no others

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            value = version("codex-sdk-python")
        elif name in _HOMES:
            from importlib import import_module

            value = getattr(import_module(_HOMES[name], __name__), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})

"""A scripted model for tests of programs that use Codex: the real CLI, without a network or a key.

A :class:`ModelServer` (or, without an event loop, a :class:`BlockingModelServer`) speaks OpenAI's Responses
API to the Codex CLI. Its script says what the model does: talk, reason, call tools, fail, hang.

A :class:`FakeAppServer` stands in for the CLI itself, as an app-server, and does what no real one does on
demand.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app_server_messages import (
        ClientNotification,
        ClientRequest,
        ErrorReply,
        ServerRequest,
    )
    from .blocking import BlockingModelServer
    from .fake_app_server import FakeAppServer
    from .gate import Gate
    from .replies import (
        AddFile,
        ApplyPatch,
        CallMcpTool,
        CustomToolCall,
        Cut,
        Delay,
        DeleteFile,
        Failed,
        FunctionCall,
        HttpReply,
        Incomplete,
        Message,
        OutputItem,
        Reasoning,
        Reply,
        RunCommand,
        ServerEvent,
        UpdateFile,
        WebSearch,
    )
    from .requests import InputImage, ModelRequest, ToolOutput
    from .server import ModelServer

__all__ = [
    "AddFile",
    "ApplyPatch",
    "BlockingModelServer",
    "CallMcpTool",
    "ClientNotification",
    "ClientRequest",
    "CustomToolCall",
    "Cut",
    "Delay",
    "DeleteFile",
    "ErrorReply",
    "Failed",
    "FakeAppServer",
    "FunctionCall",
    "Gate",
    "HttpReply",
    "Incomplete",
    "InputImage",
    "Message",
    "ModelRequest",
    "ModelServer",
    "OutputItem",
    "Reasoning",
    "Reply",
    "RunCommand",
    "ServerEvent",
    "ServerRequest",
    "ToolOutput",
    "UpdateFile",
    "WebSearch",
]

_HOMES = {
    "BlockingModelServer": "blocking",
    "ClientNotification": "app_server_messages",
    "ClientRequest": "app_server_messages",
    "ErrorReply": "app_server_messages",
    "FakeAppServer": "fake_app_server",
    "Gate": "gate",
    "InputImage": "requests",
    "ModelRequest": "requests",
    "ModelServer": "server",
    "ServerRequest": "app_server_messages",
    "ToolOutput": "requests",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'replies')}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)

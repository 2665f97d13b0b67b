"""Programs that talk to a Codex app-server: threads and turns side by side, on one lasting connection.

Importing this package is cheap: each name is loaded, with what it needs, when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .._core.app_server_handshake import AppServerInfo as AppServerInfo
    from .._core.app_server_input import AppServerInput as AppServerInput
    from .._core.app_server_input import AppServerUserInput as AppServerUserInput
    from .approvals import ApprovalDecisions as ApprovalDecisions
    from .approvals import RequestHandlers as RequestHandlers
    from .approvals import UnfinishedHandlerError as UnfinishedHandlerError
    from .client import AppServerClient as AppServerClient
    from .messages import AppServerNotification as AppServerNotification
    from .messages import AppServerRequest as AppServerRequest
    from .turn_session import AppServerTurnSession as AppServerTurnSession

__all__ = [
    "AppServerClient",
    "AppServerInfo",
    "AppServerInput",
    "AppServerNotification",
    "AppServerRequest",
    "AppServerTurnSession",
    "AppServerUserInput",
    "ApprovalDecisions",
    "RequestHandlers",
    "UnfinishedHandlerError",
]

_HOMES = {
    "AppServerClient": ".client",
    "AppServerInfo": ".._core.app_server_handshake",
    "AppServerInput": ".._core.app_server_input",
    "AppServerNotification": ".messages",
    "AppServerRequest": ".messages",
    "AppServerTurnSession": ".turn_session",
    "AppServerUserInput": ".._core.app_server_input",
    "ApprovalDecisions": ".approvals",
    "RequestHandlers": ".approvals",
    "UnfinishedHandlerError": ".approvals",
}
"""In which module each name lives."""


if not TYPE_CHECKING:  # checkers are to see the names above, and no others

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})

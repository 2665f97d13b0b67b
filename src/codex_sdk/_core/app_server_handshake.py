"""What an app-server and its client tell each other first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..exceptions import CodexError, CodexParseError
from ..options import AppServerClientInfo, AppServerOptions
from .versions import CliVersion, parse_cli_version

__all__ = ["AppServerInfo", "initialize_params", "server_info"]

_INDISPENSABLE = ("turn/completed", "turn/failed")
"""Without these, nobody would learn that a turn is over."""

_VERSION = re.compile(r"/(\d+\.\d+\.\d+\S*) \(")
"""``name/0.163.0 (Debian 12.0.0; x86_64) …``; the name is whatever the client or its environment says."""


@attrs.frozen
class AppServerInfo:
    """What an app-server says of itself.

    Attributes:
        user_agent: how it introduces itself to the model's provider.
        version: the version of the CLI that it is; ``None``, where it does not tell. ``str()`` gives the
            usual text, and versions can be compared.
        codex_home: its ``CODEX_HOME``; ``None`` for CLIs before 0.100, which do not tell.
        platform_family: such as ``unix``; ``None`` likewise.
        platform_os: such as ``linux``; ``None`` likewise.
    """

    user_agent: str
    version: CliVersion | None
    codex_home: str | None
    platform_family: str | None
    platform_os: str | None


def initialize_params(
    options: AppServerOptions, client_info: AppServerClientInfo | None
) -> dict[str, Any]:
    """Return the params of ``initialize``.

    Raises:
        CodexError: the options leave out a notification that cannot be done without.
    """
    refused = options.opt_out_notification_methods or ()
    for method in _INDISPENSABLE:
        if method in refused:
            raise CodexError(
                f"AppServerOptions.opt_out_notification_methods holds {method!r}, without which "
                "nobody would learn that a turn is over"
            )
    capabilities: dict[str, Any] = {"experimentalApi": options.experimental_api_enabled}
    if refused:
        capabilities["optOutNotificationMethods"] = list(refused)
    info = client_info or options.client_info or AppServerClientInfo()
    return {"clientInfo": info.as_dict(), "capabilities": capabilities}


def server_info(result: object) -> AppServerInfo:
    """Return what the result of ``initialize`` tells.

    Raises:
        CodexParseError: it is nothing of the kind.
    """
    if not isinstance(result, dict):
        raise CodexParseError(
            f"the app-server's answer to initialize is no object: {result!r:.100}"
        )
    return _server_info(cast("dict[str, Any]", result))


def _server_info(result: Mapping[str, Any]) -> AppServerInfo:
    user_agent = _text(result.get("userAgent")) or ""
    found = _VERSION.search(user_agent)
    return AppServerInfo(
        user_agent=user_agent,
        version=parse_cli_version(found[1]) if found else None,
        codex_home=_text(result.get("codexHome")),
        platform_family=_text(result.get("platformFamily")),
        platform_os=_text(result.get("platformOs")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

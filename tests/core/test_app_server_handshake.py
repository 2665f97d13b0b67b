"""What an app-server and its client tell each other first."""

from __future__ import annotations

import pytest

from codex_sdk import AppServerClientInfo, AppServerOptions, CodexError, __version__
from codex_sdk._core.app_server_handshake import initialize_params, server_info


def test_the_client_introduces_itself_as_this_package() -> None:
    assert initialize_params(AppServerOptions(), None) == {
        "clientInfo": {
            "name": "codex_sdk_python",
            "title": "Codex SDK Python",
            "version": __version__,
        },
        "capabilities": {"experimentalApi": False},
    }


def test_or_as_the_options_say_or_as_the_call_says() -> None:
    options = AppServerOptions(client_info=AppServerClientInfo("mine", None, "1"))

    assert initialize_params(options, None)["clientInfo"] == {"name": "mine", "version": "1"}
    other = AppServerClientInfo("other", "Other", "2")
    assert initialize_params(options, other)["clientInfo"]["name"] == "other"


def test_the_options_name_the_capabilities() -> None:
    options = AppServerOptions(
        experimental_api_enabled=True, opt_out_notification_methods=["item/agentMessage/delta"]
    )

    assert initialize_params(options, None)["capabilities"] == {
        "experimentalApi": True,
        "optOutNotificationMethods": ["item/agentMessage/delta"],
    }


@pytest.mark.parametrize("method", ["turn/completed", "turn/failed"])
def test_nobody_can_do_without_the_end_of_a_turn(method: str) -> None:
    options = AppServerOptions(opt_out_notification_methods=["error", method])

    with pytest.raises(CodexError, match=method):
        initialize_params(options, None)


@pytest.mark.parametrize(
    ("user_agent", "version"),
    [
        ("codex_cli_rs/0.80.0 (Debian 12.0.0; x86_64) xterm (t; 1)", "0.80.0"),
        ("t/0.163.0 (Debian 12.0.0; x86_64) xterm (t; 1)", "0.163.0"),
        ("my program/0.170.0-alpha.2 (Mac OS 15; arm64) unknown", "0.170.0-alpha.2"),
        ("version 1.2.3/0.163.0 (Debian 12.0.0; x86_64)", "0.163.0"),
    ],
)
def test_the_version_is_the_one_of_the_server(user_agent: str, version: str) -> None:
    assert str(server_info({"userAgent": user_agent}).version) == version


def test_older_servers_tell_less() -> None:
    info = server_info({"userAgent": "something else"})

    assert (info.version, info.codex_home, info.platform_family, info.platform_os) == (None,) * 4


def test_newer_servers_tell_where_they_are() -> None:
    info = server_info(
        {"codexHome": "/home/me/.codex", "platformFamily": "unix", "platformOs": "linux"}
    )

    assert info.user_agent == ""
    assert (info.codex_home, info.platform_family, info.platform_os) == (
        "/home/me/.codex",
        "unix",
        "linux",
    )

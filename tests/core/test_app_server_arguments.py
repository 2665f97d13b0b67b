"""The command line of an app-server, and the way of an API key to it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from codex_sdk import AppServerOptions, CodexError
from codex_sdk._core.app_server_arguments import (
    AppServerArguments,
    app_server_arguments,
    needs_version,
)
from codex_sdk._core.versions import VERIFIED, CliVersion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEGACY, PINNED, _ = VERIFIED
CURRENT = [version for version in VERIFIED if not version.legacy]
KEY = "sk-0123456789"


def arguments(
    options: AppServerOptions | None = None,
    *,
    version: CliVersion = PINNED,
    api_key: str | None = None,
    **more: Any,
) -> AppServerArguments:
    return app_server_arguments(
        options or AppServerOptions(),
        version=version,
        api_key=api_key,
        marker=("CODEX_SDK_TURN", "f00d"),
        **more,
    )


def config(made: AppServerArguments) -> Mapping[str, Any]:
    """Return the settings on a command line; of those for the same key, the last."""
    settings: dict[str, Any] = {}
    for argument in made.arguments[1:]:
        flag, _, setting = argument.partition("=")
        assert flag == "--config"
        key, _, value = setting.partition("=")
        settings[key] = tomllib.loads(f"value = {value}")["value"]
    return settings


def test_without_options_only_the_marker_is_set() -> None:
    assert arguments().arguments == (
        "app-server",
        '--config=shell_environment_policy.set.CODEX_SDK_TURN="f00d"',
    )


def test_explicit_options_win_over_config_overrides() -> None:
    options = AppServerOptions(
        base_url="http://host/v1",
        config_overrides={"a.b": [1], "model_providers.codex_sdk.base_url": "http://other/v1"},
    )

    settings = config(arguments(options))

    assert settings["a.b"] == [1]
    assert settings["model_provider"] == "codex_sdk"
    assert settings["model_providers.codex_sdk.base_url"] == "http://host/v1"


@pytest.mark.parametrize("version", VERIFIED, ids=str)
def test_the_key_never_stands_on_the_command_line(version: CliVersion) -> None:
    made = arguments(AppServerOptions(base_url="http://h/v1"), version=version, api_key=KEY)

    assert not any(KEY in argument for argument in made.arguments)


@pytest.mark.parametrize("version", CURRENT, ids=str)
def test_current_clis_keep_the_login_in_memory(version: CliVersion) -> None:
    made = arguments(version=version, api_key=KEY)

    assert (made.key_by_login, made.key_by_environment) == (True, False)
    assert config(made)["cli_auth_credentials_store"] == "ephemeral"
    assert "model_provider" not in config(made)


def test_without_a_key_the_user_s_login_is_left_where_it_is() -> None:
    made = arguments(AppServerOptions(base_url="http://host/v1"))

    assert (made.key_by_login, made.key_by_environment) == (False, False)
    assert "cli_auth_credentials_store" not in config(made)


def test_who_wants_the_login_stored_can_say_so() -> None:
    options = AppServerOptions(config_overrides={"cli_auth_credentials_store": "file"})

    assert config(arguments(options, api_key=KEY))["cli_auth_credentials_store"] == "file"


def legacy_config(options: AppServerOptions | None = None, **more: Any) -> Mapping[str, Any]:
    made = arguments(options, version=LEGACY, api_key=KEY, **more)
    assert (made.key_by_login, made.key_by_environment) == (False, True)
    assert "cli_auth_credentials_store" not in config(made)
    return config(made)


def test_older_clis_read_the_key_from_the_environment() -> None:
    settings = legacy_config()

    assert settings["model_provider"] == "codex_sdk"
    assert settings["model_providers.codex_sdk.base_url"] == "https://api.openai.com/v1"
    assert settings["model_providers.codex_sdk.env_key"] == "CODEX_API_KEY"


def test_their_endpoint_is_the_one_that_is_asked_for() -> None:
    options = AppServerOptions(base_url="http://host/v1", config_overrides={"x": 1})

    settings = legacy_config(options, openai_url="http://env/v1")

    assert settings["x"] == 1
    assert settings["model_providers.codex_sdk.base_url"] == "http://host/v1"
    assert settings["model_providers.codex_sdk.env_key"] == "CODEX_API_KEY"


def test_or_the_one_of_the_environment() -> None:
    settings = legacy_config(openai_url="http://env/v1")

    assert settings["model_providers.codex_sdk.base_url"] == "http://env/v1"


@pytest.mark.parametrize(
    ("user_config", "overrides"),
    [
        ({"model_provider": "mine"}, {}),
        ({"model_provider": "other", "profile": "p"}, {}),
        ({"model_provider": "other"}, {"profile": "p"}),
        ({"model_provider": "other"}, {"model_provider": "mine"}),
    ],
)
def test_a_provider_of_the_user_s_is_given_the_key(
    user_config: dict[str, Any], overrides: dict[str, Any]
) -> None:
    user_config["profiles"] = {"p": {"model_provider": "mine"}}

    settings = legacy_config(AppServerOptions(config_overrides=overrides), user_config=user_config)

    assert settings["model_providers.mine.env_key"] == "CODEX_API_KEY"
    assert "model_providers.codex_sdk.base_url" not in settings


@pytest.mark.parametrize(
    ("user_config", "overrides"),
    [
        ({"model_providers": {"mine": {"env_key": "MY_KEY"}}}, {}),
        ({}, {"model_providers.mine.env_key": "MY_KEY"}),
        ({}, {"model_providers.mine": {"experimental_bearer_token": "t"}}),
        ({}, {"model_providers": {"mine": {"env_key": "MY_KEY"}}}),
    ],
)
def test_a_provider_with_a_key_of_its_own_keeps_it(
    user_config: dict[str, Any], overrides: dict[str, Any]
) -> None:
    settings = legacy_config(
        AppServerOptions(config_overrides={"model_provider": "mine", **overrides}),
        user_config=user_config,
    )

    assert "CODEX_API_KEY" not in settings.values()


def test_the_cli_s_own_provider_cannot_be_given_a_key_and_is_replaced() -> None:
    settings = legacy_config(user_config={"model_provider": "openai"})

    assert settings["model_provider"] == "codex_sdk"
    assert settings["model_providers.codex_sdk.env_key"] == "CODEX_API_KEY"


@pytest.mark.parametrize("url", ["host/v1", "http://me:pw@host/v1"])
def test_an_endpoint_that_is_none_is_refused_by_its_own_name(url: str) -> None:
    with pytest.raises(CodexError, match=r"AppServerOptions\.base_url"):
        arguments(AppServerOptions(base_url=url))


def test_the_version_matters_where_there_is_a_key_or_an_endpoint() -> None:
    assert not needs_version(AppServerOptions(config_overrides={"a": 1}), None)
    assert needs_version(AppServerOptions(), KEY)
    assert needs_version(AppServerOptions(base_url="http://host/v1"), None)

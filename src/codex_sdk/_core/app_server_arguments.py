"""Options as the arguments of ``codex app-server``, and how an API key reaches it.

The app-server ignores ``CODEX_API_KEY``. What each CLI does with a key was seen in what 0.80.0, 0.163.0 and
0.169.0 then sent to a model, and in what they left on the disk: current ones take a login by request and keep
it in memory, if they are told to (``cli_auth_credentials_store="ephemeral"``); 0.80.0 writes every login to
``auth.json``, over the user's own. It is given a model provider that takes its key from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..options import AppServerOptions, CodexOptions, ThreadOptions
from .checks import checked_name, checked_url
from .command_line import CommandLine
from .endpoint import add_endpoint
from .versions import CliVersion

__all__ = [
    "API_KEY_VARIABLE",
    "AppServerArguments",
    "app_server_arguments",
    "as_codex_options",
    "needs_version",
]

API_KEY_VARIABLE = "CODEX_API_KEY"

_OPENAI = "openai"
_OPENAI_URL = "https://api.openai.com/v1"
_OWN_KEYS = ("env_key", "experimental_bearer_token")
"""Settings with which a provider has a key of its own, which ``codex exec`` too prefers to ours."""


@attrs.frozen
class AppServerArguments:
    """A command line for ``codex``.

    Attributes:
        arguments: what follows the program; the SDK itself puts no secret in it.
        key_by_login: whether the API key is to be given by ``account/login/start``.
        key_by_environment: whether it is to stand in the environment.
    """

    arguments: tuple[str, ...]
    key_by_login: bool = False
    key_by_environment: bool = False


def as_codex_options(options: AppServerOptions, api_key: str | None) -> CodexOptions:
    """Return what *options* have in common with those of turns, with *api_key*."""
    return CodexOptions(
        base_url=options.base_url,
        api_key=api_key,
        env=options.env,
        config_overrides=options.config_overrides,
    )


def needs_version(options: AppServerOptions, api_key: str | None) -> bool:
    """Whether some CLI has another way to honour the options than the others."""
    return options.base_url is not None or api_key is not None


def app_server_arguments(
    options: AppServerOptions,
    *,
    version: CliVersion,
    api_key: str | None,
    marker: tuple[str, str],
    user_config: Mapping[str, Any] | None = None,
    openai_url: str | None = None,
) -> AppServerArguments:
    """Return the arguments that run an app-server on its stdin and stdout.

    Args:
        options: explicit ones win over their config overrides.
        version: the CLI's; any will do if :func:`needs_version` says that none is needed.
        api_key: the key that the server is to have, wherever it comes from.
        marker: a variable, name and value, that the commands of the model find in their environment
            even where the user's configuration lets them inherit none.
        user_config: what the user's ``config.toml`` says; of use for CLIs of the older generation only.
        openai_url: where ``OPENAI_BASE_URL`` of the environment leads; likewise.

    Raises:
        CodexError: an option is refused.
        TypeError: a config override has a type that TOML does not know.
        ValueError: a config override has a value that TOML does not know.
    """
    if options.base_url is not None:
        checked_url(options.base_url, "AppServerOptions.base_url")
    line = CommandLine(as_codex_options(options, api_key), ThreadOptions(), version, None)
    for key, value in line.overrides.items():
        line.set(key, value)
    add_endpoint(line)
    if api_key is not None:
        _add_credentials(line, user_config or {}, openai_url)
    name, value = marker
    line.set(f"shell_environment_policy.set.{name}", value)
    has_key = api_key is not None
    return AppServerArguments(
        ("app-server", *line.arguments),
        key_by_login=has_key and not version.legacy,
        key_by_environment=has_key and version.legacy,
    )


def _add_credentials(
    line: CommandLine, user_config: Mapping[str, Any], openai_url: str | None
) -> None:
    if not line.version.legacy:
        line.overrides.setdefault("cli_auth_credentials_store", "ephemeral")
        line.set("cli_auth_credentials_store", line.overrides["cli_auth_credentials_store"])
        return
    provider = _legacy_provider(line, user_config)
    if provider is None:
        own = attrs.evolve(line.codex, base_url=line.codex.base_url or openai_url or _OPENAI_URL)
        overrides = {"model_provider": "codex_sdk"}
        line.codex = attrs.evolve(own, config_overrides=overrides)
        line.overrides = overrides
        add_endpoint(line)
        provider = "codex_sdk"
    elif _has_own_key(provider, line.overrides, user_config):
        return
    line.set(f"model_providers.{provider}.env_key", API_KEY_VARIABLE)


def _legacy_provider(line: CommandLine, user_config: Mapping[str, Any]) -> str | None:
    """Return the id of a provider that settings can be added to; ``None``: it is the CLI's own."""
    named: Any = line.overrides.get("model_provider")
    if named is None and line.codex.base_url is not None:
        return "codex_sdk"
    if named is None:
        named = _configured_provider(user_config, line.overrides.get("profile"))
    return None if named in (None, _OPENAI) else checked_name(named, "the model provider's id")


def _configured_provider(user_config: Mapping[str, Any], profile: Any) -> Any:
    profiles = _table(user_config.get("profiles"))
    chosen = _table(profiles.get(str(profile or user_config.get("profile"))))
    return chosen.get("model_provider", user_config.get("model_provider"))


def _has_own_key(
    provider: str, overrides: Mapping[str, Any], user_config: Mapping[str, Any]
) -> bool:
    tables = [
        _table(_table(user_config.get("model_providers")).get(provider)),
        _table(_table(overrides.get("model_providers")).get(provider)),
        _table(overrides.get(f"model_providers.{provider}")),
    ]
    single = {key.removeprefix(f"model_providers.{provider}.") for key in overrides}
    return any(key in single or any(key in table for table in tables) for key in _OWN_KEYS)


def _table(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

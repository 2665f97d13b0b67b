"""Where the model is asked: ``base_url``, and what depends on it.

An endpoint of the user's is a model provider of its own, ``codex_sdk``: the one form that 0.80.0, 0.163.0 and
0.169.0 all follow. They send it ``CODEX_API_KEY``, else the CLI's own login, else no authorization, by HTTP.
"""

from __future__ import annotations

from ..exceptions import CodexError
from .checks import checked_name, checked_url
from .command_line import CommandLine
from .switches import Wish
from .versions import CliVersion

__all__ = ["HAS_OPENAI_BASE_URL", "add_endpoint", "answered_by_endpoint"]

HAS_OPENAI_BASE_URL = CliVersion(0, 117, 0)
"""The first version seen to know the key; those before it read the variable OPENAI_BASE_URL."""

_OWN = "codex_sdk"
_OPENAI = "openai"
_FIXED = frozenset({"amazon-bedrock", "lmstudio", "ollama", "ollama-chat", _OPENAI, "oss"})
"""The CLI's own providers; newer CLIs refuse to start if ``model_providers`` changes one."""


def add_endpoint(line: CommandLine) -> None:
    """Send the model requests to ``base_url``.

    Raises:
        CodexError: it is no URL, or cannot be set for the provider that config overrides name.
    """
    if line.codex.base_url is None:
        return
    url = checked_url(line.codex.base_url, "CodexOptions.base_url")
    provider = _provider(line)
    if provider == _OPENAI:
        if line.version.reaches(HAS_OPENAI_BASE_URL):
            line.set("openai_base_url", url)
    elif provider == _OWN:
        _add_own_provider(line, url)
    else:
        line.set(f"model_providers.{provider}.base_url", url)


def _add_own_provider(line: CommandLine, url: str) -> None:
    """Set it up entry by entry, so that config overrides may add others, such as its retries."""
    line.set("model_provider", _OWN)
    for key, value in {
        "name": _OWN,
        "base_url": url,
        "wire_api": "responses",
        "requires_openai_auth": True,  # not that it requires any: it sends what there is
    }.items():
        line.set(f"model_providers.{_OWN}.{key}", value)


def answered_by_endpoint(line: CommandLine, option: str, wish: Wish) -> bool:
    """Answer a wish that means something else for an endpoint of the user's; false: it does not."""
    provider = _provider(line)
    if provider is None or provider in _FIXED:
        return False
    if option == "request_compression_enabled":
        if wish.value:
            line.warn(wish.words, "it compresses requests to OpenAI's own provider alone")
        return True
    if option == "responses_websockets_enabled" and line.version.reaches(HAS_OPENAI_BASE_URL):
        line.set(f"model_providers.{provider}.supports_websockets", wish.value)
        return True
    return False


def _provider(line: CommandLine) -> str | None:
    """Return the id of the model's provider; ``None``: the user's configuration decides."""
    named = line.overrides.get("model_provider")
    if named is None:
        return None if line.codex.base_url is None else _OWN
    name = checked_name(named, "config_overrides['model_provider']")
    if line.codex.base_url is not None and ("." in name or name in _FIXED - {_OPENAI}):
        raise CodexError(
            f"CodexOptions.base_url cannot be set for the model provider {name!r} that config_overrides "
            "name; leave out one of the two, or define a provider of another name"
        )
    return name

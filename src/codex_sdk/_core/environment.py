"""The environment that the CLI, and the commands that it runs, are given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..exceptions import CodexError
from ..options import CodexOptions
from .checks import checked_text

__all__ = ["checked_api_key", "child_environment"]

_ORIGINATOR = "codex_sdk_python"
"""What the CLI calls its client, towards the model's provider and in the sessions that it stores."""


def child_environment(
    inherited: Mapping[str, str],
    codex: CodexOptions,
    *,
    marker: tuple[str, str],
    path_dirs: Sequence[str],
) -> dict[str, str]:
    """Return the whole environment of a CLI process.

    It is ``codex.env`` if there is one, else *inherited*, with the options' endpoint and key, *marker*
    and the CLI's own name for this client (unless that is set already) added, and with *path_dirs* in
    front of ``PATH``.

    Raises:
        CodexError: an entry of ``codex.env``, the endpoint or the key cannot stand in an environment.
            The message holds names, no values.
    """
    environment = dict(inherited if codex.env is None else _checked(codex.env))
    environment.setdefault("CODEX_INTERNAL_ORIGINATOR_OVERRIDE", _ORIGINATOR)
    if codex.base_url is not None:
        environment["OPENAI_BASE_URL"] = checked_text(codex.base_url, "base_url")
    if codex.api_key is not None:
        environment["CODEX_API_KEY"] = checked_api_key(codex.api_key)
    environment.update([marker])
    if path_dirs:
        name = _path_name(environment)
        environment[name] = os.pathsep.join([*path_dirs, environment.get(name) or os.defpath])
    return environment


def _path_name(environment: Mapping[str, str]) -> str:
    """Return the name of ``PATH``, which a Windows program may have spelled ``Path``."""
    if os.name != "nt":
        return "PATH"
    return next((name for name in environment if name.upper() == "PATH"), "PATH")


def _checked(env: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in env.items():
        label = f"CodexOptions.env: the variable {name!r}"
        if not checked_text(name, label) or "=" in name:
            raise CodexError(f"{label} has no valid name")
        checked_text(value, label)
    return env


def checked_api_key(key: str) -> str:
    """Return *key*, if an HTTP header can carry it."""
    text = checked_text(key, "CodexOptions.api_key")
    if not text or text != text.strip() or not text.isprintable():
        raise CodexError(
            "CodexOptions.api_key is empty, or begins or ends with white space, or holds a control "
            "character; a key that was read from a file may need .strip()"
        )
    return text

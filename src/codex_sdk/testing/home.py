"""A home for Codex CLIs that has nothing of the user's: no login, no key, no configuration, no history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["codex_home", "make_home", "private_environment"]

_INHERITED = frozenset(
    {
        "CODEX_PATH",
        "COMSPEC",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "NUMBER_OF_PROCESSORS",
        "OS",
        "PATH",
        "PATHEXT",
        "PROCESSOR_ARCHITECTURE",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "PROGRAMFILES(X86)",
        "SHELL",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TERM",
        "TZ",
        "USER",
        "USERNAME",
        "WINDIR",
    }
)
"""What a program needs to run; names that hold a secret, or that redirect Codex, are not among them."""


def make_home(root: Path, url: str) -> None:
    """Make the directories of :func:`private_environment`, and a configuration that knows only *url*."""
    for directory in (codex_home(root), _scratch(root)):
        directory.mkdir(parents=True)
    configuration = _CONFIGURATION.replace("URL", url)
    (codex_home(root) / "config.toml").write_text(configuration, encoding="utf-8")


def private_environment(root: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which every path to a home leads into *root*."""
    home = str(root / "home")
    scratch = str(
        _scratch(root)
    )  # not above CODEX_HOME: CLIs warn of a home in a directory for temporary files
    kept = {
        name: value
        for name, value in inherited.items()
        if name.upper() in _INHERITED or name.startswith("LC_")
    }
    return {
        **kept,
        "HOME": home,
        "USERPROFILE": home,
        "APPDATA": home,
        "LOCALAPPDATA": home,
        "CODEX_HOME": str(codex_home(root)),
        "TMPDIR": scratch,
        "TEMP": scratch,
        "TMP": scratch,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def codex_home(root: Path) -> Path:
    """Return the ``CODEX_HOME`` of :func:`private_environment`."""
    return root / "home" / ".codex"


def _scratch(root: Path) -> Path:
    return root / "tmp"


_CONFIGURATION = """\
# Written by codex_sdk.testing.ModelServer.
model_provider = "codex_sdk"

[model_providers.codex_sdk]
name = "ModelServer"
base_url = "URL"
wire_api = "responses"
requires_openai_auth = true
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

[features]
plugins = false  # newer CLIs clone a repository from GitHub into each new CODEX_HOME
"""

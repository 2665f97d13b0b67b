"""A home for Codex CLIs that has nothing of the user's: no login, no key, no configuration, no history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

__all__ = ["PrivateHome"]

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
"""What a program needs to run: nothing that holds a secret or would lead Codex elsewhere."""


@attrs.frozen
class PrivateHome:
    """The directories under *root* that stand in for the user's."""

    root: Path

    @property
    def codex_home(self) -> Path:
        """The ``CODEX_HOME``."""
        return self._home / ".codex"

    @property
    def _home(self) -> Path:
        return self.root / "home"

    @property
    def _scratch(self) -> Path:
        return self.root / "tmp"

    def make(self, url: str) -> None:
        """Make the directories, and a configuration that knows no model but the one at *url*."""
        for directory in (self.codex_home, self._scratch):
            directory.mkdir(parents=True)
        configuration = _CONFIGURATION.replace("URL", url)
        (self.codex_home / "config.toml").write_text(configuration, encoding="utf-8")

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which every path to a home leads here."""
        return {
            **{name: value for name, value in inherited.items() if _is_inherited(name)},
            **dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), str(self._home)),
            "CODEX_HOME": str(self.codex_home),
            # beside the home: a CLI with a CODEX_HOME in the directory for temporary files warns
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._scratch)),
            "NO_PROXY": "127.0.0.1,localhost",
        }


def _is_inherited(name: str) -> bool:
    return name.upper() in _INHERITED or name.startswith("LC_")


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

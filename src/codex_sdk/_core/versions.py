"""Versions of the Codex CLI, and the two generations that they fall into.

They part at 0.100.0, the first version that was seen to know the newer names of settings (``web_search``,
``model_instructions_file``, ``personality``, ``agents.max_threads``). 0.80.0 knows none of them.
"""

from __future__ import annotations

import re

import attrs

__all__ = ["CURRENT_GENERATION", "PINNED", "VERIFIED", "CliVersion", "parse_cli_version"]

_VERSION = re.compile(
    r"(?<![\w.])v?(\d{1,18})\.(\d{1,18})\.(\d{1,18})(?!\d)(?:-([0-9A-Za-z.-]+))?", re.ASCII
)


def _precedence(prerelease: str) -> tuple[bool, tuple[tuple[bool, int, str], ...]]:
    """Order pre-releases as semantic versioning does: before their release, numbers by value."""
    parts = prerelease.split(".")
    return not prerelease, tuple(
        (False, int(part), part) if part.isdecimal() else (True, 0, part) for part in parts
    )


@attrs.frozen(order=True)
class CliVersion:
    """A version of the CLI; versions are ordered as semantic versioning orders them."""

    major: int
    minor: int
    patch: int
    prerelease: str = attrs.field(default="", order=_precedence)

    def __str__(self) -> str:
        release = f"{self.major}.{self.minor}.{self.patch}"
        return f"{release}-{self.prerelease}" if self.prerelease else release

    def reaches(self, other: CliVersion) -> bool:
        """Whether the CLI is as new as *other*. One that was built from a checkout, 0.0.0, always is."""
        return self >= other or self == _UNRELEASED

    @property
    def legacy(self) -> bool:
        """Whether the CLI is of the older generation: before 0.100.0."""
        return not self.reaches(CURRENT_GENERATION)


_UNRELEASED = CliVersion(0, 0, 0)

CURRENT_GENERATION = CliVersion(0, 100, 0, "0")
"""The lowest of 0.100.0's own pre-releases."""

PINNED = CliVersion(0, 163, 0)
"""The version that the extra ``cli`` installs, and that a CLI is taken for if it does not say."""

VERIFIED = (CliVersion(0, 80, 0), PINNED, CliVersion(0, 169, 0))
"""The versions that the whole test suite is run against."""


def parse_cli_version(text: str) -> CliVersion | None:
    """Return the version in the text that ``codex --version`` prints, or ``None`` if it holds none."""
    found = _VERSION.search(text)
    if found is None:
        return None
    major, minor, patch, prerelease = found.groups()
    return CliVersion(int(major), int(minor), int(patch), prerelease or "")

"""Versions of the Codex CLI, and the two generations that they fall into.

The generations differ in the names of settings and in what those can do. 0.80.0 stands for the older one;
0.100.0, 0.117.0, 0.163.0 and 0.169.0 agree on all that this package sends by default.
"""

from __future__ import annotations

import re

import attrs

__all__ = ["PINNED", "VERIFIED", "CliVersion", "parse_cli_version"]

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

    @property
    def legacy(self) -> bool:
        """Whether the CLI is of the older generation: before 0.100.0.

        0.0.0 is not: it is what a CLI built from a checkout of its source calls itself.
        """
        return _UNRELEASED < self < _CURRENT_GENERATION


_UNRELEASED = CliVersion(0, 0, 0)
_CURRENT_GENERATION = CliVersion(0, 100, 0, "0")  # the lowest of 0.100.0's own pre-releases

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

"""A command line in the making: what its parts read, and what they add to it."""

from __future__ import annotations

from typing import Any, get_args

from ..options import CodexOptions, ThreadOptions
from .checks import checked_choice
from .switches import wishes
from .toml import encode_config_override, merge_config_overrides
from .versions import CliVersion

__all__ = ["CommandLine", "words_for"]


def words_for(option: str) -> str:
    """Return what errors and warnings call an option."""
    return f"ThreadOptions.{option}"


class CommandLine:
    """The arguments of one ``codex exec``, and what is to be said about those that were left out."""

    def __init__(
        self, codex: CodexOptions, thread: ThreadOptions, version: CliVersion, cwd: str | None
    ) -> None:
        self.codex = codex
        self.thread = thread
        self.version = version
        self.cwd = cwd
        self.overrides = (
            merge_config_overrides(codex.config_overrides, thread.config_overrides) or {}
        )
        self.wishes = wishes(thread)
        self.arguments: list[str] = []
        self.warnings: list[str] = []

    def add(self, flag: str, value: str) -> None:
        """Add ``--flag=value``: in one word, so that no value is taken for an option."""
        self.arguments.append(f"{flag}={value}")

    def set(self, key: str, value: object) -> None:
        """Add a ``--config`` entry; it wins over those before it."""
        self.add("--config", encode_config_override(key, value))

    def choice(self, option: str, literal: Any) -> str:
        """Return the thread's *option*, which is one of the texts of *literal*."""
        return checked_choice(getattr(self.thread, option), get_args(literal), words_for(option))

    def warn(self, words: str, why: str) -> None:
        """Say that what *words* ask for is left out."""
        self.warnings.append(
            f"{words} has no effect with Codex CLI {self.version}, and is left out: {why}"
        )

    def warn_of(self, option: str, why: str) -> None:
        """Say that the thread's *option* is left out."""
        self.warn(f"{words_for(option)}={getattr(self.thread, option)!r}", why)

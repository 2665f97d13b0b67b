"""The guide's table of what each CLI honours says what the SDK does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest

from codex_sdk import CodexOptions, ThreadOptions
from codex_sdk._core.arguments import exec_arguments
from codex_sdk._core.versions import VERIFIED, CliVersion

from .blocks import ROOT

OLD, *NEW = VERIFIED
ROW = re.compile(r"^\| `([a-z_]+)` \| (.+?) \| (.+?) \| .+ \|$", re.MULTILINE)


def table() -> dict[str, tuple[str, str]]:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    section = guide.partition("### What each CLI honours")[2].partition("\n## ")[0]
    return {option: (old, new) for option, old, new in ROW.findall(section)}


def values(option: str) -> list[Any]:
    """Return the values of an option that has a few, or one that stands for all."""
    hint = get_type_hints(ThreadOptions)[option]
    [*alternatives] = (part for part in get_args(hint) if part is not type(None))
    if alternatives == [bool]:
        return [True, False]
    return list(get_args(alternatives[0])) or ([2] if alternatives == [int] else [])


def honoured(option: str, version: CliVersion) -> list[Any]:
    return [
        value
        for value in values(option)
        if not exec_arguments(
            CodexOptions(),
            ThreadOptions(**{option: value}),
            version=version,
            thread_id=None,
            images=(),
            schema_file=None,
        ).warnings
    ]


def in_words(cell: str, option: str) -> list[Any]:
    if cell in ("all", "none"):
        return values(option) if cell == "all" else []
    return [ast.literal_eval(value) for value in re.findall(r"`(.+?)`", cell)]


@pytest.mark.parametrize("option", sorted(table()))
def test_a_row_says_what_is_honoured(option: str) -> None:
    old, new = table()[option]

    assert honoured(option, OLD) == in_words(old, option)
    for version in NEW:
        assert honoured(option, version) == in_words(new, option)


def options_with_few_values() -> Iterator[str]:
    for option, hint in get_type_hints(ThreadOptions).items():
        if "Mapping" not in str(hint) and "Sequence" not in str(hint) and values(option):
            yield option


@pytest.mark.parametrize("option", sorted(set(options_with_few_values()) - set(table())))
def test_an_option_without_a_row_is_honoured_by_all(option: str) -> None:
    for version in VERIFIED:
        assert honoured(option, version) == values(option)

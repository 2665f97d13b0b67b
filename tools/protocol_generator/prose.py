"""Docstrings, of what the schema says."""

from __future__ import annotations

import textwrap

from .schema import UnknownSchema

_WIDTH = 100
_QUOTES = '"""'


def docstring(paragraphs: list[str], indent: str = "") -> str:
    """Return a docstring with its quotes, of *paragraphs* that are wrapped already."""
    text = "\n\n".join(paragraphs)
    if _QUOTES in text or "\\" in text or text.startswith('"') or text.endswith('"'):
        raise UnknownSchema(f"a description that needs escapes: {text!r}")
    lines = [f"{indent}{line}" if line else "" for line in text.split("\n")]
    closing = f"\n{indent}" if len(lines) > 1 or len(lines[0]) + 6 > _WIDTH else ""
    return f"{indent}{_QUOTES}{chr(10).join(lines).lstrip()}{closing}{_QUOTES}"


def paragraphs(text: str, indent: str) -> list[str]:
    """Return the paragraphs of a description, in lines that fit where they are indented by *indent*."""
    width = _WIDTH - len(indent) - len(_QUOTES)
    return [wrapped(paragraph, width) for paragraph in text.strip().split("\n\n") if paragraph]


def entries(title: str, texts: dict[str, str], indent: str) -> str:
    """Return a section of a docstring: a title, and below it what is said of each name."""
    lines = [
        wrapped(f"{name}: {' '.join(text.split())}", _WIDTH - len(indent) - 4, "    ")
        for name, text in texts.items()
    ]
    return f"{title}:\n{textwrap.indent(chr(10).join(lines), '    ')}"


def wrapped(text: str, width: int, following: str = "") -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )

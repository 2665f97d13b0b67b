"""The code in the README, the guides and the docstrings, cut into blocks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent
from typing import Literal

import attrs

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
MODULES = sorted((ROOT / "src").glob("**/*.py"))

Kind = Literal["program", "test module", "snippet", "fragment"]

_FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FRAGMENT_MARK = "<!-- fragment -->\n"
_IN_DOCSTRING = re.compile(r"::\n\n((?: {4}.*\n|\n)+)")


@attrs.frozen
class Block:
    """A piece of code.

    Attributes:
        kind: what it is, and so how it is run. A program is run as one; a test module by pytest; a
            snippet as the body of a function, async if it awaits anything. A fragment has something
            left out, and is only compiled: in Markdown, ``<!-- fragment -->`` stands above it, in a
            docstring it has a line of three dots.
    """

    path: Path
    line: int
    code: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def all_blocks() -> Iterator[Block]:
    for page in PAGES:
        yield from page_blocks(page)
    for module in MODULES:
        yield from docstring_blocks(module)


def page_blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _FENCED.finditer(text):
        code = match[1]
        left_out = text[: match.start()].endswith(_FRAGMENT_MARK)
        kind: Kind = "fragment" if left_out else _kind(code)
        yield Block(path, text.count("\n", 0, match.start(1)) + 1, code, kind)


def docstring_blocks(path: Path) -> Iterator[Block]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            docstring = cleandoc(ast.get_docstring(node) or "") + "\n"
            for match in _IN_DOCSTRING.finditer(docstring):
                code = dedent(match[1])
                left_out = "...\n" in code.splitlines(keepends=True)
                kind: Kind = "fragment" if left_out else "snippet"
                yield Block(path, node.body[0].lineno, code, kind)


def _kind(code: str) -> Kind:
    if re.search(r"^(async )?def test_", code, re.MULTILINE):
        return "test module"
    if re.search(r"^(asyncio|trio)\.run\(|run_sync\(", code, re.MULTILINE):
        return "program"
    return "snippet"

"""Text for people: styled in a terminal, plain where it is piped, and harmless in both.

What Codex, its commands and its model write may hold control sequences; a terminal never gets to see
them.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TextIO, Union

__all__ = ["Output", "Span", "Style", "sdk_version"]

Style = Literal["strong", "faint", "good", "doubtful", "bad", "special"]
Span = Union[str, tuple[str, Style]]

_SGR: Mapping[Style, str] = {
    "strong": "1",
    "faint": "2",
    "good": "32",
    "doubtful": "33",
    "bad": "31",
    "special": "36",
}
_SYMBOLS = {"✓": "ok", "!": "warning", "✗": "FAIL", "•": "*", "→": "->", "…": "...", "±": "+-"}
"""What is written instead where the encoding lacks the symbol."""

_CONTROL_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL
)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NARROWEST, _WIDEST = 40, 100
"""Columns to which prose is wrapped, at least and at most: longer lines are hard to read."""


class Output:
    """Writes lines to a stream, each at once.

    Colours are used in a terminal, unless ``NO_COLOR`` is set or ``TERM`` is ``dumb``.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] | None = None) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self._colours = self.is_terminal and _wants_colours(
            os.environ if environ is None else environ
        )
        self._width = _width() if self.is_terminal else None

    def line(self, *spans: Span) -> None:
        """Write one line."""
        self._write("".join(map(self._rendered, spans)).rstrip())

    def block(
        self,
        heads: Sequence[Span],
        text: str,
        style: Style | None = None,
        *,
        indent: int,
        wrap: bool = True,
    ) -> None:
        """Write *text* with a hanging indent of *indent* columns, in which *heads* stand.

        In a terminal, it is wrapped to the width, unless *wrap* is false.
        """
        taken = sum(len(head if isinstance(head, str) else head[0]) for head in heads)
        margin: Sequence[Span] = (*heads, " " * (indent - taken))
        for line in self._lines(text, indent, wrap):
            self.line(*margin, (line, style) if style else line)
            margin = (" " * indent,)

    def _lines(self, text: str, indent: int, wrap: bool) -> Iterator[str]:
        for line in text.splitlines() or [""]:
            if self._width is None or not wrap:
                yield line
            else:
                width = max(self._width - indent, 1)
                yield from textwrap.wrap(
                    line, width, break_long_words=False, break_on_hyphens=False
                ) or [""]

    def _rendered(self, span: Span) -> str:
        text, style = (span, None) if isinstance(span, str) else span
        text = _CONTROL_CHARACTER.sub("", _CONTROL_SEQUENCE.sub("", text)).replace("\n", " ")
        return f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style and self._colours and text else text

    def _write(self, line: str) -> None:
        encoding = self._stream.encoding or "ascii"
        try:
            line.encode(encoding)
        except UnicodeEncodeError:
            for symbol, substitute in _SYMBOLS.items():
                line = line.replace(symbol, substitute)
            line = line.encode(encoding, "replace").decode(encoding)
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _wants_colours(environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    # The older console of Windows shows the sequences instead of the colours.
    return sys.platform != "win32" or "WT_SESSION" in environ or "TERM" in environ


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def sdk_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("codex-sdk-python")
    except PackageNotFoundError:  # run from a checkout that is on PYTHONPATH
        return "(not installed)"

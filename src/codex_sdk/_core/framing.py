r"""Bytes in, lines out.

Lines end with ``b"\n"`` and nothing else: the CLI's JSON holds U+2028 and U+0085 as they are, which
``splitlines`` would split at. The work is linear in the input, however that is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import methodcaller

from ..exceptions import CodexParseError

__all__ = ["LineFramer"]

_RETURN = ord("\r")
_SHOWN_BYTES = 200
"""How much of a line that is too long goes into the error."""


class LineFramer:
    r"""Cuts a stream of bytes into lines of at most *max_line_bytes* bytes.

    The limit counts what stands before the ``\n``. What comes out does not depend on how the input is
    cut into chunks, the error for a line that is too long included. After that error the framer holds
    no input, takes no more, and raises the error again.
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._limit = max_line_bytes
        self._unfinished = bytearray()
        self._failure: str | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        r"""Take *data*, all of it at once, and return the lines that it completes.

        They come without ``\n`` or ``\r\n``; blank ones are dropped.

        Raises:
            CodexParseError: from the iterator, after the lines before it: a line is too long.
        """
        lines = self._take(data) if self._failure is None else []
        return iter(lines) if self._failure is None else _then_raise(lines, self._failure)

    def finish(self) -> bytes | None:
        """Return the last line if the input ended without a line end, and ``None`` if it did not.

        Raises:
            CodexParseError: a line was too long.
        """
        if self._failure is not None:
            raise CodexParseError(self._failure)
        for line in _tidied([self._take_unfinished()]):
            return line
        return None

    def _take(self, data: bytes) -> list[bytes]:
        fits = len(self._unfinished) + len(data) <= self._limit
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines:
            self._unfinished += lines[0]
            lines[0] = self._take_unfinished()
        self._unfinished += rest
        return _tidied(lines if fits else self._within_limit(lines))

    def _take_unfinished(self) -> bytes:
        taken = bytes(self._unfinished)
        self._unfinished.clear()
        return taken

    def _within_limit(self, lines: list[bytes]) -> list[bytes]:
        """Return *lines* up to the first that is too long; note the error if there is one."""
        for index, line in enumerate(lines):
            if len(line) > self._limit:
                self._fail(line)
                return lines[:index]
        if len(self._unfinished) > self._limit:
            self._fail(self._unfinished)
        return lines

    def _fail(self, line: bytes | bytearray) -> None:
        start = line[: min(_SHOWN_BYTES, self._limit)].decode("utf-8", "replace")
        self._failure = (
            f"the Codex CLI wrote a line of more than {self._limit} bytes, the limit that "
            f"CodexOptions.max_line_bytes sets; it begins {start!r}"
        )
        self._unfinished.clear()


_ends_an_object = methodcaller("endswith", b"}")


def _tidied(lines: list[bytes]) -> list[bytes]:
    r"""Return *lines* without the ``\r`` of their ``\r\n``, and without the blank ones."""
    if all(map(_ends_an_object, lines)):  # as they do, but for the odd one
        return lines
    return [
        line[:-1] if line[-1] == _RETURN else line for line in lines if line and not line.isspace()
    ]


def _then_raise(lines: Iterable[bytes], failure: str) -> Iterator[bytes]:
    yield from lines
    raise CodexParseError(failure)

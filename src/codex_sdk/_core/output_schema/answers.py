"""The text of an answer, and what is said of one that is not what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

import msgspec

from ...exceptions import CodexParseError

__all__ = ["Key", "decode_answer", "json_path", "parse_error"]

Key = Union[str, int]

SHOWN = 200
"""How many characters of an answer an error message repeats: enough to recognise it by."""


def decode_answer(text: str) -> Any:
    """Return the JSON value that *text* is; CodexParseError if it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise CodexParseError(
            f"the answer is no JSON ({error}); {_beginning(text)}", text
        ) from error


def parse_error(text: str, path: Iterable[Key], reason: str) -> CodexParseError:
    """Return the error for an answer whose part at *path* is wrong."""
    where = json_path(path)
    message = f"the answer does not satisfy the output schema at {where}: {reason}"
    return CodexParseError(f"{message}; {_beginning(text)}", text, where)


def json_path(path: Iterable[Key]) -> str:
    """Return keys and indexes as a JSON path: ``$.items[2].name``."""
    return "$" + "".join(
        f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]" for key in path
    )


def _beginning(text: str) -> str:
    if not text:
        return "it is empty"
    if len(text) <= SHOWN:
        return f"it is: {text}"
    return f"it begins: {text[:SHOWN]}…"

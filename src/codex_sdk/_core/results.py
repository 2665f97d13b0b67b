"""What is taken out of an app-server's answers, which may be of another shape than its protocol has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from ..exceptions import CodexParseError
from .redaction import redact_data

__all__ = ["part_of"]

T = TypeVar("T")

_SHOWN = 200
"""Characters of an answer that an error repeats."""

_SECRET_KEY = re.compile("KEY|TOKEN|SECRET|PASSWORD|AUTHORIZATION", re.IGNORECASE)

_NAMES: dict[type, str] = {str: "a text", dict: "an object", list: "a list"}


def part_of(
    result: object,
    method: str,
    *path: str,
    of: type[T],
    secrets: Mapping[str, str] | None = None,
) -> T:
    """Return what stands at *path* in the answer to *method*.

    Args:
        of: what has to stand there; a text may not be empty.
        secrets: what the server may know that no error is to repeat, by names of environment variables.

    Raises:
        CodexParseError: it is missing, or is something else; the answer's start is shown.
    """
    found = result
    for name in path:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if isinstance(found, of) and found != "":
        return found
    what = f"has no {'.'.join(path)} that is" if path else "is not"
    raise CodexParseError(
        f"the app-server's answer to {method} {what} {_NAMES.get(of, of.__name__)}: "
        f"{_start_of(result, secrets or {})}"
    )


def _start_of(result: object, secrets: Mapping[str, str]) -> str:
    shown = json.dumps(_without_secrets(redact_data(result, secrets)), ensure_ascii=False)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _without_secrets(data: Any) -> Any:
    """Return *data*, as JSON has it, without the texts whose keys say that they are secrets."""
    if isinstance(data, list):
        return [_without_secrets(member) for member in cast("list[Any]", data)]  # type: ignore[redundant-cast]
    if not isinstance(data, dict):
        return data
    return {
        key: f"<{key}>"
        if _SECRET_KEY.search(key) and isinstance(value, str)
        else _without_secrets(value)
        for key, value in cast("dict[str, Any]", data).items()
    }

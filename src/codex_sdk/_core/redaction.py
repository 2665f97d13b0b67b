"""Secrets that a CLI may repeat in what it writes, and that no error is to pass on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

__all__ = ["redact", "redact_data"]

_SECRET_NAME = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST_SECRET = 6
"""Characters below which a value is more likely a switch, and blanking it out would hide the error."""


def redact(text: str, environment: Mapping[str, str]) -> str:
    """Blank out the secrets of *environment*, which are known by their names, in *text*.

    *text* may be the tail of a longer one, and begin in the middle of a secret.
    """
    secrets = [
        (name, value)
        for name, value in environment.items()
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name)
    ]
    secrets.sort(key=lambda secret: -len(secret[1]))  # one may begin with another
    for name, value in secrets:
        text = _without_end_of(value, text.replace(value, f"<{name}>"))
    return text


def redact_data(data: Any, environment: Mapping[str, str]) -> Any:
    """Return *data*, as JSON has it, with all of its texts as :func:`redact` returns them."""
    if isinstance(data, str):
        return redact(data, environment)
    if isinstance(data, list):
        members = cast("list[Any]", data)  # type: ignore[redundant-cast]
        return [redact_data(member, environment) for member in members]
    if isinstance(data, dict):
        items = cast("dict[str, Any]", data).items()
        return {key: redact_data(value, environment) for key, value in items}
    return data


def _without_end_of(secret: str, text: str) -> str:
    """Drop the rest of a secret that the start of *text* has cut in two."""
    for start in range(1, len(secret) - 3):
        if text.startswith(secret[start:]):
            return text[len(secret) - start :]
    return text

"""Refusing, by name and before anything is spawned, what a command line or an environment cannot carry."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from urllib.parse import urlsplit

from ..exceptions import CodexError

__all__ = [
    "checked_boolean",
    "checked_choice",
    "checked_name",
    "checked_path",
    "checked_text",
    "checked_url",
    "encoded_prompt",
]


def checked_text(value: object, words: str) -> str:
    """Return *value*, a text; *words* are what an error calls it, and the error does not show it."""
    if not isinstance(value, str):
        raise CodexError(f"{words} is not a str, but {type(value).__name__}")
    if "\0" in value:
        raise CodexError(f"{words} holds a NUL character")
    return value


def checked_name(value: object, words: str) -> str:
    """Return *value*, a word that the CLI cannot take for an option."""
    name = checked_text(value, words)
    if not name or name.startswith("-"):
        raise CodexError(
            f"{words} is empty or begins with '-', as an option of the CLI would: {name!r}"
        )
    return name


def checked_path(value: str | PathLike[str], words: str) -> str:
    """Return *value*, a path, which may begin with anything but nothing."""
    path = checked_text(fspath(value), words)
    if not path:
        raise CodexError(f"{words} is empty")
    return path


def checked_boolean(value: object, words: str) -> bool:
    """Return *value*, which no number stands for."""
    if not isinstance(value, bool):
        raise CodexError(f"{words} is true or false, not {value!r}")
    return value


def checked_choice(value: object, choices: Sequence[str], words: str) -> str:
    """Return *value*, which is one of *choices*."""
    if not isinstance(value, str) or value not in choices:
        raise CodexError(f"{words} is one of {', '.join(choices)}, not {value!r}")
    return value


def checked_url(value: object, words: str) -> str:
    """Return *value*, an address for HTTP without a secret in it."""
    url = checked_text(value, words)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise CodexError(f"{words} is no URL: {error}") from error
    if not usable or not url.isprintable() or " " in url:
        raise CodexError(f"{words} is to be a URL like https://host/v1")
    if "@" in parts.netloc:
        raise CodexError(
            f"{words} holds a user name or password, which every user of the machine could read; "
            "give a secret as api_key"
        )
    return url


def encoded_prompt(prompt: str) -> bytes:
    """Return *prompt*, which is not empty, as the CLI reads it."""
    if not prompt.strip():
        raise CodexError("the prompt is empty: the Codex CLI takes no turn without a text")
    try:
        return prompt.encode()
    except UnicodeEncodeError as error:
        raise CodexError(
            f"the prompt holds a lone surrogate at position {error.start}, which is no text that can "
            "be encoded; decode its source with errors='replace'"
        ) from error

"""What a turn can be given: a text, or texts and images."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Literal, TypedDict, Union

from .exceptions import CodexError


class TextInput(TypedDict):
    """A piece of the prompt."""

    type: Literal["text"]
    text: str


class LocalImageInput(TypedDict):
    """An image file, sent along with the prompt."""

    type: Literal["local_image"]
    path: Union[str, PathLike[str]]


UserInput = Union[TextInput, LocalImageInput]
Input = Union[str, Sequence[UserInput]]


def normalize_input(input: Input) -> tuple[str, list[str]]:
    """Return the prompt's text (text items joined by blank lines) and the image paths, in order.

    Raises:
        CodexError: *input* is neither a text nor a sequence, or an item of it is neither a text nor a
            local image.
    """
    if isinstance(input, str):
        return input, []
    try:
        items = list(input)
    except TypeError as error:
        raise CodexError("the input is neither a text nor a sequence of input items") from error
    contents = [_content(index, item) for index, item in enumerate(items)]
    texts = [content for item_type, content in contents if item_type == "text"]
    images = [content for item_type, content in contents if item_type == "local_image"]
    return "\n\n".join(texts), images


def _content(index: int, item: UserInput) -> tuple[str, str]:
    """Return the item's type, and its text or path."""
    try:
        if item["type"] == "text":
            return "text", _text(item["text"])
        if item["type"] == "local_image":
            return "local_image", _text(fspath(item["path"]))
        problem = f"has the unknown type {item['type']!r}"
    except (KeyError, TypeError) as error:
        raise _refusal(index, "is incomplete or of the wrong shape") from error
    raise _refusal(index, problem)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return value


def _refusal(index: int, problem: str) -> CodexError:
    return CodexError(
        f"input item {index} {problem}: "
        '{"type": "text", "text": …} and {"type": "local_image", "path": …} are accepted'
    )

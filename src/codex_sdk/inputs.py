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
        CodexError: an item is no text and no local image, or lacks its content.
    """
    if isinstance(input, str):
        return input, []
    texts: list[str] = []
    images: list[str] = []
    for index, item in enumerate(input):
        try:
            if item["type"] == "text":
                texts.append(_text(item["text"]))
            elif item["type"] == "local_image":
                images.append(fspath(item["path"]))
            else:
                raise CodexError(f"input item {index} has the unknown type {item['type']!r}")
        except (KeyError, TypeError) as error:
            raise CodexError(
                f"input item {index} is neither a text nor a local image: "
                '{"type": "text", "text": …} and {"type": "local_image", "path": …} are'
            ) from error
    return "\n\n".join(texts), images


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    return value

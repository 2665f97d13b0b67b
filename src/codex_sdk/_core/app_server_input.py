"""What programs give to an app-server, as its protocol has it: keys in camel case, inputs as items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any, Literal, TypedDict, Union, cast

from ..exceptions import CodexError
from ..inputs import LocalImageInput, TextInput
from ..protocol import Null, ProtocolObject, UnknownVariant, unstructure

__all__ = [
    "AppServerInput",
    "AppServerUserInput",
    "ImageInput",
    "MentionInput",
    "SkillInput",
    "camel_case",
    "normalize_app_server_input",
    "plain",
    "protocol_params",
]


class ImageInput(TypedDict):
    """An image that the server can reach, or a ``data:`` URL."""

    type: Literal["image"]
    url: str


class SkillInput(TypedDict):
    """A skill that the turn is to use."""

    type: Literal["skill"]
    name: str
    path: Union[str, PathLike[str]]


class MentionInput(TypedDict):
    """Something that the text mentions: an app, or a plugin."""

    type: Literal["mention"]
    name: str
    path: str


AppServerUserInput = Union[
    TextInput,
    LocalImageInput,
    ImageInput,
    SkillInput,
    MentionInput,
    ProtocolObject,
    Mapping[str, Any],
]
AppServerInput = Union[str, Sequence[AppServerUserInput]]

_TYPES = {"local_image": "localImage", "local_audio": "localAudio"}
_KEYS = {"textElements": "text_elements", "byte_range": "byteRange"}
"""Keys that do not follow the protocol's own rule, or that programs write otherwise. Verified with 0.163.0
and 0.169.0: they take ``text_elements`` as it is here, and ignore ``textElements``."""


def normalize_app_server_input(input: AppServerInput) -> list[dict[str, Any]]:
    """Return *input* as the items that the protocol has: a text is one item.

    Raises:
        CodexError: it is neither a text nor a sequence, it is empty, or an item of it is no mapping.
    """
    if isinstance(input, str):
        return [{"type": "text", "text": input}]
    if isinstance(input, (Mapping, ProtocolObject)):
        raise CodexError("the input is a single input item; give a list of them")
    try:
        items: list[Any] = list(input)
    except TypeError as error:
        raise CodexError("the input is neither a text nor a sequence of input items") from error
    if not items:
        raise CodexError("the input has no items: a turn takes one at least")
    return [_item(index, item) for index, item in enumerate(items)]


def _item(index: int, item: Any) -> dict[str, Any]:
    fields: dict[str, Any] = _with_protocol_keys(plain(item)) if _is_mapping(item) else {}
    if not isinstance(fields.get("type"), str):
        raise CodexError(
            f'input item {index} is no mapping with a "type", such as '
            '{"type": "text", "text": …}, {"type": "local_image", "path": …} or '
            '{"type": "skill", "name": …, "path": …}'
        )
    return {**fields, "type": _TYPES.get(fields["type"], fields["type"])}


def _is_mapping(item: Any) -> bool:
    return isinstance(item, (Mapping, ProtocolObject))


def _with_protocol_keys(data: Any) -> Any:
    if isinstance(data, dict):
        fields = cast("dict[str, Any]", data)
        return {_KEYS.get(key, key): _with_protocol_keys(value) for key, value in fields.items()}
    if isinstance(data, list):
        return [_with_protocol_keys(value) for value in cast("list[object]", data)]
    return data


def protocol_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return *params* with their own keys in camel case, without those that are ``None``.

    ``protocol.NULL`` becomes ``null``. Keys further inside belong to the caller, and are left as they are.
    """
    return {camel_case(key): plain(value) for key, value in params.items() if value is not None}


def camel_case(name: str) -> str:
    """Return a name in snake case as the protocol writes it; one in camel case is left alone."""
    first, *rest = name.split("_")
    if not first:
        return name  # "_meta" is what the protocol has
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def plain(value: Any) -> Any:
    """Return *value* as JSON-ready data: objects of the protocol become dicts, and paths texts."""
    if isinstance(value, (ProtocolObject, UnknownVariant, Null)):
        return unstructure(value)
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {key: plain(member) for key, member in members.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in cast("Sequence[Any]", value)]
    if isinstance(value, PathLike):
        return fspath(cast("PathLike[str]", value))
    return value

"""JSON-ready data to values of the protocol, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

from ..exceptions import CodexError, CodexParseError
from ._base import NULL, ProtocolObject, UnknownVariant
from ._forms import MORE, Mismatch, form_of
from ._readers import Readers

T = TypeVar("T")

_STRICT = Readers(lenient=False)
_LENIENT = Readers(lenient=True)
_SCALARS = (str, bool, int, float, type(None))


@overload
def structure(cls: type[T], data: object, *, lenient: bool = False) -> T: ...
@overload
def structure(cls: Any, data: object, *, lenient: bool = False) -> Any: ...
def structure(cls: Any, data: object, *, lenient: bool = False) -> Any:
    """Return JSON-ready *data* as a value of *cls*, a class or an alias of the protocol.

    Words of an enumeration are an open set: any string passes. Keys that *cls* does not know are ignored.

    Args:
        lenient: take data of another version of the CLI than ``CODEX_VERSION``: a required field that it
            does not have is ``None``, whatever its type says.

    Raises:
        CodexParseError: *data* is no *cls*: a required field is missing, or one is of another kind. The
            message says which, and where.
    """
    readers = _LENIENT if lenient else _STRICT
    try:
        return readers.of(cls)(data)
    except Mismatch as mismatch:
        name = cls.__name__ if isinstance(cls, type) else "such value"
        raise CodexParseError(f"this is no {name} of the app-server protocol: {mismatch}") from None


@overload
def unstructure(value: ProtocolObject) -> dict[str, Any]: ...
@overload
def unstructure(value: Any) -> Any: ...
def unstructure(value: Any) -> Any:
    """Return a value of the protocol as JSON-ready data, with the keys of the protocol.

    Fields that hold their default are left out, where the protocol lets them be.

    Raises:
        CodexError: a field holds something that JSON does not have. The message says which.
    """
    try:
        return _plain(value)
    except Mismatch as mismatch:
        raise CodexError(f"this {type(value).__name__} cannot be sent: {mismatch}") from None


def _object_data(value: ProtocolObject) -> dict[str, Any]:
    form = form_of(value.__class__)
    data: dict[str, Any] = {} if form.tag is None else {form.tag[0]: form.tag[1]}
    key = ""
    try:
        for key, name, _, default in form.fields:
            content = getattr(value, name)
            if content != default:
                data[key] = content if content.__class__ in _SCALARS else _plain(content)
    except Mismatch as mismatch:
        raise mismatch.within(f".{key}") from None
    if form.keeps_more:
        data = {**_plain(getattr(value, MORE)), **data}
    return {form.wrapper: data} if form.wrapper else data


def _plain(value: Any) -> Any:
    """Return a value in the types that the json module knows."""
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, ProtocolObject):
        return _object_data(value)
    if isinstance(value, UnknownVariant):
        return _plain(value.raw)
    if isinstance(value, Mapping):
        return _mapping_data(cast("Mapping[object, Any]", value))
    if isinstance(value, (list, tuple)):
        return _list_data(cast("list[Any]", value))
    if value is NULL:
        return None
    raise Mismatch(f"JSON has no {type(value).__name__}")


def _mapping_data(value: Mapping[object, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, content in value.items():
        if not isinstance(key, str):
            raise Mismatch(f"JSON has no key {key!r}, only strings")
        try:
            data[key] = _plain(content)
        except Mismatch as mismatch:
            raise mismatch.within(f".{key}") from None
    return data


def _list_data(value: list[Any]) -> list[Any]:
    data: list[Any] = []
    for index, content in enumerate(value):
        try:
            data.append(_plain(content))
        except Mismatch as mismatch:
            raise mismatch.within(f"[{index}]") from None
    return data

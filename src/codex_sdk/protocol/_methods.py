"""Values of the types that belong to a method."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, Union, cast, get_args

from ..exceptions import CodexError
from . import _index
from ._base import ProtocolObject, Request, UnknownPayload, finished
from ._codec import structure

T = TypeVar("T")


def generated(name: str) -> Any:
    """Return the generated class or alias *name*.

    Raises:
        KeyError: there is none of this name.
    """
    value = getattr(import_module(f"{__package__}._generated.{_files()[name]}"), name)
    for cls in get_args(value) or [value]:
        if isinstance(cls, type) and issubclass(cls, ProtocolObject):
            finished(cls)
    return value


@cache
def _files() -> dict[str, str]:
    return {name: file for file, names in _index.FILES.items() for name in names.split()}


def generated_names() -> tuple[str, ...]:
    """Return the names of all generated classes and aliases."""
    return tuple(_files())


def is_experimental(name: str) -> bool:
    """Return whether a generated class or alias is of the experimental part of the protocol.

    Of that part a server speaks when it was told ``experimentalApi`` in ``initialize``, and it may change
    with each version of the CLI. Classes of the stable part can have experimental fields: their docstrings
    say which.
    """
    return name in _experimental()


@cache
def _experimental() -> frozenset[str]:
    return frozenset(_index.EXPERIMENTAL_TYPES.split())


def structure_result(request: Request[T], data: object, *, lenient: bool = False) -> T:
    """Return what the server answered to *request* as a value of its result type.

    What answers a method that this version of the package does not know (a program can have request
    classes of its own) is returned as it came. *lenient* is that of :func:`structure`.

    Raises:
        CodexParseError: *data* is no such result.
    """
    entry = _index.CLIENT_METHODS.get(request.method)
    result = structure(generated(entry[1]), data, lenient=lenient) if entry else data
    return cast("T", result)


def notification_payload(
    method: str, params: object, *, lenient: bool = False
) -> Union[ProtocolObject, UnknownPayload]:
    """Return the params of a notification as a value of their type.

    *lenient* is that of :func:`structure`.

    Raises:
        CodexParseError: the method is known, and *params* are not what it has.
    """
    return _payload(_index.NOTIFICATIONS, method, params, lenient)


def request_payload(
    method: str, params: object, *, lenient: bool = False
) -> Union[ProtocolObject, UnknownPayload]:
    """Return the params of a request of the server as a value of their type.

    *lenient* is that of :func:`structure`.

    Raises:
        CodexParseError: the method is known, and *params* are not what it has.
    """
    return _payload(_index.SERVER_REQUESTS, method, params, lenient)


def _payload(
    table: Mapping[str, tuple[Any, ...]], method: str, params: object, lenient: bool
) -> Union[ProtocolObject, UnknownPayload]:
    if method in table:
        payload = structure(generated(table[method][0]), params, lenient=lenient)
        if isinstance(payload, ProtocolObject):  # and no unknown variant of a union
            return payload
    return UnknownPayload(method, params)


def response_type(method: str) -> type[ProtocolObject]:
    """Return the class of what a client answers to a request of the server.

    Raises:
        CodexError: the protocol has no such request.
    """
    if method not in _index.SERVER_REQUESTS:
        raise CodexError(f"the app-server protocol has no server request {method!r}")
    return cast("type[ProtocolObject]", generated(_index.SERVER_REQUESTS[method][1]))

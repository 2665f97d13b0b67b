"""Types of the app-server protocol: what the pinned Codex CLI's own schema says, as attrs classes.

Each method that clients may call has a class of params, which knows its result: awaiting
``client.call(protocol.ThreadStartParams(cwd="."))`` gives a ``ThreadStartResponse``. Fields are named in
snake case; those that are ``None`` are not sent, and :data:`NULL` is sent as ``null``.
``CLIENT_METHODS``, ``NOTIFICATIONS`` and ``SERVER_REQUESTS`` say which types belong to which method.

What the server sends may be newer than these types. Words of an enumeration are any string, a variant of
a union that is not known is an :class:`UnknownVariant`, a method that is not known an
:class:`UnknownPayload`, and fields that are not known are ignored.

The classes are generated, and made when they are first used: importing this module makes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base import NULL as NULL
    from ._base import Null as Null
    from ._base import Nullable as Nullable
    from ._base import ProtocolObject as ProtocolObject
    from ._base import Request as Request
    from ._base import UnknownPayload as UnknownPayload
    from ._base import UnknownVariant as UnknownVariant
    from ._codec import structure as structure
    from ._codec import unstructure as unstructure
    from ._index import CODEX_VERSION as CODEX_VERSION
    from ._index import SCHEMA_SHA256 as SCHEMA_SHA256
    from ._methods import is_experimental as is_experimental
    from ._methods import notification_payload as notification_payload
    from ._methods import request_payload as request_payload
    from ._methods import response_type as response_type
    from ._methods import structure_result as structure_result
    from ._names import *  # noqa: F403
    from ._tables import CLIENT_METHODS as CLIENT_METHODS
    from ._tables import NOTIFICATIONS as NOTIFICATIONS
    from ._tables import SERVER_REQUESTS as SERVER_REQUESTS
    from ._tables import ClientMethod as ClientMethod
    from ._tables import ServerNotification as ServerNotification
    from ._tables import ServerRequest as ServerRequest

_HOMES = {
    "NULL": "_base",
    "Null": "_base",
    "Nullable": "_base",
    "ProtocolObject": "_base",
    "Request": "_base",
    "UnknownPayload": "_base",
    "UnknownVariant": "_base",
    "structure": "_codec",
    "unstructure": "_codec",
    "CODEX_VERSION": "_index",
    "SCHEMA_SHA256": "_index",
    "CLIENT_METHODS": "_tables",
    "NOTIFICATIONS": "_tables",
    "SERVER_REQUESTS": "_tables",
    "ClientMethod": "_tables",
    "ServerNotification": "_tables",
    "ServerRequest": "_tables",
    "is_experimental": "_methods",
    "notification_payload": "_methods",
    "request_payload": "_methods",
    "response_type": "_methods",
    "structure_result": "_methods",
}
"""In which module each name lives that is not generated."""


if not TYPE_CHECKING:  # checkers are to see the names above, and no others

    def __getattr__(name):
        from importlib import import_module

        if name in _HOMES:
            value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        elif name.startswith("_"):  # a module of this package that is not imported yet, say
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        else:
            from ._methods import generated

            try:
                value = generated(name)
            except KeyError:
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        globals()[name] = value
        return value

    def __dir__():
        from ._methods import generated_names

        return sorted({*globals(), *_HOMES, *generated_names()})

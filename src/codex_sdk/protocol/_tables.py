"""The methods of the protocol, with the names of the types that belong to each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from . import _index


class ClientMethod(NamedTuple):
    """A method that clients may call: the names of the types of its params and result."""

    params: str
    result: str
    experimental: bool
    """Whether the server has to be told ``experimentalApi`` in ``initialize``."""


class ServerRequest(NamedTuple):
    """A method that the server may call: the names of the types of its params and response."""

    params: str
    response: str
    experimental: bool


class ServerNotification(NamedTuple):
    """A notification that the server may send: the name of the type of its payload."""

    payload: str
    experimental: bool


CLIENT_METHODS: Mapping[str, ClientMethod] = {
    method: ClientMethod(*entry) for method, entry in _index.CLIENT_METHODS.items()
}
"""All methods that clients may call, by name."""

SERVER_REQUESTS: Mapping[str, ServerRequest] = {
    method: ServerRequest(*entry) for method, entry in _index.SERVER_REQUESTS.items()
}
"""All methods that the server may call, by name."""

NOTIFICATIONS: Mapping[str, ServerNotification] = {
    method: ServerNotification(*entry) for method, entry in _index.NOTIFICATIONS.items()
}
"""All notifications that the server may send, by name."""

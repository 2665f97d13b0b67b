"""What an app-server sends by itself: notifications, and requests that it waits for an answer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import attrs

from .. import protocol

__all__ = ["AppServerNotification", "AppServerRequest"]

Payload = Union[protocol.ProtocolObject, protocol.UnknownPayload]


@attrs.frozen
class AppServerNotification:
    """The server tells something.

    Attributes:
        method: what kind of thing, as in ``item/agentMessage/delta``.
        params: the particulars, as they came.
        lenient: whether a field that :mod:`codex_sdk.protocol` requires may be missing: the server is of
            another version.
    """

    method: str
    params: Mapping[str, Any]
    lenient: bool = attrs.field(default=False, kw_only=True, repr=False, eq=False)

    @property
    def payload(self) -> Payload:
        """The params as a value of their type, made anew each time; ``UnknownPayload`` for unknown methods.

        Raises:
            CodexParseError: the params are not what the method has.
        """
        return protocol.notification_payload(self.method, self.params, lenient=self.lenient)


@attrs.frozen
class AppServerRequest:
    """The server asks for something, and waits for ``client.respond(request.id, …)``.

    Attributes:
        id: by which it is answered.
        method: what is asked for, as in ``item/commandExecution/requestApproval``.
        params: the particulars, as they came.
        lenient: as in :class:`AppServerNotification`.
    """

    id: Union[int, str]
    method: str
    params: Mapping[str, Any]
    lenient: bool = attrs.field(default=False, kw_only=True, repr=False, eq=False)

    @property
    def payload(self) -> Payload:
        """The params as a value of their type, made anew each time; ``UnknownPayload`` for unknown methods.

        Raises:
            CodexParseError: the params are not what the method has.
        """
        return protocol.request_payload(self.method, self.params, lenient=self.lenient)

"""What a fake app-server and its client tell each other, as a test sees it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union, cast

import anyio
import attrs

from ..exceptions import CodexAppServerError

if TYPE_CHECKING:
    from .app_server_link import Link
    from .fake_app_server import FakeAppServer

__all__ = ["ClientNotification", "ClientRequest", "ErrorReply", "ServerRequest"]

RequestId = Union[int, str]


@attrs.frozen
class ErrorReply:
    """The refusal of a request, in place of a result.

    Attributes:
        message: what is wrong.
        code: the JSON-RPC code. App-servers say -32600 for nearly everything, and -32001 when overloaded.
        data: anything else, or ``None``.
    """

    message: str
    code: int = -32600
    data: Any = None


@attrs.frozen
class ClientNotification:
    """What the client has told the server.

    Attributes:
        method: such as ``initialized``.
        params: what came with it; empty where nothing did.
    """

    method: str
    params: Mapping[str, Any]


@attrs.frozen(eq=False)
class ClientRequest:
    """What the client has asked of the server, and waits for.

    Attributes:
        method: such as ``thread/start``.
        params: what came with it; empty where nothing did.
        id: the client's number for it.
    """

    method: str
    params: Mapping[str, Any]
    id: RequestId
    _server: FakeAppServer = attrs.field(repr=False)
    _link: Link = attrs.field(repr=False)

    async def reply(self, result: Any = None) -> None:
        """Answer with *result*, or with an :class:`ErrorReply`.

        A test decides when, in which order and how often; where the client has gone, nothing happens.
        """
        await self._server.send_on(self._link, reply_to(self.id, result))

    def post(self, result: Any) -> None:
        """Answer without waiting for a client that is slow to read."""
        self._link.post(reply_to(self.id, result))

    async def fail(self, message: str, *, code: int = -32600, data: Any = None) -> None:
        """Refuse the request: ``reply(ErrorReply(message, code, data))``."""
        await self.reply(ErrorReply(message, code, data))


class ServerRequest:
    """What the server has asked of the client.

    Attributes:
        id: the server's number for it.
        method: such as ``item/commandExecution/requestApproval``.
    """

    def __init__(self, request_id: RequestId, method: str, timeout: float) -> None:
        self.id = request_id
        self.method = method
        self._timeout = timeout
        self._settled = anyio.Event()
        self._answer: Mapping[str, Any] | None = None

    @property
    def answered(self) -> bool:
        """Whether the client has answered."""
        return self._answer is not None

    async def answer(self, *, within: float | None = None) -> Any:
        """Wait for the client's answer and return its result.

        Raises:
            AssertionError: there was none in *within* seconds (default: the server's), or the client
                has gone.
            CodexAppServerError: the client answered with an error.
        """
        bound = self._timeout if within is None else within
        with anyio.move_on_after(bound):
            await self._settled.wait()
        if self._answer is None:
            why = "the client has gone" if self._settled.is_set() else f"{bound:g} seconds passed"
            raise AssertionError(f"{self.method} was asked of the client: {why} without an answer")
        return self._result(self._answer)

    def settle(self, answer: Mapping[str, Any] | None) -> None:
        """Take the client's answer; ``None``: there will be none."""
        self._answer = answer
        self._settled.set()

    def _result(self, answer: Mapping[str, Any]) -> Any:
        error: Any = answer.get("error")
        if error is None:
            return answer.get("result")
        raise CodexAppServerError(
            error.get("code", 0), error.get("message", ""), error.get("data"), method=self.method
        )

    def __repr__(self) -> str:
        return f"<ServerRequest {self.id!r} {self.method}{', answered' if self.answered else ''}>"


def reply_to(request_id: RequestId, result: Any) -> bytes:
    """Return the line that answers a request of the client's."""
    if not isinstance(result, ErrorReply):
        return line_of({"id": request_id, "result": result})
    error = {"code": result.code, "message": result.message}
    if result.data is not None:
        error["data"] = result.data
    return line_of({"id": request_id, "error": error})


def line_of(message: Mapping[str, Any]) -> bytes:
    """Return a message as it goes over the wire."""
    return json.dumps(message, ensure_ascii=False).encode() + b"\n"


def contains(actual: Any, expected: Any) -> bool:
    """Whether all that is *expected* is there, at any depth; objects may have further members."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        members = cast("Mapping[str, Any]", actual)
        wanted = cast("Mapping[str, Any]", expected)
        return all(key in members and contains(members[key], wanted[key]) for key in wanted)
    if isinstance(expected, (list, tuple)) and isinstance(actual, list):
        entries = cast("Sequence[Any]", expected)
        found = cast("Sequence[Any]", actual)
        return len(found) == len(entries) and all(map(contains, found, entries))
    return bool(actual == expected)

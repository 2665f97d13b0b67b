"""Functions of a program that answer what the app-server asks for during a turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Union

import anyio
import attrs

from .. import protocol
from .._core.jsonrpc import Request
from .._core.server_requests import (
    COMMAND_APPROVAL,
    ELICITATION,
    FILE_CHANGE_APPROVAL,
    PERMISSIONS_APPROVAL,
    USER_INPUT,
    ApprovalDecisions,
    answer_of,
)
from .._runtime.answering import NOT_MINE, Answerer
from ..abort import check_seconds
from ..exceptions import CodexError
from .messages import AppServerRequest

__all__ = ["ApprovalDecisions", "RequestHandlers", "UnfinishedHandlerError", "handling"]

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")

Handler = Callable[[RequestT], Union[AnswerT, Awaitable[AnswerT]]]

if TYPE_CHECKING:  # at run time, they would load parts of the protocol that may never be used
    CommandAnswer = Union[
        str,
        Mapping[str, Any],
        protocol.CommandExecutionRequestApprovalResponse,
        protocol.AcceptWithExecpolicyAmendmentCommandExecutionApprovalDecision,
        protocol.ApplyNetworkPolicyAmendmentCommandExecutionApprovalDecision,
        protocol.UnknownVariant,
    ]
    FileChangeAnswer = Union[str, Mapping[str, Any], protocol.FileChangeRequestApprovalResponse]
    PermissionsAnswer = Union[str, Mapping[str, Any], protocol.PermissionsRequestApprovalResponse]
    UserInputAnswer = Union[
        Mapping[str, Union[str, Sequence[str], Mapping[str, Any]]],
        protocol.ToolRequestUserInputResponse,
    ]
    ElicitationAnswer = Union[str, Mapping[str, Any], protocol.McpServerElicitationRequestResponse]


class UnfinishedHandlerError(CodexError):
    """The turn ended before a handler had answered; what it would have said was of no use any more."""


@attrs.frozen(kw_only=True)
class RequestHandlers:
    """The functions that answer the requests of a turn, each as soon as it comes.

    They may be coroutine functions, or plain ones that do not block. Each call runs in a task of its own, so
    that requests which come together are handled together, and nothing else waits for them. The task is
    cancelled when the server no longer waits for the answer: the turn was interrupted, say.

    A handler that raises, takes longer than *timeout*, or returns what is no answer to its request has
    declined it, and the error is kept in :attr:`AppServerTurnSession.handler_errors`.

    What an approval is about stands in its item, which :meth:`AppServerTurnSession.item` returns: the
    changes of a patch, for one. (CLIs of the generation of 0.80 tell an approval's ``item_id`` only; the
    session fills in ``command`` and ``cwd``, and ``started_at_ms`` is ``None``.)

    Attributes:
        on_command_approval: may this command run? Returns ``"accept"``, ``"accept_for_session"``,
            ``"decline"`` or ``"cancel"``; a decision with its details, such as one of the request's
            ``proposed_execpolicy_amendment``; or the whole response.
        on_file_change_approval: may this patch be applied? Returns one of the same four words, or the whole
            response.
        on_permissions: may the turn do more? Returns ``"accept"``, ``"accept_for_session"``, ``"deny"``, or
            the whole response.
        on_user_input: the model asks questions. Returns a mapping from the questions' ids to an answer, or
            to several.
        on_elicitation: an MCP server asks for something. Returns ``"accept"``, ``"decline"``, ``"cancel"``,
            or the whole response, with the content of a form.
        on_request: whatever there is no other handler for, as an :class:`AppServerRequest`. Returns what the
            handler for such requests would return, or the whole response; or ``None`` for a request that
            it leaves to others.
        timeout: seconds that each handler has; ``None``: no limit, since people may have to be asked.
    """

    on_command_approval: (
        Handler[protocol.CommandExecutionRequestApprovalParams, CommandAnswer] | None
    ) = None
    on_file_change_approval: (
        Handler[protocol.FileChangeRequestApprovalParams, FileChangeAnswer] | None
    ) = None
    on_permissions: Handler[protocol.PermissionsRequestApprovalParams, PermissionsAnswer] | None = (
        None
    )
    on_user_input: Handler[protocol.ToolRequestUserInputParams, UserInputAnswer] | None = None
    on_elicitation: (
        Handler[protocol.McpServerElicitationRequestParams, ElicitationAnswer] | None
    ) = None
    on_request: Handler[AppServerRequest, Any] | None = None
    timeout: float | None = attrs.field(
        default=None,
        validator=lambda _, __, seconds: check_seconds(seconds, "RequestHandlers.timeout"),
    )

    def __attrs_post_init__(self) -> None:
        for name in (*_FIELDS.values(), "on_request"):
            handler = getattr(self, name)
            if handler is not None and not callable(handler):
                raise CodexError(f"RequestHandlers.{name} is no function: {handler!r}")


_FIELDS = {
    COMMAND_APPROVAL: "on_command_approval",
    FILE_CHANGE_APPROVAL: "on_file_change_approval",
    PERMISSIONS_APPROVAL: "on_permissions",
    USER_INPUT: "on_user_input",
    ELICITATION: "on_elicitation",
}


def handling(
    handlers: RequestHandlers | None,
    *,
    lenient: bool,
    is_over: Callable[[], bool],
    on_unfinished: Callable[[CodexError], None],
) -> Answerer:
    """Return the answerer that asks *handlers*.

    Args:
        lenient: whether the server is of another version than :mod:`codex_sdk.protocol` types.
        is_over: whether the turn has ended.
        on_unfinished: is told of a handler that the end of its turn has cancelled.
    """

    async def answer(request: Request) -> Any:
        if handlers is None:
            return NOT_MINE
        name = _FIELDS.get(request.method)
        if name is None or getattr(handlers, name) is None:
            name = "on_request"
        handler = getattr(handlers, name)
        if handler is None:
            return NOT_MINE
        with _Judging(name, request.method, is_over, on_unfinished):
            message = AppServerRequest(request.id, request.method, request.params, lenient=lenient)
            given = message if name == "on_request" else message.payload
            answer = await _within(handlers.timeout, handler, given)
            if name == "on_request" and answer is None:
                return NOT_MINE
            return answer_of(request, answer)

    return answer


async def _within(limit: float | None, handler: Handler[Any, Any], given: Any) -> Any:
    with anyio.move_on_after(limit):
        answer = handler(given)
        return await answer if isawaitable(answer) else answer
    raise TimeoutError(f"it took longer than {limit} seconds")


@attrs.frozen
class _Judging:
    """A block that asks a handler; tells what has become of it, in words of its request."""

    name: str
    method: str
    is_over: Callable[[], bool]
    on_unfinished: Callable[[CodexError], None]

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, anyio.get_cancelled_exc_class()):
            # or else it is asyncio's, of something that was cancelled and that the handler has awaited
            if anyio.get_current_task().has_pending_cancellation():
                self._take_note_of_cancellation()
                return
        elif not isinstance(error, Exception):
            return
        told = str(error) if isinstance(error, CodexError) else f"{type(error).__name__}: {error}"
        raise CodexError(f"{self.name} failed, and {self.method} was declined: {told}") from error

    def _take_note_of_cancellation(self) -> None:
        if self.is_over():
            self.on_unfinished(
                UnfinishedHandlerError(
                    f"the turn ended before {self.name} had answered {self.method}"
                )
            )

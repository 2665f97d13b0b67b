"""How a request of the app-server gets its answer: who is asked, one after the other.

Whatever happens to those who are asked, the server gets an answer of the shape that it expects.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Any, Final

from anyio.lowlevel import checkpoint

from .._core.jsonrpc import Request, checked_answer
from .._core.server_requests import ApprovalDecisions, decided, safe_answer
from ..exceptions import CodexAppServerError, CodexError

__all__ = ["NOT_MINE", "Answerer", "NotMine", "answered", "deciding"]


class NotMine(Enum):
    """The type of :data:`NOT_MINE`."""

    NOT_MINE = "not mine"


NOT_MINE: Final = NotMine.NOT_MINE
"""Returned in place of an answer by who has none to a request."""

Answerer = Callable[[Request], Awaitable[Any]]
"""Returns the answer to a request as the protocol has it, or :data:`NOT_MINE`. Raises ``CodexAppServerError``
where the server is to be refused, and any other ``CodexError`` where something went wrong."""


def deciding(decisions: ApprovalDecisions | None) -> Answerer:
    """Return the answerer that says what was decided beforehand."""

    async def answer(request: Request) -> Any:
        await checkpoint()
        result = decided(decisions, request)
        return NOT_MINE if result is None else result

    return answer


async def answered(
    request: Request,
    answerers: Iterable[Answerer],
    *,
    on_error: Callable[[CodexError], None],
    legacy: bool,
) -> Any:
    """Return the answer of the first of *answerers* that has one, or else the safe one.

    An answerer that raises is told to *on_error*, and the request gets the safe answer.

    Raises:
        CodexAppServerError: the server is to be refused. An approval is not, where the CLI is of the
            generation of 0.80 (*legacy*): its turn would hang.
    """
    try:
        for answer in answerers:
            result = await answer(request)
            if result is not NOT_MINE:
                return checked_answer(result)
    except CodexAppServerError:
        if not (legacy and request.method.endswith("/requestApproval")):
            raise
    except CodexError as error:
        on_error(error)
    return safe_answer(request, now=int(time.time()))

"""What may end a turn from outside: an abort signal and a time limit, as one cancel scope."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio

from .._host import current_host
from ..exceptions import CodexAbortError, CodexTimeoutError

if TYPE_CHECKING:
    from ..abort import AbortSignal

__all__ = ["turn_limits"]


@contextmanager
def turn_limits(
    signal: AbortSignal | None, timeout: float | None, last_error: Callable[[], str | None]
) -> Generator[Callable[[], None], None, None]:
    """Cancel the block when *signal* is aborted or *timeout* seconds have passed.

    Yields a function that lifts both limits, for the time when the turn is over but the block is not.
    A cancellation of the caller's own passes through as it is. *last_error* tells what the turn last
    complained of.

    Raises:
        CodexAbortError: *signal* ended the block, or was aborted before it began.
        CodexTimeoutError: the time ran out.
    """
    if signal is not None:
        signal.throw_if_aborted()
    host, now = current_host(), anyio.current_time()
    due_in, due_reason = (math.inf, None) if signal is None else signal.due()
    abort_at = now + due_in
    timeout_at = math.inf if timeout is None else now + timeout
    lifted, aborted = False, False

    def lift() -> None:
        nonlocal lifted
        lifted, scope.deadline = True, math.inf

    def abort() -> None:
        nonlocal aborted
        if not (lifted or scope.cancel_called):  # what ended the block is what came first
            aborted = True
            scope.cancel("the turn's abort signal was aborted")

    with anyio.CancelScope(deadline=min(abort_at, timeout_at)) as scope:
        with signal.subscribed(lambda: host.call_soon(abort)) if signal else nullcontext():
            yield lift
    if not scope.cancelled_caught:
        return
    if signal is not None and aborted:
        raise CodexAbortError(signal.reason)
    if timeout is None or abort_at < timeout_at:  # by the clock of the loop, as the scope goes
        raise CodexAbortError(due_reason)
    raise CodexTimeoutError(timeout, last_error())

"""What may end a turn from outside: an abort signal and a time limit, as one cancel scope."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio

from .._host import current_host
from ..exceptions import CodexAbortError, CodexTimeoutError

if TYPE_CHECKING:
    from ..abort import AbortSignal

__all__ = ["turn_limits"]

_CLOCK_SLACK = 0.001
"""Seconds by which the loop's clock may run ahead of the one that the signal reads."""


@contextmanager
def turn_limits(
    signal: AbortSignal | None, timeout: float | None, last_error: Callable[[], str | None]
) -> Generator[Callable[[], None], None, None]:
    """Cancel the block when *signal* is aborted or *timeout* seconds have passed.

    Yields a function that lifts both limits, for the time when the turn is over but the block is not.
    *last_error* tells what the turn last complained of.
    A cancellation of the caller's own passes through as it is.

    Raises:
        CodexAbortError: *signal* ended the block, or was aborted before it began.
        CodexTimeoutError: the time ran out.
    """
    if signal is not None:
        signal.throw_if_aborted()
    host, now = current_host(), anyio.current_time()
    abort_at = float("inf") if signal is None else now + signal.seconds_left() + _CLOCK_SLACK
    timeout_at = float("inf") if timeout is None else now + timeout
    lifted = False

    def lift() -> None:
        nonlocal lifted
        lifted, scope.deadline = True, float("inf")

    def abort() -> None:
        if not lifted:
            scope.cancel("the turn's abort signal was aborted")

    with anyio.CancelScope(deadline=min(abort_at, timeout_at)) as scope:
        watch = signal.subscribed(lambda: host.call_soon(abort)) if signal else nullcontext()
        with watch:
            yield lift
    if scope.cancelled_caught:
        if signal is not None and signal.aborted:
            raise _abort_error(signal.reason)
        if timeout is not None:
            raise CodexTimeoutError(timeout, last_error())


def _abort_error(reason: object) -> CodexAbortError:
    error = CodexAbortError(reason)
    error.__cause__ = reason if isinstance(reason, BaseException) else None
    return error

"""Functions that block, run by threads that hold up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import anyio

from .._host import Host
from ..exceptions import CodexError

T = TypeVar("T")

__all__ = ["run_in_daemon_thread"]


async def run_in_daemon_thread(function: Callable[[], T], host: Host) -> T:
    """Return what *function* returns, which a thread of its own runs to its end, cancelled or not.

    anyio's worker threads are no daemons and live on, idle, for a while: an event loop that an interrupt
    tears down does not tell them to stop, and the interpreter then waits for them for ever.

    Raises:
        CodexError: there is no thread to be had.
    """
    done = anyio.Event()
    future: Future[T] = Future()
    future.add_done_callback(lambda _: host.call_soon(done.set))
    try:
        threading.Thread(
            target=_run, args=(function, future), name="codex_sdk", daemon=True
        ).start()
    except RuntimeError as error:
        raise CodexError(
            "cannot start a thread: the limit on threads (ulimit -u, or that of the container) is "
            "reached; raise it"
        ) from error
    await done.wait()
    return future.result()


def _run(function: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        future.set_exception(error)

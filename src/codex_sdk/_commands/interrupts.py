"""Ending a command by a signal as it ends by itself: with everything cleaned up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable

import anyio

from .._io.task_groups import open_task_group

__all__ = ["until_interrupted"]

_ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


async def until_interrupted(main: Callable[[], Awaitable[int]]) -> int:
    """Return the exit status of *main*; where a signal ends it early, 128 and the signal's number.

    A signal that this process was started to ignore (``nohup``) is ignored. On Windows, Ctrl-C raises
    ``KeyboardInterrupt`` as usual.
    """
    signals = _signals_to_heed()
    if not signals:
        return await main()
    status = 1
    with anyio.open_signal_receiver(*signals) as received:
        async with open_task_group() as task_group:

            async def watch() -> None:
                nonlocal status
                async for number in received:
                    status = 128 + number
                    task_group.cancel_scope.cancel("a signal")
                    return

            task_group.start_soon(watch)
            status = await main()
            task_group.cancel_scope.cancel("done")
    return status


def _signals_to_heed() -> list[signal.Signals]:
    if sys.platform == "win32":
        return []
    signals = [signal.Signals[name] for name in _ENDING_SIGNALS]
    return [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]

"""Abort signals, as on the web platform: a cancel scope with a reason.

The party that wants to stop work holds the :class:`AbortController`, the work is given its
:class:`AbortSignal`. A signal knows nothing of event loops: one signal can stop turns of several loops
and threads, and can be aborted before any of them runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import RLock
from time import monotonic
from typing import NamedTuple

from .exceptions import CodexAbortError, CodexError

__all__ = ["AbortController", "AbortSignal"]


class _Abort(NamedTuple):
    at: float
    reason: object


class AbortSignal:
    """Tells work that it is to stop, and why.

    Made by :class:`AbortController`, :meth:`timeout` and :meth:`any`. All members may be used from any
    thread.
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler may abort while its own thread subscribes.
        self._lock = RLock()
        self._abort: _Abort | None = None
        self._callbacks: dict[object, Callable[[], object]] = {}

    @staticmethod
    def timeout(seconds: float) -> AbortSignal:
        """Return a signal that is aborted *seconds* from now, with a :class:`TimeoutError` as reason."""
        return _TimeoutSignal(seconds)

    @staticmethod
    def any(*signals: AbortSignal) -> AbortSignal:
        """Return a signal that is aborted when the first of *signals* is, for that one's reason."""
        return _AnySignal(signals)

    @property
    def aborted(self) -> bool:
        """Whether the signal has been aborted."""
        return self._state() is not None

    @property
    def reason(self) -> object:
        """What was given as the reason; ``None`` while the signal is not aborted."""
        state = self._state()
        return None if state is None else state.reason

    def throw_if_aborted(self) -> None:
        """Raise :class:`CodexAbortError` with the signal's reason, if it is aborted."""
        if self.aborted:
            raise CodexAbortError(self.reason)

    async def wait(self) -> None:
        """Return when the signal is aborted; at once, if it is already."""
        from anyio import Event, current_time, move_on_at

        from ._host import current_host

        host, fired = current_host(), Event()
        with self.subscribed(lambda: host.call_soon(fired.set)):
            while not self.aborted:
                with move_on_at(current_time() + self.due()[0]):
                    await fired.wait()

    def _state(self) -> _Abort | None:
        return self._abort

    def due(self) -> tuple[float, object]:
        """Return in how many seconds the signal will be aborted by itself (infinite: never), and why."""
        return math.inf, None

    @contextmanager
    def subscribed(self, callback: Callable[[], object]) -> Generator[None, None, None]:
        """Have *callback* called, in the aborting thread, if the signal is aborted during the block.

        A signal that is aborted already calls it at once. One that is aborted by the passing of time
        calls nobody: its users ask :meth:`due`.
        """
        key = object()
        with self._lock:
            self._callbacks[key] = callback
            aborted = self._abort is not None
        try:
            if aborted:
                callback()
            yield
        finally:
            with self._lock:
                del self._callbacks[key]

    def _fire(self, reason: object) -> None:
        with self._lock:
            at = monotonic() if self._abort is None else self._abort.at
            self._abort = _Abort(at, reason)
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()


class _TimeoutSignal(AbortSignal):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        check_seconds(seconds, "AbortSignal.timeout()")
        reason = TimeoutError(f"{seconds:g} seconds have passed")
        self._expiry = _Abort(monotonic() + seconds, reason)

    def _state(self) -> _Abort | None:
        return self._expiry if self._expiry.at <= monotonic() else None

    def due(self) -> tuple[float, object]:
        return self._expiry.at - monotonic(), self._expiry.reason


class _AnySignal(AbortSignal):
    def __init__(self, signals: tuple[AbortSignal, ...]) -> None:
        super().__init__()
        self._signals = signals

    def _state(self) -> _Abort | None:
        states = [state for signal in self._signals if (state := signal._state())]
        return min(states, key=lambda state: state.at, default=None)

    def due(self) -> tuple[float, object]:
        dues = [signal.due() for signal in self._signals]
        return min(dues, key=lambda due: due[0], default=(math.inf, None))

    @contextmanager
    def subscribed(self, callback: Callable[[], object]) -> Generator[None, None, None]:
        with ExitStack() as stack:
            for signal in self._signals:
                stack.enter_context(signal.subscribed(callback))
            yield


def check_seconds(seconds: object, words: str) -> None:
    """Refuse what is no length of time; *words* are what the error calls it.

    Raises:
        CodexError: *seconds* is no number, not a number, or negative.
    """
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise CodexError(f"{words} takes a number of seconds, not {seconds!r}")


class AbortController:
    """Aborts its :attr:`signal`."""

    def __init__(self) -> None:
        self._signal = AbortSignal()

    @property
    def signal(self) -> AbortSignal:
        """The signal to give to the work."""
        return self._signal

    def abort(self, reason: str | BaseException | None = None) -> None:
        """Abort the signal.

        May be called from any thread, from a signal handler, before an event loop runs, and again: the
        later reason replaces the earlier one for whoever has not yet taken note.
        """
        self._signal._fire(reason)

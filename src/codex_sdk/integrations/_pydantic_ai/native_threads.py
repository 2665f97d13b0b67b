"""The threads that may be gone on with, by what was said in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import attrs

from .native_turn import OpenTurn

__all__ = ["KeptThread", "KeptThreads", "RunTurns", "current_run", "digest", "new_run"]


def digest(value: Any) -> str:
    """Return a name for JSON data that no other data has."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class RunTurns:
    """The turns that a run of PydanticAI has begun.

    Attributes:
        ended: whether the run is over, so that nothing more is to be kept for it.
        deferred: whether it has ended to be gone on with by another run, so that its turns go on waiting;
            ``None``: where that is not known, turns wait that have called a tool of that kind.
        open_turns: those that a request reads, or ought to.
        abandoned: those of them that were being read when the run has failed.
    """

    def __init__(self) -> None:
        self.open_turns: set[OpenTurn] = set()
        self.abandoned: list[OpenTurn] = []
        self.ended = False
        self.deferred: bool | None = None

    def fail(self) -> None:
        """Take note that the run has failed: nobody goes on with any of its turns.

        The request that reads one is cancelled after this, or is left by PydanticAI without a word.
        """
        self.deferred = False
        self.abandoned = [*self.open_turns]
        for turn in self.abandoned:
            turn.begin_to_stop()
            if turn.span is not None:  # the request has not failed because its turn is stopped now
                turn.span.end()

    def gives_up(self, thread: KeptThread) -> bool:
        """Whether *thread* has a turn of this run that nobody will go on with, now that the run has ended."""
        if thread.run is not self or thread.turn is None:
            return False
        return not (thread.deferred if self.deferred is None else self.deferred)


_runs: ContextVar[Mapping[object, RunTurns]] = ContextVar(
    "codex_sdk_pydantic_ai_runs", default=MappingProxyType({})
)
"""By model, since a run may use several."""


def current_run(owner: object) -> RunTurns | None:
    """Return the run of *owner* that the caller's task is part of, if :func:`new_run` has begun one."""
    return _runs.get().get(owner)


@contextmanager
def new_run(owner: object) -> Generator[RunTurns, None, None]:
    """Make the block, and the tasks that are started in it, a run."""
    run = RunTurns()
    token = _runs.set({**_runs.get(), owner: run})
    try:
        yield run
    finally:
        run.ended = True
        with suppress(ValueError):  # it may be left in another context than it was entered in
            _runs.reset(token)


@attrs.define(eq=False)
class KeptThread:
    """A thread that nobody uses right now.

    Attributes:
        thread_id: the thread.
        history: the digest of what was said in it.
        setting: the digest of what it was started with: tools, instructions, options.
        turn: the turn that waits for the results of tools; ``None`` where none does.
        run: the run of PydanticAI that it belongs to.
        deferred: whether the turn has called a tool whose result comes in another run: one that is to be
            approved, or is run elsewhere.
        deadline: when it is given up, by the clock of the event loop.
        stored: whether it can be used again, by its id, when its turn was given up.
    """

    thread_id: str
    history: str
    setting: str
    turn: OpenTurn | None
    run: RunTurns | None
    deferred: bool = False
    deadline: float = 0.0
    stored: bool = False


class KeptThreads:
    """A bounded number of threads, the newest last.

    Taking a thread is exclusive: who asks for the same history again, because the conversation was forked or
    a request is repeated, does not get it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._threads: list[KeptThread] = []

    def __len__(self) -> int:
        return len(self._threads)

    def __iter__(self) -> Iterator[KeptThread]:
        return iter(self._threads)

    def put(self, thread: KeptThread) -> list[KeptThread]:
        """Keep *thread*; returns those that are too many now."""
        self._threads.append(thread)
        surplus = len(self._threads) - self._limit
        dropped, self._threads = self._threads[: max(0, surplus)], self._threads[max(0, surplus) :]
        return dropped

    def take(self, history: str, setting: str) -> KeptThread | None:
        """Return the thread in which exactly this was said, and keep it no longer."""
        found = [each for each in self._threads if each.history == history]
        found = [each for each in found if each.setting == setting]
        if not found:
            return None
        self._threads.remove(found[-1])
        return found[-1]

    def remove(self, concerns: Callable[[KeptThread], bool]) -> list[KeptThread]:
        """Keep the threads that *concerns* is true of no longer, and return them."""
        removed = [thread for thread in self._threads if concerns(thread)]
        self._threads = [thread for thread in self._threads if thread not in removed]
        return removed

    def waiting_for(self, call_ids: Collection[str]) -> list[KeptThread]:
        """Remove and return the threads whose turn waits for the result of one of these calls."""
        return self.remove(
            lambda each: each.turn is not None and not each.turn.pending.isdisjoint(call_ids)
        )

    def expired(self, now: float) -> list[KeptThread]:
        """Remove and return the threads that nobody has gone on with in time."""
        return self.remove(lambda each: each.deadline <= now)

    def deadlines(self) -> Iterator[float]:
        """Yield when each thread is given up."""
        return (thread.deadline for thread in self._threads)

    def suspended(self) -> int:
        """Return how many turns wait for the results of tools."""
        return sum(thread.turn is not None for thread in self._threads)

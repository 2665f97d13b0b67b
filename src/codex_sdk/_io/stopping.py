"""How a child and all that belongs to it are ended.

First the child alone is asked (SIGTERM). It knows best what to do with its commands, and a sandboxed
command that is ended behind its back, or by SIGINT, leaves empty folders in the workspace. What then is
left (Codex's unsandboxed commands survive it) is asked too, and at last killed, until nothing is found
any more.

The steps are generators of pauses, so that the same code runs under an event loop and, where an
``asyncio.Task.cancel()`` or the end of the loop allows no further await, without one.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections.abc import Callable, Iterator

from .leader import Leader
from .process_table import Row
from .process_tree import ProcessTree

__all__ = ["SHUTDOWN_BOUND", "Shutdown"]

_EOF_GRACE = 2.0
"""Seconds for a child that is being talked to, to exit when its stdin ends. Measured: at most 0.1 s; the
rest is for loaded hosts."""

_LEADER_GRACE = 2.0
"""Seconds for the child to exit on SIGTERM. Measured: at most 0.1 s; the rest is for loaded hosts."""

_PARTING_GRACE = 5.0
"""Seconds for programs of the child's own process group to end by themselves, when the child has: Codex
starts the user's ``notify`` program as its last act and does not wait for it. The model's commands and MCP
servers have groups of their own."""

_COMMAND_GRACE = 0.5
"""Seconds for what the child left behind to exit on SIGTERM. Short: nobody waits for its result any more,
and what ignores the signal is ended all the same."""

_KILL_BOUND = 2.0
"""Seconds until we give up on what SIGKILL does not end: a process that hangs in the kernel."""

SHUTDOWN_BOUND = (
    max(_EOF_GRACE + _LEADER_GRACE, _PARTING_GRACE) + _COMMAND_GRACE + _KILL_BOUND + 1.5
)
"""Seconds after which ending everything is over in any case; 1.5 of them for looking at crowded hosts."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
"""Seconds between two looks, doubling: most processes exit within a millisecond or two."""

_DOUBTS = 4
"""How often an uncertain look that found nothing is repeated. What makes it uncertain (a process that
began or ended during it) is mostly a stranger's doing."""

_CROWD_COST = 0.005
"""Seconds that a step may take in the event loop's thread; costlier ones run in a worker thread."""


class Shutdown:
    """Ends one child and its tree, step by step.

    A step may run in any thread. One that was begun and is not waited for any more does no harm.

    Attributes:
        leader: the child, as soon as it is known.
        survivors: the numbers of the processes that could not be ended.
        blind: whether it could not even be seen which processes there are.
    """

    def __init__(self, tree: ProcessTree) -> None:
        self._tree = tree
        self._host = os.getpid()
        self._done = False
        self.leader: Leader | None = None
        self.survivors: list[int] = []
        self.blind = False
        _pending.add(self)

    @property
    def over(self) -> bool:
        """Whether there is nothing to do any more; a fork of the host program never has anything to do."""
        return self._done or os.getpid() != self._host

    def finish(self) -> None:
        """Take note that everything is ended."""
        self._done = True
        _pending.discard(self)

    @property
    def crowded(self) -> bool:
        """Whether the host has so many processes that a step takes long."""
        return self._tree.cost > _CROWD_COST

    def politely(self, *, after_eof: bool) -> Iterator[float]:
        """End everything, giving each process the time to end by itself.

        *after_eof*: the child's stdin has just been closed, which may be all that it needs.
        """
        if self.leader_has_exited():
            yield from _until(self._group_is_empty, _PARTING_GRACE)
        else:
            self._tree.look()  # who belongs to it, as long as each parent is there
            if after_eof:
                yield from _until(self.leader_has_exited, _EOF_GRACE)
            self._end_leader(gently=True)
            yield from _until(self.leader_has_exited, _LEADER_GRACE)
        yield from self._sweep(_COMMAND_GRACE)

    def at_once(self) -> None:
        """Kill everything, without an await."""
        if self.over:
            return
        for pause in self._by_force():
            time.sleep(pause)
        self.finish()

    def leader_has_exited(self) -> bool:
        """Return whether the child has exited, or was never there."""
        return self.leader is None or self.leader.poll() is not None

    def _group_is_empty(self) -> bool:
        """Return whether the child's process group has no living member."""
        if self.leader is None or sys.platform == "win32":
            return True
        group = self.leader.pid
        return all(_group_of(row.pid) != group for row in self._tree.look().members)

    def _by_force(self) -> Iterator[float]:
        self._end_leader(gently=False)
        yield from self._sweep(0)

    def _end_leader(self, *, gently: bool) -> None:
        if self.leader is not None:
            self.leader.end(gently=gently)

    def _sweep(self, grace: float) -> Iterator[float]:
        """End what is left: gently for *grace* seconds, then by force, until nothing is or time is up."""
        gentle_until = time.monotonic() + grace
        asked: set[Row] = set()
        doubts = _DOUBTS
        for pause in _pauses(grace + _KILL_BOUND):
            members, certain, self.blind = self._tree.look()
            if not members and not self.blind and self.leader_has_exited():
                if certain or not doubts:
                    break
                doubts -= 1
            elif time.monotonic() < gentle_until:
                self._tree.end([row for row in members if row not in asked], gently=True)
                asked.update(members)
            else:
                self._end_leader(gently=False)
                self._tree.end(members, gently=False)
            yield pause
        else:
            self.survivors.extend(row.pid for row in self._tree.look().members)
        self.survivors.extend(self._tree.out_of_reach)
        self._tree.reap()
        if self.leader is not None:
            self.leader.reap()


_pending: set[Shutdown] = set()
"""What is not over, for the end of the program."""


@atexit.register
def _end_all() -> None:
    for shutdown in tuple(_pending):
        shutdown.at_once()


def _group_of(pid: int) -> int | None:
    try:
        return None if sys.platform == "win32" else os.getpgid(pid)
    except OSError:  # gone meanwhile
        return None


def _until(condition: Callable[[], bool], seconds: float) -> Iterator[float]:
    for pause in _pauses(seconds):
        if condition():
            return
        yield pause


def _pauses(seconds: float) -> Iterator[float]:
    """Yield the lengths of the pauses to make, until *seconds* have passed."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE
    while time.monotonic() < deadline:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)

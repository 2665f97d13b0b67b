"""Ending the commands that a turn of an app-server has left running, and nothing else.

An app-server outlives its turns, and interrupting one leaves all of its commands alive, with 0.80.0, 0.163.0
and 0.169.0. What finds them is their environment. It holds the marker of our server, which tells them from
all other processes of the host, and from 0.163.0 on the id of their thread, which tells them from those of
other threads. The server's other children are told by what they lack: its MCP servers have an environment
made from scratch, and the ``notify`` program is of the server's own process group.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

import anyio

from .process_table import ProcessTable, Row, process_table
from .process_tree import MARKER, token_of

__all__ = ["TurnCommands"]

_GRACE = 0.5
"""Seconds to exit on SIGTERM: nobody waits for the result any more."""

_KILL_BOUND = 2.0
"""Seconds until we give up on what SIGKILL does not end."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
"""Seconds between two looks, doubling."""

_DOUBTS = 4
"""How often an uncertain look that found nothing is repeated."""

_CLOCK_SLACK = 2
"""Ticks by which the time of a process's birth may be behind: it is cut to hundredths of a second."""


class TurnCommands:
    """The commands of one app-server that was started here.

    Args:
        environment: the server's own.
        server: its process's number.
    """

    def __init__(
        self, environment: Mapping[str, str], server: int, table: ProcessTable | None = None
    ) -> None:
        self._marker = token_of(environment[MARKER]).encode()
        self._server = server
        self._table = table or process_table()

    @property
    def certain(self) -> bool:
        """Whether all environments can be read. macOS hides those of the system's own programs."""
        return sys.platform == "linux"

    def now(self) -> float:
        """Return the time, by the clock that tells when processes were born."""
        if sys.platform == "linux":
            ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
            return ticks - _CLOCK_SLACK
        return time.time()

    async def end(self, since: float, thread_id: str | None) -> None:
        """End the commands that were started since then, politely at first; takes 2.5 seconds at most.

        Those that are started from now on are left alone: they are another turn's.

        Args:
            thread_id: whose commands; ``None``: those of all threads, which is all that can be told with
                CLIs of the generation of 0.80.
        """
        started = time.monotonic()
        until = self.now() + 2 * _CLOCK_SLACK
        asked: set[Row] = set()
        doubts = _DOUBTS
        pause = _FIRST_PAUSE
        while (elapsed := time.monotonic() - started) < _GRACE + _KILL_BOUND:
            members, certain = self._look(since, until, thread_id)
            if members:
                gently = elapsed < _GRACE
                self._end([row for row in members if not gently or row not in asked], gently=gently)
                asked.update(members)
            elif certain or not doubts:
                return
            else:
                doubts -= 1
            await anyio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _look(self, since: float, until: float, thread_id: str | None) -> tuple[list[Row], bool]:
        try:
            rows, certain = self._table.rows(since)
            members: dict[int, Row] = {}
            for row in sorted(rows, key=lambda row: (row.born, row.pid)):
                if row.born < since or row.pid in (self._server, os.getpid()):
                    continue
                belongs = row.parent in members or (
                    row.born <= until and self._is_command(row, thread_id)
                )
                if belongs:
                    members[row.pid] = row
                certain = certain and belongs is not None
        except OSError:  # no file descriptor left to look with
            return [], False
        return list(members.values()), certain

    def _is_command(self, row: Row, thread_id: str | None) -> bool | None:
        if _group_of(row.pid) == self._server:
            return False
        marked = self._table.carries(row.pid, self._marker)
        if not marked or thread_id is None:
            return marked
        return self._table.carries(row.pid, thread_id.encode())

    def _end(self, rows: list[Row], *, gently: bool) -> None:
        for row in rows:
            try:
                self._table.end(row, gently=gently)
            except OSError:
                pass  # the next look decides whether it has ended


def _group_of(pid: int) -> int | None:
    try:
        return None if sys.platform == "win32" else os.getpgid(pid)
    except OSError:  # gone meanwhile
        return None

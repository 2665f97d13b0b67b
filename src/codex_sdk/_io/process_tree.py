"""Which processes belong to one child, whatever became of them.

A process belongs if one of these holds:

* **It carries the marker**: the child's environment has a variable with a random token in its value, and
  whatever the child starts inherits it, through ``setsid``, double forks and adoption by init. This finds
  the commands that Codex runs, which have groups or sessions of their own and survive Codex.
* **It is in the child's session**, which the child leads. This finds processes that were started with an
  environment made from scratch (Codex's MCP servers), also when their parent is gone.
* **Its parent belongs, or it did itself when we last looked.** This finds what neither of the above does,
  and what hides its environment (on macOS, the system's own programs do).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from secrets import token_hex
from time import thread_time
from typing import NamedTuple

from .process_table import ProcessTable, Row, process_table

__all__ = ["MARKER", "ProcessTree", "Sighting", "new_marker", "token_of"]

MARKER = "CODEX_SDK_MARKER"
"""Name of the environment variable. Codex drops variables whose names hold KEY, SECRET or TOKEN."""


def new_marker() -> tuple[str, str]:
    """Return the name and the value of a variable that marks a child and all that it starts.

    The value of a marker that this process carries itself is kept in front: where a program that Codex
    runs uses Codex in turn, the inner processes still belong to the outer child, too.
    """
    return MARKER, f"{os.environ.get(MARKER, '')}/{token_hex(16)}"


def token_of(value: str) -> str:
    """Return the part of a marker's value that nothing but the marked child and its offspring carries.

    Raises:
        ValueError: it has none; this process's own marker would mark this process.
    """
    token = value.rpartition("/")[2]
    if not token or token in os.environ.get(MARKER, ""):
        raise ValueError(f"{MARKER} is not set to a new marker in the child's environment")
    return token


class Sighting(NamedTuple):
    """Which members were seen alive.

    Attributes:
        certain: whether none can have been overlooked.
        blind: whether nothing could be seen; the members are those that were known before.
    """

    members: list[Row]
    certain: bool
    blind: bool = False


class ProcessTree:
    """The processes that belong to one child.

    Attributes:
        cost: seconds of processor time that the last look took.
    """

    def __init__(self, token: str, table: ProcessTable | None = None) -> None:
        self._token = token.encode()
        self._table = table or process_table()
        self._known: set[tuple[int, float]] = set()
        self._out_of_reach: set[Row] = set()
        self._root: int | None = None
        self._since = 0.0
        self.cost = 0.0

    def grow_from(self, root: int) -> None:
        """Take note of the child, the leader of its session, as soon as it is spawned."""
        self._root = root
        try:
            self._since = self._table.birth(root)
        except OSError:
            self._since = 0.0

    def look(self) -> Sighting:
        """Find the members that are alive."""
        start = thread_time()
        try:
            rows, certain = self._table.rows(self._since)
            self._check_root(rows)
            members: dict[int, Row] = {}
            # Oldest first. A parent that is younger than its child is none: Windows goes on naming a
            # parent that is gone, whose number has passed to another process.
            for row in sorted(rows, key=lambda row: (row.born, row.pid)):
                belongs = row.pid != os.getpid() and self._belongs(row, members)
                if belongs:
                    members[row.pid] = row
                certain = certain and belongs is not None
        except OSError:  # no file descriptor left to look with; whom we know we can still reach
            return Sighting(self._remembered(), certain=False, blind=True)
        finally:
            self.cost = thread_time() - start
        self._known.update((row.pid, row.born) for row in members.values())
        return Sighting([row for row in members.values() if row not in self._out_of_reach], certain)

    def end(self, members: Iterable[Row], *, gently: bool) -> None:
        """Send each of *members* SIGTERM, or SIGKILL."""
        for row in members:
            try:
                if not self._table.end(row, gently=gently):
                    self._out_of_reach.add(row)
            except OSError:
                pass  # the next look decides whether it has ended

    def reap(self) -> None:
        """Release what is left of the members that this process has inherited; the child is not its."""
        for pid, born in tuple(self._known):
            if pid != self._root:
                self._table.reap(pid, born)

    @property
    def out_of_reach(self) -> list[int]:
        """The members that we are not allowed to end: ``sudo`` made them another user's."""
        return sorted(row.pid for row in self._out_of_reach)

    def _check_root(self, rows: Iterable[Row]) -> None:
        if any(row.pid == self._root and row.born != self._since for row in rows):
            self._root = None  # reaped by others, and its number has passed to a stranger

    def _belongs(self, row: Row, members: dict[int, Row]) -> bool | None:
        if (row.pid, row.born) in self._known or row.parent in members or self._is_kin(row):
            return True
        return self._table.carries(row.pid, self._token)

    def _is_kin(self, row: Row) -> bool:
        return self._root is not None and self._root in (row.pid, row.session)

    def _remembered(self) -> list[Row]:
        return [Row(pid, born, 0, None) for pid, born in tuple(self._known)]

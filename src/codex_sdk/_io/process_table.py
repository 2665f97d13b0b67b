"""The host's processes, as far as ending some of them needs them: list, recognise, signal.

Linux is read directly, which takes 25 µs per process where psutil takes a millisecond; everything else
goes through psutil.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import psutil

__all__ = ["ProcessTable", "PsutilTable", "Row", "process_table"]


_TRIES, _TRY_PAUSE = 10, 0.0003
"""How often, and seconds apart, an empty environment is read again: between two programs (``execve``) a
process has none for a moment, which takes a fraction of a millisecond."""


class Row(NamedTuple):
    """A living process. ``pid`` and ``born`` together are never used again by another one."""

    pid: int
    born: float
    parent: int
    session: int | None


class ProcessTable(Protocol):
    """What a platform can tell about processes."""

    def birth(self, pid: int) -> float:
        """Return when the process was made, on the table's own clock; OSError if that is not known."""
        ...

    def rows(self, since: float) -> tuple[list[Row], bool]:
        """Return the living processes, and whether none can have been overlooked.

        Those made before *since* may be left out. Raises OSError where the table cannot be read.
        """
        ...

    def carries(self, pid: int, token: bytes) -> bool | None:
        """Return whether the process's environment holds *token*; ``None``: cannot be told just now.

        An environment that is not ours to read counts as one that does not. Raises OSError where the
        host has run out of what reading takes.
        """
        ...

    def end(self, row: Row, *, gently: bool) -> bool:
        """Ask the process to end (SIGTERM), or make it (SIGKILL); false if that is forbidden."""
        ...

    def reap(self, pid: int, born: float) -> None:
        """Release what is left of a process that has ended and that this process has inherited.

        As the first process of a container, or as a "subreaper", this one is given the orphans.
        """
        ...


class LinuxTable:
    """``/proc``."""

    def __init__(self) -> None:
        self._dead: set[tuple[int, int]] = set()

    def birth(self, pid: int) -> float:
        return _Stat.read(pid).born

    def rows(self, since: float) -> tuple[list[Row], bool]:
        rows: list[Row] = []
        dead: set[tuple[int, int]] = set()
        complete = True
        for name in os.listdir("/proc"):  # noqa: PTH208
            if not name.isdecimal():
                continue
            try:
                stat = _Stat.read(int(name))
            except (FileNotFoundError, ProcessLookupError):
                complete = False  # gone, and what it may have left behind came after the listing
                continue
            if stat.born < since:
                continue
            if stat.alive:
                rows.append(Row(int(name), stat.born, stat.parent, stat.session))
            else:
                dead.add((int(name), stat.born))
        # Who has died since the last look may have done so after the listing, and left somebody behind.
        complete = complete and dead <= self._dead
        self._dead = dead
        return rows, complete

    def carries(self, pid: int, token: bytes) -> bool | None:
        try:
            for _ in range(_TRIES):
                if environment := _read(f"/proc/{pid}/environ"):
                    return token in environment
                time.sleep(_TRY_PAUSE)
        except PermissionError:
            return False
        except (FileNotFoundError, ProcessLookupError):
            pass
        return None

    def end(self, row: Row, *, gently: bool) -> bool:
        try:
            if sys.platform == "linux" and _Stat.read(row.pid).born == row.born:
                os.kill(row.pid, signal.SIGTERM if gently else signal.SIGKILL)
        except PermissionError:
            return False
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
        return True

    def reap(self, pid: int, born: float) -> None:
        try:
            stat = _Stat.read(pid)
            if not stat.alive and stat.born == born and stat.parent == os.getpid():
                os.waitpid(pid, os.WNOHANG)
        except OSError:
            pass  # gone already


class _Stat(NamedTuple):
    alive: bool
    born: int
    parent: int
    session: int

    @classmethod
    def read(cls, pid: int) -> _Stat:
        text = _read(f"/proc/{pid}/stat")
        fields = text[text.rindex(b")") + 2 :].split()
        kernel_thread = int(fields[6]) & 0x00200000
        # A zombie with threads is a process whose main thread ended before the others.
        dead = fields[0] in (b"Z", b"X", b"x") and int(fields[17]) <= 1
        return cls(not (dead or kernel_thread), int(fields[19]), int(fields[1]), int(fields[3]))


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        pieces = [os.read(file, 1 << 17)]
        while pieces[-1]:
            pieces.append(os.read(file, 1 << 17))
    finally:
        os.close(file)
    return b"".join(pieces)


class PsutilTable:
    """What psutil knows, on any platform."""

    def birth(self, pid: int) -> float:
        import psutil

        try:
            return psutil.Process(pid).create_time()
        except psutil.Error as error:
            raise ProcessLookupError(str(error)) from error

    def rows(self, since: float) -> tuple[list[Row], bool]:
        # `since` is of no use here: this clock is the wall's, and may have been set meanwhile.
        import psutil

        rows: list[Row] = []
        complete = True
        for process in psutil.process_iter():
            try:
                if _alive(process):
                    row = Row(
                        process.pid, process.create_time(), process.ppid(), _session(process.pid)
                    )
                    rows.append(row)
            except psutil.NoSuchProcess:
                complete = False
            except psutil.AccessDenied:
                pass  # another user's
        return rows, complete

    def carries(self, pid: int, token: bytes) -> bool | None:
        import psutil

        try:
            environment = psutil.Process(pid).environ()
        except psutil.NoSuchProcess:
            return None
        except (psutil.AccessDenied, OSError):
            return False
        return any(token.decode() in value for value in environment.values())

    def end(self, row: Row, *, gently: bool) -> bool:
        import psutil

        try:
            process = psutil.Process(row.pid)
            if process.create_time() == row.born:
                process.terminate() if gently else process.kill()
        except psutil.NoSuchProcess:
            pass  # it has ended
        except psutil.AccessDenied:
            return False
        return True

    def reap(self, pid: int, born: float) -> None:
        pass  # no other system passes orphans to anyone but its first process


def _alive(process: psutil.Process) -> bool:
    import psutil

    # Windows has no zombies, and takes long to tell a status.
    return sys.platform == "win32" or process.status() != psutil.STATUS_ZOMBIE


def _session(pid: int) -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.getsid(pid)
    except OSError:
        return None


def process_table() -> ProcessTable:
    """Return the table of the platform that this runs on."""
    try:
        LinuxTable().birth(os.getpid())
    except OSError:
        return PsutilTable()
    return LinuxTable()

"""The empty folders that Codex's Linux sandbox can leave behind, and their removal.

Before it runs a command, the sandbox (bubblewrap) makes an empty folder for each protected name that a
writable root lacks, as a place to mount something read-only on. It removes them when the command ends,
except when it is interrupted at the wrong moment: stopping a turn on 0.163.0 while a command starts
leaves some of them about once in a hundred times, and SIGINT always. An empty ``.git`` or ``.codex``
changes what other programs, and Codex itself, make of the folder it stands in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["removing_sandbox_litter"]

_PROTECTED = (".git", ".codex", ".agents", ".aws")
_REGISTRY = "codex-bwrap-synthetic-mount-targets-*/*/*"
"""Where running sandboxes note, below the folder for temporary files, the folders that they made: one file
for each folder and process, named for the process's number."""


@contextmanager
def removing_sandbox_litter(
    roots: Iterable[str], environment: Mapping[str, str]
) -> Generator[None, None, None]:
    """After the block, remove from *roots* the empty folders that a sandbox has added to them.

    What was there before stays, what is not empty stays, and what a sandbox that still runs (another
    program's) may be using stays. *environment* is that of the CLI: its folder for temporary files is
    a writable root too. Without *roots* there is no sandbox, and nothing is done.
    """
    folders = set(_absolute(roots))
    if sys.platform != "linux" or not folders:
        yield
        return
    temporary = Path(environment.get("TMPDIR") or "/tmp")  # noqa: S108 - the CLI's own default
    folders.add(temporary)
    absent = [path for root in folders for name in _PROTECTED if _is_absent(path := root / name)]
    try:
        yield
    finally:
        left = [path for path in absent if os.path.isdir(path)]  # noqa: PTH112 - never raises
        if left:
            in_use = list(_in_use(temporary))
            for path in left:
                if not any(os.fsencode(path.parent) in arguments for arguments in in_use):
                    _remove_if_empty(path)


def _absolute(roots: Iterable[str]) -> Iterator[Path]:
    for root in roots:
        try:
            yield Path(root).absolute()
        except OSError:  # relative to a directory that has been removed
            continue


def _is_absent(path: Path) -> bool:
    return not os.path.lexists(path)


def _in_use(temporary: Path) -> Iterator[bytes]:
    """Yield the command lines of the sandboxes that run; they name the roots."""
    for entry in temporary.glob(_REGISTRY):
        try:
            yield os.fsencode("\0".join(psutil.Process(int(entry.name)).cmdline()))
        except (ValueError, psutil.Error):
            continue  # no process's number, or that of one that is gone


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        pass  # something is in it, or somebody else was faster: then it is not ours to remove

"""Finding the processes that a test has left behind, by a variable that they all inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

NAME = "CODEX_SDK_TEST"


def carrying(mark: str) -> list[str]:
    """Return the command lines of the living processes whose environment has the mark."""
    return [_describe(process) for process in psutil.process_iter() if _carries(process, mark)]


def litter(workspace: Path) -> Iterator[str]:
    """Yield the folders that Codex's sandbox is known to leave in a workspace."""
    for name in (".git", ".codex", ".agents", ".aws"):
        if (workspace / name).exists():
            yield name


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return (
            process.pid != os.getpid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get(NAME) == mark
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.Error:
        return str(process.pid)

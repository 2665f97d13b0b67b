"""The session files that Codex keeps under its home directory.

A thread is a file ``sessions/YYYY/MM/DD/rollout-<time>-<thread id>.jsonl``; resuming appends to it.
"""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..exceptions import CodexError

__all__ = ["codex_home", "is_stored", "last_thread_id"]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def codex_home(environment: Mapping[str, str]) -> Path:
    """Return the home directory of a CLI that runs in *environment*."""
    user = (environment.get("HOME") if os.name == "posix" else None) or "~"
    return Path(environment.get("CODEX_HOME") or Path(user, ".codex")).expanduser()


def is_stored(thread_id: str, home: Path) -> bool:
    """Return whether there is a session file of a thread, compressed or not."""
    name = f"rollout-*-{glob.escape(thread_id)}.jsonl*"
    return any(home.glob(f"sessions/*/*/*/{name}"))


def last_thread_id(codex_home: Path) -> str:
    """Return the id of the thread whose session file was written last.

    Raises:
        CodexError: there is no session file, or no thread id in it.
    """
    root = codex_home / "sessions"
    stamped = [(time, path) for path in root.rglob("rollout-*.jsonl") if (time := _mtime(path))]
    if not stamped:
        raise CodexError(
            f"No Codex sessions found under {root}: run a turn first, or name the right codex_home"
        )
    _, newest = max(stamped)
    found = _declared_id(newest) or _id_in_name(newest)
    if found is None:
        raise CodexError(f"Failed to determine thread id from {newest}: its name holds no UUID")
    return found


def _mtime(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed meanwhile, or not ours to see
        return None


def _declared_id(path: Path) -> str | None:
    """Return the id that the file's first line declares, if it is a ``thread.started`` event."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first: Any = json.loads(next((line for line in file if line.strip()), "null"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(first, dict):
        return None
    line = cast("dict[str, Any]", first)
    thread_id = line.get("thread_id") if line.get("type") == "thread.started" else None
    return thread_id if isinstance(thread_id, str) else None


def _id_in_name(path: Path) -> str | None:
    match = _UUID.search(path.name)
    return match.group() if match else None

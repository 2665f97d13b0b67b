"""Whether a directory is in a Git repository, as the Codex CLIs see it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_in_git_repository"]


def is_in_git_repository(directory: str, *, strictly: bool) -> bool:
    """Whether *directory* or one above it has a ``.git``.

    Verified with ``codex exec``: 0.163.0 and 0.169.0 look *strictly*, and do not take an empty folder, which
    Codex's own sandbox may leave behind, for a repository; 0.80.0 does. All take any file.
    """
    folder = Path(os.path.realpath(directory))
    return any(_is_repository(each / ".git", strictly) for each in (folder, *folder.parents))


def _is_repository(git: Path, strictly: bool) -> bool:
    try:
        return git.is_file() or (git / "HEAD").is_file() or (not strictly and git.exists())
    except OSError:  # not ours to see
        return False

"""The demo's project: a program of one function, and a test that it fails."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

__all__ = ["FIX", "PROGRAM", "diff", "make_project", "snapshot", "test_command"]

PROGRAM = "basket.py"
FIX = (
    "    return sum(prices[item] for item in basket)\n",
    "    return sum(prices[item] * count for item, count in basket.items())\n",
)

_FILES = {
    PROGRAM: f'''"""What is in a basket, and what it costs."""


def total(basket, prices):
    """Return what a basket costs, which maps items to counts."""
{FIX[0]}''',
    "test_basket.py": """import unittest

from basket import total


class TotalTest(unittest.TestCase):
    def test_total_counts_items(self):
        prices = {"apple": 2, "pear": 3}
        self.assertEqual(total({"apple": 2, "pear": 1}, prices), 7)


if __name__ == "__main__":
    unittest.main()
""",
}


def make_project(folder: Path) -> None:
    """Write the project's files."""
    for name, text in _FILES.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_command() -> str:
    """Return the shell command that runs the project's test, leaving no byte code in the project."""
    # Not plain "python": the login shells in which Codex runs commands may set another PATH.
    python = "python" if sys.platform == "win32" else shlex.quote(sys.executable)
    return f"{python} -B -m unittest -q"


def snapshot(folder: Path) -> dict[str, str]:
    """Return the text of each file in *folder*, by its path in there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8", errors="replace")
        for path in files
        if "__pycache__" not in path.parts
    }


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a unified diff of two snapshots."""
    for name in sorted({*before, *after}):
        yield from unified_diff(
            before.get(name, "").splitlines(),
            after.get(name, "").splitlines(),
            f"a/{name}" if name in before else "/dev/null",
            f"b/{name}" if name in after else "/dev/null",
            lineterm="",
        )

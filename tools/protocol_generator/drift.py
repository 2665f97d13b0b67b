"""What differs between the files of the repository and what would be generated now."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from .output import strays


def drift(texts: Mapping[Path, str], root: Path) -> Iterator[str]:
    """Yield lines that tell how the files below *root* differ from *texts*; none if they do not."""
    for path in strays(texts, root):
        yield f"{path.as_posix()} is not generated any more"
    for path, text in texts.items():
        present = root / path
        if not present.exists():
            yield f"{path.as_posix()} is missing"
        else:
            yield from difflib.unified_diff(
                present.read_text(encoding="utf-8").splitlines(),
                text.splitlines(),
                f"{path.as_posix()} as it is",
                f"{path.as_posix()} as generated",
                lineterm="",
            )

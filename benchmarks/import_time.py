"""What importing the package costs, beside ``import asyncio``."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

ROUNDS = 15
STATEMENTS = (
    "pass",
    "import asyncio",
    "import codex_sdk",
    "from codex_sdk import Codex",
    "from codex_sdk import Codex, ThreadOptions, AbortController",
)


def seconds(statement: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def main() -> None:
    rounds = [[seconds(statement) for statement in STATEMENTS] for _ in range(ROUNDS)]
    empty, bare, *_ = medians = [median(times) for times in zip(*rounds, strict=True)]
    for statement, taken in zip(STATEMENTS[1:], medians[1:], strict=True):
        ratio = (taken - empty) / (bare - empty)
        print(f"{statement:62} {ratio:5.2f} times `import asyncio`")

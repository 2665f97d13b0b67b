"""A whole turn of a CLI that answers at once, beside spawning that CLI by hand."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import anyio

from codex_sdk import Codex, CodexOptions

from .stand_in import write_cli, write_turn

TURNS = 40


def by_hand(cli: str) -> float:
    start = time.perf_counter()
    subprocess.run([cli], input=b"go", capture_output=True, check=True)
    return time.perf_counter() - start


async def by_thread(cli: str) -> list[float]:
    codex = Codex(CodexOptions(codex_path_override=cli))
    await codex.start_thread().run("go")
    times: list[float] = []
    for _ in range(TURNS):
        start = time.perf_counter()
        await codex.start_thread().run("go")
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    with TemporaryDirectory() as folder:
        turn = Path(folder, "turn.jsonl")
        write_turn(turn, 8)
        cli = write_cli(Path(folder, "codex"), turn)
        bare = median(by_hand(cli) for _ in range(TURNS))
        for backend in ("asyncio", "trio"):
            taken = median(anyio.run(by_thread, cli, backend=backend))
            print(
                f"thread.run {backend:7} {(taken - bare) * 1e3:5.1f} ms more than subprocess.run "
                f"({taken / bare:.2f} times); a turn of the real CLI takes some 300 ms"
            )

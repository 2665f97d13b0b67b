"""Reading a turn of 200,000 events through ``thread.stream``, beside a bare decoding loop."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import msgspec

from codex_sdk import Codex, CodexOptions

from .stand_in import write_cli, write_turn

EVENTS = 200_000
ROUNDS = 3


def bare_loop(cli: str) -> tuple[float, float]:
    """Return the CPU and wall seconds of the least that a program must do: decode each line to dicts."""
    wall, cpu = time.perf_counter(), time.process_time()
    with subprocess.Popen([cli], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        for line in process.stdout:
            msgspec.json.decode(line)
    return time.process_time() - cpu, time.perf_counter() - wall


async def through_stream(cli: str) -> tuple[float, float]:
    """Return the CPU and wall seconds of iterating over the same turn's typed events."""
    thread = Codex(CodexOptions(codex_path_override=cli)).start_thread()
    wall, cpu = time.perf_counter(), time.process_time()
    async with thread.stream("go") as stream:
        async for _ in stream:
            pass
        await stream.turn()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    with TemporaryDirectory() as folder:
        turn = Path(folder, "turn.jsonl")
        write_turn(turn, EVENTS)
        cli = write_cli(Path(folder, "codex"), turn)
        bare = min(bare_loop(cli) for _ in range(ROUNDS))
        print(f"bare loop            {bare[0] / EVENTS * 1e6:6.2f} µs CPU an event")
        for backend in ("asyncio", "trio"):
            taken = min(anyio.run(through_stream, cli, backend=backend) for _ in range(ROUNDS))
            print(
                f"thread.stream {backend:7}{taken[0] / EVENTS * 1e6:6.2f} µs CPU an event, "
                f"{taken[0] / bare[0]:.2f} times the bare loop's; "
                f"{EVENTS / taken[1]:,.0f} events a second"
            )

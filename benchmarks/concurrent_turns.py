"""Two hundred turns at once: what each costs in memory of this process."""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import psutil

from codex_sdk import Codex, CodexOptions

TURNS = 200
CLI = """#!/bin/sh
cat > /dev/null
echo '{"type":"thread.started","thread_id":"01a2b3c4-0000-7000-8000-000000000001"}'
echo '{"type":"turn.started"}'
exec sleep 600
"""


def resident() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


async def run(cli: str) -> tuple[int, int]:
    """Return how many bytes all turns together take while they run, and are left when they have ended."""
    codex = Codex(CodexOptions(codex_path_override=cli))
    async with codex.start_thread().stream("go") as stream:  # whatever is made only once
        await anext(stream)
    before, running = resident(), 0
    up = 0
    all_up = anyio.Event()

    async def hold() -> None:
        nonlocal up
        async with codex.start_thread().stream("go") as stream:
            await anext(stream)
            await anext(stream)
            up += 1
            if up == TURNS:
                all_up.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as task_group:
        for _ in range(TURNS):
            task_group.start_soon(hold)
        await all_up.wait()
        running = resident() - before
        task_group.cancel_scope.cancel()
    return running, resident() - before


def main() -> None:
    with TemporaryDirectory() as folder:
        cli = Path(folder, "codex")
        cli.write_text(CLI, encoding="utf-8")
        cli.chmod(0o755)
        for backend in ("asyncio", "trio"):
            running, after = anyio.run(run, str(cli), backend=backend)
            print(
                f"{backend:7} {running / TURNS / 1024:6.1f} KiB a running turn; "
                f"{after / TURNS / 1024:6.1f} KiB left of each"
            )

"""A turn of the real CLI (whichever is found) on either backend, with a model that answers at once."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import anyio

from codex_sdk import Codex, CodexNotFoundError, ThreadOptions, find_codex
from codex_sdk.testing import ModelServer

TURNS = 10
Backend = Literal["exec", "app-server"]


async def turns(backend: Backend, directory: str) -> list[float]:
    """Return the seconds of each turn of one thread, the first left out."""
    options = ThreadOptions(
        model="gpt-5-codex", working_directory=directory, skip_git_repo_check=True
    )
    times: list[float] = []
    async with (
        ModelServer(lambda _: "Hello.") as server,
        Codex(server.codex_options(backend=backend)) as codex,
    ):
        thread = codex.start_thread(options)
        await thread.run("first")
        for _ in range(TURNS):
            start = time.perf_counter()
            await thread.run("next")
            times.append(time.perf_counter() - start)
    return times


def main() -> None:
    try:
        find_codex()
    except CodexNotFoundError:
        print("there is no CLI to measure: set CODEX_PATH")
        return
    with TemporaryDirectory(dir=Path.home()) as directory:
        for loop in ("asyncio", "trio"):
            apart = median(anyio.run(turns, "exec", directory, backend=loop))
            shared = median(anyio.run(turns, "app-server", directory, backend=loop))
            print(
                f"{loop:7} a turn on the app-server takes {shared / apart:.2f} of one with codex exec "
                f"({shared * 1e3:.0f} and {apart * 1e3:.0f} ms)"
            )

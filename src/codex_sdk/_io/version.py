"""Asking a CLI for its version."""

from __future__ import annotations

import os
from collections.abc import Mapping

import anyio
from anyio.lowlevel import RunVar

from ..exceptions import CodexError
from .process import ChildProcess, new_marker, owned_process

__all__ = ["probe_cli_version"]

_TIME_LIMIT = 10.0
"""Seconds that ``codex --version`` may take. Measured: 0.02 to 0.16; a cold disk needs more."""

_OUTPUT_LIMIT = 4096
"""Bytes that are read. A version takes some twenty."""

_FileId = tuple[str, int, int, int]

_known: dict[_FileId, str | None] = {}
_asking: RunVar[anyio.Lock] = RunVar("codex_sdk_asking_for_a_version")


async def probe_cli_version(binary: str, env: Mapping[str, str]) -> str | None:
    """Return what *binary* prints for ``--version``, such as ``"codex-cli 0.163.0"``.

    ``None`` where it gives no sensible answer: it fails, prints nothing, or takes longer than ten seconds.
    The answer, ``None`` too, is remembered until the file changes.
    """
    file_id = _file_id(binary)
    if file_id is None:
        return None
    if file_id not in _known:
        async with _lock():  # turns that start together ask once
            if file_id not in _known:
                _known[file_id] = await _ask(binary, env)
    return _known[file_id]


def _file_id(path: str) -> _FileId | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return path, status.st_mtime_ns, status.st_size, status.st_ino


def _lock() -> anyio.Lock:
    try:
        return _asking.get()
    except LookupError:
        lock = anyio.Lock()
        _asking.set(lock)
        return lock


async def _ask(binary: str, env: Mapping[str, str]) -> str | None:
    environment = {**env, **dict([new_marker()])}
    try:
        with anyio.fail_after(_TIME_LIMIT):
            async with owned_process([binary, "--version"], env=environment, input=b"") as process:
                output = await _output(process)
                failed = len(output) > _OUTPUT_LIMIT or await process.wait() != 0
    except (CodexError, TimeoutError):
        return None
    return None if failed else output.decode(errors="replace").strip() or None


async def _output(process: ChildProcess) -> bytes:
    """Read stdout, but no more than it takes to know that it is no version."""
    output = b""
    try:
        while len(output) <= _OUTPUT_LIMIT:
            output += await process.receive()
    except anyio.EndOfStream:
        pass
    return output

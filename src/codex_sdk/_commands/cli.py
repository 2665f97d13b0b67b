"""The Codex CLI of this machine, asked about itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

import anyio
import attrs

from .._core.environment import child_environment
from .._io.locate import CodexBinary
from .._io.process import ChildProcess, new_marker, owned_process
from ..exceptions import CodexError
from ..options import CodexOptions

__all__ = ["Answer", "Cli", "first_words"]

_OUTPUT_LIMIT = 64 * 1024
"""Bytes of stdout that are read; every answer that is asked for takes less than a hundred."""

_NOISE = re.compile(
    r"WARNING: proceeding|thread '|stack backtrace|note: |\s*\d+: <unknown>", re.IGNORECASE
)
_KEY = re.compile(r"\S*\*{3}\S*|\bsk-\S+")


@attrs.frozen
class Answer:
    """What a command of the CLI did.

    Attributes:
        exit_code: the exit status; ``None`` if it did not start or did not end in time.
        output: what it wrote to stdout.
        errors: the tail of what it wrote to stderr.
        complaint: why it is of no use, in a few words; ``None`` if it exited with status 0.
    """

    exit_code: int | None
    output: str
    errors: str
    complaint: str | None

    @property
    def worked(self) -> bool:
        """Whether it exited with status 0."""
        return self.exit_code == 0


@attrs.frozen
class Cli:
    """A Codex CLI that was found; each command that it is given is bounded in time."""

    binary: CodexBinary
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    time_limit: float = 10.0

    async def ask(self, *arguments: str, cwd: str | None = None) -> Answer:
        """Run a command of the CLI, with nothing to read, and return what came of it."""
        environment = child_environment(
            self.environ, CodexOptions(), marker=new_marker(), path_dirs=self.binary.path_dirs
        )
        command = [self.binary.path, *arguments]
        try:
            with anyio.fail_after(self.time_limit):
                async with owned_process(command, env=environment, cwd=cwd, input=b"") as process:
                    output = await _read(process)
                    code, errors = await process.wait(), await process.stderr()
        except TimeoutError:
            return Answer(None, "", "", f"did not end within {self.time_limit:g} seconds")
        except CodexError as error:
            return Answer(None, "", "", f"cannot be run: {first_words(str(error))}")
        if code == 0:
            return Answer(code, output, errors, None)
        reason = first_words(errors) or first_words(output) or "no reason given"
        return Answer(code, output, errors, f"failed with exit status {code}: {reason}")


async def _read(process: ChildProcess) -> str:
    """Return what the process writes, up to a limit; what is beyond it is thrown away."""
    output = b""
    while True:
        try:
            data = await process.receive()
        except anyio.EndOfStream:
            return output.decode(errors="replace")
        output += data[: _OUTPUT_LIMIT - len(output)]


def first_words(text: str) -> str:
    """Return the first line of *text* that says something, without what may be a part of a key."""
    return next(_telling_lines(text), "")


def _telling_lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not _NOISE.match(line):
            yield _KEY.sub("…", line.partition(" - ")[0].strip().removeprefix("Error: "))

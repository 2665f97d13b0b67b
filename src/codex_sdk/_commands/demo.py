"""``python -m codex_sdk demo``: a turn of the real Codex CLI in a temporary project, as it happens."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp

import anyio

from ..codex import Codex
from ..exceptions import CodexError
from ..options import ThreadOptions, TurnOptions
from ..turn import Turn
from .interrupts import until_interrupted
from .narration import Narrator, tell_diff
from .output import Output
from .project import PROGRAM, diff, make_project, snapshot, test_command
from .setting import Setting, find_setting

__all__ = ["demo"]

_TIME_LIMIT = 600.0
"""Seconds for the turn. A scripted one takes two; a CLI without a network would try for ever."""

_LABEL_WIDTH = 9


def demo(*, keep: bool, scripted: bool, backend: str) -> int:
    """Run the demo and return the exit status."""
    try:
        _check_backend(backend)
        with _project(keep=keep) as folder:
            run = partial(_run, folder, scripted, Output(sys.stdout))
            return anyio.run(until_interrupted, run, backend=backend)
    except CodexError as error:
        Output(sys.stderr).block((("error: ", "bad"),), str(error), indent=7)
        return 1


def _check_backend(backend: str) -> None:
    try:
        import_module(backend)
    except ImportError as error:
        remedy = f"pip install 'codex-sdk-python[{backend}]'"
        raise CodexError(f"{backend} is not installed: {remedy}") from error


@contextmanager
def _project(*, keep: bool) -> Generator[Path, None, None]:
    folder = Path(mkdtemp(prefix="codex-sdk-demo-")).resolve()
    try:
        make_project(folder)
        yield folder
    finally:
        if keep:
            Output(sys.stdout).line(f"The project is kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(folder: Path, scripted: bool, output: Output) -> int:
    async with find_setting(str(folder), scripted=scripted) as setting:
        _introduce(setting, folder, output)
        before, start = snapshot(folder), time.monotonic()
        turn = await _tell_turn(setting, folder, output)
        seconds = time.monotonic() - start
    changes = list(diff(before, snapshot(folder)))
    _conclude(turn, changes, seconds, output)
    if setting.scripted and not _fixed(turn, changes):
        raise CodexError("the turn is complete, but the program was not fixed: see above")
    return 0


def _introduce(setting: Setting, folder: Path, output: Output) -> None:
    output.line(("A turn of Codex", "strong"))
    output.line()
    for label, text in (
        ("CLI", setting.cli),
        ("Model", setting.model),
        ("Sandbox", setting.sandbox),
        ("Project", str(folder)),
    ):
        output.block(((label, "faint"),), text, indent=_LABEL_WIDTH)
    output.line()
    output.block((("> ", "special"),), _prompt(), "strong", indent=2)


def _prompt() -> str:
    return (
        f"The test of this project fails. Find out why, fix {PROGRAM}, and show that the test "
        f"passes. Run it with: {test_command()}"
    )


async def _tell_turn(setting: Setting, folder: Path, output: Output) -> Turn:
    options = ThreadOptions(
        sandbox_mode=setting.sandbox_mode,
        working_directory=str(folder),
        skip_git_repo_check=True,  # a folder for temporary files is in no repository
    )
    thread = Codex(setting.options).start_thread(options)
    narrator = Narrator(output, folder)
    async with thread.stream(_prompt(), TurnOptions(timeout=_TIME_LIMIT)) as stream:
        async for event in stream:
            narrator.tell(event)
        return await stream.turn()


def _conclude(turn: Turn, changes: Sequence[str], seconds: float, output: Output) -> None:
    output.line()
    output.line(("What changed in the project", "strong"))
    output.line()
    tell_diff(changes or ["nothing"], output)
    output.line()
    usage = turn.usage
    tokens = f"; {usage.input_tokens} tokens in, {usage.output_tokens} out" if usage else ""
    output.line((f"Done in {seconds:.1f} s{tokens}.", "faint"))


def _fixed(turn: Turn, changes: Sequence[str]) -> bool:
    commands = turn.commands()
    return bool(changes and commands) and commands[-1].exit_code == 0

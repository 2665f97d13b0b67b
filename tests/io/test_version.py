"""Asking a CLI for its version: once, and without waiting for ever."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from codex_sdk._io import version
from codex_sdk._io.version import probe_cli_version

Cli = Callable[[str], str]
pytestmark = pytest.mark.usefixtures("survivors")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Make a program out of a script; each run adds a line to the file ``runs``."""
    monkeypatch.setattr(version, "_known", {})

    def make(script: str) -> str:
        path = tmp_path / "codex"
        count = f"open({str(tmp_path / 'runs')!r}, 'a').write('x\\n')"
        path.write_text(f"#!{sys.executable} -IS\nimport os, sys, time\n{count}\n{script}")
        path.chmod(0o755)
        return str(path)

    return make


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().splitlines())


async def ask(path: str) -> str | None:
    return await probe_cli_version(path, os.environ)


async def test_the_answer_is_what_the_cli_prints(cli: Cli) -> None:
    assert await ask(cli("assert sys.argv[1:] == ['--version']; print('codex-cli 1.2.3')")) == (
        "codex-cli 1.2.3"
    )


async def test_a_cli_is_asked_once_however_many_want_to_know(cli: Cli, tmp_path: Path) -> None:
    path = cli("time.sleep(0.1); print('codex-cli 1.2.3')")
    answers = []

    async def note() -> None:
        answers.append(await ask(path))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(note)
    await note()
    assert answers == ["codex-cli 1.2.3"] * 6
    assert runs(tmp_path) == 1


async def test_a_cli_that_is_replaced_is_asked_again(cli: Cli, tmp_path: Path) -> None:
    assert await ask(cli("print('codex-cli 1.2.3')")) == "codex-cli 1.2.3"
    assert await ask(cli("print('codex-cli 1.2.10')")) == "codex-cli 1.2.10"
    assert runs(tmp_path) == 2


@pytest.mark.parametrize(
    "script",
    [
        "print('codex-cli 1.2.3'); sys.exit(1)",
        "",
        "print(' ')",
        "while True: print('y' * 1000)",
        "print('y' * 5000)",
    ],
)
async def test_no_sensible_answer_is_none_and_remembered(
    cli: Cli, tmp_path: Path, script: str
) -> None:
    path = cli(script)
    assert await ask(path) is None
    assert await ask(path) is None
    assert runs(tmp_path) == 1


async def test_a_cli_that_does_not_answer_is_given_up_and_not_asked_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cli("os.path.exists(__file__ + '2') or time.sleep(600); print('codex-cli 1')")
    with monkeypatch.context() as patch:
        patch.setattr(version, "_TIME_LIMIT", 0.3)
        assert await ask(path) is None  # whether or not it has begun to run by then
    await anyio.Path(path + "2").touch()
    assert await ask(path) is None  # it would answer now


async def test_a_cli_that_waits_for_its_input_is_not_left_waiting(cli: Cli) -> None:
    assert await ask(cli("print(sys.stdin.read() + 'codex-cli 1')")) == "codex-cli 1"


async def test_what_cannot_be_started_has_no_version(cli: Cli, tmp_path: Path) -> None:
    assert await ask(str(tmp_path / "nowhere")) is None
    assert await ask("a\0b") is None
    program = cli("")
    await anyio.Path(program).write_text("#!/nowhere/node\n")
    assert await ask(program) is None


async def test_a_question_that_is_cancelled_is_asked_again(cli: Cli, tmp_path: Path) -> None:
    path = cli("os.path.exists(__file__ + '2') or time.sleep(600); print('codex-cli 1')")
    with anyio.move_on_after(0.3) as scope:
        await ask(path)
    assert scope.cancelled_caught
    await anyio.Path(path + "2").touch()
    assert await ask(path) == "codex-cli 1"

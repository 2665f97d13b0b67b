"""A place where programs run as their users run them: unmodified, in a project, set up by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import psutil
import pytest

from codex_sdk.testing import BlockingModelServer

EXAMPLES = Path(__file__).parents[2] / "examples"

TIME_LIMIT = 50.0
"""Seconds for a program: less than pytest's own limit, so that the output is reported."""


@attrs.frozen
class Workplace:
    """A small project, a scripted model, and an environment that leads to both.

    Attributes:
        model: the server that the programs' CLI asks.
        directory: the project, a Git repository: the working directory of the programs.
        environ: their whole environment. The CLI's configuration, in its private home, names *model*.
    """

    model: BlockingModelServer
    directory: Path
    environ: Mapping[str, str]

    def run_example(self, name: str, *arguments: str, **environ: str) -> str:
        """Run an example as it stands; return what it printed."""
        return self.run(EXAMPLES / f"{name}.py", *arguments, **environ)

    def run(self, *command: str | Path, **environ: str) -> str:
        """Run Python with *command*, which has to succeed and to warn of nothing; return what it printed."""
        result = self.try_to_run(*command, **environ)
        assert (result.returncode, result.stderr) == (0, ""), (
            f"exit status {result.returncode}, stderr:\n{result.stderr}\nstdout:\n{result.stdout}"
        )
        return result.stdout

    def try_to_run(self, *command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run Python with *command*, which has to leave no process behind; return how that went."""
        result = subprocess.run(
            [sys.executable, "-W", "error", *command],
            cwd=self.directory,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIME_LIMIT,
            check=False,
        )
        left = self.processes()
        assert not left, f"the program leaves behind: {left}"
        return result

    def processes(self) -> list[str]:
        """Return the command lines of the processes that run in this environment."""
        home = self.environ["CODEX_HOME"]
        return [
            " ".join(process.info["cmdline"])
            for process in psutil.process_iter(["environ", "cmdline"])
            if (process.info["environ"] or {}).get("CODEX_HOME") == home
        ]


@pytest.fixture
def workplace(codex_cli: str, tmp_path: Path) -> Iterator[Workplace]:
    """A place to run programs in, with a model that has an empty script."""
    with BlockingModelServer() as model:
        yield make_workplace(tmp_path, model, codex_cli)


def make_workplace(path: Path, model: BlockingModelServer, codex_cli: str) -> Workplace:
    """Make a project below *path*, in whose environment a plain ``Codex()`` runs *codex_cli* on *model*."""
    directory = path / "project"
    directory.mkdir()
    (directory / "README.md").write_text("# Greetings\n\nSays hello.\n", encoding="utf-8")
    (directory / "hello.py").write_text('print("hello")\n', encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=directory, check=True)
    temporary = path / "temporary"
    temporary.mkdir()
    return Workplace(model, directory, _environment(model, codex_cli, temporary))


def _environment(model: BlockingModelServer, codex_cli: str, temporary: Path) -> dict[str, str]:
    """Return the environment of programs, whose own temporary folders a sandbox must be able to see."""
    python = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return {
        **model.environment(),
        **python,
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
        "CODEX_PATH": codex_cli,
        "PYTHONIOENCODING": "utf-8",
    }

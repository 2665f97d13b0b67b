"""Turns of the real CLI under test, against a scripted model."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from codex_sdk import Codex, ThreadOptions
from codex_sdk.testing import ModelServer

from .. import survivors

MakeCodex = Callable[..., Codex]
Survivors = Callable[[], list[str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return an empty directory for the agent to work in."""
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def options(workspace: Path) -> ThreadOptions:
    """Return options for a thread in the workspace."""
    return ThreadOptions(
        model="gpt-5-codex",
        working_directory=workspace,
        skip_git_repo_check=True,
        sandbox_mode="danger-full-access",
    )


@pytest.fixture
def mark() -> Iterator[str]:
    """Return the mark of the test's processes, none of which may outlive it."""
    mark = uuid4().hex
    yield mark
    assert survivors.carrying(mark) == []


@pytest.fixture
def processes(mark: str) -> Survivors:
    """Return the function that lists the test's living processes."""
    return partial(survivors.carrying, mark)


@pytest.fixture
def make_codex(codex_cli: str, mark: str) -> MakeCodex:
    """Return the function that makes a client of the CLI under test for a model server."""

    def make(server: ModelServer, **changes: object) -> Codex:
        env = {survivors.NAME: mark, **changes.pop("env", {})}  # type: ignore[dict-item]
        changes.setdefault("codex_path_override", codex_cli)
        return Codex(server.codex_options(env=env, **changes))

    return make


@pytest.fixture(scope="session")
def legacy(codex_cli: str) -> bool:
    """Whether the CLI under test is of the generation of 0.80."""
    done = subprocess.run([codex_cli, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1].startswith("0.80.")

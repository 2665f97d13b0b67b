"""Where the turns of a thread work, and that no empty folder of a sandbox is left there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from codex_sdk._io.process import new_marker
from codex_sdk._runtime.leftovers import Leftovers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")

SANDBOX = {"type": "workspaceWrite", "writableRoots": []}


@pytest.fixture
def leftovers(tmp_path: Path) -> Leftovers:
    name, value = new_marker()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Leftovers({name: value, "TMPDIR": str(temporary)}, 1)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    return folders


def opened(cwd: Path, **more: Any) -> dict[str, Any]:
    return {"thread": {"id": "t"}, "cwd": str(cwd), "sandbox": SANDBOX, **more}


def littered(leftovers: Leftovers, folders: list[Path], **params: Any) -> str:
    """Litter the folders in a turn; return in which the litter is left, and remove it."""
    with leftovers.removing_litter("t", params):
        for folder in folders:
            (folder / ".git").mkdir()
    left = [folder for folder in folders if (folder / ".git").exists()]
    for folder in left:
        (folder / ".git").rmdir()
    return "".join(folder.name for folder in left)


@pytest.mark.parametrize("method", ["thread/start", "thread/resume", "thread/fork"])
def test_litter_is_removed_from_where_the_thread_works(
    leftovers: Leftovers, folders: list[Path], method: str
) -> None:
    leftovers.learn(method, opened(folders[0]))

    assert littered(leftovers, folders) == "bc"


def test_other_requests_and_other_threads_tell_nothing(
    leftovers: Leftovers, folders: list[Path]
) -> None:
    leftovers.learn("thread/read", opened(folders[0]))
    leftovers.learn("thread/start", {**opened(folders[0]), "thread": {"id": "u"}})
    leftovers.learn("thread/start", None)

    assert littered(leftovers, folders) == "abc"


def test_all_roots_are_cleaned(leftovers: Leftovers, folders: list[Path]) -> None:
    sandbox = {**SANDBOX, "writableRoots": [str(folders[1])]}
    more = {"sandbox": sandbox, "runtimeWorkspaceRoots": [str(folders[2])]}
    leftovers.learn("thread/start", opened(folders[0], **more))

    assert littered(leftovers, folders) == ""


def test_a_turn_changes_where_it_and_later_ones_work(
    leftovers: Leftovers, folders: list[Path]
) -> None:
    leftovers.learn("thread/start", opened(folders[0], sandbox={"type": "dangerFullAccess"}))

    assert littered(leftovers, folders) == "abc"
    assert littered(leftovers, folders, cwd=folders[1], sandboxPolicy=SANDBOX) == "ac"
    assert littered(leftovers, folders) == "ac"


def test_of_a_server_elsewhere_nothing_is_here(folders: list[Path]) -> None:
    leftovers = Leftovers()
    leftovers.learn("thread/start", opened(folders[0]))

    assert littered(leftovers, folders) == "abc"
    assert not leftovers.all_seen

"""A CLI in the package's own vendor folder, as tools/setup_binary.py puts it there."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from codex_sdk import ThreadOptions, find_codex
from codex_sdk._io import locate
from codex_sdk.testing import ModelServer, RunCommand

from .conftest import MakeCodex


@pytest.fixture
def vendored(codex_cli: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the package of the CLI under test the vendored one, and return its folder."""
    package = Path(codex_cli).resolve().parent.parent
    folder = tmp_path / "vendor" / locate.target_triple()
    folder.parent.mkdir()
    folder.symlink_to(package)
    monkeypatch.setattr(locate, "_VENDOR", folder.parent)
    monkeypatch.delenv("CODEX_PATH", raising=False)
    return folder


def test_it_is_found_with_its_helper_programs(vendored: Path) -> None:
    binary = find_codex()
    assert binary.source == "vendored"
    assert Path(binary.path).is_relative_to(vendored)
    [helpers] = binary.path_dirs
    assert (Path(helpers) / "rg").exists()


async def test_it_runs_a_sandboxed_command(
    vendored: Path, make_codex: MakeCodex, options: ThreadOptions, workspace: Path, legacy: bool
) -> None:
    outside = Path(__file__).parent / "written-in-spite-of-the-sandbox"
    # 0.80 leaves PATH to the login shell, which may set a new one
    helper = "echo ripgrep" if legacy else "rg --version"
    command = f"echo inside > inside.txt; echo outside > '{outside}'; {helper}"
    options = attrs.evolve(options, sandbox_mode="workspace-write")
    async with ModelServer([RunCommand(command), "Done."]) as server:
        codex = make_codex(server, codex_path_override=None)
        turn = await codex.start_thread(options).run("hi")
    [item] = turn.commands()
    assert (workspace / "inside.txt").read_text() == "inside\n"
    assert not outside.exists()
    assert "ripgrep" in item.aggregated_output
    assert item.exit_code == 0

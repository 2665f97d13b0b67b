"""A CLI in the package's own vendor folder, as tools/setup_binary.py puts it there."""

from __future__ import annotations

import subprocess
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
    ripgrep = [Path(helpers) / "rg", "--version"]
    assert b"ripgrep" in subprocess.run(ripgrep, capture_output=True, check=True).stdout


async def test_it_runs_a_sandboxed_command(
    vendored: Path, make_codex: MakeCodex, options: ThreadOptions, workspace: Path
) -> None:
    options = attrs.evolve(options, sandbox_mode="read-only")
    async with ModelServer([RunCommand("touch written || echo refused"), "Done."]) as server:
        codex = make_codex(server, codex_path_override=None)
        turn = await codex.start_thread(options).run("hi")
    [item] = turn.commands()
    assert "refused" in item.aggregated_output
    assert item.exit_code == 0
    assert list(workspace.iterdir()) == []

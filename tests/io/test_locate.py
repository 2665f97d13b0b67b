"""Where the CLI is looked for, and in which order."""

from __future__ import annotations

import os
import platform
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

from codex_sdk import CodexError, CodexNotFoundError
from codex_sdk._io import locate
from codex_sdk._io.locate import CodexBinary, find_codex, target_triple


def make_program(path: Path, mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the CLIs that this machine has."""
    monkeypatch.setattr(locate, "_VENDOR", tmp_path / "vendor")
    monkeypatch.setitem(sys.modules, "codex_cli_bin", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CODEX_PATH", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    return make_program(tmp_path / "bin" / "codex")


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = make_program(tmp_path / "codex_cli_bin" / "bin" / "codex")
    package = ModuleType("codex_cli_bin")
    package.bundled_codex_path = lambda: Path(path)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codex_cli_bin", package)
    return path


@pytest.fixture
def vendored(tmp_path: Path) -> str:
    return make_program(
        tmp_path / "vendor" / "x86_64-unknown-linux-musl" / "codex" / "codex", mode=0o644
    )


@pytest.mark.parametrize(
    ("system", "machine", "triple"),
    [
        ("linux", "x86_64", "x86_64-unknown-linux-musl"),
        ("linux", "aarch64", "aarch64-unknown-linux-musl"),
        ("darwin", "x86_64", "x86_64-apple-darwin"),
        ("darwin", "arm64", "aarch64-apple-darwin"),
        ("win32", "AMD64", "x86_64-pc-windows-msvc"),
        ("win32", "ARM64", "aarch64-pc-windows-msvc"),
    ],
)
def test_the_builds_that_there_are(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, triple: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert target_triple() == triple


def test_a_machine_without_a_build_can_still_have_a_cli(
    monkeypatch: pytest.MonkeyPatch, on_path: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(CodexError, match="no build of the Codex CLI for linux on riscv64"):
        target_triple()
    assert find_codex().path == on_path


def test_the_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on_path: str, packaged: str, vendored: str
) -> None:
    override, variable = make_program(tmp_path / "a"), make_program(tmp_path / "b")
    monkeypatch.setenv("CODEX_PATH", variable)
    assert find_codex(override) == CodexBinary(override, "codex_path_override")
    assert find_codex() == CodexBinary(variable, "CODEX_PATH")
    monkeypatch.setenv("CODEX_PATH", "")
    assert find_codex() == CodexBinary(vendored, "vendored")
    Path(vendored).unlink()
    assert find_codex() == CodexBinary(packaged, "openai-codex-cli-bin")
    Path(packaged).unlink()
    assert find_codex() == CodexBinary(on_path, "PATH")
    Path(on_path).unlink()
    with pytest.raises(CodexNotFoundError) as caught:
        find_codex()
    assert caught.value.searched == (
        f"vendored: no file {vendored}",
        f"openai-codex-cli-bin: no file {packaged}",
        f"PATH: no codex in {tmp_path}/bin",
    )
    for line in caught.value.searched:
        assert line in str(caught.value)
    assert "pip install" in str(caught.value)


def test_what_was_asked_for_is_found_or_nothing(
    tmp_path: Path, on_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [str(tmp_path / "nowhere"), "", "other-codex", str(tmp_path), "a\0b/c"]:
        with pytest.raises(CodexNotFoundError) as caught:
            find_codex(name)
        assert len(caught.value.searched) == 1
    with pytest.raises(CodexNotFoundError, match="CODEX_PATH: no file /nowhere/codex"):
        find_codex(environ={"CODEX_PATH": "/nowhere/codex"})


def test_a_program_that_may_not_be_run_is_no_cli(tmp_path: Path) -> None:
    program = make_program(tmp_path / "codex", mode=0o644)
    with pytest.raises(CodexNotFoundError, match=r"is not executable \(chmod \+x\)"):
        find_codex(program)
    assert not os.access(program, os.X_OK)


def test_our_own_copy_is_made_executable(vendored: str) -> None:
    assert find_codex().path == vendored
    assert stat.S_IMODE(Path(vendored).stat().st_mode) == 0o755


def test_the_folders_of_current_packages_are_known(tmp_path: Path) -> None:
    root = tmp_path / "vendor" / "x86_64-unknown-linux-musl"
    program = make_program(root / "bin" / "codex")
    make_program(root / "codex-path" / "rg")
    assert find_codex() == CodexBinary(program, "vendored", (str(root / "codex-path"),))


def test_the_folder_of_helpers_is_found_through_a_link(tmp_path: Path) -> None:
    target = make_program(tmp_path / "package" / "codex" / "codex")
    make_program(tmp_path / "package" / "path" / "rg")
    link = tmp_path / "bin" / "codex"
    link.parent.mkdir()
    link.symlink_to(target)
    assert find_codex() == CodexBinary(str(link), "PATH", (str(tmp_path / "package" / "path"),))


def test_names_are_looked_up_and_paths_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on_path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ["codex", "bin/codex", "./bin/codex", "~/bin/codex", on_path]:
        assert find_codex(name).path == on_path
    assert find_codex(environ={"CODEX_PATH": "bin/codex"}).path == on_path
    assert find_codex(environ={"PATH": "bin"}).path == on_path


def test_on_windows_the_program_and_not_the_batch_file_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_program(tmp_path / "bin" / "codex.cmd")
    program = make_program(tmp_path / "bin" / "codex.exe")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(locate.shutil, "which", lambda name, path: f"{path}/{name}")
    assert find_codex().path == program


def test_a_broken_package_is_no_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    def bundled_codex_path() -> Path:
        raise FileNotFoundError("its binary is missing")

    package = ModuleType("codex_cli_bin")
    package.bundled_codex_path = bundled_codex_path  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codex_cli_bin", package)
    with pytest.raises(CodexNotFoundError, match="openai-codex-cli-bin: its binary is missing"):
        find_codex()

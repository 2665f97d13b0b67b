"""Finding the Codex CLI on this machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Literal

import attrs

from ..exceptions import CodexError, CodexNotFoundError

__all__ = ["CodexBinary", "find_codex", "target_triple"]

Source = Literal["codex_path_override", "CODEX_PATH", "vendored", "openai-codex-cli-bin", "PATH"]

_VENDOR = Path(__file__).parent.parent / "vendor"

_SYSTEMS = {
    "linux": "unknown-linux-musl",  # statically linked: runs on every distribution
    "darwin": "apple-darwin",
    "win32": "pc-windows-msvc",
}
_PROCESSORS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}

_REMEDY = (
    "Install the CLI (pip install 'codex-sdk-python[cli]', or npm install -g @openai/codex), or name it in "
    "CodexOptions.codex_path_override or in the environment variable CODEX_PATH."
)


@attrs.frozen
class CodexBinary:
    """A Codex CLI that was found.

    Attributes:
        path: the program.
        source: what led to it.
        path_dirs: folders of helper programs that were delivered with it (ripgrep), for the child's
            ``PATH``.
    """

    path: str
    source: Source
    path_dirs: tuple[str, ...] = ()


def target_triple() -> str:
    """Return the name that Codex's builds for this system and processor have.

    Raises:
        CodexError: there are none.
    """
    system, machine = _SYSTEMS.get(sys.platform), platform.machine()
    processor = _PROCESSORS.get(machine.lower())
    if system is None or processor is None:
        raise CodexError(f"there is no build of the Codex CLI for {sys.platform} on {machine}")
    return f"{processor}-{system}"


def find_codex(
    override: str | None = None, environ: Mapping[str, str] | None = None
) -> CodexBinary:
    """Return the Codex CLI to use.

    That is the first of: *override* (a path, or the name of a program on ``PATH``); the environment
    variable ``CODEX_PATH``, likewise; the binary in this package's ``vendor`` folder, which is made
    executable if it is not; that of the ``openai-codex-cli-bin`` package; ``codex`` on ``PATH``. Where one
    of the first two is given, it is that or nothing. *environ* stands in for ``os.environ``.

    Raises:
        CodexNotFoundError: there is none; the error lists each place.
    """
    searched: list[str] = []
    for source, place in _places(override, os.environ if environ is None else environ):
        fault = place if isinstance(place, str) else _fault(place)
        if fault is None:
            return CodexBinary(str(place), source, _path_dirs(Path(place)))
        searched.append(f"{source}: {fault}")
    listing = "".join(f"\n  - {line}" for line in searched)
    raise CodexNotFoundError(f"No Codex CLI found. Looked at:{listing}\n{_REMEDY}", searched)


def _places(
    override: str | None, environ: Mapping[str, str]
) -> Iterator[tuple[Source, Path | str]]:
    """Yield where to look, each with what is there to be checked, or why there is nothing."""
    search_path = environ.get("PATH", os.defpath)
    if override is not None:
        yield "codex_path_override", _named(override, search_path)
    elif environ.get("CODEX_PATH"):
        yield "CODEX_PATH", _named(environ["CODEX_PATH"], search_path)
    else:
        yield "vendored", _vendored()
        yield "openai-codex-cli-bin", _packaged()
        yield "PATH", _on_path(_executable("codex"), search_path)


def _named(name: str, search_path: str) -> Path | str:
    if not name:
        return "an empty path"
    path = Path(name).expanduser()
    return path.absolute() if len(path.parts) > 1 else _on_path(name, search_path)


def _on_path(name: str, search_path: str) -> Path | str:
    # On Windows npm's codex.cmd is passed over: arguments cannot be quoted safely for a batch file.
    found = shutil.which(name, path=search_path)
    return f"no {name} in {search_path}" if found is None else Path(found).absolute()


def _vendored() -> Path | str:
    try:
        folder = _VENDOR / target_triple()
    except CodexError as error:
        return str(error)
    classic = folder / "codex" / _executable("codex")
    current = folder / "bin" / _executable("codex")  # as npm delivers CLIs from 0.100 on
    path = current if current.is_file() and not classic.is_file() else classic
    _make_executable(path)
    return path


def _packaged() -> Path | str:
    try:
        path: object = import_module("codex_cli_bin").bundled_codex_path()
    except (ImportError, AttributeError, FileNotFoundError) as error:
        return str(error)
    return Path(str(path))


def _executable(name: str) -> str:
    return f"{name}.exe" if sys.platform == "win32" else name


def _make_executable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if not os.access(path, os.X_OK):
            path.chmod(mode | 0o111)
    except OSError:
        pass  # the check of the place says what is wrong


def _fault(path: Path) -> str | None:
    try:
        if not path.exists():
            return f"no file {path}"
        if not path.is_file():
            return f"{path} is not a file"
        return None if os.access(path, os.X_OK) else f"{path} is not executable (chmod +x)"
    except (OSError, ValueError) as error:
        return f"{str(path)!r} cannot be looked at: {error}"


def _path_dirs(program: Path) -> tuple[str, ...]:
    """Return the folders of helper programs beside *program*, as the CLI's packages lay them out."""
    root = program.resolve().parent.parent
    folders = [root / "path", root / "codex-path"]
    return tuple(str(folder) for folder in folders if (folder / _executable("rg")).is_file())

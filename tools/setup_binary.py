"""Download a Codex CLI, as it is published, into the source tree or another folder.

    python tools/setup_binary.py [--version VERSION] [--platform TARGET] [--into FOLDER]

The CLI's npm package is fetched by ``npm pack``, and checked against the SHA-512 that the registry publishes.
Where npm is not installed, the wheel ``openai-codex-cli-bin`` is fetched by pip (which checks it against
the index), and its files are checked against the hashes that the wheel records. Where these clients find
their registry is their own configuration's business.

What was there before stays until its successor is complete: a download that fails, is tampered with or is
interrupted changes nothing. The last line on stdout is the path of the program.

Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

PINNED_VERSION = "0.163.0"
NPM_PACKAGE = "@openai/codex"
WHEEL = "openai-codex-cli-bin"
VENDOR = Path(__file__).resolve().parents[1] / "src" / "codex_sdk" / "vendor"
CHUNK = 1 << 20


class Target(NamedTuple):
    """A platform: how npm and pip call it."""

    npm: str
    wheel_tags: tuple[str, ...]


TARGETS = {
    "x86_64-unknown-linux-musl": Target("linux-x64", ("manylinux_2_17_x86_64",)),
    "aarch64-unknown-linux-musl": Target("linux-arm64", ("manylinux_2_17_aarch64",)),
    "x86_64-apple-darwin": Target("darwin-x64", ("macosx_11_0_x86_64", "macosx_10_9_x86_64")),
    "aarch64-apple-darwin": Target("darwin-arm64", ("macosx_11_0_arm64",)),
    "x86_64-pc-windows-msvc": Target("win32-x64", ("win_amd64",)),
    "aarch64-pc-windows-msvc": Target("win32-arm64", ("win_arm64",)),
}


class SetupError(Exception):
    """The CLI could not be set up. What was there before is untouched."""


class File(NamedTuple):
    """A file of an archive, to be read before the next one is asked for."""

    name: str
    size: int
    executable: bool
    sha256: str | None
    content: IO[bytes]


class Progress:
    """Tells a person what is going on: one line per step, with a counter if it is a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._step = ""

    def step(self, text: str) -> None:
        self._step = text
        self._stream.write(f"{text}\n" if not self._is_terminal else f"\r\x1b[K{text}")
        self._stream.flush()

    def count(self, text: str) -> None:
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{self._step} {text}")
            self._stream.flush()

    def end(self) -> None:
        if self._is_terminal:
            self._stream.write("\n")


def set_up(version: str, target: str, into: Path, progress: Progress) -> Path:
    """Download the CLI of *version* for *target* to ``into/target``, and return the path of the program.

    Raises:
        SetupError: it could not be done; what was there before is untouched.
    """
    folder = into / target
    into.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    with (
        tempfile.TemporaryDirectory(prefix="codex-download-") as downloads,
        tempfile.TemporaryDirectory(prefix=f".{target}.", dir=into) as scratch,
    ):
        archive, prefix = _download(version, target, Path(downloads), progress)
        staging = Path(scratch) / "new"
        _unpack(archive, prefix, staging, progress)
        program = _program(staging, archive)
        if target == host_target():
            _try_out(program, version)
        _put_in_place(staging, folder)
        return folder / program.relative_to(staging)


def host_target() -> str | None:
    """Return the target of this machine, or ``None`` if there is no CLI for it."""
    machines = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    systems = {"linux": "unknown-linux-musl", "darwin": "apple-darwin", "win32": "pc-windows-msvc"}
    target = f"{machines.get(platform.machine().lower())}-{systems.get(sys.platform)}"
    return target if target in TARGETS else None


# Downloading


def _download(version: str, target: str, into: Path, progress: Progress) -> tuple[Path, str]:
    """Return the archive, and the folder in it that holds the files of *target*."""
    if npm := shutil.which("npm"):
        return _npm_pack(npm, version, target, into, progress), f"package/vendor/{target}"
    return _pip_download(version, target, into, progress), "codex_cli_bin"


def _npm_pack(npm: str, version: str, target: str, into: Path, progress: Progress) -> Path:
    manifest = _npm_view(npm, f"{NPM_PACKAGE}@{version}", progress)
    spec = _npm_spec(manifest, target)
    if spec != f"{NPM_PACKAGE}@{version}":
        manifest = _npm_view(npm, spec, progress)
    command = [npm, "pack", spec, "--ignore-scripts", "--pack-destination", str(into)]
    _run(command, f"Downloading {spec}", progress)
    archive = _only_file(into, "*.tgz", spec)
    _check_integrity(archive, manifest.get("dist", {}).get("integrity", ""), spec)
    return archive


def _npm_view(npm: str, spec: str, progress: Progress) -> dict[str, Any]:
    output = _run([npm, "view", spec, "--json"], f"Looking up {spec}", progress)
    try:
        manifest = json.loads(output)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise SetupError(f"npm knows no single package {spec}")
    return manifest


def _npm_spec(manifest: dict[str, Any], target: str) -> str:
    """Return what to fetch: the package itself, or the one for the platform that it depends on."""
    parts: dict[str, str] = manifest.get("optionalDependencies", {})
    if not parts:
        return f"{NPM_PACKAGE}@{manifest['version']}"
    for name, spec in parts.items():
        if name.endswith(f"-{TARGETS[target].npm}"):
            return spec.removeprefix("npm:") if spec.startswith("npm:") else f"{name}@{spec}"
    raise SetupError(f"{NPM_PACKAGE}@{manifest['version']} is not published for {target}")


def _pip_download(version: str, target: str, into: Path, progress: Progress) -> Path:
    spec = f"{WHEEL}=={version}"
    command = [sys.executable, "-m", "pip", "download", spec, "--no-deps", "--only-binary=:all:"]
    tags = [f"--platform={tag}" for tag in TARGETS[target].wheel_tags]
    try:
        _run([*command, *tags, "--dest", str(into)], f"Downloading {spec}", progress)
    except SetupError as error:
        remedy = f"npm, which has every version of {NPM_PACKAGE}, is not installed here"
        raise SetupError(f"{error}\n({remedy})") from error
    return _only_file(into, "*.whl", spec)


def _run(command: Sequence[str], label: str, progress: Progress) -> str:
    """Run a package client and return what it printed on stdout."""
    progress.step(label)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        with _process(command, stdout=output, stderr=errors) as process:
            while _is_running(process):
                progress.count(f"{time.monotonic() - started:.0f} s")
        if process.returncode != 0:
            client = " ".join(Path(part).name for part in command[:3])
            raise SetupError(f"{label}: {client} failed ({process.returncode})\n{_tail(errors)}")
        output.seek(0)
        return output.read().decode(errors="replace")


@contextmanager
def _process(
    command: Sequence[str], *, stdout: IO[bytes], stderr: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    except OSError as error:
        raise SetupError(f"{command[0]} could not be started: {error}") from error
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _is_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def _tail(stream: IO[bytes], lines: int = 15) -> str:
    stream.seek(0)
    return "\n".join(stream.read().decode(errors="replace").strip().splitlines()[-lines:])


def _only_file(folder: Path, pattern: str, spec: str) -> Path:
    files = list(folder.glob(pattern))
    if len(files) != 1:
        raise SetupError(f"{spec} was to be one archive; there are {len(files)}")
    return files[0]


def _check_integrity(archive: Path, integrity: str, spec: str) -> None:
    """Compare *archive* with a published integrity value: ``sha512-`` and the digest in base64."""
    published = {part.split("?")[0] for part in integrity.split() if part.startswith("sha512-")}
    if not published:
        raise SetupError(f"the registry publishes no SHA-512 of {spec}: it cannot be checked")
    with archive.open("rb") as file:
        digest = _digest("sha512", iter(lambda: file.read(CHUNK), b"")).digest()
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found not in published:
        raise SetupError(
            f"what was downloaded is not what is published as {spec} (truncated, or tampered with): "
            f"published {' '.join(sorted(published))}, downloaded {found}"
        )


def _digest(name: str, chunks: Iterator[bytes]) -> hashlib._Hash:
    digest = hashlib.new(name)
    for chunk in chunks:
        digest.update(chunk)
    return digest


# Unpacking


def _unpack(archive: Path, prefix: str, into: Path, progress: Progress) -> None:
    """Unpack the files below *prefix*, after a look at the names of all."""
    progress.step(f"Unpacking {archive.name}")
    files = _wheel_files if archive.suffix == ".whl" else _tar_files
    written = 0
    try:
        for file in files(archive):
            path = _safe_path(file.name)
            if path.is_relative_to(prefix) and path.name != "__init__.py":
                _write(file, into / path.relative_to(prefix))
                written += file.size
                progress.count(f"{written // 1_000_000} MB")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, UnicodeError) as error:
        raise SetupError(f"{archive.name} cannot be unpacked: {error}") from error


def _tar_files(archive: Path) -> Iterator[File]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isdir():
                _safe_path(member.name)
                continue
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise SetupError(f"the archive holds {member.name!r}, which is no plain file")
            with content:
                yield File(member.name, member.size, bool(member.mode & 0o111), None, content)


def _wheel_files(archive: Path) -> Iterator[File]:
    with zipfile.ZipFile(archive) as wheel:
        hashes = _recorded_hashes(wheel)
        for member in wheel.infolist():
            mode = member.external_attr >> 16
            if member.is_dir():
                _safe_path(member.filename)
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise SetupError(f"the archive holds {member.filename!r}, which is no plain file")
            with wheel.open(member) as content:
                sha256 = hashes.get(member.filename, "absent from RECORD")
                yield File(member.filename, member.file_size, bool(mode & 0o111), sha256, content)


def _recorded_hashes(wheel: zipfile.ZipFile) -> dict[str, str]:
    records = [name for name in wheel.namelist() if name.endswith(".dist-info/RECORD")]
    if len(records) != 1:
        raise SetupError("the wheel has no RECORD: it cannot be checked")
    rows = csv.reader(wheel.read(records[0]).decode().splitlines())
    return {row[0]: row[1].removeprefix("sha256=") for row in rows if len(row) == 3}


def _safe_path(name: str) -> PurePosixPath:
    """Return the path of an archive's member.

    Raises:
        SetupError: it leaves the folder that it is unpacked to, on this system or another.
    """
    path = PurePosixPath(name)
    windows = PureWindowsPath(name)
    if windows.drive or windows.root or ".." in windows.parts:
        raise SetupError(f"the archive holds {name!r}, which leaves the folder it is unpacked to")
    return path


def _write(file: File, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as output:
        while chunk := file.content.read(CHUNK):
            digest.update(chunk)
            output.write(chunk)
    found = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
    if file.sha256 not in (None, found):
        raise SetupError(f"{file.name} is not what the wheel records ({file.sha256})")
    path.chmod(0o755 if file.executable else 0o644)


# Putting in place


def _program(folder: Path, archive: Path) -> Path:
    """Return the CLI among the unpacked files, in the older layout or the newer."""
    names = ("codex/codex", "bin/codex", "codex/codex.exe", "bin/codex.exe")
    for name in names:
        if (folder / name).is_file():
            (folder / name).chmod(0o755)
            return folder / name
    raise SetupError(f"{archive.name} holds no CLI for this target: none of {', '.join(names)}")


def _try_out(program: Path, version: str) -> None:
    """Run the CLI before it takes the place of another."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "CODEX_HOME": home}
        try:
            result = subprocess.run(
                [program, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                env=environment,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"the CLI does not run: {error}") from error
    answer = (result.stdout + result.stderr).decode(errors="replace").strip()
    if result.returncode != 0 or not re.search(rf"(?<!\S){re.escape(version)}(?!\S)", answer):
        raise SetupError(f"the CLI does not say that it is {version}: {answer!r}")


def _put_in_place(staging: Path, folder: Path) -> None:
    """Let *staging* take the place of *folder*."""
    backup = _backup(folder)
    if folder.exists():
        folder.rename(backup)
    try:
        staging.rename(folder)
    finally:
        _recover(folder)


def _recover(folder: Path) -> None:
    """Undo or finish a replacement that was interrupted."""
    backup = _backup(folder)
    if backup.exists():
        if folder.exists():
            shutil.rmtree(backup)
        else:
            backup.rename(folder)


def _backup(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Download a Codex CLI by npm, or by pip where there is no npm."
    )
    parser.add_argument("--version", default=PINNED_VERSION, help="default: %(default)s")
    parser.add_argument("--platform", choices=TARGETS, help="default: this machine's")
    parser.add_argument("--into", type=Path, default=VENDOR, help="default: the source tree")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"\d+\.\d+\.\d+([-.]\w+)*", options.version):
        parser.error(f"{options.version!r} is no version, such as {PINNED_VERSION}")
    target = options.platform or host_target()
    if target is None:
        parser.error("there is no Codex CLI for this machine; --platform names another's")
    progress = Progress(sys.stderr)
    try:
        program = set_up(options.version, target, options.into, progress)
    except (SetupError, OSError) as error:
        progress.end()
        print(f"setup_binary: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.end()
        return 130
    progress.step(f"Codex CLI {options.version} for {target} is set up")
    progress.end()
    print(program)
    return 0


def _stop(_signal: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)  # so that what was begun is cleaned up
    sys.exit(main())

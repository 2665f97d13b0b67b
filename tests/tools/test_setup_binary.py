"""tools/setup_binary.py, with an npm and a pip that serve what the test publishes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import attrs
import pytest

from tools import setup_binary

TARGET = setup_binary.host_target() or ""
PREFIX = f"package/vendor/{TARGET}"
OTHER = "aarch64-apple-darwin"
VERSION = "0.169.0"
PLATFORM_SPEC = f"@openai/codex@{VERSION}-{setup_binary.TARGETS[TARGET].npm}"

NPM = """
import json, os, shutil, sys
from pathlib import Path

registry = Path(os.environ["TEST_REGISTRY"])
command, spec = sys.argv[1:3]
package = registry / spec.replace("/", "+")
if not package.is_dir():
    sys.exit(f"npm error 404 {spec} is not in this registry")
if command == "view":
    print((package / "manifest.json").read_text())
if command == "pack":
    if (package / "hang").exists():
        stalled = open(package / "hang", "w")
        stalled.write("downloading")
        stalled.flush()
        sys.stdin = open(os.pipe()[0])
        sys.stdin.read()
    into = sys.argv[sys.argv.index("--pack-destination") + 1]
    shutil.copy(package / "openai-codex.tgz", into)
"""

PIP = """
import os, shutil, sys
from pathlib import Path

spec = sys.argv[2]
package = Path(os.environ["TEST_REGISTRY"]) / spec
if not package.is_dir():
    sys.exit(f"ERROR: No matching distribution found for {spec}")
for wheel in package.glob("*.whl"):
    shutil.copy(wheel, sys.argv[sys.argv.index("--dest") + 1])
"""


def cli(version: str = VERSION) -> bytes:
    return f"#!/bin/sh\necho codex-cli {version}\n".encode()


def tar(files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
        for name, goal in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, goal
            archive.addfile(member)
    return buffer.getvalue()


def wheel(files: Mapping[str, bytes], *, record: Mapping[str, bytes] | None = None) -> bytes:
    def row(name: str, content: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        return f"{name},sha256={digest},{len(content)}\n"

    info = "openai_codex_cli_bin-0.163.0.dist-info"
    rows = "".join(row(name, content) for name, content in {**files, **(record or {})}.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**files, f"{info}/RECORD": rows.encode()}.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o100755 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


@attrs.frozen
class Registry:
    """What the stand-ins of npm and pip serve."""

    root: Path

    def publish(
        self, spec: str, archive: bytes, *, integrity: str | None = None, **manifest: object
    ) -> Path:
        """Publish a package; by default with the SHA-512 that it has."""
        sha512 = base64.b64encode(hashlib.sha512(archive).digest()).decode()
        dist = {"integrity": f"sha512-{sha512}" if integrity is None else integrity}
        folder = self.root / spec.replace("/", "+")
        folder.mkdir()
        (folder / "openai-codex.tgz").write_bytes(archive)
        data = {"version": spec.rpartition("@")[2], "dist": dist, **manifest}
        (folder / "manifest.json").write_text(json.dumps(data))
        return folder

    def publish_newer(self, files: Mapping[str, bytes] | None = None) -> Path:
        """Publish the layout of newer CLIs: an archive per platform."""
        name, _, version = PLATFORM_SPEC.rpartition("@")
        parts = {f"{name}-{setup_binary.TARGETS[TARGET].npm}": f"npm:{name}@{version}"}
        self.publish(f"@openai/codex@{VERSION}", tar({}), optionalDependencies=parts)
        default = {f"{PREFIX}/bin/codex": cli(), f"{PREFIX}/codex-path/rg": b"rg"}
        return self.publish(PLATFORM_SPEC, tar(default if files is None else files))

    def publish_wheel(self, archive: bytes) -> None:
        folder = self.root / "openai-codex-cli-bin==0.163.0"
        folder.mkdir()
        name = "openai_codex_cli_bin-0.163.0-py3-none-manylinux_2_17_x86_64.whl"
        (folder / name).write_bytes(archive)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Put the stand-ins in the place of npm and pip."""
    programs, root = tmp_path / "programs", tmp_path / "registry"
    programs.mkdir()
    root.mkdir()
    (programs / "npm").write_text(f"#!{sys.executable} -IS\n{NPM}")
    (programs / "npm").chmod(0o755)
    (programs / "pip.py").write_text(PIP)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("PYTHONPATH", str(programs))
    monkeypatch.setenv("TEST_REGISTRY", str(root))
    return Registry(root)


@pytest.fixture
def without_npm(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(registry.root))


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A vendor folder that holds an older CLI already."""
    old = tmp_path / "vendor" / TARGET / "codex" / "codex"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"the old one")
    return tmp_path / "vendor"


def run(vendor: Path, *arguments: str) -> int:
    return setup_binary.main(["--version", VERSION, "--into", str(vendor), *arguments])


def files_below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_nothing_changed(vendor: Path) -> None:
    assert files_below(vendor) == {f"{TARGET}/codex/codex": b"the old one"}
    assert [path.name for path in vendor.iterdir()] == [TARGET]


def test_a_package_for_all_platforms_gives_the_files_of_one(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        f"{PREFIX}/codex/codex": cli("0.80.0"),
        f"{PREFIX}/path/rg": b"rg",
        f"package/vendor/{OTHER}/codex/codex": b"another platform's",
        "package/package.json": b"{}",
    }
    registry.publish("@openai/codex@0.80.0", tar(files))
    assert run(tmp_path / "vendor", "--version", "0.80.0") == 0
    program = tmp_path / "vendor" / TARGET / "codex" / "codex"
    assert files_below(tmp_path / "vendor") == {
        f"{TARGET}/codex/codex": cli("0.80.0"),
        f"{TARGET}/path/rg": b"rg",
    }
    assert os.access(program, os.X_OK)
    output = capsys.readouterr()
    assert output.out == f"{program}\n"
    assert "Downloading @openai/codex@0.80.0" in output.err


def test_a_package_per_platform_replaces_what_was_there(registry: Registry, vendor: Path) -> None:
    registry.publish_newer()
    assert run(vendor) == 0
    assert files_below(vendor) == {
        f"{TARGET}/bin/codex": cli(),
        f"{TARGET}/codex-path/rg": b"rg",
    }
    assert os.access(vendor / TARGET / "codex-path" / "rg", os.X_OK)
    assert [path.name for path in vendor.iterdir()] == [TARGET]


def test_another_platforms_cli_is_set_up_without_running_it(
    registry: Registry, vendor: Path
) -> None:
    files = {f"package/vendor/{OTHER}/codex/codex": b"not for this machine"}
    registry.publish("@openai/codex@0.80.0", tar(files))
    assert run(vendor, "--version", "0.80.0", "--platform", OTHER) == 0
    assert (vendor / OTHER / "codex" / "codex").read_bytes() == b"not for this machine"
    assert (vendor / TARGET / "codex" / "codex").read_bytes() == b"the old one"


def test_the_platforms_are_those_that_the_package_knows() -> None:
    assert set(setup_binary.TARGETS) == {
        f"{processor}-{system}"
        for processor in ("x86_64", "aarch64")
        for system in ("unknown-linux-musl", "apple-darwin", "pc-windows-msvc")
    }
    assert len({target.npm for target in setup_binary.TARGETS.values()}) == 6


@pytest.mark.parametrize("change", ["tampered", "truncated"])
def test_an_archive_that_is_not_the_published_one_changes_nothing(
    registry: Registry, vendor: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = registry.publish_newer() / "openai-codex.tgz"
    content = archive.read_bytes()
    other = tar({f"{PREFIX}/bin/codex": cli() + b"evil"}) if change == "tampered" else content[:-20]
    archive.write_bytes(other)
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert "is not what is published" in capsys.readouterr().err


def test_an_archive_without_a_published_sha512_is_refused(
    registry: Registry, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {f"{PREFIX}/codex/codex": cli()}
    sha1 = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="
    registry.publish(f"@openai/codex@{VERSION}", tar(files), integrity=sha1)
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert "no SHA-512" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        f"{PREFIX}/../../../../escaped",
        f"{PREFIX}/bin/../../escaped",
        "/escaped",
        f"{PREFIX}/..\\..\\escaped",
        "C:\\escaped",
        "C:escaped",
        "\\escaped",
    ],
)
def test_an_archive_member_that_leaves_the_folder_changes_nothing(
    registry: Registry, vendor: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.publish_newer({f"{PREFIX}/bin/codex": cli(), name: b"evil"})
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert not list(vendor.parent.rglob("*escaped*"))
    assert "leaves the folder" in capsys.readouterr().err


def test_an_archive_with_a_link_changes_nothing(
    registry: Registry, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tar({f"{PREFIX}/codex/codex": cli()}, links={f"{PREFIX}/path": "/etc"})
    registry.publish(f"@openai/codex@{VERSION}", archive)
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert "no plain file" in capsys.readouterr().err


@pytest.mark.parametrize("archive", [b"", b"no archive at all", tar({"a": b"a" * 10_000})[:-30]])
def test_a_published_archive_that_is_broken_changes_nothing(
    registry: Registry, vendor: Path, archive: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.publish(f"@openai/codex@{VERSION}", archive)
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert "cannot be unpacked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({f"{PREFIX}/path/rg": b"rg"}, "holds no CLI for this target"),
        ({f"{PREFIX}/bin/codex": cli("0.1.0")}, "does not say that it is 0.169.0"),
        ({f"{PREFIX}/bin/codex": b"#!/bin/sh\nexit 3\n"}, "does not say that it is 0.169.0"),
        ({f"{PREFIX}/bin/codex": b"\x7fELF of another kind"}, "does not run"),
    ],
)
def test_what_is_no_working_cli_of_that_version_changes_nothing(
    registry: Registry,
    vendor: Path,
    files: dict[str, bytes],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry.publish_newer(files)
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    assert complaint in capsys.readouterr().err


def test_a_version_that_is_not_published_is_reported_in_npms_words(
    registry: Registry, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(vendor, "--version", "9.9.9") == 1
    assert_nothing_changed(vendor)
    assert "npm error 404 @openai/codex@9.9.9" in capsys.readouterr().err


def test_a_version_that_is_not_published_for_the_platform_is_refused(
    registry: Registry, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.publish_newer()
    assert run(vendor, "--platform", OTHER) == 1
    assert_nothing_changed(vendor)
    assert f"is not published for {OTHER}" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["", "--help", "0.80", "0.80.0; true", "../0.80.0"])
def test_what_is_no_version_is_a_usage_error(
    registry: Registry, vendor: Path, version: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(vendor, f"--version={version}")
    assert caught.value.code == 2
    assert_nothing_changed(vendor)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_download_leaves_the_old_cli_and_no_process(
    registry: Registry, vendor: Path, how: signal.Signals
) -> None:
    stalled = registry.publish_newer() / "hang"
    os.mkfifo(stalled)
    command = [sys.executable, setup_binary.__file__, "--version", VERSION, "--into", str(vendor)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        with stalled.open() as npm:
            assert npm.read(1) == "d"  # npm is in the middle of it
            process.send_signal(how)
            assert npm.read() == "ownloading"  # its end of the pipe is closed: npm is gone
        assert process.wait() != 0
    assert_nothing_changed(vendor)


def test_a_replacement_that_was_killed_half_way_is_undone(registry: Registry, vendor: Path) -> None:
    (vendor / TARGET).rename(vendor / f".{TARGET}.old")
    assert run(vendor) == 1  # nothing is published
    assert_nothing_changed(vendor)


def test_without_npm_the_wheel_is_used(registry: Registry, without_npm: None, vendor: Path) -> None:
    files = {
        "codex_cli_bin/__init__.py": b"",
        "codex_cli_bin/bin/codex": cli("0.163.0"),
        "codex_cli_bin/codex-path/rg": b"rg",
    }
    registry.publish_wheel(wheel(files))
    assert run(vendor, "--version", "0.163.0") == 0
    assert files_below(vendor) == {
        f"{TARGET}/bin/codex": cli("0.163.0"),
        f"{TARGET}/codex-path/rg": b"rg",
    }
    assert os.access(vendor / TARGET / "codex-path" / "rg", os.X_OK)


def test_a_wheel_whose_files_are_not_the_recorded_ones_changes_nothing(
    registry: Registry, without_npm: None, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "codex_cli_bin/bin/codex"
    registry.publish_wheel(wheel({name: cli("0.163.0")}, record={name: b"another"}))
    assert run(vendor, "--version", "0.163.0") == 1
    assert_nothing_changed(vendor)
    assert "is not what the wheel records" in capsys.readouterr().err


def test_a_wheel_member_that_leaves_the_folder_changes_nothing(
    registry: Registry, without_npm: None, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"codex_cli_bin/bin/codex": cli("0.163.0"), "codex_cli_bin/../../escaped": b"evil"}
    registry.publish_wheel(wheel(files))
    assert run(vendor, "--version", "0.163.0") == 1
    assert_nothing_changed(vendor)
    assert "leaves the folder" in capsys.readouterr().err


def test_without_npm_a_version_that_pip_does_not_have_names_the_remedy(
    registry: Registry, without_npm: None, vendor: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(vendor) == 1
    assert_nothing_changed(vendor)
    error = capsys.readouterr().err
    assert f"No matching distribution found for openai-codex-cli-bin=={VERSION}" in error
    assert "npm" in error


def test_the_script_needs_no_package(tmp_path: Path) -> None:
    """It is what one runs first, in a fresh clone."""
    code = dedent(
        f"""
        import runpy, sys
        sys.argv = ["setup_binary.py", "--help"]
        runpy.run_path({setup_binary.__file__!r}, run_name="__main__")
        """
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--platform" in result.stdout

"""Fixtures for all tests: the event loops, the CLI under test, and a guard against leaks."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import pytest

hypothesis.settings.register_profile(
    "default",
    deadline=None,  # a shared machine may stop for longer than any deadline that would mean something
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.register_profile(
    "few", hypothesis.settings.get_profile("default"), max_examples=25
)
hypothesis.settings.load_profile("default")


def pytest_configure() -> None:
    """Let signals work in what tests start: background jobs and ``nohup`` ignore some, and pass that on."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


ROOM_FOR_HOMES = 1 << 30
"""Bytes. The homes of the tests that run at the same time take some megabytes each."""

SETTLING_TIME = 5.0
"""Seconds for what a test has let go of to be gone: a killed process is reaped by init, in its time."""


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"debug": True}), id="asyncio"),
        pytest.param(("trio", {}), id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run each async test on both event loops."""
    return request.param


@pytest.fixture(scope="session")
def codex_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the path of the real CLI under test: ``CODEX_PATH``, or the one of openai-codex-cli-bin.

    A test that uses this fixture, or one built on it, has the marker ``real_cli``.
    """
    with _homes_in_memory(tmp_path_factory):
        yield _codex_cli()


def _codex_cli() -> str:
    if path := os.environ.get("CODEX_PATH"):
        assert os.access(path, os.X_OK), f"CODEX_PATH names no executable: {path}"
        return path
    codex_cli_bin = pytest.importorskip(
        "codex_cli_bin", reason="no CLI to test with: set CODEX_PATH or install the extra 'cli'"
    )
    return str(codex_cli_bin.bundled_codex_path())


@contextmanager
def _homes_in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have the homes of CLIs made in memory, where there is room, and the tests' workspaces elsewhere.

    A CLI sets up databases in each new home, and waits for the disk for a third of a short turn's time.
    """
    tmp_path_factory.getbasetemp()
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOM_FOR_HOMES:
        yield
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "codex_cli" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.real_cli)


@pytest.fixture(autouse=True)
def leak_guard() -> Iterator[None]:
    """Fail a test that leaves a child process or an open file behind."""
    before = _held()
    yield
    deadline = time.monotonic() + SETTLING_TIME
    while left := _held() - before:
        gc.collect()
        if time.monotonic() > deadline:
            pytest.fail(f"the test leaves behind: {', '.join(sorted(left))}")
        time.sleep(0.01)


def _held() -> set[str]:
    """Name the children and the open files of this process."""
    if sys.platform != "linux":
        return {f"process {child.pid} ({child.name()})" for child in psutil.Process().children()}
    return {*_children(), *_open_files()}


def _children() -> Iterator[str]:
    for children in Path("/proc/self/task").glob("*/children"):  # far cheaper than psutil's scan
        with suppress(FileNotFoundError):  # a thread that has ended since
            yield from (f"process {pid} ({_command(pid)})" for pid in children.read_text().split())


def _command(pid: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip() or "a zombie"
    return "gone"


def _open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own descriptor, closed since
            yield f"file {link.name} ({link.readlink()})"

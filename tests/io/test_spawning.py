"""A process that cannot be started is a CodexError that says what to do, and leaves nothing."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path

import anyio
import pytest

from codex_sdk import CodexError, CodexNotFoundError
from codex_sdk._io import leader, pipes, stopping
from codex_sdk._io.process import new_marker, owned_process
from codex_sdk._io.process_table import LinuxTable

from .conftest import SHAPES, Run, command, marked_environment, output, until_ready


async def _start(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None
) -> None:
    async with owned_process(
        command, env=marked_environment() if env is None else env, cwd=cwd, input=b""
    ):
        pytest.fail("it runs")


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CodexNotFoundError, match="no such file; install") as caught:
        await _start([str(tmp_path / "codex")])
    assert caught.value.searched == (f"{tmp_path}/codex: no such file",)


async def test_a_program_that_is_not_executable(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(CodexError, match="not an executable file"):
        await _start([str(program)])
    with pytest.raises(CodexError, match="not an executable file"):
        await _start([str(tmp_path)])


async def test_a_program_for_another_machine(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_bytes(b"\x7fELF and nothing that this machine knows")
    program.chmod(0o755)
    with pytest.raises(CodexError, match="no program for this machine"):
        await _start([str(program)])


async def test_a_program_whose_interpreter_is_missing(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    program.write_text("#!/nowhere/node\n")
    program.chmod(0o755)
    with pytest.raises(CodexError, match="interpreter or the loader") as caught:
        await _start([str(program)])
    assert not isinstance(caught.value, CodexNotFoundError)


async def test_a_working_directory_that_is_not_there(tmp_path: Path) -> None:
    for cwd in [tmp_path / "nowhere", Path(__file__)]:
        with pytest.raises(CodexError, match="no such directory"):
            await _start([sys.executable], cwd=str(cwd))


async def test_arguments_that_are_too_long() -> None:
    with pytest.raises(CodexError, match="arguments and environment are too long"):
        await _start([sys.executable, "x" * (8 << 20)])


@pytest.mark.parametrize("text", ["secret\0", "secret\ud800"])
async def test_text_that_cannot_be_passed_on(text: str) -> None:
    for arguments, variables in [([text], {}), ([], {"A": text}), ([], {"=" + text: ""})]:
        with pytest.raises(CodexError, match="NUL") as caught:
            await _start([sys.executable, *arguments], env={**marked_environment(), **variables})
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EIO])
async def test_a_system_that_does_not_let_us(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(leader, "Popen", refuse)
    with pytest.raises(CodexError, match="cannot start"):
        await _start([sys.executable])


async def test_a_system_that_has_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("codex_sdk"):
            raise RuntimeError("can't start new thread")
        start(thread)  # the test's own loop needs some

    monkeypatch.setattr(leader, "open_process_file", lambda pid: None)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(CodexError, match="limit on threads"):
        async with owned_process(command("time.sleep(600)"), env=marked_environment(), input=b""):
            await anyio.sleep_forever()


@contextmanager
def _files_left(count: int) -> Iterator[None]:
    """Let this process open no more than *count* further files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    probe = os.open(os.devnull, os.O_RDONLY)
    for number in [*numbers, probe]:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("relayed", [False, True])
@pytest.mark.parametrize("count", range(16))
async def test_too_many_open_files(
    run: Run, monkeypatch: pytest.MonkeyPatch, count: int, relayed: bool
) -> None:
    monkeypatch.setattr(pipes, "RELAYED", relayed)
    monkeypatch.setattr(stopping, "_COMMAND_GRACE", 0.05)
    error = None
    with _files_left(count):
        try:
            async with run("ready(); time.sleep(600)") as process:
                await until_ready(process)
        except CodexError as caught:
            error = caught
    assert error is None or "open files" in str(error)


@contextmanager
def _all_files_open() -> Iterator[None]:
    """Open as many files as this process may."""
    with ExitStack() as stack:
        with _files_left(20), pytest.raises(OSError, match="Too many open files"):
            while True:
                stack.enter_context(FileIO(os.devnull))
        with _files_left(0):
            yield


async def test_running_out_of_files_does_not_hinder_the_end(
    run: Run, survivors: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "open_process_file", lambda pid: None)
    monkeypatch.setattr(stopping, "_COMMAND_GRACE", 0.05)
    with ExitStack() as stack:
        async with run(SHAPES["has a stubborn daemon"]) as process:
            await until_ready(process)
            stack.enter_context(_all_files_open())
    assert survivors() == []


async def test_an_end_that_cannot_see_anything_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows(table: LinuxTable, since: float) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(stopping, "_COMMAND_GRACE", 0.05)
    monkeypatch.setattr(stopping, "_KILL_BOUND", 0.2)
    monkeypatch.setattr(LinuxTable, "rows", rows)
    with pytest.warns(RuntimeWarning, match="too many open files"):
        async with run("time.sleep(600)") as process:
            pass
    assert process.returncode == -signal.SIGTERM


async def test_the_marker_is_required_and_has_to_be_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CodexError, match="new marker"):
        await _start([sys.executable], env={})
    name, value = new_marker()
    monkeypatch.setenv(name, value)  # as in a program that Codex runs
    with pytest.raises(CodexError, match="new marker"):
        await _start([sys.executable], env=dict(os.environ))
    assert new_marker()[1].startswith(value + "/")


async def test_the_child_leads_a_session_and_gets_the_environment_given(run: Run) -> None:
    script = "print(os.getpid() == os.getsid(0), sorted(os.environ.items()))"
    name, value = new_marker()
    env = {name: value, "A": "é\n"}
    async with owned_process(command(script), env=env, input=b"") as process:
        items = sorted({**env, "LC_CTYPE": "C.UTF-8"}.items())
        assert (await output(process)).decode() == f"True {items}\n"


async def test_the_child_runs_where_it_is_told_to(run: Run, tmp_path: Path) -> None:
    environment = marked_environment()
    arguments = command("print(os.getcwd())")
    async with owned_process(arguments, env=environment, cwd=str(tmp_path), input=b"") as process:
        assert (await output(process)).decode() == f"{tmp_path}\n"

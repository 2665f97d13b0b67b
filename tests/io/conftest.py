"""Children to own: small programs of every bad manner, and the means to see whether they are gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from textwrap import dedent
from uuid import uuid4

import anyio
import psutil
import pytest

from codex_sdk._io import stopping
from codex_sdk._io.process import ChildProcess, new_marker, owned_process

PRELUDE = """
import os, signal, subprocess, sys, time

def ready():
    os.write(1, b"ready\\n")

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

def daemon(code):
    '''Run *code*, which has to call ready(), adopted by init in a session of its own, with our pipes.'''
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    begin = "import os, signal, sys, time\\ndef ready(): os.write(%d, b'.')\\n" % writing
    hop = "import subprocess, sys; subprocess.Popen(sys.argv[1:], close_fds=False)"
    python = [sys.executable, "-ISc"]
    command = [*python, hop, *python, begin + code]
    subprocess.Popen(command, start_new_session=True, close_fds=False).wait()
    os.close(writing)
    os.read(reading, 1)

STUBBORN = '''
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
ready()
time.sleep(600)
'''
"""

SHAPES = {
    "well behaved": "ready(); time.sleep(600)",
    "ignores SIGTERM": "stubborn(); ready(); time.sleep(600)",
    "has a stubborn daemon": "daemon(STUBBORN); ready(); time.sleep(600)",
    "leaves a stubborn daemon": "daemon(STUBBORN); ready()",
    "floods stdout": "ready()\nwhile True: os.write(1, bytes(65536))",
    "writes 4 MiB to stderr": "os.write(2, bytes(4 << 20)); ready(); time.sleep(600)",
    "writes no UTF-8 to stderr": "os.write(2, b'\\xff\\xfe caf\\xe9'); ready(); time.sleep(600)",
    "dies at once": "ready(); os._exit(3)",
    "closes stdout early": "ready(); os.close(1); time.sleep(600)",
}

Run = Callable[..., AbstractAsyncContextManager[ChildProcess]]


def command(script: str) -> list[str]:
    """Return a command that runs a script, which may use what :data:`PRELUDE` defines."""
    return [sys.executable, "-ISc", PRELUDE + dedent(script)]


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """A variable of the environment by which the test finds its processes, besides the product's own."""
    value = uuid4().hex
    monkeypatch.setenv("CODEX_SDK_TEST", value)
    return value


@pytest.fixture
def survivors(mark: str) -> Iterator[Callable[[], list[str]]]:
    """Name the living processes of the test; one that is left at its end fails it."""

    def look() -> list[str]:
        return [str(process) for process in psutil.process_iter() if _carries(process, mark)]

    yield look
    left = look()
    assert not left


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return (
            process.pid != os.getpid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get("CODEX_SDK_TEST") == mark
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def marked_environment() -> dict[str, str]:
    return {**os.environ, **dict([new_marker()])}


@pytest.fixture
def run(survivors: Callable[[], list[str]]) -> Run:
    """Own a child that runs a script."""

    def run(
        script: str, *, input: bytes | None = b"", env: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[ChildProcess]:
        return owned_process(command(script), env=env or marked_environment(), input=input)

    return run


@pytest.fixture
def short_graces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for children that are known not to obey."""
    monkeypatch.setattr(stopping, "_EOF_GRACE", 0.1)
    monkeypatch.setattr(stopping, "_LEADER_GRACE", 0.2)
    monkeypatch.setattr(stopping, "_COMMAND_GRACE", 0.1)


async def until_ready(process: ChildProcess) -> None:
    """Wait for the line that a child writes when it has become what it is meant to be."""
    with anyio.fail_after(20):
        text = b""
        while not text.startswith(b"ready\n"):
            text += await process.receive()


async def output(process: ChildProcess) -> bytes:
    """Read all that the child writes to stdout."""
    text = b""
    with anyio.fail_after(20):
        try:
            while True:
                text += await process.receive()
        except anyio.EndOfStream:
            return text

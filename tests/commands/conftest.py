"""The commands, run as their users run them: as processes, in a pipe or in a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, CalledProcessError, Popen, run
from textwrap import dedent
from uuid import uuid4

import attrs
import psutil
import pytest

TIME_LIMIT = 50.0

NO_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"),
    *("sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv "$@"', "sh"),
    *("--bounding-set=-all", "--inh-caps=-all"),
)

CODEX_LIKE = """
import json, os, signal, subprocess, sys, time

def emit(*events):
    for event in events:
        print(json.dumps(event), flush=True)

def item(kind, **fields):
    emit({"type": "item.completed", "item": {"id": fields.pop("id", "item_0"), "type": kind, **fields}})

arguments = sys.argv[1:]
version = "codex-cli 0.163.0"

def answer():
    if arguments == ["--version"]:
        print(version)
    elif arguments == ["login", "status"]:
        print("Logged in using ChatGPT", file=sys.stderr)
    elif arguments[0] == "exec":
        sys.stdin.read()
        emit({"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"})
        turn()
        usage = {"input_tokens": 11, "cached_input_tokens": 3, "output_tokens": 7}
        emit({"type": "turn.completed", "usage": usage})
    sys.exit(0)

def turn():
    pass
"""


@attrs.frozen
class Result:
    """What a command wrote, and how it ended."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        return self.output.splitlines()


class Commands:
    """Runs ``python -m codex_sdk`` in an environment that nothing of the developer's is in."""

    def __init__(self, root: Path, mark: str) -> None:
        self.home = root / "home"
        self.scratch = root / "tmp"  # not in the home: CLIs read the configuration of folders above
        for folder in (self.home, self.scratch):
            folder.mkdir()
        self.prefix: Sequence[str] = ()
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "CODEX_SDK_MARKER": f"/{mark}",  # which every process that the SDK starts hands on
        }

    @contextmanager
    def start(self, *arguments: str, stdout: int = PIPE) -> Iterator[Popen[bytes]]:
        command = [*self.prefix, sys.executable, "-m", "codex_sdk", *arguments]
        with Popen(command, env=self.environ, stdin=DEVNULL, stdout=stdout, stderr=PIPE) as process:
            try:
                yield process
            finally:
                process.terminate()  # not kill: what it has started is to go with it

    def run(self, *arguments: str) -> Result:
        with self.start(*arguments) as process:
            output, errors = process.communicate(timeout=TIME_LIMIT)
        return Result(process.returncode, output.decode(), errors.decode())

    def run_in_terminal(self, *arguments: str, columns: int = 80) -> Result:
        """Run a command whose output goes to a terminal of that width."""
        import fcntl
        import pty
        import struct
        import termios

        self.environ.setdefault("TERM", "xterm-256color")
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with self.start(*arguments, stdout=theirs) as process:
            os.close(theirs)
            output = b"".join(_read_terminal(ours))
            os.close(ours)
            errors = process.communicate(timeout=TIME_LIMIT)[1]
        return Result(process.returncode, output.decode().replace("\r\n", "\n"), errors.decode())

    def hide_module(self, name: str) -> None:
        """Make importing *name* fail as if it were not installed."""
        folder = self.home / "hidden"
        folder.mkdir(exist_ok=True)
        text = f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        (folder / f"{name}.py").write_text(text)
        self.environ["PYTHONPATH"] = os.pathsep.join([str(folder), self.environ["PYTHONPATH"]])

    def wait_for_file(self, pattern: str) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        while not list(self.scratch.glob(pattern)):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def use_codex_like(self, script: str = "") -> None:
        """Use a stand-in for the CLI, made of :data:`CODEX_LIKE` and *script*."""
        path = self.home / "codex-like"
        path.write_text(
            f"#!{sys.executable} -IS\n{CODEX_LIKE}{dedent(script)}\nanswer()\n", "utf-8"
        )
        path.chmod(0o755)
        self.environ["CODEX_PATH"] = str(path)


def _read_terminal(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # how Linux reports that the other end is closed
            return
        if not data:
            return
        yield data


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Run commands, and fail the test if a process of theirs is left."""
    mark = uuid4().hex
    yield Commands(tmp_path, mark)
    assert [process for process in psutil.process_iter() if _carries(process, mark)] == []


@pytest.fixture
def real(commands: Commands, codex_cli: str) -> Commands:
    """Run commands that use the real CLI."""
    commands.environ["CODEX_PATH"] = codex_cli
    return commands


@pytest.fixture
def sandboxless(real: Commands, codex_cli: str) -> Commands:
    """Run commands where the kernel makes no namespaces, so that current CLIs have no sandbox."""
    try:
        run([*NO_NAMESPACES, "true"], check=True, capture_output=True, timeout=TIME_LIMIT)
    except (OSError, CalledProcessError) as error:
        pytest.skip(f"namespaces cannot be taken away here: {error}")
    version = run([codex_cli, "--version"], check=True, capture_output=True, timeout=TIME_LIMIT)
    if b" 0.80." in version.stdout:
        pytest.skip("CLIs of this age use no namespaces")
    real.prefix = NO_NAMESPACES
    return real


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return mark in process.environ().get("CODEX_SDK_MARKER", "")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False

"""The child process itself: spawn it, tell whether it has exited, signal it, reap it.

A child is reaped last, when everything that belongs to it is gone: until then its number, which is that of
its session too, cannot pass to another process. ``subprocess.Popen`` reaps as soon as it is asked for the
exit status, so on Linux the status is read past it (``waitid`` with ``WNOWAIT``).
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from subprocess import Popen
from typing import Any

import anyio

from .._host import Host
from ..exceptions import CodexError, CodexNotFoundError
from .threads import run_in_daemon_thread

__all__ = ["Leader"]

_POPEN_OPTIONS: dict[str, Any] = {"start_new_session": True}
if sys.platform == "win32":
    # No window of its own where the host program has no console, and none of the host's Ctrl-C.
    _POPEN_OPTIONS = {
        "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    }

_REMEDIES = {
    errno.E2BIG: "its arguments and environment are too long; pass less in config_overrides or env",
    errno.EACCES: "it is not an executable file; check its permissions",
    errno.EAGAIN: "the limit on processes is reached (ulimit -u, or that of the container); raise it",
    errno.EMFILE: "this process has too many open files (ulimit -n); close some, or raise the limit",
    errno.ENFILE: "the host has too many open files; close some",
    errno.ENOEXEC: "it is no program for this machine; install the one for its system and processor",
    errno.ENOMEM: "the host has no memory left for another process",
}


class Leader:
    """A child process in a session of its own."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: str | None) -> None:
        """Spawn the process.

        Raises:
            CodexError: there is no such program, or the system does not let us start it.
        """
        self._status: int | None = None
        # Not Popen's own pipes: when the second cannot be made, Python 3.10 leaves the first open.
        with ExitStack() as on_failure, ExitStack() as always:
            try:
                stdin, self._stdin = _pipe(always, on_failure)
                self._stdout, stdout = _pipe(on_failure, always)
                self._stderr, stderr = _pipe(on_failure, always)
                self._popen = Popen(
                    command,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=env,
                    cwd=cwd,
                    **_POPEN_OPTIONS,
                )
            except (OSError, ValueError) as error:
                raise _spawn_error(command[0], cwd, error) from error
            on_failure.pop_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def pipes(self) -> tuple[FileIO, FileIO, FileIO]:
        """Our ends of the child's stdin, stdout and stderr."""
        return self._stdin, self._stdout, self._stderr

    @property
    def reaped(self) -> bool:
        return self._popen.returncode is not None

    def poll(self) -> int | None:
        """Return the exit status, if the process has exited; negative: the number of a signal."""
        if self._status is None:
            self._status = self._peek() if not self.reaped else self._popen.returncode
        return self._status

    def end(self, *, gently: bool) -> None:
        """Send SIGTERM or SIGKILL, if the process has not exited. On Windows, both end it at once."""
        if self.poll() is not None:
            return
        if sys.platform == "win32":
            self._popen.kill()
        else:  # Popen's own methods would reap it
            os.kill(self.pid, signal.SIGTERM if gently else signal.SIGKILL)

    def reap(self) -> bool:
        """Release the process's number and status, if it has exited; returns whether it has."""
        status = self._popen.poll()
        if self._status is None:
            self._status = status
        return status is not None

    async def wait(self, host: Host) -> None:
        """Return when the process has exited; this does not reap it where there is another way.

        Raises:
            CodexError: there is no thread to be had, where one is needed.
        """
        if self.poll() is not None:
            return
        file = open_process_file(self.pid)
        if file is None:
            await run_in_daemon_thread(self._block_until_exit, host)
            return
        try:
            await anyio.wait_readable(file)
        finally:
            os.close(file)

    def _block_until_exit(self) -> None:
        if sys.platform != "linux":
            self._popen.wait()
            return
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # reaped meanwhile

    def _peek(self) -> int | None:
        if sys.platform != "linux":
            return self._popen.poll()
        try:
            result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:  # another part of this program has reaped it, or ignores SIGCHLD
            return self._popen.poll()
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[FileIO, FileIO]:
    """Return the two ends of a pipe, each to be closed by its stack."""
    ends = os.pipe()
    return reading.enter_context(FileIO(ends[0], "rb")), writing.enter_context(
        FileIO(ends[1], "wb")
    )


def open_process_file(pid: int) -> int | None:
    """Open a pidfd, which becomes readable when the process exits; ``None`` where there are none."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(pid)
        except OSError:  # an old kernel, a sandbox that forbids it, or no file descriptor left
            return None
    return None


def _spawn_error(program: str, cwd: str | None, error: Exception) -> CodexError:
    if isinstance(error, ValueError):  # no detail: it might quote an argument or a secret
        return CodexError(
            f"cannot start {program!r}: its path, its arguments or its environment hold a NUL "
            "character, a lone surrogate or a variable name with '='"
        )
    if cwd is not None and not Path(cwd).is_dir():
        return CodexError(f"cannot start {program!r} in {cwd!r}: there is no such directory")
    if isinstance(error, FileNotFoundError):
        return _not_found(program)
    number = error.errno if isinstance(error, OSError) else None
    remedy = _REMEDIES.get(number or 0, str(error))
    return CodexError(f"cannot start {program!r}: {remedy}")


def _not_found(program: str) -> CodexError:
    if Path(program).exists():
        return CodexError(
            f"cannot start {program!r}: the file exists, but the interpreter or the loader that it names "
            "does not; install it, or another build of the program"
        )
    return CodexNotFoundError(
        f"cannot start {program!r}: there is no such file; install the Codex CLI, or name it in "
        "CodexOptions.codex_path_override or CODEX_PATH",
        (f"{program}: no such file",),
    )

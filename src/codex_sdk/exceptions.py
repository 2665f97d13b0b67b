"""Every exception and warning that this package raises; the module imports nothing of ours.

All exceptions pickle, so that they can cross process pools and task queues.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .events import ThreadError
    from .turn import Turn

__all__ = [
    "AppServerClosedError",
    "AppServerTimeoutError",
    "CodexAbortError",
    "CodexAppServerError",
    "CodexCLIError",
    "CodexError",
    "CodexNotFoundError",
    "CodexParseError",
    "CodexTimeoutError",
    "CodexWarning",
    "ThreadMismatchError",
    "TurnFailedError",
]


class CodexError(Exception):
    """Base of everything that this package raises on its own account.

    Raised as itself for wrong use: a second turn on a busy thread, a malformed option, a sync helper
    called inside a running event loop.
    """


class CodexWarning(UserWarning):
    """An option was understood, but the CLI in use has no way to give it effect."""


class CodexNotFoundError(CodexError):
    """No Codex CLI was found.

    Attributes:
        searched: each place that was looked at, with what was found there, in the order of looking.
    """

    def __init__(self, message: str, searched: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.searched: tuple[str, ...] = tuple(searched)


class CodexCLIError(CodexError):
    """The Codex CLI process failed, or ended without finishing the turn.

    Attributes:
        exit_code: the process's exit status; negative when a signal killed it (``-9``: SIGKILL).
        stderr: the tail of what the process wrote to stderr, with known secrets blanked out.
        detail: what is known besides the exit status, or ``None``.
    """

    def __init__(self, exit_code: int, stderr: str, detail: str | None = None) -> None:
        super().__init__(exit_code, stderr, detail)
        self.exit_code = exit_code
        self.stderr = stderr
        self.detail = detail

    def __str__(self) -> str:
        message = f"Codex CLI exited with code {self.exit_code}"
        if self.detail:
            message += f" ({self.detail})"
        told = _without_noise(self.stderr)
        return f"{message}: {told}" if told else message


def _without_noise(stderr: str) -> str:
    """Return *stderr* without colours and the lines that current CLIs write whatever happens."""
    told, _, _ = _CONTROL.sub("", stderr).partition("\nStack backtrace:")
    return "\n".join(line for line in told.splitlines() if not line.startswith(_NOISE)).strip()


_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""What tells a terminal of colours and the like: an app-server's log has it in a pipe too."""

_NOISE = (
    "Reading prompt from stdin",
    "WARNING: proceeding, even though we could not create PATH aliases",
)


class CodexParseError(CodexError):
    """Something that should have been structured data was not.

    Either a line of the CLI's output is no event that this package knows, or the text of an answer
    does not satisfy the output schema that was asked for.

    Attributes:
        text: the whole answer; ``None``, where it was a line.
        path: where in the answer the first violation is, as a JSON path (``$.items[2].name``); ``None``
            where it is no JSON at all.
        turn: the completed turn that the answer is from; ``None``, where it was a line.
    """

    turn: Turn | None = None

    def __init__(self, message: str, text: str | None = None, path: str | None = None) -> None:
        super().__init__(message)
        self.text = text
        self.path = path


class CodexAbortError(CodexError):
    """The turn was ended by its :class:`~codex_sdk.AbortSignal`.

    Attributes:
        reason: the object that was passed to ``AbortController.abort()``.
    """

    def __init__(self, reason: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.__cause__: BaseException | None = reason if isinstance(reason, BaseException) else None

    def __str__(self) -> str:
        return "Operation aborted" if self.reason is None else str(self.reason)


class CodexTimeoutError(CodexError, TimeoutError):
    """The turn took longer than ``TurnOptions.timeout`` and was stopped.

    Attributes:
        timeout: the limit, in seconds.
        last_error: the message of the turn's last ``error`` event, if it had one: what Codex was
            waiting for, as a rule.
    """

    def __init__(self, timeout: float, last_error: str | None = None) -> None:
        super().__init__(timeout, last_error)
        self.timeout = timeout
        self.last_error = last_error

    def __str__(self) -> str:
        message = f"the turn did not end within {self.timeout:g} seconds and was stopped"
        return f"{message}; Codex last said: {self.last_error}" if self.last_error else message


class TurnFailedError(CodexError):
    """Codex reported ``turn.failed``: the turn ran, and could not be completed.

    Attributes:
        error: the error of the ``turn.failed`` event, where there was one.
    """

    def __init__(self, message: str, *, error: ThreadError | None = None) -> None:
        super().__init__(message)
        self.error = error


class ThreadMismatchError(CodexError):
    """The CLI was asked to resume one thread and began another; it was stopped.

    Codex CLIs start a new conversation, with exit status 0, where they do not know the id that they
    are asked to resume.

    Attributes:
        requested: the thread id that was asked for.
        actual: the id of the thread that the CLI began instead.
    """

    def __init__(self, requested: str, actual: str) -> None:
        super().__init__(requested, actual)
        self.requested = requested
        self.actual = actual

    def __str__(self) -> str:
        return (
            f"asked to resume thread {self.requested!r}, the Codex CLI began thread {self.actual!r} instead: "
            "it knows no thread of that id under its CODEX_HOME"
        )


class CodexAppServerError(CodexError):
    """The app-server refused a request: its answer was a JSON-RPC error.

    Attributes:
        code: the error's code; ``-32600`` is an invalid request (an unknown method, thread or turn
            included), ``-32001`` an overloaded server.
        message: what the server said.
        data: what it added to that, or ``None``.
        method: the method that was refused, where it is known.
        detail: what is known besides, such as the version that is connected.
    """

    def __init__(
        self,
        code: int,
        message: str,
        data: Any = None,
        *,
        method: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data
        self.method = method
        self.detail = detail

    def __str__(self) -> str:
        what = f" to {self.method}" if self.method else ""
        data = "" if self.data is None else f" ({self.data})"
        detail = f"; {self.detail}" if self.detail else ""
        return f"Codex app-server error {self.code}{what}: {self.message}{data}{detail}"


class AppServerClosedError(CodexError):
    """The connection to the app-server ended while something needed it.

    Attributes:
        exit_code: the server's exit status; ``None``, where it is not known, as for a server elsewhere.
        stderr: the tail of what the server wrote to stderr, with known secrets blanked out.
        reason: how the connection ended.
    """

    def __init__(self, reason: str, exit_code: int | None = None, stderr: str = "") -> None:
        super().__init__(reason, exit_code, stderr)
        self.reason = reason
        self.exit_code = exit_code
        self.stderr = stderr

    def __str__(self) -> str:
        told = _without_noise(self.stderr)
        return f"{self.reason}: {told}" if told else self.reason


class AppServerTimeoutError(CodexError, TimeoutError):
    """The app-server did not answer a request within the time that it had; the request was given up.

    Attributes:
        method: the method that was asked for.
        timeout: the limit, in seconds.
        stderr: the tail of what the server wrote to stderr, with known secrets blanked out.
    """

    def __init__(self, method: str, timeout: float, stderr: str = "") -> None:
        super().__init__(method, timeout, stderr)
        self.method = method
        self.timeout = timeout
        self.stderr = stderr

    def __str__(self) -> str:
        message = f"the app-server did not answer {self.method} within {self.timeout:g} seconds"
        told = _without_noise(self.stderr)
        return f"{message}; its stderr ends with: {told}" if told else message

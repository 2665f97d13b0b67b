"""One ``codex exec`` process, from its options to its events.

The CLI's contract (verified on 0.80.0, 0.163.0 and 0.169.0): the prompt is read from stdin up to its
end, events are written to stdout as JSON lines, diagnostics to stderr, and the turn's last event is
``turn.completed`` or ``turn.failed``. A process that ends without either was interrupted or failed,
whatever its exit status says.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Union

import anyio
import attrs
from anyio.lowlevel import checkpoint

from .._core.arguments import exec_arguments, needs_version
from .._core.checks import encoded_prompt
from .._core.decoding import EventDecoder
from .._core.environment import child_environment
from .._core.framing import LineFramer
from .._core.redaction import redact
from .._core.thread_ids import same_thread
from .._core.versions import PINNED, CliVersion, parse_cli_version
from .._io.locate import CodexBinary, find_codex
from .._io.process import ChildProcess, new_marker, owned_process
from .._io.sandbox_litter import removing_sandbox_litter
from .._io.sessions import codex_home, is_stored
from .._io.turn_files import TurnFiles, turn_files
from .._io.version import probe_cli_version
from ..events import (
    ThreadEvent,
    ThreadStartedEvent,
    TurnCompletedEvent,
    TurnFailedEvent,
    Usage,
)
from ..exceptions import (
    CodexCLIError,
    CodexError,
    CodexParseError,
    CodexWarning,
    ThreadMismatchError,
)
from ..options import CodexOptions, ThreadOptions
from ..telemetry import RunningSpan, in_current_trace, span
from .channel import Channel, producing

__all__ = ["ExecRequest", "TurnEvents", "exec_turn"]

_EXIT_GRACE = 10.0
"""Seconds that a CLI has to exit after its last event: current ones flush their history in about 0.2 s,
and wait up to 5 s for telemetry when the network is down."""

_CAPACITY = 1
"""Batches that may wait for the reader besides the one that it holds. A batch is what one read from the
pipe brought (64 KiB at most, or one longer line), so this bounds memory in bytes."""

Batch = Union[Sequence[ThreadEvent], CodexError]


@attrs.frozen(kw_only=True)
class ExecRequest:
    """All that one turn is asked with."""

    codex: CodexOptions
    thread: ThreadOptions
    prompt: str
    images: Sequence[str] = ()
    output_schema: Mapping[str, Any] | None = None
    thread_id: str | None = None
    on_thread_started: Callable[[str], None]
    on_thread_lost: Callable[[], None]
    on_over: Callable[[], None]


class TurnEvents:
    """The events of a running turn, in batches.

    Attributes:
        usage_before: what the thread had used before the turn: ``codex exec`` does not tell.
    """

    usage_before: Usage | None = None

    def __init__(self, batches: Channel[Batch]) -> None:
        self._batches = batches

    async def receive_batch(self) -> Sequence[ThreadEvent]:
        """Return the events that came next; none, when the process has ended as it should.

        Raises:
            CodexError: the process did not do what was asked of it.
        """
        try:
            batch = await self._batches.receive()
        except anyio.EndOfStream:
            return ()
        if isinstance(batch, CodexError):
            raise batch
        return batch


@asynccontextmanager
async def exec_turn(request: ExecRequest) -> AsyncGenerator[TurnEvents, None]:
    """Run one turn during the block; leaving the block stops whatever of it is still running.

    Raises:
        CodexError: the options are refused, or the CLI cannot be started. Nothing runs then.
    """
    prompt = encoded_prompt(request.prompt)
    await checkpoint()  # whoever is cancelled already starts nothing
    with (
        _exec_span(request) as running,
        turn_files(request.images, request.output_schema) as files,
    ):
        cli = _Cli.found(request.codex)
        command = [cli.binary.path, *await _arguments(request, cli, files)]
        with (
            removing_sandbox_litter(_sandbox_roots(request.thread), cli.environment),
            _noticing_lost_thread(request, cli) as noted,
        ):
            async with owned_process(command, env=cli.environment, input=prompt) as process:
                turn = _ExecTurn(noted, process, cli, running)
                async with producing(turn.pump, capacity=_CAPACITY) as batches:
                    yield TurnEvents(batches)
                    if turn.is_over:  # its process writes the history and calls `notify` now
                        await turn.process_exit()


@contextmanager
def _noticing_lost_thread(request: ExecRequest, cli: _Cli) -> Generator[ExecRequest, None, None]:
    """Tell after the block if a turn that was cut short left nothing to resume of the thread that it began.

    A CLI that is stopped early may have told the id of a thread that it has not stored: seen on 0.169.0.
    """
    unsure: list[str] = []

    def started(thread_id: str) -> None:
        unsure.append(thread_id)
        request.on_thread_started(thread_id)

    def over() -> None:
        unsure.clear()
        request.on_over()

    try:
        yield attrs.evolve(request, on_thread_started=started, on_over=over)
    finally:
        new = unsure[-1] if unsure and request.thread_id is None else None
        if new is not None and not is_stored(new, codex_home(cli.environment)):
            request.on_thread_lost()


def _sandbox_roots(options: ThreadOptions) -> Sequence[str]:
    if options.sandbox_mode == "danger-full-access":
        return []
    working_directory = options.working_directory or "."
    added = options.additional_directories or ()
    return [working_directory, *(os.path.join(working_directory, path) for path in added)]  # noqa: PTH118


def _exec_span(request: ExecRequest) -> AbstractContextManager[RunningSpan]:
    return span(
        "codex_sdk.exec",
        {
            "thread_id": request.thread_id,
            "model": request.thread.model,
            "sandbox_mode": request.thread.sandbox_mode,
            "working_directory": request.thread.working_directory,
            "approval_policy": request.thread.approval_policy,
        },
    )


def _current_directory() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # removed under us; the CLI has its own word on that, if it needs one
        return None


async def _arguments(request: ExecRequest, cli: _Cli, files: TurnFiles) -> Sequence[str]:
    """Spell the options as the CLI in use knows them, with a warning for what it does not."""
    asked = needs_version(request.codex, request.thread)
    spelled = exec_arguments(
        request.codex,
        request.thread,
        version=await cli.version() if asked else PINNED,
        thread_id=request.thread_id,
        images=files.images,
        schema_file=files.schema_file,
        cwd=_current_directory(),
        marker=cli.marker,
    )
    for text in spelled.warnings:
        warnings.warn(text, CodexWarning, stacklevel=2)
    return spelled.arguments


@attrs.frozen
class _Cli:
    """The program that a turn runs, and the environment that it runs in."""

    binary: CodexBinary
    environment: Mapping[str, str]
    marker: tuple[str, str]

    @classmethod
    def found(cls, options: CodexOptions) -> _Cli:
        """Find the CLI, and put together what it is to find around it.

        Raises:
            CodexNotFoundError: there is none.
        """
        binary = find_codex(options.codex_path_override)
        marker = new_marker()
        environment = child_environment(
            os.environ, options, marker=marker, path_dirs=binary.path_dirs
        )
        return cls(binary, in_current_trace(environment), marker)

    async def version(self) -> CliVersion:
        """Return the CLI's version; the pinned one, if it gives no sensible answer."""
        return parse_cli_version(await self._version_text() or "") or PINNED

    async def describe(self) -> str:
        """Name the CLI, for an error."""
        return f"{await self._version_text() or 'CLI of unknown version'} at {self.binary.path}"

    async def _version_text(self) -> str | None:
        return await probe_cli_version(self.binary.path, self.environment)

    def redact(self, text: str) -> str:
        """Blank out the secrets of the CLI's environment, should it have repeated one."""
        return redact(text, self.environment)


class _ExecTurn:
    """Turns what one process writes into events, and judges how it ended."""

    def __init__(
        self, request: ExecRequest, process: ChildProcess, cli: _Cli, running: RunningSpan
    ) -> None:
        self._request = request
        self._process = process
        self._cli = cli
        self._span = running
        self._framer = LineFramer(request.codex.max_line_bytes)
        self._decoder = EventDecoder(request.codex.unknown_events)
        self._started = False
        self._last: ThreadEvent | None = None

    @property
    def is_over(self) -> bool:
        """Whether the turn's last event has come."""
        return self._last is not None

    async def process_exit(self) -> None:
        """Let the process exit by itself, within the time that it may take."""
        with anyio.move_on_after(_EXIT_GRACE):
            await self._process.wait()

    async def pump(self, send: Channel[Batch]) -> None:
        """Send batches of events; an error, if there is one, is the last thing sent."""
        try:
            await self._forward_events(send)
            await self._await_exit()
        except CodexParseError as error:
            await send.send(await self._with_version(error))
        except CodexError as error:
            await send.send(error)

    async def _read(self) -> bytes:
        try:
            return await self._process.receive()
        except anyio.EndOfStream:
            return b""

    async def _forward_events(self, send: Channel[Batch]) -> None:
        while self._last is None and (data := await self._read()):
            await self._forward(self._framer.feed(data), send)
        if self._last is None and (line := self._framer.finish()) is not None:
            await self._forward_cut_line(line, send)

    async def _forward(self, lines: Iterable[bytes], send: Channel[Batch]) -> None:
        """Send the events of *lines*, up to the turn's last or to the first that is none."""
        events: list[ThreadEvent] = []
        failure: CodexError | None = None
        decode = self._decoder.decode
        try:
            for line in lines:
                event = decode(line)
                if event.__class__ in _MILESTONES:
                    self._take_note(event)
                events.append(event)
                if self._last is not None:
                    break
        except CodexError as error:
            failure = error
        if events:
            await send.send(events)
        if failure is not None:
            raise failure

    def _take_note(self, event: ThreadEvent) -> None:
        if isinstance(event, ThreadStartedEvent):
            self._check_thread(event.thread_id)
            return
        if isinstance(event, TurnCompletedEvent) and not self._started:
            raise CodexParseError(
                "the Codex CLI completed a turn without naming its thread (thread.started)"
            )
        self._last = event
        self._request.on_over()

    def _check_thread(self, thread_id: str) -> None:
        requested = self._request.thread_id
        if requested is not None and not same_thread(requested, thread_id):
            raise ThreadMismatchError(requested, thread_id)
        self._span.set("thread_id", thread_id)
        self._started = True
        self._request.on_thread_started(thread_id)

    async def _forward_cut_line(self, line: bytes, send: Channel[Batch]) -> None:
        """Send a last line that has no newline; half a line is a sign of death, not of bad manners."""
        failure: CodexParseError | None = None
        try:
            await self._forward([line], send)
        except CodexParseError as error:
            failure = error
        if failure is not None and await self._process.wait() == 0:
            raise failure

    async def _await_exit(self) -> None:
        """Let the process exit by itself, if it will, and judge how it ended.

        Raises:
            CodexCLIError: it failed, or it ended before its turn did.
        """
        with anyio.move_on_after(_EXIT_GRACE):
            while await self._read():
                continue  # A process that cannot write cannot exit.
            await self._process.wait()
        code = self._process.returncode
        if self._last is None:
            raise await self._cut_short(code)
        if code and isinstance(self._last, TurnCompletedEvent):
            raise CodexCLIError(code, await self._stderr(), "after it had completed the turn")

    async def _cut_short(self, code: int | None) -> CodexError:
        stderr = await self._stderr()
        if code is None:
            return CodexError(
                "the Codex CLI closed its output before the turn was over, and did not exit within "
                f"{_EXIT_GRACE:g} seconds; it is stopped. Its stderr ends with: {stderr or 'nothing'}"
            )
        return CodexCLIError(code, stderr, _remedy(stderr) or "before the turn was over")

    async def _stderr(self) -> str:
        return self._cli.redact(await self._process.stderr())

    async def _with_version(self, error: CodexParseError) -> CodexParseError:
        return CodexParseError(f"{self._cli.redact(str(error))} ({await self._cli.describe()})")


def _remedy(stderr: str) -> str | None:
    """Return what to do about a refusal of the CLI's that names its own flags only."""
    for sign, remedy in _REMEDIES.items():
        if sign in stderr:
            return remedy
    return None


_REMEDIES = {
    "--skip-git-repo-check was not specified": (
        "the working directory is in no Git repository; ThreadOptions(skip_git_repo_check=True) allows that"
    ),
    "already has an active writer": "another process runs a turn of this thread; wait for it",
    "no rollout found for thread id": "there is no thread of that id under its CODEX_HOME",
}
"""Verified with 0.80.0 (the first), 0.163.0 and 0.169.0."""

_MILESTONES = frozenset({ThreadStartedEvent, TurnCompletedEvent, TurnFailedEvent})

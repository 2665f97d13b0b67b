"""A conversation with Codex: its turns, one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio
import attrs

from ._core.accumulate import TurnBuilder
from ._core.checks import encoded_prompt
from ._core.output_schema import Output, json_output, pydantic_output, typed_output
from ._core.thread_params import turn_input
from ._host import loop_is_running, run_blocking
from ._io.turn_files import checked_image
from ._runtime.backend import Backend, TurnSource
from ._runtime.detached import LooseIterator, Spawn
from ._runtime.exec_turn import ExecRequest
from ._runtime.limits import turn_limits
from ._runtime.turn_slot import Tenancy, TurnSlot
from .events import ThreadEvent, Usage
from .exceptions import CodexError, CodexParseError, TurnFailedError
from .hooks import ThreadHooks, dispatch_event
from .inputs import Input, UserInput, normalize_input
from .options import CodexOptions, ThreadOptions, TurnOptions
from .telemetry import RunningSpan, span
from .turn import ParsedTurn, Turn

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .tools import ToolSet

    ModelT = TypeVar("ModelT", bound=BaseModel)

T = TypeVar("T")

__all__ = [
    "Input",
    "ParsedTurn",
    "RunStreamedResult",
    "StreamedTurn",
    "Thread",
    "TurnStream",
    "UserInput",
    "normalize_input",
]


@attrs.frozen
class StreamedTurn:
    """What :meth:`Thread.run_streamed` returns.

    Attributes:
        events: iterates over the turn's events; the turn begins with the first of them.
    """

    events: LooseIterator[ThreadEvent]


RunStreamedResult = StreamedTurn


class TurnStream(anyio.AsyncContextManagerMixin):
    """A turn as an async context manager: it runs while the block lasts, and no longer.

    Inside the block, iterate over the stream for the turn's events, or await :meth:`turn` for its
    result, or do the one and then the other. Leaving the block early stops the turn; whichever way it
    is left, no process of the turn is alive afterwards, and the thread can go on.

    The events are read ahead by about 64 KiB. When nobody reads, Codex waits. (An app-server does not, for
    it has others to serve: what nobody reads is kept, the pieces of a text joined.)

    Raised on entering, while reading, or on leaving the block:

    * :class:`CodexError`: input or options are refused, or the thread already runs a turn;
    * :class:`CodexCLIError`: the CLI failed, or ended without completing the turn; with
      ``backend="app-server"``, :class:`AppServerClosedError`: the server ended, or could not start, and
      :class:`CodexAppServerError`: it refused the thread or the turn;
    * :class:`CodexParseError`: the CLI wrote something that is no event;
    * :class:`ThreadMismatchError`: the CLI did not resume the thread that it was asked to;
    * :class:`CodexAbortError`: the abort signal in the turn's options was aborted;
    * :class:`CodexTimeoutError`: the time limit in the turn's options ran out.
    """

    def __init__(
        self, thread: Thread, input: Input, options: TurnOptions, *, keep_items: bool = True
    ) -> None:
        self._thread = thread
        self._input = input
        self._options = options
        self._builder = TurnBuilder(keep_items=keep_items)
        self._source: TurnSource | None = None
        self._unread: deque[ThreadEvent] = deque()
        self._usage_before: Usage | None = None
        self._tenancy: Tenancy | None = None
        self._was_entered = False
        self._failure: CodexError | None = None

    @property
    def thread_id(self) -> str | None:
        """The id of the turn's thread; ``None`` until the CLI has told it."""
        return self._thread.id

    def __aiter__(self) -> TurnStream:
        return self

    async def __anext__(self) -> ThreadEvent:
        unread = self._unread
        if not unread:
            unread.extend(await self._receive_batch())
            if not unread:
                raise StopAsyncIteration
        return unread.popleft()

    async def receive_batch(self) -> Sequence[ThreadEvent]:
        """Return the events that have come in, waiting for the first; none, at the end of the turn.

        For programs that handle many events at once; iteration gives the same events one by one.
        """
        if self._unread:
            batch = tuple(self._unread)
            self._unread.clear()
            return batch
        return await self._receive_batch()

    async def turn(self) -> Turn:
        """Read what has not been read of the turn, and return the whole; works after the block too.

        Raises:
            TurnFailedError: the turn ended with ``turn.failed``.
            CodexError: see the class.
        """
        while await self.receive_batch():
            continue
        if self._builder.error is not None:
            raise TurnFailedError(self._builder.error.message, error=self._builder.error)
        turn = self._builder.build()
        return attrs.evolve(turn, turn_usage=_share(turn.usage, self._usage_before))

    @property
    def is_over(self) -> bool:
        """Whether the turn's last event has been read; its process may still have to exit."""
        return self._builder.finished

    async def _receive_batch(self) -> Sequence[ThreadEvent]:
        if self._failure is not None:
            raise self._failure
        if self._source is None:
            return self._nothing_left()
        try:
            batch = await self._source.receive_batch()
        except CodexError as error:
            self._failure = error
            raise
        self._builder.add(batch)
        if self._usage_before is None:
            self._usage_before = self._source.usage_before
        if self._builder.finished:
            self._thread._usage = self._builder.usage
        return batch

    def _nothing_left(self) -> Sequence[ThreadEvent]:
        if self._builder.finished:
            return ()
        if self._was_entered:
            raise CodexError("the block of the stream was left before the turn was over")
        raise CodexError(
            "the turn is not running: read the stream inside "
            "`async with thread.stream(…) as stream:`"
        )

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[TurnStream, None]:
        if self._was_entered:
            raise CodexError("a stream is one turn: call thread.stream() again for another")
        self._was_entered = True
        with self._thread._span() as running, self._limits() as lift_limits:
            async with self._thread._slot.taken(self._thread) as self._tenancy:
                request = self._thread._request(self._input, self._options, lift_limits)
                async with self._thread._backend.turn(request, self._thread._tools) as self._source:
                    self._usage_before, self._thread._usage = self._thread._usage, None
                    try:
                        yield self
                    finally:
                        lift_limits()
                        self._describe(running)
                        self._source = None

    def _describe(self, running: RunningSpan) -> None:
        running.set("thread_id", self._thread.id)
        if self._builder.error is not None:
            running.fail(self._builder.error.message)

    def _limits(self) -> AbstractContextManager[Callable[[], None]]:
        signal, timeout = self._options.signal, self._options.timeout
        return turn_limits(signal, timeout, lambda: self._builder.last_error)

    def _let_go(self) -> None:
        """Take note that nobody will read any more; callable from a finalizer."""
        if self._tenancy is not None:
            self._tenancy.let_go = True


class Thread:
    """A conversation with Codex, made by :meth:`Codex.start_thread` and its like.

    A thread runs one turn at a time; different threads run side by side. It may be used from
    any task, and by the synchronous helpers from any thread.
    """

    def __init__(
        self,
        codex_options: CodexOptions,
        options: ThreadOptions,
        *,
        spawn: Spawn,
        backend: Backend,
        thread_id: str | None = None,
        tools: ToolSet | None = None,
    ) -> None:
        self._codex_options = codex_options
        self._options = options
        self._spawn = spawn
        self._backend = backend
        self._tools = tools
        self._id = thread_id
        # Whether Codex has kept nothing of it: its next turn begins it anew.
        self._is_lost = False
        self._slot = TurnSlot()
        # What the thread has used so far, where that is known: all of its turns ran to their end here.
        self._usage = Usage(0, 0, 0) if thread_id is None else None

    @property
    def id(self) -> str | None:
        """The thread's id, for :meth:`Codex.resume_thread`; ``None`` until the first turn has begun."""
        return self._id

    def __repr__(self) -> str:
        return f"<Thread {self._id or '(not started)'}>"

    @property
    def name(self) -> str | None:
        """The thread's name, if it has one; known once the thread has been used in the client's block.

        Raises:
            CodexError: the backend is ``"exec"``.
        """
        return self._backend.app_server("thread.name").name_of(self._id or "")

    async def set_name(self, name: str) -> None:
        """Name the thread, for people who look for it later. Needs ``backend="app-server"``.

        Raises:
            CodexError: the thread has not begun, the backend is another, or the CLI cannot do that (before
                0.100).
        """
        await self._backend.app_server("thread.set_name()").ask(
            "thread/name/set", {"threadId": self._begun(), "name": name}
        )

    async def fork(self) -> Thread:
        """Return a new thread with the options and the history of this one. Needs ``backend="app-server"``.

        Raises:
            CodexError: the thread has not begun, the backend is another, or the server refuses.
        """
        server = self._backend.app_server("thread.fork()")
        thread_id = await server.fork(self._begun(), self._options, self._tools)
        fork = Thread(
            self._codex_options,
            self._options,
            spawn=self._spawn,
            backend=self._backend,
            thread_id=thread_id,
            tools=self._tools,
        )
        fork._usage = self._usage
        return fork

    async def steer(self, input: Input) -> None:
        """Add to the input of the turn that runs, in the middle of it. Needs ``backend="app-server"``.

        The model gets it with its next request: after the command that runs now, say.

        Raises:
            CodexError: the thread runs no turn, the backend is another, or the CLI cannot do that (before
                0.100).
        """
        server = self._backend.app_server("thread.steer()")
        prompt, images = normalize_input(input)
        encoded_prompt(prompt)
        added = turn_input(prompt, [checked_image(image) for image in images])
        await server.steer(self._begun(), added)

    async def interrupt(self) -> None:
        """End the turn that runs, from another task than its reader's. Needs ``backend="app-server"``.

        The turn ends with ``turn.failed``, so that ``await thread.run(…)`` raises
        :class:`TurnFailedError`; no command of it goes on. The thread can go on.

        Raises:
            CodexError: the thread runs no turn, or the backend is another.
        """
        await self._backend.app_server("thread.interrupt()").interrupt(self._begun())

    async def archive(self) -> None:
        """Take the thread out of the list of threads. Needs ``backend="app-server"``.

        Raises:
            CodexError: the thread has not begun, or is archived already, or the backend is another.
        """
        await self._backend.app_server("thread.archive()").ask(
            "thread/archive", {"threadId": self._begun()}
        )

    def _begun(self) -> str:
        if self._id is None:
            raise CodexError("the thread has not begun: run a turn first")
        return self._id

    def stream(self, input: Input, turn_options: TurnOptions | None = None) -> TurnStream:
        """Return a turn to be run and read inside ``async with``; see :class:`TurnStream`."""
        return TurnStream(self, input, turn_options or TurnOptions())

    async def run(self, input: Input, turn_options: TurnOptions | None = None) -> Turn:
        """Run a turn to its end and return it.

        Raises:
            TurnFailedError: Codex could not complete the turn.
            CodexError: anything else went wrong; see :class:`TurnStream`.
        """
        async with self.stream(input, turn_options) as stream:
            return await stream.turn()

    async def run_streamed(
        self, input: Input, turn_options: TurnOptions | None = None
    ) -> StreamedTurn:
        """Return a turn whose ``events`` can be iterated over without an ``async with``.

        The turn begins with the first event that is asked for, and runs in a task of its own: the
        client's, inside ``async with Codex(…)``, else one of the event loop's. Letting the iterator
        go stops it; :meth:`stream` is the form that also waits for that.
        """
        return StreamedTurn(self.run_streamed_events(input, turn_options))

    def run_streamed_events(
        self, input: Input, turn_options: TurnOptions | None = None
    ) -> LooseIterator[ThreadEvent]:
        """Return an iterator over the events of a turn; see :meth:`run_streamed`."""
        options = turn_options or TurnOptions()
        stream = TurnStream(
            self, input, options, keep_items=False
        )  # nobody can ask it for the turn
        return LooseIterator(stream, self._spawn, stream._let_go)

    async def run_with_hooks(
        self, input: Input, *, hooks: ThreadHooks, turn_options: TurnOptions | None = None
    ) -> Turn:
        """Run a turn to its end, calling *hooks* on the way; a hook that raises ends the turn.

        The hooks for ``turn.failed`` run before :class:`TurnFailedError` is raised.
        """
        async with self.stream(input, turn_options) as stream:
            async for event in stream:
                await dispatch_event(hooks, event)
            return await stream.turn()

    async def run_json(
        self,
        input: Input,
        *,
        output_schema: Mapping[str, Any],
        turn_options: TurnOptions | None = None,
    ) -> ParsedTurn[Any]:
        """Run a turn whose answer is a JSON document that satisfies *output_schema*.

        Raises:
            CodexParseError: the answer is no JSON, or violates the schema.
            CodexError: the schema is none, or as for :meth:`run`.
        """
        return await self._run_parsed(input, json_output(output_schema), turn_options)

    async def run_pydantic(
        self,
        input: Input,
        *,
        output_model: type[ModelT],
        turn_options: TurnOptions | None = None,
    ) -> ParsedTurn[ModelT]:
        """Run a turn whose answer is an instance of a pydantic model.

        Raises:
            pydantic.ValidationError: the answer is JSON, but does not validate.
            CodexParseError: the answer is no JSON.
            CodexError: *output_model* is no model, pydantic is missing, or as for :meth:`run`.
        """
        return await self._run_parsed(input, pydantic_output(output_model), turn_options)

    @overload
    async def run_typed(
        self, input: Input, *, output_type: type[T], turn_options: TurnOptions | None = None
    ) -> ParsedTurn[T]: ...

    @overload
    async def run_typed(
        self, input: Input, *, output_type: Any, turn_options: TurnOptions | None = None
    ) -> ParsedTurn[Any]: ...

    async def run_typed(
        self, input: Input, *, output_type: Any, turn_options: TurnOptions | None = None
    ) -> ParsedTurn[Any]:
        """Run a turn whose answer is a value of *output_type*.

        Works for attrs classes, dataclasses, named tuples, TypedDicts, pydantic models, enums, and
        for what can be built of them, numbers, strings, dates, paths, lists, sets, tuples, mappings and
        unions: ``list[int]`` will do. Where JSON Schema in OpenAI's strict mode has no such thing (a
        root that is no object, a mapping), the model is asked for something equivalent.

        Raises:
            CodexParseError: the answer is no such value.
            CodexError: the type has no JSON Schema that OpenAI's strict mode takes, or as for
                :meth:`run`.
        """
        return await self._run_parsed(input, typed_output(output_type), turn_options)

    def run_sync(self, input: Input, turn_options: TurnOptions | None = None) -> Turn:
        """Do what :meth:`run` does, from code that is not async.

        With ``backend="app-server"``, each such call has a server of its own, which ends with it: to share
        one, use the async form.

        Raises:
            CodexError: an event loop runs in this thread already, or as for :meth:`run`.
        """
        return self._run_blocking(partial(self.run, input, turn_options), "run")

    def run_json_sync(
        self,
        input: Input,
        *,
        output_schema: Mapping[str, Any],
        turn_options: TurnOptions | None = None,
    ) -> ParsedTurn[Any]:
        """Do what :meth:`run_json` does, from code that is not async; see :meth:`run_sync`."""
        run = partial(self.run_json, input, output_schema=output_schema, turn_options=turn_options)
        return self._run_blocking(run, "run_json")

    def run_pydantic_sync(
        self,
        input: Input,
        *,
        output_model: type[ModelT],
        turn_options: TurnOptions | None = None,
    ) -> ParsedTurn[ModelT]:
        """Do what :meth:`run_pydantic` does, from code that is not async; see :meth:`run_sync`."""
        run = partial(
            self.run_pydantic, input, output_model=output_model, turn_options=turn_options
        )
        return self._run_blocking(run, "run_pydantic")

    @overload
    def run_typed_sync(
        self, input: Input, *, output_type: type[T], turn_options: TurnOptions | None = None
    ) -> ParsedTurn[T]: ...

    @overload
    def run_typed_sync(
        self, input: Input, *, output_type: Any, turn_options: TurnOptions | None = None
    ) -> ParsedTurn[Any]: ...

    def run_typed_sync(
        self, input: Input, *, output_type: Any, turn_options: TurnOptions | None = None
    ) -> ParsedTurn[Any]:
        """Do what :meth:`run_typed` does, from code that is not async; see :meth:`run_sync`."""
        run = partial(self.run_typed, input, output_type=output_type, turn_options=turn_options)
        return self._run_blocking(run, "run_typed")

    def _run_blocking(self, run: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        if loop_is_running():
            raise CodexError(
                f"{name}_sync() would block the event loop that runs in this thread: await {name}() instead"
            )

        async def run_in_block() -> T:
            async with self._backend.opened():
                return await run()

        return run_blocking(run_in_block)

    async def _run_parsed(
        self, input: Input, output: Output[T], turn_options: TurnOptions | None
    ) -> ParsedTurn[T]:
        options = attrs.evolve(turn_options or TurnOptions(), output_schema=output.schema)
        turn = await self.run(input, options)
        try:
            return ParsedTurn(turn, output.parse(turn.final_response))
        except CodexParseError as error:
            error.turn = turn
            raise

    def _span(self) -> AbstractContextManager[RunningSpan]:
        return span(
            "codex_sdk.thread.turn",
            {
                "thread_id": self._id,
                "model": self._options.model,
                "sandbox_mode": self._options.sandbox_mode,
                "working_directory": self._options.working_directory,
                "transport": self._backend.transport,
            },
        )

    def _request(
        self, input: Input, options: TurnOptions, on_over: Callable[[], None]
    ) -> ExecRequest:
        prompt, images = normalize_input(input)
        return ExecRequest(
            codex=self._codex_options,
            thread=self._options,
            prompt=prompt,
            images=images,
            output_schema=options.output_schema,
            thread_id=None if self._is_lost else self._id,
            on_thread_started=self._started,
            on_thread_lost=self._lost,
            on_over=on_over,
        )

    def _started(self, thread_id: str) -> None:
        self._id = thread_id
        self._is_lost = False

    def _lost(self) -> None:
        self._is_lost = True


def _share(usage: Usage | None, before: Usage | None) -> Usage | None:
    """Return what came on top of *before*; ``None`` where either is not known, or they do not fit."""
    if usage is None or before is None:
        return None
    share = Usage(
        *(now - then for now, then in zip(attrs.astuple(usage), attrs.astuple(before), strict=True))
    )
    return share if min(attrs.astuple(share)) >= 0 else None

"""Codex as a model of PydanticAI: ``Agent(CodexModel())``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import anyio
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestParameters,
    StreamedResponse,
    check_allow_model_requests,
)
from pydantic_ai.profiles import ModelProfileSpec
from pydantic_ai.settings import ModelSettingName, ModelSettings
from pydantic_ai.tools import RunContext

from ..codex import Codex
from ..exceptions import CodexError
from ..options import CodexOptions, ThreadOptions
from ..telemetry import RunningSpan, start_span
from ._pydantic_ai.cleanup import CodexRunCleanup
from ._pydantic_ai.envelope import EnvelopeMode
from ._pydantic_ai.errors import model_error
from ._pydantic_ai.native import NativeMode
from ._pydantic_ai.native_server import NativeServer, NativeServers
from ._pydantic_ai.native_stream import CodexStreamedResponse
from ._pydantic_ai.native_threads import RunTurns
from ._pydantic_ai.profile import codex_profile, in_strict_mode
from ._pydantic_ai.settings import CodexModelSettings, with_safe_defaults
from ._pydantic_ai.spans import agent_attributes, describe_response

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CodexModel", "CodexModelSettings", "CodexRunCleanup", "ToolMode"]

ToolMode = Literal["native", "envelope"]

DEFAULT_MODEL_NAME = "codex"
"""What the model is called where ``ThreadOptions.model`` leaves the choice to Codex."""


DEFAULT_KEPT_THREADS = 32
"""More conversations than that at once are rare; a thread costs the server some megabytes."""

DEFAULT_WAIT_TIMEOUT = 600.0
"""Ten minutes: longer than tools take, and than people think about what to say next."""

CLOSE_BOUND = 30.0
"""Seconds that stopping turns, or a server, may hold up who leaves. Measured: at most some tenths."""


class CodexModel(Model):
    """Codex, where PydanticAI expects a model: it plans tool calls, which PydanticAI makes.

    Codex is an agent: it can read files and run commands by itself, in its sandbox. By default that is
    a read-only one, without network and web search, in which nobody is asked for approvals; fields of
    *thread_options* that are set win over these defaults. What Codex did by itself is in the response, as
    parts of tools that the provider ran.

    In the ``"native"`` mode, an agent's tools are Codex's own. Its turn stays open while PydanticAI runs a
    tool, and goes on with what that returned. Codex runs as an app-server, which is started by the first
    request and lives until :meth:`close`, or until the last ``async with model`` (or ``async with agent``)
    is left; at the latest, it ends with the event loop. In the ``"envelope"`` mode, the conversation is in
    each prompt: every request is a new thread of ``codex exec``, and its answer an envelope
    (:mod:`codex_sdk.integrations.tool_envelope`) where there are tools.

    Args:
        codex: the client that runs Codex; by default a new one.
        codex_options: the options of that new client; not together with *codex*.
        thread_options: what Codex runs with.
        profile: changes to what PydanticAI knows of the model.
        settings: the settings of requests that have none of their own; see :class:`CodexModelSettings`.
        system: the provider's name, in messages and telemetry.
        tool_mode: the mode. ``None``: the native one, unless the CLI is older than 0.100.
        kept_threads: how many threads may wait to be gone on with; the oldest are given up.
        wait_timeout: for how many seconds they may, turns that wait for the results of tools included.
            A conversation that comes back later is told to a new thread.
    """

    unsupported_settings: ClassVar[frozenset[ModelSettingName]] = frozenset(
        {
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "timeout",
            "max_retries",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "stop_sequences",
            "extra_headers",
            "extra_body",
            "service_tier",
            "citations",
            "cache",
        }
    )
    _unsupported_file_inputs: ClassVar[
        frozenset[Literal["audio", "document", "image", "video"]]
    ] = frozenset({"audio", "video", "document"})

    def __init__(
        self,
        *,
        codex: Codex | None = None,
        codex_options: CodexOptions | None = None,
        thread_options: ThreadOptions | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
        system: str = "codex",
        tool_mode: ToolMode | None = None,
        kept_threads: int = DEFAULT_KEPT_THREADS,
        wait_timeout: float = DEFAULT_WAIT_TIMEOUT,
    ) -> None:
        if codex is not None and codex_options is not None:
            raise CodexError("codex_options are for a new client: pass them or codex, not both")
        if tool_mode not in (None, "native", "envelope"):
            raise CodexError(f"tool_mode is 'native', 'envelope' or None, not {tool_mode!r}")
        codex = codex or Codex(codex_options)
        super().__init__(settings=settings, profile=codex_profile(profile))
        self._thread_options = with_safe_defaults(thread_options)
        self._system = system
        self._envelope = EnvelopeMode(
            codex, self._thread_options, model_name=self.model_name, system=system
        )
        self._servers = NativeServers(
            partial(NativeServer, codex.options, keep=kept_threads, wait=wait_timeout)
        )
        self._native = NativeMode(self._servers, self._thread_options)
        self._tool_mode = tool_mode
        self._entered = 0

    async def __aenter__(self) -> Self:
        self._entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._entered -= 1
        if not self._entered:
            with anyio.move_on_after(CLOSE_BOUND, shield=True):
                await self.close()

    async def close(self) -> None:
        """End the app-server of this event loop, and with it every turn. The model can be used again."""
        await self._servers.close()

    def run_turns(self) -> AbstractAsyncContextManager[RunTurns]:
        """Return the block in which a run of an agent does its work; for :class:`CodexRunCleanup`."""
        return self._servers.run()

    @asynccontextmanager
    async def _run_scope(self) -> AsyncGenerator[None, None]:
        """Keep no turn of a run that is over; PydanticAI enters this around each run.

        How a run has ended well is not told here: it may have, to wait for somebody's decision.
        """
        async with self.run_turns():
            yield

    @property
    def model_name(self) -> str:
        """The model's name, as in ``ThreadOptions.model``; ``"codex"`` where Codex chooses."""
        return self._thread_options.model or DEFAULT_MODEL_NAME

    @property
    def thread_options(self) -> ThreadOptions:
        """What Codex runs with, the safe defaults included."""
        return self._thread_options

    @property
    def system(self) -> str:
        """The provider's name."""
        return self._system

    def customize_request_parameters(
        self, model_request_parameters: ModelRequestParameters
    ) -> ModelRequestParameters:
        """Have the output's schema rewritten for strict mode, the only one that Codex knows.

        Raises:
            UserError: the output is of a type that strict mode cannot express.
        """
        return super().customize_request_parameters(in_strict_mode(model_request_parameters))

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return Codex's answer.

        Raises:
            ModelAPIError: Codex could not be run, or could not answer; subclasses say why.
            UserError: the request holds what Codex cannot do.
        """
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        async with self._streamed(messages, settings, parameters) as stream:
            async for _ in stream:
                pass
            return stream.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse, None]:
        """Give Codex's answer as a stream. In the envelope mode it is complete before the first event.

        Raises:
            ModelAPIError: as :meth:`request`; also from the iteration.
        """
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        async with self._streamed(messages, settings, parameters) as stream:
            yield stream

    @asynccontextmanager
    async def _streamed(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> AsyncGenerator[StreamedResponse, None]:
        """Give the answer as a stream. While its user has it, no scope is open, and no span current."""
        running = self._start_span()
        try:
            with running.current():
                stream = await self._opened(messages, settings, parameters, running)
            try:
                yield stream
            finally:
                with anyio.move_on_after(CLOSE_BOUND, shield=True):
                    await stream.close_stream()
        finally:
            running.end()

    async def _opened(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        running: RunningSpan,
    ) -> StreamedResponse:
        if await self._uses_envelope():
            response = await self._envelope.request(messages, settings, parameters)
            describe_response(running, response)
            return CompletedStreamedResponse(
                response, model_request_parameters=parameters, replay_events=True
            )
        try:
            request = await self._native.begin(messages, settings, parameters)
        except CodexError as error:
            raise model_error(self.model_name, error) from error
        stream = CodexStreamedResponse(parameters, request, self.model_name, self.system, running)
        try:
            await stream.open()
        except BaseException:
            with anyio.move_on_after(CLOSE_BOUND, shield=True):
                await stream.close_stream()
            raise
        return stream

    async def _uses_envelope(self) -> bool:
        """Return whether the envelope mode is in use, which the CLI's version decides if the user has not."""
        if self._is_enveloping():
            return True
        server = self._servers.here()
        try:
            await server.connect()
        except CodexError as error:
            if self._is_enveloping():  # another request has found that out, and closed the server
                return True
            raise model_error(self.model_name, error) from error
        if not server.legacy:
            return False
        if self._tool_mode == "native":
            raise UserError("this Codex CLI cannot be given tools: use tool_mode='envelope'")
        self._tool_mode = "envelope"
        await self.close()
        return True

    def _is_enveloping(self) -> bool:
        return self._tool_mode == "envelope"

    def _start_span(self) -> RunningSpan:
        return start_span(
            "codex_sdk.pydantic_ai.model_request",
            agent_attributes(self._thread_options, provider=self.system, model=self.model_name),
        )

"""Codex as a model of PydanticAI: ``Agent(CodexModel())``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal

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
from ._pydantic_ai.envelope import EnvelopeMode
from ._pydantic_ai.profile import codex_profile, in_strict_mode
from ._pydantic_ai.settings import CodexModelSettings, with_safe_defaults

__all__ = ["CodexModel", "CodexModelSettings"]

DEFAULT_MODEL_NAME = "codex"
"""What the model is called where ``ThreadOptions.model`` leaves the choice to Codex."""


class CodexModel(Model):
    """Codex, where PydanticAI expects a model: it plans tool calls, which PydanticAI makes.

    Codex is an agent: it can read files and run commands by itself, in its sandbox. By default that is
    a read-only one, without network and web search, in which nobody is asked for approvals; fields of
    *thread_options* that are set win over these defaults. What Codex did by itself is in the response, as
    parts of tools that the provider ran.

    The conversation is in each prompt: every request is a new thread, and its answer an envelope
    (:mod:`codex_sdk.integrations.tool_envelope`) where there are tools.

    Args:
        codex: the client that runs Codex; by default a new one.
        codex_options: the options of that new client; not together with *codex*.
        thread_options: what Codex runs with.
        profile: changes to what PydanticAI knows of the model.
        settings: the settings of requests that have none of their own; see :class:`CodexModelSettings`.
        system: the provider's name, in messages and telemetry.
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
    ) -> None:
        if codex is not None and codex_options is not None:
            raise CodexError("codex_options are for a new client: pass them or codex, not both")
        super().__init__(settings=settings, profile=codex_profile(profile))
        self._thread_options = with_safe_defaults(thread_options)
        self._system = system
        self._envelope = EnvelopeMode(
            codex or Codex(codex_options),
            self._thread_options,
            model_name=self.model_name,
            system=system,
        )

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
        return await self._envelope.request(messages, settings, parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse, None]:
        """Give Codex's answer as a stream, which is complete from the start: ``codex exec`` has no deltas.

        Raises:
            ModelAPIError: as :meth:`request`.
        """
        response = await self.request(messages, model_settings, model_request_parameters)
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=parameters, replay_events=True
        )

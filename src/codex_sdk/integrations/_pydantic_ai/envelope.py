"""A request by ``codex exec``: a new thread, asked for the model's next answer as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from ...codex import Codex
from ...exceptions import CodexError
from ...inputs import UserInput
from ...options import ThreadOptions, TurnOptions
from ...turn import Turn
from ..tool_envelope import ToolPlanValidationError, build_envelope_schema, parse_tool_plan
from .errors import model_error
from .history import history_items, instructions_text
from .images import image_files, with_images
from .prompt import conversation_prompt
from .settings import options_for
from .tools import ToolChoice, choose_tools
from .turn_usage import turn_usage
from .work import work_parts

__all__ = ["EnvelopeMode"]


class EnvelopeMode:
    """Asks Codex for an answer, with all that was said before in the prompt.

    Without tools, the answer is what Codex says. With tools, it is an envelope.
    """

    def __init__(
        self, codex: Codex, options: ThreadOptions, *, model_name: str, system: str
    ) -> None:
        self._codex = codex
        self._options = options
        self._model_name = model_name
        self._system = system

    async def request(
        self,
        messages: Sequence[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the model's answer to prepared *messages*.

        Raises:
            ModelAPIError: Codex could not be run, or could not answer.
            UserError: something in the request cannot be done.
        """
        choice = choose_tools(settings, parameters)
        prompt, images = conversation_prompt(
            history_items(await with_images(messages)),
            instructions=instructions_text(messages, parameters.instruction_parts),
            choice=choice,
        )
        thread = self._codex.start_thread(options_for(self._options, settings, parameters.thinking))
        schema = _schema(choice, parameters)
        try:
            async with image_files(images) as paths:
                content: list[UserInput] = [{"type": "text", "text": prompt}]
                content.extend({"type": "local_image", "path": path} for path in paths)
                turn = await thread.run(content, TurnOptions(output_schema=schema))
        except CodexError as error:
            raise model_error(self._model_name, error) from error
        return self._response(thread.id, turn, choice)

    def _response(self, thread_id: str | None, turn: Turn, choice: ToolChoice) -> ModelResponse:
        parts = [*work_parts(turn.items, provider_name=self._system, thread_id=thread_id)]
        answer = self._answer(turn.final_response) if choice.tools else [_text(turn.final_response)]
        finish: FinishReason = "stop"
        if any(isinstance(part, ToolCallPart) for part in answer):
            finish = "tool_call"
        return ModelResponse(
            [*parts, *answer],
            usage=turn_usage(turn),
            model_name=self._model_name,
            provider_name=self._system,
            provider_details={"thread_id": thread_id},
            finish_reason=finish,
        )

    def _answer(self, envelope: str) -> list[ModelResponsePart]:
        """Return the parts that an envelope holds.

        The calls get ids of our own: the model gives the same ones in request after request.
        """
        try:
            plan = parse_tool_plan(envelope)
        except ToolPlanValidationError as error:
            raise ModelAPIError(self._model_name, str(error), body=envelope) from error
        if plan.kind == "final":
            return [_text(plan.content)]
        return [
            ToolCallPart(call.name, call.arguments, f"call_{uuid4().hex}") for call in plan.calls
        ]


def _text(content: str) -> ModelResponsePart:
    return TextPart(content)


def _schema(choice: ToolChoice, parameters: ModelRequestParameters) -> Mapping[str, Any] | None:
    """Return the schema that Codex's answer has to satisfy."""
    output = parameters.output_object if parameters.output_mode == "native" else None
    schema = None if output is None else output.json_schema
    if not choice.tools:
        return schema
    envelope = build_envelope_schema(
        [tool.name for tool in choice.tools],
        min_calls=int(choice.required),
        max_calls=None if choice.parallel else 1,
    )
    return envelope if schema is None else _with_final(envelope, schema)


def _with_final(envelope: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return *envelope* with *schema* for its final answer, or null where it holds calls."""
    definitions = {**schema.get("$defs", {})}
    final = {key: value for key, value in schema.items() if key != "$defs"}
    definitions[_FINAL] = _without_root(final)
    envelope["properties"]["final"] = {"anyOf": [{"$ref": f"#/$defs/{_FINAL}"}, {"type": "null"}]}
    envelope["$defs"] = {name: _without_root(value) for name, value in definitions.items()}
    return envelope


_FINAL = "final_answer"


def _without_root(schema: Any) -> Any:
    """Return *schema*, whose references to its own root lead to where it has been put."""
    if isinstance(schema, dict):
        return {
            key: f"#/$defs/{_FINAL}" if key == "$ref" and value == "#" else _without_root(value)
            for key, value in schema.items()  # pyright: ignore[reportUnknownVariableType]
        }
    if isinstance(schema, list):
        return [_without_root(value) for value in schema]  # pyright: ignore[reportUnknownVariableType]
    return schema

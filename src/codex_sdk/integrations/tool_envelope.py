"""Tool calls by structured output: a model answers with one JSON object, the envelope.

The envelope holds the calls that the model wants made, or its final answer. It is how a model that can
be told what to answer, but not which tools there are, is made to call tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Union, cast

import attrs

from ..exceptions import CodexError

__all__ = [
    "ToolCallEnvelope",
    "ToolPlan",
    "ToolPlanErrorCode",
    "ToolPlanValidationError",
    "build_envelope_schema",
    "parse_tool_plan",
    "validate_tool_plan",
]

ToolPlanErrorCode = Literal[
    "invalid_envelope",
    "tool_choice_mismatch",
    "too_many_tool_calls",
    "parallel_tool_calls_disabled",
    "unknown_tool",
    "invalid_tool_arguments",
    "invalid_tool_choice",
]
ToolChoice = Union[str, Mapping[str, Any]]
"""``"auto"``, ``"none"``, ``"required"``, or a mapping that names a tool, as OpenAI's APIs have it."""


class ToolPlanValidationError(CodexError):
    """An envelope is malformed, or asks for what it may not.

    Attributes:
        code: what is wrong, for programs.
        message: what is wrong, for people, and for the model.
    """

    def __init__(self, code: ToolPlanErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"


@attrs.frozen
class ToolCallEnvelope:
    """One call: ``arguments`` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@attrs.frozen
class ToolPlan:
    """What an envelope asks for: ``calls``, or ``content`` as the final answer."""

    kind: Literal["tool_calls", "final"]
    calls: tuple[ToolCallEnvelope, ...] = ()
    content: str = ""


def build_envelope_schema(
    tool_names: Sequence[str] = (), *, min_calls: int = 0, max_calls: int | None = None
) -> dict[str, Any]:
    """Return the JSON Schema of an envelope whose calls are of *tool_names*.

    It is in the part of the language that OpenAI's strict mode takes. *min_calls* and *max_calls* bound
    the number of calls.
    """
    name: dict[str, Any] = {"type": "string"}
    if tool_names:
        name["enum"] = list(tool_names)
    text = {"type": "string"}
    calls: dict[str, Any] = {
        "type": "array",
        "items": _closed({"id": text, "name": name, "arguments": text}),
    }
    if min_calls:
        calls["minItems"] = min_calls
    if max_calls is not None:
        calls["maxItems"] = max_calls
    return _closed({"tool_calls": calls, "final": text})


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_tool_plan(envelope: Any) -> ToolPlan:
    """Return what an envelope, as text or as the object it stands for, asks for. Calls win.

    Raises:
        ToolPlanValidationError: with the code ``invalid_envelope``: it is none.
    """
    content = _object(envelope)
    calls: list[Any] = _list(content.get("tool_calls", []))
    if not calls:
        return ToolPlan("final", content=_final_text(content.get("final")))
    return ToolPlan("tool_calls", tuple(map(_call, calls)))


def _invalid(problem: str) -> ToolPlanValidationError:
    return ToolPlanValidationError("invalid_envelope", f"the answer is no envelope: {problem}")


def _final_text(final: Any) -> str:
    """Return the final answer as text; a schema of its own may have made it any JSON value."""
    if final is None:
        return ""
    return final if isinstance(final, str) else json.dumps(final, ensure_ascii=False)


def _list(calls: Any) -> list[Any]:
    if not isinstance(calls, list):
        raise _invalid("'tool_calls' is no list")
    return calls  # pyright: ignore[reportUnknownVariableType]


def _object(envelope: Any) -> Mapping[str, Any]:
    if isinstance(envelope, str):
        try:
            envelope = json.loads(envelope)
        except (ValueError, RecursionError) as error:
            raise _invalid(f"{error}: {envelope!r:.200}") from error
    if not isinstance(envelope, Mapping):
        raise _invalid(f"{envelope!r:.200} is no object")
    return cast("Mapping[str, Any]", envelope)


def _call(call: Any) -> ToolCallEnvelope:
    if not isinstance(call, Mapping):
        raise _invalid(f"the call {call!r:.200} is no object")
    fields = cast("Mapping[str, Any]", call)
    name, arguments = fields.get("name"), fields.get("arguments", "")
    if not isinstance(name, str) or not name:
        raise _invalid(f"the call {call!r:.200} names no tool")
    if not isinstance(arguments, str):  # from a model that was not held to the schema
        arguments = json.dumps(arguments)
    call_id = fields.get("id")
    return ToolCallEnvelope(
        call_id if isinstance(call_id, str) else "", name, arguments.strip() or "{}"
    )


def validate_tool_plan(
    plan: ToolPlan,
    *,
    tool_schemas: Mapping[str, Mapping[str, Any]],
    tool_choice: ToolChoice | None = None,
    parallel_tool_calls: bool | None = None,
    max_tool_calls: int | None = None,
    strict_schema_validation: bool = True,
    fallback_id_prefix: str = "call",
) -> ToolPlan:
    """Return *plan*, checked, with an id of its own for each call that had none or another's.

    Args:
        plan: what :func:`parse_tool_plan` returned.
        tool_schemas: the JSON Schema of each tool's arguments, by the tool's name.
        tool_choice: what the model was told to call: ``"auto"`` (the default), ``"none"``,
            ``"required"``, or ``{"type": "function", "name": …}``.
        parallel_tool_calls: ``False``: one call at a time.
        max_tool_calls: how many calls there may be.
        strict_schema_validation: whether arguments have to satisfy their tool's schema; else they
            have to be a JSON object.
        fallback_id_prefix: ids that are made up are ``<prefix>_1`` and so on.

    Raises:
        ToolPlanValidationError: the plan is not allowed; its code says in which respect.
    """
    _check_choice(plan, tool_choice, tool_schemas)
    _check_number(plan, parallel_tool_calls, max_tool_calls)
    for call in plan.calls:
        _check_call(call, tool_schemas, strict_schema_validation)
    return attrs.evolve(plan, calls=tuple(_with_ids(plan.calls, fallback_id_prefix)))


def _check_choice(
    plan: ToolPlan, choice: ToolChoice | None, tools: Mapping[str, Mapping[str, Any]]
) -> None:
    if choice is None or choice == "auto":
        return
    if choice == "none":
        if plan.calls:
            raise _mismatch("no tool may be called")
    elif choice == "required":
        if not plan.calls:
            raise _mismatch("a tool has to be called")
    else:
        name = _chosen_tool(choice, tools)
        if not plan.calls or any(call.name != name for call in plan.calls):
            raise _mismatch(f"the tool {name!r} has to be called, and no other")


def _mismatch(problem: str) -> ToolPlanValidationError:
    return ToolPlanValidationError("tool_choice_mismatch", problem)


def _chosen_tool(choice: ToolChoice, tools: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the name in ``{"type": "function", "name": …}``, or the older form of that."""
    name: Any = None
    if not isinstance(choice, str):
        function: Any = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else choice.get("name")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(name, str) or name not in tools:
        raise ToolPlanValidationError(
            "invalid_tool_choice", f"the tool choice {choice!r} names none of the tools"
        )
    return name


def _check_number(plan: ToolPlan, parallel: bool | None, limit: int | None) -> None:
    number = len(plan.calls)
    if parallel is False and number > 1:
        raise ToolPlanValidationError(
            "parallel_tool_calls_disabled", f"one tool may be called at a time, not {number}"
        )
    if limit is not None and number > limit:
        raise ToolPlanValidationError(
            "too_many_tool_calls", f"{limit} calls are allowed at once, not {number}"
        )


def _check_call(
    call: ToolCallEnvelope, tools: Mapping[str, Mapping[str, Any]], strict: bool
) -> None:
    if call.name not in tools:
        raise ToolPlanValidationError("unknown_tool", f"there is no tool {call.name!r}")
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        raise _bad_arguments(call, f"no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise _bad_arguments(call, "no JSON object")
    if strict:
        _check_schema(call, arguments, tools[call.name])


def _check_schema(call: ToolCallEnvelope, arguments: Any, schema: Mapping[str, Any]) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

    try:
        Draft202012Validator(schema).validate(arguments)  # pyright: ignore[reportUnknownMemberType]
    except ValidationError as error:
        raise _bad_arguments(call, f"at {error.json_path}: {error.message}") from error


def _bad_arguments(call: ToolCallEnvelope, problem: str) -> ToolPlanValidationError:
    return ToolPlanValidationError(
        "invalid_tool_arguments", f"the arguments of {call.name!r} are wrong: {problem}"
    )


def _with_ids(calls: Sequence[ToolCallEnvelope], prefix: str) -> Iterator[ToolCallEnvelope]:
    given = {call.id for call in calls}
    used: set[str] = set()
    for number, call in enumerate(calls, 1):
        call_id = call.id
        if not call_id or call_id in used:
            call_id = _unused(f"{prefix}_{number}", given | used)
        used.add(call_id)
        yield attrs.evolve(call, id=call_id)


def _unused(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    return name

"""What a function is called with: the schema that Codex is given, and how the arguments are read."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, cast

import attrs
from typing_extensions import get_type_hints

from ...exceptions import CodexError, CodexParseError
from ..output_schema.answers import json_path
from ..output_schema.shapes import Definitions, Mismatch, Record, Shape
from .from_types import ArgumentTypes, is_pydantic_field
from .shapes import Fields
from .wording import in_words

__all__ = ["Signature", "signature_of", "underlying"]

_SCALARS = (str, bool, int, float)


@attrs.frozen
class Signature:
    """What a function is called with.

    Attributes:
        schema: the JSON Schema of the arguments, of nothing but what Codex hands on.
    """

    schema: Mapping[str, Any]
    _arguments: Shape

    def read(self, arguments: object) -> dict[str, Any]:
        """Return the keyword arguments that *arguments*, a JSON value, stands for.

        Raises:
            CodexParseError: it does not satisfy the schema; the message names the place.
        """
        try:
            values: dict[str, Any] = self._arguments.read(arguments)
        except Mismatch as mismatch:
            where = json_path(reversed(mismatch.path))
            message = f"invalid arguments at {where}: {mismatch.reason}"
            raise CodexParseError(message, path=where) from mismatch
        except RecursionError as error:
            raise CodexParseError("invalid arguments: they are nested too deeply") from error
        return values


def signature_of(function: Callable[..., Any], name: str) -> Signature:
    """Return what *function* is called with; *name* is for error messages.

    Raises:
        CodexError: it cannot be called with JSON; the message names the parameter and the remedy.
    """
    parameters = _parameters(function, name)
    hints = _hints(function, name, [*parameters])
    arguments = ArgumentTypes()
    try:
        fields = {key: arguments.shape(hints[key], f"{name}({key})") for key in parameters}
        omissible = {key for key, parameter in parameters.items() if _has_default(parameter)}
        root = Fields(name, Record(name, fields, dict), frozenset(omissible))
        return Signature(_document(root, parameters), root)
    except RecursionError as error:
        raise CodexError(f"{name}: the type of a parameter is made of itself alone") from error


def _document(root: Fields, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    definitions = Definitions(root)
    schema = root.schema(definitions)
    for key, part in schema["properties"].items():
        if type(parameters[key].default) in _SCALARS and "$ref" not in part:
            part["default"] = parameters[key].default
    if definitions.schemas:
        schema["$defs"] = definitions.schemas
    return in_words(schema)


def _has_default(parameter: Parameter) -> bool:
    return parameter.default is not Parameter.empty


def _parameters(function: Callable[..., Any], name: str) -> dict[str, Parameter]:
    """Return what is to be given; what a partial function has got already is not."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise CodexError(f"{name}: it is not known what it is called with: {error}") from error
    given: Mapping[str, Any] = getattr(function, "keywords", {})
    parameters = {key: one for key, one in signature.parameters.items() if key not in given}
    for parameter in parameters.values():
        _check(parameter, name)
    return parameters


def _check(parameter: Parameter, name: str) -> None:
    where = f"{name}({parameter})"
    if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        raise CodexError(
            f"{where}: Codex gives arguments by name, and has to know the names: "
            f"replace {parameter} by parameters with names and types"
        )
    if parameter.kind is Parameter.POSITIONAL_ONLY:
        raise CodexError(
            f"{where}: Codex gives arguments by name, and {parameter.name} takes none: remove the `/`"
        )
    if parameter.annotation is Parameter.empty:
        remedy = "say what it takes, as in `city: str`"
        if parameter.name in ("self", "cls"):
            remedy = f"if this is a method, make a tool of the bound one: tool(thing.{name})"
        raise CodexError(f"{where}: {parameter.name} has no type: {remedy}")
    if is_pydantic_field(parameter.default):
        raise CodexError(
            f"{where}: pydantic's Field is no default here: put it into the type, as in "
            f"`{parameter.name}: Annotated[…, Field(…)]`"
        )


def _hints(function: Callable[..., Any], name: str, keys: list[str]) -> dict[str, Any]:
    """Return the types of the parameters *keys*; others, and that of the result, do not matter."""
    plain = underlying(function)
    annotations: Mapping[str, Any] = getattr(plain, "__annotations__", {})
    needed = types.SimpleNamespace(
        __annotations__={key: annotations[key] for key in keys if key in annotations},
        __globals__=getattr(plain, "__globals__", {}),
    )
    try:
        hints = get_type_hints(cast("Any", needed), include_extras=True)
    except Exception as error:  # annotations are evaluated: they may raise anything
        raise CodexError(
            f"{name}: the types of its parameters, looked up in its module, cannot be understood: {error}"
        ) from error
    for key in keys:
        if key not in hints:
            raise CodexError(f"{name}({key}): {key} has no type where the function is defined")
    return hints


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with the annotations and the docstring: under partials and wrappers."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif (wrapped := getattr(function, "__wrapped__", None)) is not None:
            function = wrapped
        elif inspect.isroutine(function) or isinstance(function, type):
            return function
        else:
            function = type(function).__call__

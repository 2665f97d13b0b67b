"""What the answer of a turn is to be: the schema that is sent, and how the answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from ...exceptions import CodexError
from .answers import decode_answer, parse_error
from .from_pydantic import model_output
from .from_types import name_of, type_shape
from .json_schema import schema_output
from .shapes import Mismatch, Shape, rooted, schema_document

if TYPE_CHECKING:
    from pydantic import BaseModel

    ModelT = TypeVar("ModelT", bound=BaseModel)

T_co = TypeVar("T_co", covariant=True)

__all__ = ["Output", "json_output", "pydantic_output", "typed_output"]


class Output(Protocol[T_co]):
    """What the answer of a turn is to be."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema that is sent."""
        ...

    def parse(self, text: str) -> T_co:
        """Return what an answer stands for.

        Raises:
            CodexParseError: it is no JSON, or does not satisfy the schema; the message has the path
                of the violation and the beginning of the text.
        """
        ...


def json_output(schema: Mapping[str, Any]) -> Output[Any]:
    """Return an output that is sent as *schema* says, and whose answers are JSON documents.

    Raises:
        CodexError: *schema* is no mapping, no JSON, no valid JSON Schema (of the draft that its
            ``$schema`` names, else 2020-12), or refers to what is not in it.
    """
    return schema_output(schema)


def pydantic_output(model: type[ModelT]) -> Output[ModelT]:
    """Return an output whose answers are instances of a pydantic model.

    An answer that is JSON and does not validate raises pydantic.ValidationError.

    Raises:
        CodexError: *model* is no model, strict mode cannot express it, or pydantic is not installed.
    """
    return model_output(model)


def typed_output(output_type: Any) -> Output[Any]:
    """Return an output whose answers are values of *output_type*.

    Raises:
        CodexError: strict mode cannot express the type; the message names it and the field.
    """
    try:
        root = rooted(type_shape(output_type))
        return _TypedOutput(schema_document(root), root)
    except RecursionError as error:
        raise CodexError(
            f"the output type {name_of(output_type)} is made of itself alone"
        ) from error


@attrs.frozen
class _TypedOutput:
    schema: Mapping[str, Any]
    _root: Shape

    def parse(self, text: str) -> Any:
        answer = decode_answer(text)
        try:
            return self._root.read(answer)
        except Mismatch as mismatch:
            raise parse_error(text, reversed(mismatch.path), mismatch.reason) from mismatch
        except RecursionError as error:
            raise parse_error(text, (), "it is nested too deeply to be read") from error

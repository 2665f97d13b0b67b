"""pydantic's models as shapes of answers; the one module here that imports pydantic, and lazily."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

import attrs
import msgspec

from ...exceptions import CodexError
from .answers import decode_answer, parse_error
from .from_json_schema import json_schema_shape
from .shapes import Converted, Mismatch, Shape, rooted, schema_document

if TYPE_CHECKING:
    from pydantic import BaseModel

ModelT = TypeVar("ModelT", bound="BaseModel")

__all__ = ["PydanticOutput", "is_pydantic", "model_output", "pydantic_shape"]


def is_pydantic(cls: type) -> bool:
    """Whether *cls* is a model or a dataclass of pydantic's."""
    return hasattr(cls, "__pydantic_core_schema__")


def pydantic_shape(cls: type) -> Shape:
    """Return the shape of the answers that pydantic makes instances of *cls* of."""
    from pydantic import TypeAdapter, ValidationError

    validate: Callable[[bytes], Any] = TypeAdapter(cls).validate_json

    def make(document: Any) -> Any:
        try:
            return validate(msgspec.json.encode(document))
        except ValidationError as error:
            first = error.errors()[0]
            raise Mismatch(first["msg"], first["loc"]) from error

    return Converted(_document_shape(cls), make=make)


def model_output(model: Any) -> PydanticOutput[Any]:
    """Return the output of which pydantic makes instances of *model*.

    Raises:
        CodexError: pydantic is not installed, *model* is no model, or strict mode cannot express it.
    """
    try:
        from pydantic import BaseModel
    except ImportError as error:
        raise CodexError("pydantic is not installed: install codex-sdk-python[pydantic]") from error
    if get_origin(model) or not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise CodexError(f"{model!r} is no subclass of pydantic.BaseModel")
    root = rooted(_document_shape(model))
    return PydanticOutput(schema_document(root), root, model.model_validate_json)


@attrs.frozen
class PydanticOutput(Generic[ModelT]):
    """An answer that pydantic validates, and whose violations pydantic reports."""

    schema: Mapping[str, Any]
    _root: Shape
    _validate: Callable[[bytes], ModelT]

    def parse(self, text: str) -> ModelT:
        """Return the instance; pydantic.ValidationError, or CodexParseError for what is no JSON."""
        answer = decode_answer(text)
        try:
            document = self._root.read(answer)
        except Mismatch:
            document = answer  # pydantic, too, will find what is wrong with it
        except RecursionError as error:
            raise parse_error(text, (), "it is nested too deeply to be read") from error
        return self._validate(msgspec.json.encode(document))


def _document_shape(cls: type) -> Shape:
    return json_schema_shape(_json_schema(cls), cls.__name__)


def _json_schema(cls: type) -> dict[str, Any]:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class AlwaysGiven(GenerateJsonSchema):
        """Writes no defaults: in strict mode the model gives every field."""

        def default_schema(self, schema: Any) -> dict[str, Any]:
            return self.generate_inner(schema["schema"])

        def field_is_required(self, field: Any, total: bool) -> bool:
            return field["type"] != "typed-dict-field" or super().field_is_required(field, total)

        def field_is_present(self, field: Any) -> bool:
            return bool(
                field.get("init", True)
            )  # a dataclass's field may be none of its parameters

    try:
        return TypeAdapter(cls).json_schema(schema_generator=AlwaysGiven)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise CodexError(f"{cls.__name__} has no JSON Schema: {error}") from error

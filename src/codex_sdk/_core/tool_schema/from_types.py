"""Python types as shapes of what a tool is called with."""

from __future__ import annotations

import datetime as dt
import inspect
import sys
from collections.abc import Mapping
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec
from typing_extensions import Doc, is_typeddict

from ..output_schema.from_pydantic import is_pydantic
from ..output_schema.from_types import TypeShapes, annotated_shape, name_of
from ..output_schema.shapes import Definitions, Described, Omissible, Record, Shape
from .shapes import Anything, Fields, Members, foreign

__all__ = ["ArgumentTypes", "is_pydantic_field"]

_FORMATS = {dt.datetime: "format: date-time", dt.time: "format: time"}
"""What the schemas of msgspec do not say, since these may lack the time zone that the formats demand."""

_STRING = {"type": "string"}


class ArgumentTypes(TypeShapes):
    """The types of a tool's parameters; each class among them has one shape.

    They are read as output types are, but for what strict mode does not allow there: ``Any`` is anything, a
    mapping with strings for keys is an object, what has a default may be left out, and pydantic's models
    are described by pydantic.
    """

    def shape(self, hint: Any, where: str, metadata: tuple[msgspec.Meta, ...] = ()) -> Shape:
        if get_origin(hint) is Annotated:
            return self._commented(hint, where, metadata)
        if hint is Any or hint is object:
            return annotated_shape(Anything(), where, metadata)
        shape = super().shape(hint, where, metadata)
        return Described(shape, description=_FORMATS[hint]) if _is_time(hint) else shape

    def _commented(self, hint: Any, where: str, metadata: tuple[msgspec.Meta, ...]) -> Shape:
        base, *comments = get_args(hint)
        if any(_constrains(comment) for comment in comments):
            return annotated_shape(foreign(hint, name_of(base), where), where, metadata)
        metas = (_as_meta(comment) for comment in comments)
        return self.shape(base, where, (*metadata, *(meta for meta in metas if meta is not None)))

    def _class(self, hint: Any, cls: Any, where: str) -> Shape:
        if is_pydantic(cls):
            if hint not in self._classes:
                self._classes[hint] = foreign(cls, cls.__name__, where)
            return self._classes[hint]
        return super()._class(hint, cls, where)

    def _record(self, hint: Any, cls: Any, where: str) -> Shape:
        record = cast("Record", super()._record(hint, cls, where))
        if not is_typeddict(cls):
            parameters = inspect.signature(cls).parameters
            omissible = {key for key in record.fields if parameters[key].default is not _NO_DEFAULT}
            return _record_without(record, omissible)
        omissible = {key for key, shape in record.fields.items() if isinstance(shape, Omissible)}
        fields = {key: _required(shape) for key, shape in record.fields.items()}
        whole = Record(record.label, fields, record.make, record.description)
        return _record_without(whole, omissible)

    def _mapping(
        self, hint: Any, arguments: tuple[Any, ...], where: str, metadata: tuple[msgspec.Meta, ...]
    ) -> Shape:
        if not arguments:
            arguments = (str, Any)
        key = self.shape(arguments[0], where)
        if key.schema(Definitions(key)) != _STRING or not key.is_verbatim(set()):
            return super()._mapping(hint, arguments, where, metadata)
        members = Members(name_of(hint), self.shape(arguments[1], where))
        return annotated_shape(members, where, metadata)

    def _sequence(
        self,
        origin: Any,
        arguments: tuple[Any, ...],
        where: str,
        metadata: tuple[msgspec.Meta, ...],
    ) -> Shape:
        return super()._sequence(origin, arguments or (Any,), where, metadata)


_NO_DEFAULT = inspect.Parameter.empty


def _is_time(hint: Any) -> bool:
    return hint is dt.datetime or hint is dt.time


def _record_without(record: Record, omissible: set[str]) -> Shape:
    return Fields(record.label, record, frozenset(omissible)) if omissible else record


def _required(shape: Shape) -> Shape:
    return shape.shape if isinstance(shape, Omissible) else shape


def _as_meta(comment: Any) -> msgspec.Meta | None:
    """Return what a comment in ``Annotated[…]`` says, if that is for us."""
    if isinstance(comment, msgspec.Meta):
        return comment
    if isinstance(comment, Doc):
        comment = comment.documentation
    elif is_pydantic_field(comment):
        comment = comment.description
    return msgspec.Meta(description=comment) if isinstance(comment, str) and comment else None


def _constrains(comment: Any) -> bool:
    """Whether a comment is a field of pydantic's that does more than describe."""
    return is_pydantic_field(comment) and bool(comment.metadata or comment.discriminator)


def is_pydantic_field(comment: Any) -> bool:
    fields: Mapping[str, Any] = vars(sys.modules.get("pydantic.fields", object))
    return "FieldInfo" in fields and isinstance(comment, fields["FieldInfo"])

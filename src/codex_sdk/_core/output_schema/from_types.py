"""Python types as shapes of answers."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import json
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import attrs
import msgspec
from typing_extensions import NotRequired, ReadOnly, Required, get_type_hints, is_typeddict

from ...exceptions import CodexError
from .from_pydantic import is_pydantic, pydantic_shape
from .shapes import (
    Array,
    Choice,
    Converted,
    Described,
    Leaf,
    Named,
    Omissible,
    OneOf,
    Record,
    Shape,
    fixed_tuple,
    pairs,
)

__all__ = ["TypeShapes", "annotated_shape", "name_of", "type_shape"]

_LEAVES: frozenset[Any] = frozenset(
    {
        str,
        bool,
        int,
        float,
        types.NoneType,
        bytes,
        bytearray,
        dt.datetime,
        dt.date,
        dt.time,
        dt.timedelta,
        decimal.Decimal,
        uuid.UUID,
    }
)
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    abc.Collection: list,
    abc.Iterable: list,
    abc.MutableSequence: list,
    abc.Sequence: list,
    set: set,
    abc.MutableSet: set,
    abc.Set: set,
    frozenset: frozenset,
    tuple: tuple,
}
_BARE_TUPLES = (tuple, typing.Tuple)  # noqa: UP006
_MAPPINGS: frozenset[Any] = frozenset({dict, abc.Mapping, abc.MutableMapping})
_UNIONS: frozenset[Any] = frozenset({Union, types.UnionType})
_QUALIFIERS: frozenset[Any] = frozenset({Required, NotRequired, ReadOnly})
_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")
_JSON_SCALARS = (str, bool, int, float, types.NoneType)


def type_shape(hint: Any) -> Shape:
    """Return the shape of the answers that become values of the type *hint*.

    attrs classes, dataclasses and NamedTuples are made by calling them with the fields that their
    ``__init__`` takes, so that converters, validators and defaults of fields that it does not take work;
    TypedDicts are dicts. Numbers, strings, dates and their like are read by msgspec, with the
    constraints of ``Annotated[…, msgspec.Meta(…)]``, and pydantic's models and dataclasses by pydantic.
    Enum members are given by their values, or by their names where a value is nothing that JSON has.

    Raises:
        CodexError: there is no such shape; the message names the type and the field.
    """
    return TypeShapes().shape(hint, name_of(hint))


def name_of(hint: Any) -> str:
    """Return what to call a type."""
    arguments = get_args(hint)
    name = getattr(get_origin(hint) or hint, "__name__", None) or str(hint)
    return f"{name}[{', '.join(map(name_of, arguments))}]" if arguments else name


@attrs.frozen
class _Part:
    """A part of a class: a parameter of what makes its instances, or a key of a TypedDict."""

    hint: Any
    omissible: bool = False


class TypeShapes:
    """The types that make up one type of an answer or of arguments; each class among them has one shape.

    What reads arguments builds on this, and allows there what strict mode does not allow in answers.
    """

    def __init__(self) -> None:
        self._classes: dict[Any, Shape] = {}

    def shape(self, hint: Any, where: str, metadata: tuple[msgspec.Meta, ...] = ()) -> Shape:
        """Return the shape of a type; *where* it is used is for error messages."""
        origin: Any = get_origin(hint) or hint
        arguments = get_args(hint)
        if origin is Annotated:
            metas = (meta for meta in arguments[1:] if isinstance(meta, msgspec.Meta))
            return self.shape(arguments[0], where, (*metadata, *metas))
        if hasattr(hint, "__supertype__"):  # a NewType
            return self.shape(hint.__supertype__, where, metadata)
        if not isinstance(hint, abc.Hashable):
            raise CodexError(f"{where}: {hint!r} is no type")
        if hint is None or origin in _LEAVES:
            return _leaf(hint, where, metadata)
        if origin in _SEQUENCES and not _is_fixed_tuple(hint):
            return self._sequence(origin, arguments, where, metadata)
        if origin in _MAPPINGS:
            return self._mapping(hint, arguments, where, metadata)
        return annotated_shape(self._composed(hint, origin, arguments, where), where, metadata)

    def _composed(self, hint: Any, origin: Any, arguments: tuple[Any, ...], where: str) -> Shape:
        if origin in _UNIONS:
            return OneOf(name_of(hint), tuple(self.shape(member, where) for member in arguments))
        if origin is Literal:
            return _literal(arguments, where)
        if hasattr(origin, "__value__"):  # a type alias
            value = _bound(
                origin.__value__, dict(zip(origin.__type_params__, arguments, strict=False))
            )
            return self._name(hint, lambda: self.shape(value, name_of(hint)))
        if origin is tuple:
            return fixed_tuple([self.shape(item, where) for item in arguments], tuple)
        if isinstance(origin, type):
            return self._class(hint, origin, where)
        raise _unknown(hint, where)

    def _class(self, hint: Any, cls: Any, where: str) -> Shape:
        if issubclass(cls, PurePath):
            return Converted(_leaf(str, where, ()), label=cls.__name__, make=cls)
        if issubclass(cls, enum.Enum):
            return self._name(hint, lambda: _enumeration(cls, where))
        if is_pydantic(cls):
            return self._classes.setdefault(hint, pydantic_shape(cls))
        return self._name(hint, lambda: self._record(hint, cls, where))

    def _record(self, hint: Any, cls: Any, where: str) -> Shape:
        parts = _parts_of(cls, where)
        if parts is None:
            raise _unknown(hint, where)
        bindings = _bindings(hint)
        shapes = {
            key: self._part(part, bindings, f"{cls.__name__}.{key}") for key, part in parts.items()
        }

        def make(values: dict[str, Any]) -> Any:
            return cls(**values)

        return Record(
            cls.__name__, shapes, dict if is_typeddict(cls) else make, _documentation(cls)
        )

    def _part(self, part: _Part, bindings: Mapping[Any, Any], where: str) -> Shape:
        shape = self.shape(_bound(part.hint, bindings), where)
        return Omissible(shape.label, shape) if part.omissible else shape

    def _sequence(
        self,
        origin: Any,
        arguments: tuple[Any, ...],
        where: str,
        metadata: tuple[msgspec.Meta, ...],
    ) -> Shape:
        if not arguments:
            raise CodexError(f"{where}: {name_of(origin)} does not say what it holds")
        constrained, keywords = _constrained(list, where, metadata)
        item = self.shape(arguments[0], where)
        return Array(name_of(origin), item, _SEQUENCES[origin], constrained, keywords)

    def _mapping(
        self, hint: Any, arguments: tuple[Any, ...], where: str, metadata: tuple[msgspec.Meta, ...]
    ) -> Shape:
        if not arguments:
            raise CodexError(f"{where}: {name_of(hint)} does not say what it holds")
        key, value = (self.shape(argument, where) for argument in arguments)
        return pairs(key, value, *_constrained(list, where, metadata))

    def _name(self, hint: Any, make: Callable[[], Shape]) -> Shape:
        if hint not in self._classes:
            named = self._classes[hint] = Named(label=name_of(hint))
            named.shape = make()
        return self._classes[hint]


def _is_fixed_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple and hint not in _BARE_TUPLES and get_args(hint)[1:] != (...,)


def _leaf(hint: Any, where: str, metadata: tuple[msgspec.Meta, ...]) -> Shape:
    return Leaf(name_of(hint), *_constrained(hint, where, metadata))


def _constrained(
    hint: Any, where: str, metadata: tuple[msgspec.Meta, ...]
) -> tuple[Any, dict[str, Any]]:
    """Return the type with its constraints, and its JSON Schema."""
    constrained = hint
    for meta in metadata:
        constrained = Annotated[constrained, meta]
    try:
        return constrained, msgspec.json.schema(constrained)
    except TypeError as error:
        raise CodexError(f"{where}: {error}") from error


def annotated_shape(shape: Shape, where: str, metadata: tuple[msgspec.Meta, ...]) -> Shape:
    """Return *shape* with the descriptions that *metadata* has; CodexError, if it has constraints.

    These apply to numbers, texts and sequences alone, which take them by themselves.
    """
    for meta in metadata:
        for constraint in _CONSTRAINTS:
            if getattr(meta, constraint) is not None:
                raise CodexError(
                    f"{where}: {constraint} does not apply to {shape.label}; put it on what it is made of"
                )
        if meta.description:
            shape = Described(shape, description=meta.description)
    return shape


def _literal(values: tuple[Any, ...], where: str) -> Shape:
    choices = tuple(
        (value.value if isinstance(value, enum.Enum) else value, value) for value in values
    )
    if not all(type(value) in _JSON_SCALARS for value, _ in choices):
        raise CodexError(f"{where}: not all of {values} are values that JSON has")
    return Choice("literal", choices)


def _enumeration(cls: type[enum.Enum], where: str) -> Shape:
    members = list(cls)
    if not members:
        raise CodexError(f"{where}: the enum {cls.__name__} has no members")
    description = _documentation(cls)
    if not all(type(member.value) in _JSON_SCALARS for member in members):
        return Choice(cls.__name__, tuple((member.name, member) for member in members), description)
    if not all(isinstance(member.value, str) for member in members):
        legend = ", ".join(f"{json.dumps(member.value)}: {member.name}" for member in members)
        description = f"{description}\n\n{legend}".strip()
    return Choice(cls.__name__, tuple((member.value, member) for member in members), description)


def _parts_of(cls: Any, where: str) -> dict[str, _Part] | None:
    """Return the parts of a class by what they are called in an answer; None if it is of another kind."""
    if is_typeddict(cls):
        return _keys_of(cls, where)
    parameters = _parameters_of(cls)
    if parameters is None:
        return None
    hints = _hints(cls, where)
    parts = {key: _Part(hints.get(name, fallback)) for key, name, fallback in parameters}
    for key, part in parts.items():
        if part.hint is None:
            raise CodexError(f"{cls.__name__}.{key} has no type")
    try:
        inspect.signature(cls).bind(**parts)
    except TypeError as error:
        raise CodexError(f"{cls.__name__} cannot be made of its fields: {error}") from error
    return parts


def _parameters_of(cls: Any) -> list[tuple[str, str, Any]] | None:
    """Return what a class is called with: name, attribute, and its type where no annotation has it."""
    if attrs.has(cls):
        return [(field.alias, field.name, field.type) for field in attrs.fields(cls) if field.init]
    if dataclasses.is_dataclass(cls):
        return [(field.name, field.name, None) for field in dataclasses.fields(cls) if field.init]
    if tuple in cls.__mro__ and hasattr(cls, "_fields"):
        return [(name, name, None) for name in cls._fields]
    return None


def _keys_of(cls: Any, where: str) -> dict[str, _Part]:
    """Return the keys of a TypedDict."""
    return {
        key: _key(hint, key in cls.__required_keys__) for key, hint in _hints(cls, where).items()
    }


def _key(hint: Any, required: bool) -> _Part:
    qualifier = get_origin(hint)
    if qualifier not in _QUALIFIERS:
        return _Part(hint, not required)
    (hint,) = get_args(hint)
    return _key(hint, required if qualifier is ReadOnly else qualifier is Required)


def _hints(cls: Any, where: str) -> dict[str, Any]:
    try:
        try:
            return get_type_hints(cls, include_extras=True)
        except NameError:  # a class inside a function may still refer to itself
            return get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    except Exception as error:  # annotations are evaluated: they may raise anything
        raise CodexError(
            f"{where}: the annotations of {cls.__name__}, looked up in its module, cannot be "
            f"understood: {error}"
        ) from error


def _bindings(hint: Any) -> dict[Any, Any]:
    """Return what the type variables of a class and of its bases stand for."""
    origin = get_origin(hint) or hint
    bound = dict(zip(getattr(origin, "__parameters__", ()), get_args(hint), strict=False))
    for base in getattr(origin, "__orig_bases__", ()):
        inherited = {name: _bound(value, bound) for name, value in _bindings(base).items()}
        bound = {**inherited, **bound}
    return bound


def _bound(hint: Any, bindings: Mapping[Any, Any]) -> Any:
    """Return a type with the type variables in it replaced by what they stand for."""
    if isinstance(hint, TypeVar):
        return bindings.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not parameters or get_origin(hint) is None:
        return hint
    return hint[tuple(bindings.get(parameter, parameter) for parameter in parameters)]


def _documentation(cls: type) -> str:
    """Return the docstring of a class, if somebody wrote it."""
    text = cls.__dict__.get("__doc__") or ""
    generated = text.startswith(f"{cls.__name__}(") or text == "An enumeration."
    return "" if generated else inspect.cleandoc(text)


def _unknown(hint: Any, where: str) -> CodexError:
    if hint in (Any, object):
        reason = f"{name_of(hint)} may be anything, and OpenAI's strict mode wants to know what"
    elif isinstance(hint, (str, ForwardRef)):
        reason = f"{name_of(hint)} is the name of a type, and it is not known where to look it up"
    else:
        reason = f"there is no way to give a {name_of(hint)} in JSON"
    return CodexError(f"{where}: {reason}")

"""What the generated files consist of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Union

Default = Union[None, bool, int, float, str, tuple[object, ...]]


class Annotation(NamedTuple):
    """A type expression, and the generated names in it."""

    text: str
    names: frozenset[str] = frozenset()


class Field(NamedTuple):
    """A field of a class."""

    name: str
    wire_name: str
    annotation: Annotation
    required: bool
    default: Default
    description: str
    experimental: bool


class ObjectType(NamedTuple):
    """A class: one kind of JSON object."""

    name: str
    description: str
    fields: tuple[Field, ...]
    tag: tuple[str, str] | None = None
    """The key that tells this variant of a union, and its value."""
    wrapper: str | None = None
    """The one key of the object around the fields, which tells this variant of a union."""
    additional: bool = False
    """Whether keys that the schema does not name are kept."""
    member_of: str | None = None
    """The union of which this is a variant."""
    experimental: bool = False


class UnionType(NamedTuple):
    """An alias: one of several types."""

    name: str
    description: str
    members: tuple[Annotation, ...]
    experimental: bool = False


class LiteralType(NamedTuple):
    """An alias: one of several words, which are an open set."""

    name: str
    description: str
    values: Mapping[str, str]
    """The words, and what the schema says of them."""
    experimental: bool = False


class PlainType(NamedTuple):
    """An alias of a built-in type."""

    name: str
    description: str
    annotation: Annotation
    experimental: bool = False


Type = Union[ObjectType, UnionType, LiteralType, PlainType]
Direction = Literal["sent", "received", "both"]


def parts_of(type_: Type) -> list[str]:
    """Return the names of the generated types that a type is directly made of."""
    if isinstance(type_, ObjectType):
        annotations = [field.annotation for field in type_.fields]
    elif isinstance(type_, UnionType):
        annotations = list(type_.members)
    else:
        annotations = [type_.annotation] if isinstance(type_, PlainType) else []
    return sorted(frozenset[str]().union(*(annotation.names for annotation in annotations)))

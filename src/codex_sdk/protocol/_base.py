"""What the generated classes are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from threading import RLock
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    overload,
)

import attrs

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:  # a checkers' decorator, which Python itself has from 3.11 on

    def dataclass_transform(**_):
        return lambda decorator: decorator


T = TypeVar("T")
ObjectT = TypeVar("ObjectT", bound="ProtocolObject")
ResultT_co = TypeVar("ResultT_co", covariant=True)


class Null(Enum):
    """The type of :data:`NULL`."""

    NULL = "null"

    def __repr__(self) -> str:
        return "NULL"


NULL: Final = Null.NULL
"""Sent as ``null``, where ``None`` is not sent at all.

A field of what clients send that is ``None`` is left out, so that the server's own default holds. Some fields
give ``null`` a meaning of its own, mostly "clear what is stored": they take ``NULL``.
"""

Nullable = Union[T, Null, None]
"""A field of what clients send: a value, :data:`NULL`, or ``None`` for leaving it out."""


class WireForm(NamedTuple):
    """How the objects of a class look in JSON, where it is not their fields in camel case."""

    tag: tuple[str, str] | None = None
    """A key that tells the variants of a union apart, and its value in this one."""
    wrapper: str | None = None
    """The only key of an object around the fields, which tells the variants of a union apart."""
    names: Mapping[str, str] = {}
    """The keys of fields whose key is not their own name in camel case."""
    keeps_more: bool = False
    """Whether ``additional_properties`` holds the keys that the schema leaves open."""


class ProtocolObject:
    """Base of all classes of the protocol: frozen values, made with keyword arguments.

    They compare and hash by content (hashing works where every field can be hashed; a list is as good
    as a tuple), pickle, and cannot be changed; ``attrs.evolve`` makes a changed copy.
    """

    if TYPE_CHECKING:
        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[Any], ...]]
    else:

        def __init__(self, **fields):
            if finished(self.__class__).__init__ is ProtocolObject.__init__:
                raise TypeError(
                    f"{self.__class__.__name__} is no attrs class, it needs @attrs.frozen"
                )
            self.__init__(**fields)  # the one that attrs has just made

    wire_form: ClassVar[WireForm] = WireForm()
    """How the objects look in JSON, where their fields do not tell."""

    def __eq__(self, other: object) -> bool:
        if self.__class__ is not other.__class__:
            return NotImplemented
        return _content(self) == _content(other)

    def __hash__(self) -> int:
        return hash((self.__class__, _content(self)))

    def __repr__(self) -> str:
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in attrs.fields(self.__class__)
            if getattr(self, field.name) != field.default
        ]
        return f"{self.__class__.__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (
            self.__class__,
            vars(self),
        )  # by way of __init__, which finishes the class


def _restored(cls: Callable[..., T], fields: Mapping[str, Any]) -> T:
    return cls(**fields)


def _content(value: Any) -> tuple[Any, ...]:
    values = (getattr(value, field.name) for field in attrs.fields(value.__class__))
    return tuple(
        tuple(cast("list[object]", item)) if isinstance(item, list) else item for item in values
    )


class Request(ProtocolObject, Generic[ResultT_co]):
    """Base of the params of the methods that clients may call; its type parameter is the result.

    Attributes:
        method: the name of the method.
    """

    method: ClassVar[str]


@attrs.frozen
class UnknownVariant:
    """A variant of a union that this version of the package does not know, kept as it came.

    What tells the variants of the union apart is always ``"unknown"`` here, so that comparing it with
    a known word narrows the union. Sent, it is ``raw``.

    Attributes:
        wire_type: the word that the server has for the variant; empty where it has none.
        raw: the JSON value.
    """

    type: ClassVar[Literal["unknown"]] = "unknown"
    kind: ClassVar[Literal["unknown"]] = "unknown"
    mode: ClassVar[Literal["unknown"]] = "unknown"
    handler_type: ClassVar[Literal["unknown"]] = "unknown"

    wire_type: str
    raw: Any


@attrs.frozen
class UnknownPayload:
    """The params of a method that this version of the package does not know, kept as they came."""

    method: str
    params: Any


_UNFINISHED: set[type[ProtocolObject]] = set()
_FINISHING = RLock()


@overload
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field,))
def define(cls: type[ObjectT], /) -> type[ObjectT]: ...
@overload
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field,))
def define(
    *,
    tag: tuple[str, str] | None = None,
    wrapper: str | None = None,
    wire: Mapping[str, str] | None = None,
    keeps_more: bool = False,
) -> Callable[[type[ObjectT]], type[ObjectT]]: ...
def define(
    cls: Any = None,
    /,
    *,
    tag: tuple[str, str] | None = None,
    wrapper: str | None = None,
    wire: Mapping[str, str] | None = None,
    keeps_more: bool = False,
) -> Any:
    """Declare a class of the protocol, which attrs is to finish when it is first used.

    What attrs does takes ten times as long as all the rest of making a class, and most classes of a file
    are never used.
    """

    def declare(cls: type[ProtocolObject]) -> type[ProtocolObject]:
        cls.wire_form = WireForm(tag, wrapper, wire or {}, keeps_more)
        _UNFINISHED.add(cls)
        return cls

    return declare if cls is None else declare(cls)


def finished(cls: type[ObjectT]) -> type[ObjectT]:
    """Return the class, which is an attrs class from now on, in whichever thread."""
    if cls in _UNFINISHED:
        with _FINISHING:
            if cls in _UNFINISHED:
                # with slots it would make another class; the rest ProtocolObject has already
                attrs.frozen(cls, kw_only=True, slots=False, eq=False, repr=False, match_args=False)
                _UNFINISHED.discard(cls)
    return cls

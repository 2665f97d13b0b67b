"""What reads JSON-ready data as one type.

A reader is put together when its type is first met: a session meets few of the hundreds. The reader of a
class goes through the fields in a loop. Code that is made for the class, as cattrs makes it, runs no faster
and takes several times as long to make.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator, Mapping
from types import NoneType
from typing import Any, Literal, NamedTuple, Union, cast, get_args, get_origin

from ..exceptions import CodexError
from ._base import NULL, Null, ProtocolObject, UnknownVariant
from ._forms import MORE, Form, Mismatch, form_of

__all__ = ["Readers"]

Reader = Callable[[Any], Any]

_ABSENT: Any = object()
_NAMES: dict[Any, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    NoneType: "null",
    list: "an array",
    dict: "an object",
}


class _FieldReader(NamedTuple):
    """What reads a field of a class."""

    key: str
    name: str
    usual: Any
    """The class of values that need no reading."""
    read: Reader
    required: bool


class Readers:
    """The readers of all types that were met so far.

    Args:
        lenient: whether a required field that is missing is ``None``, rather than an error.
    """

    def __init__(self, *, lenient: bool) -> None:
        self._lenient = lenient
        self._readers: dict[Any, Reader] = {}

    def of(self, cls: Any) -> Reader:
        """Return what reads JSON-ready data as *cls*.

        Raises:
            CodexError: *cls* is none of the types of which the protocol consists.
        """
        reader = self._readers.get(cls)
        if reader is None:
            reader = self._readers[cls] = self._new(cls)
        return reader

    def _new(self, cls: Any) -> Reader:
        origin = get_origin(cls)
        if cls is Any:
            return _unread
        if origin is Union:
            return self._union_reader(get_args(cls))
        if origin is Literal:
            return _scalar_reader(str)
        if origin in (tuple, collections.abc.Sequence):
            return self._list_reader(get_args(cls)[0])
        if origin is collections.abc.Mapping:
            return self._mapping_reader(get_args(cls)[1])
        if cls in _NAMES:
            return _scalar_reader(cls)
        if _is_object(cls):
            return self._object_reader(cls)
        raise CodexError(f"{cls!r} is no type of the app-server protocol")

    def _list_reader(self, item: Any) -> Reader:
        read_item = self.of(item)
        usual = _usual(item)

        def read(data: Any) -> tuple[Any, ...]:
            if not isinstance(data, (list, tuple)):
                raise _wrong_kind("an array", data)
            items = cast("list[Any]", data)
            if usual and {item.__class__ for item in items} <= {usual}:
                return tuple(items)
            try:
                return tuple([read_item(item) for item in items])
            except Mismatch:
                return tuple(_read_each(read_item, items))

        return read

    def _mapping_reader(self, content: Any) -> Reader:
        read_content = self.of(content)

        def read(data: Any) -> Mapping[str, Any]:
            contents: dict[str, Any] = {}
            for key, value in _object(data).items():
                try:
                    contents[key] = read_content(value)
                except Mismatch as mismatch:
                    raise mismatch.within(f".{key}") from None
            return contents

        return read

    def _object_reader(self, cls: type[ProtocolObject]) -> Reader:
        tag, wrapper, _, keeps_more = cls.wire_form
        fields: list[_FieldReader] | None = None

        def read(data: Any) -> Any:
            nonlocal fields
            if (
                fields is None
            ):  # now, and not when a class that has this one for a part is first met
                fields = self._field_readers(form_of(cls))
            content = _object(data)
            if tag and content.get(tag[0]) != tag[1]:
                raise Mismatch(f"{tag[0]!r} is not {tag[1]!r}")
            values = _read_fields(fields, content, lenient=self._lenient)
            if keeps_more:
                known = form_of(cls).keys
                values[MORE] = {key: value for key, value in content.items() if key not in known}
            return cls(**values)

        return read if wrapper is None else _unwrapping_reader(wrapper, read)

    def _field_readers(self, form: Form) -> list[_FieldReader]:
        types = form.types
        return [
            _FieldReader(key, name, _usual(types[name]), self.of(types[name]), required)
            for key, name, required, _ in form.fields
        ]

    def _union_reader(self, members: tuple[Any, ...]) -> Reader:
        readers = {_kind_of_type(member): self.of(member) for member in filter(_is_simple, members)}
        if float in readers:
            readers.setdefault(int, readers[float])
        if NoneType in members:
            readers[NoneType] = _null_reader(NULL if Null in members else None)
        if classes := list(filter(_is_object, members)):
            readers[dict] = self._variant_reader(classes, is_open=UnknownVariant in members)

        def read(data: Any) -> Any:
            reader = readers.get(data.__class__) or readers.get(_kind_of(data))
            if reader is None:
                raise _wrong_kind(" or ".join(_NAMES[kind] for kind in readers), data)
            return reader(data)

        return read

    def _variant_reader(self, classes: list[type[ProtocolObject]], *, is_open: bool) -> Reader:
        if not is_open:
            [cls] = classes  # one class or null, say
            return self.of(cls)
        tags = {tag: cls for cls in classes if (tag := cls.wire_form.tag)}
        if not tags:
            return self._untagged_reader(classes)
        [key] = {key for key, _ in tags}
        return _tagged_reader(key, {word: self.of(cls) for (_, word), cls in tags.items()})

    def _untagged_reader(self, classes: list[type[ProtocolObject]]) -> Reader:
        """Return what reads unions of which the keys themselves tell the variants apart.

        The variant that knows the most of the keys is tried first.
        """

        def read(data: Any) -> Any:
            fitting = [cls for cls in classes if _fits(form_of(cls), data)]
            fitting.sort(key=lambda cls: len(form_of(cls).keys & data.keys()), reverse=True)
            failure = None
            for cls in fitting:
                try:
                    return self.of(cls)(data)
                except Mismatch as mismatch:
                    failure = failure or mismatch
            if failure:
                raise failure
            return UnknownVariant(next(iter(data)) if len(data) == 1 else "", data)

        return read


def _unread(data: Any) -> Any:
    return data


def _null_reader(null: Null | None) -> Reader:
    return lambda _: null


def _scalar_reader(cls: type) -> Reader:
    accepted = (int, float) if cls is float else cls

    def read(data: Any) -> Any:
        if isinstance(data, accepted) and (cls is bool or not isinstance(data, bool)):
            return data
        raise _wrong_kind(_NAMES[cls], data)

    return read


def _tagged_reader(key: str, readers: Mapping[str, Reader]) -> Reader:
    """Return what reads unions of which a key tells the variants apart."""

    def read(data: Any) -> Any:
        word = data.get(key, _ABSENT)
        if word is _ABSENT:
            raise Mismatch(f"{key!r} is missing")
        if not isinstance(word, str):
            raise _wrong_kind("a string", word).within(f".{key}")
        reader = readers.get(word)
        return UnknownVariant(word, data) if reader is None else reader(data)

    return read


def _read_each(read_item: Reader, items: list[Any]) -> Iterator[Any]:
    """Read items of which one cannot be read, to say which."""
    for index, item in enumerate(items):
        try:
            yield read_item(item)
        except Mismatch as mismatch:
            raise mismatch.within(f"[{index}]") from None


def _read_fields(
    fields: list[_FieldReader], data: Mapping[str, Any], *, lenient: bool
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    get = data.get
    key = ""
    try:
        for key, name, usual, read, required in fields:
            value = get(key, _ABSENT)
            if value.__class__ is usual:
                values[name] = value
            elif value is not _ABSENT:
                values[name] = read(value)
            elif required and lenient:
                values[name] = None
            elif required:
                break
        else:
            return values
    except Mismatch as mismatch:
        raise mismatch.within(f".{key}") from None
    raise Mismatch(f"{key!r} is missing")


def _object(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return cast("Mapping[str, Any]", data)
    raise _wrong_kind("an object", data)


def _unwrapping_reader(wrapper: str, read_inside: Reader) -> Reader:
    """Return what reads the content of an object with one key."""

    def read(data: Any) -> Any:
        outer = _object(data)
        if wrapper not in outer:
            raise Mismatch(f"{wrapper!r} is missing")
        try:
            return read_inside(outer[wrapper])
        except Mismatch as mismatch:
            raise mismatch.within(f".{wrapper}") from None

    return read


def _wrong_kind(wanted: str, data: Any) -> Mismatch:
    kind = next(
        (name for cls, name in _NAMES.items() if isinstance(data, cls)), type(data).__name__
    )
    return Mismatch(f"{wanted} is wanted, not {kind}")


def _usual(cls: Any) -> Any:
    """Return the class of values of the type *cls* that need no reading, or ``None``."""
    members = set(get_args(cls)) - {NoneType, Null} if get_origin(cls) is Union else {cls}
    if len(members) != 1:
        return None
    [only] = members
    if get_origin(only) is Literal:
        return str
    return only if only in (str, int, bool) else None


def _is_object(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, ProtocolObject)


def _is_simple(cls: Any) -> bool:
    return cls not in (NoneType, Null, UnknownVariant) and not _is_object(cls)


def _kind_of_type(cls: Any) -> Any:
    """Return the class of what json makes of a value of the type *cls*."""
    origin = get_origin(cls)
    if origin is Literal:
        return str
    if origin in (tuple, collections.abc.Sequence):
        return list
    return dict if origin is collections.abc.Mapping else cls


def _kind_of(data: Any) -> Any:
    """Return the class that json would make *data* of; *data* may be of another, like it."""
    if isinstance(data, Mapping):
        return dict
    if isinstance(data, tuple):
        return list
    return next((cls for cls in _NAMES if isinstance(data, cls)), None)


def _fits(form: Form, data: Mapping[str, Any]) -> bool:
    if form.wrapper:
        return form.wrapper in data
    required = [field for field in form.fields if field.required]
    return all(
        field.key in data and _is_possible(data[field.key], form.types[field.name])
        for field in required
    )


def _is_possible(value: Any, cls: Any) -> bool:
    return get_origin(cls) is not Literal or value in get_args(cls)

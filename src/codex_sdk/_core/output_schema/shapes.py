"""Shapes of answers: what the schema says of each, and how an answer of it is read.

One object answers both questions, so that what the model is told and what is then accepted cannot differ.
Strict mode knows neither open mappings nor tuples, and a union's members cannot always be told apart;
each of these is put together from the shapes that strict mode does know:

* a mapping is an array of ``{"key": …, "value": …}``;
* a tuple of fixed length is an object ``{"item_0": …, "item_1": …}``;
* the members of a union that the same JSON could be read as, with different results, are each wrapped
  in an object with one property, named for the member: ``{"Cat": {…}}``;
* a key that may be left out is a key that may be null;
* an answer that is no object is the property ``value`` of one.

The reader is our own because neither msgspec nor cattrs reads this: msgspec refuses unions of two classes,
cattrs takes a missing key for a default (and then reads one member of a union as another), and neither
can be told of the encodings without being told of every type.
"""

from __future__ import annotations

import re
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from types import NoneType
from typing import Any, Union

import attrs
import msgspec

from .answers import Key
from .strict_mode import check_limits, legal_keywords

__all__ = [
    "JSON_LEAVES",
    "Array",
    "Choice",
    "Converted",
    "Described",
    "Leaf",
    "Mismatch",
    "Named",
    "Omissible",
    "OneOf",
    "Record",
    "Shape",
    "fixed_tuple",
    "pairs",
    "rooted",
    "schema_document",
    "unique",
]

_KINDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    NoneType: "null",
    list: "array",
    dict: "object",
}
JSON_LEAVES: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": Union[int, float],
    "null": NoneType,
}
"""The Python type of each JSON type without parts, by the name that JSON Schema has for it."""

_PLAIN = (*JSON_LEAVES.values(), float)
_ABSENT = object()


class Mismatch(Exception):
    """A part of an answer is not what it should be; the path is put together on the way up.

    Attributes:
        reason: what is wrong with it.
        path: the keys that lead to it, the innermost first.
    """

    def __init__(self, reason: str, path: Sequence[Key] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = [*reversed(path)]


class Definitions:
    """The ``$defs`` of a schema that is being written."""

    def __init__(self, root: Shape) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}
        self._references: dict[Shape, str] = {}
        while isinstance(root, (Named, Converted)):
            if isinstance(root, Named):
                self._references[root] = "#"
            root = root.shape

    def reference(self, shape: Shape) -> dict[str, Any]:
        """Return a reference to the definition of *shape*, written at the first call."""
        if shape not in self._references:
            name = unique(shape.label, self.schemas)
            self._references[shape] = f"#/$defs/{name}"
            self.schemas[name] = {}  # taken, while what it holds refers to it
            self.schemas[name] = shape.body(self)
        return {"$ref": self._references[shape]}


class Shape(ABC):
    """What a part of an answer may look like."""

    label: str

    @property
    @abstractmethod
    def kinds(self) -> frozenset[str]:
        """The JSON types that it may have."""

    @abstractmethod
    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """Return its schema, which may be a reference."""

    def body(self, definitions: Definitions) -> dict[str, Any]:
        """Return its schema, written out."""
        return self.schema(definitions)

    @abstractmethod
    def read(self, answer: Any) -> Any:
        """Return what *answer* stands for; Mismatch if it is not of this shape."""

    @abstractmethod
    def is_verbatim(self, seen: set[Shape]) -> bool:
        """Whether what is read is always the JSON value itself; *seen* are taken to be so."""

    def resolved(self) -> Shape:
        """Return the shape under all names, descriptions and conversions."""
        return self

    @property
    def is_named(self) -> bool:
        """Whether its schema is a reference."""
        return False


@attrs.frozen(eq=False)
class Leaf(Shape):
    """A value without parts, as msgspec reads it.

    Attributes:
        type: the type that msgspec converts the JSON value to.
        keywords: its JSON Schema, of whatever keywords.
    """

    label: str
    type: Any
    keywords: Mapping[str, Any]

    @property
    def kinds(self) -> frozenset[str]:
        kind = self.keywords["type"]
        return frozenset({"integer", "number"} if kind == "number" else {kind})

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return legal_keywords(self.keywords)

    def read(self, answer: Any) -> Any:
        plain = _convert(answer, JSON_LEAVES[self.keywords["type"]])  # Decimal takes numbers, too
        return _convert(plain, self.type)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.type in _PLAIN


@attrs.frozen(eq=False)
class Choice(Shape):
    """One of some values.

    Attributes:
        values: the JSON values, each with what it stands for.
    """

    label: str
    values: tuple[tuple[Any, Any], ...]
    description: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(_KINDS[type(value)] for value, _ in self.values)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        kinds = sorted(self.kinds)
        schema = {
            "type": kinds[0] if len(kinds) == 1 else kinds,
            "enum": [value for value, _ in self.values],
        }
        return _described(schema, self.description)

    def read(self, answer: Any) -> Any:
        for value, meaning in self.values:
            if value == answer and isinstance(value, bool) == isinstance(answer, bool):
                return meaning
        values = reprlib.repr([value for value, _ in self.values])
        raise Mismatch(f"{reprlib.repr(answer)} is not one of {values}")

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return all(meaning is value for value, meaning in self.values)


@attrs.frozen(eq=False)
class Array(Shape):
    """Any number of items.

    Attributes:
        make: makes the value from the list of the items.
        type: the list type, possibly constrained, that the JSON value must convert to.
        keywords: the JSON Schema of that type, but for ``items``.
    """

    label: str
    item: Shape
    make: Callable[[list[Any]], Any]
    type: Any
    keywords: Mapping[str, Any]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset({"array"})

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        item = self.item.schema(definitions)
        return {**legal_keywords({"type": "array", **self.keywords}), "items": item}

    def read(self, answer: Any) -> Any:
        items = [
            _read_at(index, self.item, item)
            for index, item in enumerate(_convert(answer, self.type))
        ]
        return _made(self.make, items)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.make is list and self.item.is_verbatim(seen)


@attrs.frozen(eq=False)
class Record(Shape):
    """An object that has exactly these keys.

    Attributes:
        make: makes the value from the dict of what was read, without what was left out.
    """

    label: str
    fields: Mapping[str, Shape]
    make: Callable[[dict[str, Any]], Any]
    description: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset({"object"})

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        schema = {
            "type": "object",
            "properties": {key: shape.schema(definitions) for key, shape in self.fields.items()},
            "required": [*self.fields],
            "additionalProperties": False,
        }
        return _described(schema, self.description)

    def read(self, answer: Any) -> Any:
        document: dict[str, Any] = _convert(answer, dict)
        for key in self.fields:
            if key not in document:
                raise Mismatch(f"the key {key!r} is missing")
        for key in document:
            if key not in self.fields:
                raise Mismatch(f"the key {key!r} is not expected")
        values = {key: _read_at(key, shape, document[key]) for key, shape in self.fields.items()}
        given = {key: value for key, value in values.items() if value is not _ABSENT}
        return _made(self.make, given)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.make is dict and all(shape.is_verbatim(seen) for shape in self.fields.values())


@attrs.frozen(eq=False, slots=False)
class OneOf(Shape):
    """A union."""

    label: str
    members: tuple[Shape, ...]

    @cached_property
    def alternatives(self) -> tuple[Shape, ...]:
        """The members as they are sent: wrapped in objects, where they could be confused."""
        for wrapped in ((), _confused(self.members)):
            alternatives = self._wrapping(wrapped)
            if not _confused(alternatives):
                return alternatives
        return self._wrapping(self.members)

    def _wrapping(self, wrapped: Sequence[Shape]) -> tuple[Shape, ...]:
        tags: dict[str, Shape] = {}
        for member in self.members:
            tags[unique(member.label, tags)] = member
        return tuple(
            Record(tag, {tag: member}, itemgetter(tag)) if member in wrapped else member
            for tag, member in tags.items()
        )

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(kind for shape in self.alternatives for kind in shape.kinds)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return {"anyOf": [shape.schema(definitions) for shape in self.alternatives]}

    def read(self, answer: Any) -> Any:
        failures: list[Mismatch] = []
        for shape in self.alternatives:
            try:
                return shape.read(answer)
            except Mismatch as failure:
                failures.append(failure)
        deepest = max(failures, key=lambda failure: len(failure.path))
        if deepest.path:
            raise deepest
        raise Mismatch("; ".join(dict.fromkeys(failure.reason for failure in failures)))

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return all(shape.is_verbatim(seen) for shape in self.members)


def _label_of(wrapper: Wrapper) -> str:
    return wrapper.shape.label


@attrs.define(eq=False)
class Wrapper(Shape):
    """A shape that is another one, but for something."""

    shape: Shape
    label: str = attrs.field(default=attrs.Factory(_label_of, takes_self=True), kw_only=True)

    @property
    def kinds(self) -> frozenset[str]:
        return self.shape.kinds

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return self.shape.schema(definitions)

    def body(self, definitions: Definitions) -> dict[str, Any]:
        return self.shape.body(definitions)

    def read(self, answer: Any) -> Any:
        return self.shape.read(answer)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.shape.is_verbatim(seen)

    @property
    def is_named(self) -> bool:
        return self.shape.is_named

    def resolved(self) -> Shape:
        return self.shape.resolved()


@attrs.define(eq=False)
class Named(Wrapper):
    """A shape that has a definition of its own, which makes recursion possible.

    It is made before what it stands for, so that this can refer to it; :attr:`shape` is set next.
    """

    shape: Shape = attrs.field(init=False)
    label: str = attrs.field(kw_only=True)

    @property
    def is_named(self) -> bool:
        return True

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return definitions.reference(self)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        if self in seen:
            return True
        seen.add(self)
        return self.shape.is_verbatim(seen)


@attrs.define(eq=False)
class Described(Wrapper):
    """A shape that is described where it is used.

    Keywords beside a reference are refused: if the shape is named, so is the described one.
    """

    description: str = attrs.field(kw_only=True)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return definitions.reference(self) if self.is_named else self.body(definitions)

    def body(self, definitions: Definitions) -> dict[str, Any]:
        return _described(self.shape.body(definitions), self.description)


@attrs.define(eq=False)
class Converted(Wrapper):
    """A shape of which something else is made.

    Attributes:
        make: makes the value from what was read; it may raise Mismatch.
    """

    make: Callable[[Any], Any] = attrs.field(kw_only=True)

    def read(self, answer: Any) -> Any:
        return _made(self.make, self.shape.read(answer))

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return False


@attrs.frozen(eq=False, slots=False)
class Omissible(Shape):
    """What a key that may be left out holds.

    It is null then. Where the key may be null anyway, null is null, and the key is always there.
    """

    label: str
    shape: Shape

    @cached_property
    def either(self) -> Shape:
        """The shape or null; worked out late, because what the shape is may not be known before."""
        if "null" in self.shape.kinds:
            return self.shape
        absent = Converted(Leaf("null", NoneType, {"type": "null"}), make=lambda _: _ABSENT)
        return OneOf(self.label, (self.shape, absent))

    @property
    def kinds(self) -> frozenset[str]:
        return self.either.kinds

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        return self.either.schema(definitions)

    def read(self, answer: Any) -> Any:
        return self.either.read(answer)

    def is_verbatim(self, seen: set[Shape]) -> bool:
        return self.either.is_verbatim(seen)

    def resolved(self) -> Shape:
        return self.either.resolved()


def fixed_tuple(items: Sequence[Shape], make: Callable[[list[Any]], Any]) -> Shape:
    """Return the shape of a sequence of which each item has a shape of its own."""
    fields = {f"item_{index}": shape for index, shape in enumerate(items)}
    return Record("tuple", fields, lambda values: make([*values.values()]))


def pairs(key: Shape, value: Shape, type: Any, keywords: Mapping[str, Any]) -> Shape:
    """Return the shape of a mapping; *type* and *keywords* are those of the array of its pairs."""
    pair = Record("pair", {"key": key, "value": value}, itemgetter("key", "value"))
    return Array("dict", pair, _mapping, type, keywords)


def rooted(shape: Shape) -> Shape:
    """Return *shape*, or an object around it: the root must be an object, and no union."""
    if isinstance(shape.resolved(), Record):
        return shape
    return Record(shape.label, {"value": shape}, itemgetter("value"))


def schema_document(root: Shape) -> dict[str, Any]:
    """Return the whole schema of an answer; CodexError if it is too large."""
    definitions = Definitions(root)
    schema = root.body(definitions)
    if definitions.schemas:
        schema["$defs"] = definitions.schemas
    check_limits(schema)
    return schema


def unique(label: str, taken: Mapping[str, Any]) -> str:
    """Return a name made of *label* that is not *taken*."""
    name = base = re.sub(r"[^A-Za-z0-9_.-]+", "_", label).strip("_") or "value"
    number = 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the schema with a description, put before the one that it may have."""
    if not description:
        return schema
    whole = "\n\n".join(filter(None, [description, schema.get("description")]))
    return {**schema, "description": whole}


def _convert(answer: Any, type: Any) -> Any:
    try:
        return msgspec.convert(answer, type)
    except msgspec.ValidationError as error:
        raise Mismatch(str(error)) from None


def _read_at(key: Key, shape: Shape, answer: Any) -> Any:
    try:
        return shape.read(answer)
    except Mismatch as mismatch:
        mismatch.path.append(key)
        raise


def _made(make: Callable[[Any], Any], parts: Any) -> Any:
    try:
        return make(parts)
    except Mismatch:
        raise
    except Exception as error:  # a class of the caller's may raise anything
        raise Mismatch(f"{type(error).__name__}: {error}") from error


def _mapping(items: list[tuple[Any, Any]]) -> dict[Any, Any]:
    mapping = dict(items)
    if len(mapping) < len(items):
        raise Mismatch("a key is there twice")
    return mapping


def _confused(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes that some JSON value might fit along with another, with different results."""
    return [
        shape
        for shape in shapes
        if any(_confusable(shape, other) for other in shapes if other is not shape)
    ]


def _confusable(shape: Shape, other: Shape) -> bool:
    if shape.is_verbatim(set()) and other.is_verbatim(set()):
        return False
    return not _disjoint(shape.resolved(), other.resolved())


def _disjoint(shape: Shape, other: Shape) -> bool:
    """Whether no JSON value fits both, as far as that shows without looking into objects in objects."""
    if isinstance(shape, Record) and isinstance(other, Record):
        return shape.fields.keys() != other.fields.keys() or any(
            _plainly_disjoint(shape.fields[key].resolved(), other.fields[key].resolved())
            for key in shape.fields
        )
    if isinstance(shape, OneOf):
        return all(_disjoint(other, member.resolved()) for member in shape.alternatives)
    if isinstance(other, OneOf):
        return all(_disjoint(shape, member.resolved()) for member in other.alternatives)
    return _plainly_disjoint(shape, other)


def _plainly_disjoint(shape: Shape, other: Shape) -> bool:
    if isinstance(shape, Choice) and isinstance(other, Choice):
        values = [value for value, _ in other.values]
        return not any(value in values for value, _ in shape.values)
    return not shape.kinds & other.kinds

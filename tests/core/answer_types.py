"""Random output types, with random values of them and the answers that stand for the values.

How a value is said in an answer is written down here once more, apart from the code under test; only
whether the members of a union are wrapped is looked up in the schema that is sent.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import itertools
import typing
import uuid
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, Optional, Union

import attrs
import msgspec
import pydantic
import typing_extensions
from hypothesis import strategies as st

Node = dict[str, Any]
Say = Callable[[Node, Node], Any]
"""Given the schema of a part and the whole schema, gives the JSON value that says the value."""

_numbers = itertools.count()


@attrs.frozen
class Case:
    """A type, and values of it, each with how it is said.

    Attributes:
        is_leaf: whether the values can be hashed and have no parts.
        is_object: whether the values are said by JSON objects.
        members: of a union.
    """

    hint: Any
    values: st.SearchStrategy[tuple[Any, Say]] = attrs.field(repr=False)
    is_leaf: bool = False
    is_object: bool = False
    members: tuple[Case, ...] = ()


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """How bad it is."""

    LOW = 1
    HIGH = 2


RED_OR_NULL: Any = Literal[Colour.RED, None]  # noqa: PYI061  # one type, no union


class Planet(enum.Enum):
    EARTH = (5.97, 6.37)
    MARS = (0.64, 3.39)


def leaf(hint: Any, values: st.SearchStrategy[Any], say: Any = msgspec.to_builtins) -> Case:
    return Case(hint, values.map(lambda value: (value, lambda *_: say(value))), is_leaf=True)


INTEGERS = st.integers(-(2**63), 2**63 - 1)
COMMON_LEAVES = [
    leaf(int, INTEGERS),
    leaf(float, st.floats(allow_nan=False, allow_infinity=False)),
    leaf(bool, st.booleans()),
    leaf(str, st.text()),
    leaf(dt.date, st.dates()),
    leaf(dt.datetime, st.datetimes()),
    leaf(uuid.UUID, st.uuids()),
    leaf(Colour, st.sampled_from(Colour)),
    leaf(Level, st.sampled_from(Level)),
    leaf(Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
]
OTHER_LEAVES = [
    leaf(dt.time, st.times()),
    leaf(dt.timedelta, st.timedeltas(dt.timedelta(days=-999), dt.timedelta(days=999))),
    leaf(decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False, places=3)),
    leaf(bytes, st.binary()),
    leaf(
        PurePosixPath, st.from_regex(r"(/?[a-z]{1,3}){1,3}", fullmatch=True).map(PurePosixPath), str
    ),
    leaf(Planet, st.sampled_from(Planet), lambda planet: planet.name),
    leaf(RED_OR_NULL, st.sampled_from([Colour.RED, None])),
]
TEXT_LEAVES = [case for case in COMMON_LEAVES if case.hint in (str, dt.date, uuid.UUID, Colour)]
"""What pydantic takes for the keys of a mapping, which it describes as those of a JSON object."""

NULL = leaf(type(None), st.none())


def deref(node: Node, root: Node) -> Node:
    while "$ref" in node:
        node = root if node["$ref"] == "#" else root["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def array(hint: Any, make: Callable[[Any], Any], item: Case) -> Case:
    def whole(pairs: list[tuple[Any, Say]]) -> tuple[Any, Say]:
        value = make(part for part, _ in pairs)
        return value, lambda node, root: [say(deref(node, root)["items"], root) for _, say in pairs]

    return Case(hint, st.lists(item.values, max_size=3).map(whole))


def mapping(hint: Any, key: Case, value: Case) -> Case:
    def whole(pairs: list[tuple[tuple[Any, Say], tuple[Any, Say]]]) -> tuple[Any, Say]:
        def say(node: Node, root: Node) -> Any:
            parts = deref(node, root)["items"]["properties"]
            return [
                {"key": say_key(parts["key"], root), "value": say_value(parts["value"], root)}
                for (_, say_key), (_, say_value) in pairs
            ]

        return {key: value for (key, _), (value, _) in pairs}, say

    pairs = st.lists(st.tuples(key.values, value.values), max_size=3, unique_by=lambda p: p[0][0])
    return Case(hint, pairs.map(whole))


def fixed(items: Sequence[Case]) -> Case:
    def whole(parts: tuple[tuple[Any, Say], ...]) -> tuple[Any, Say]:
        return tuple(value for value, _ in parts), _saying_object(
            {f"item_{index}": say for index, (_, say) in enumerate(parts)}
        )

    hint = tuple[tuple(case.hint for case in items)]  # type: ignore[misc]
    return Case(hint, st.tuples(*(case.values for case in items)).map(whole), is_object=True)


def _saying_object(parts: dict[str, Say]) -> Say:
    def say(node: Node, root: Node) -> Any:
        properties = deref(node, root)["properties"]
        return {key: part(properties[key], root) for key, part in parts.items()}

    return say


def union(cases: Sequence[Case]) -> Case:
    flat = [member for case in cases for member in case.members or (case,)]
    members = list({case.hint: case for case in reversed(flat)}.values())[::-1]
    if len(members) == 1:
        return members[0]

    def member(index: int) -> st.SearchStrategy[tuple[Any, Say]]:
        def whole(part: tuple[Any, Say]) -> tuple[Any, Say]:
            value, say = part

            def say_member(node: Node, root: Node) -> Any:
                alternative = deref(node, root)["anyOf"][index]
                tag = _tag(alternative)
                if tag is None:
                    return say(alternative, root)
                return {tag: say(alternative["properties"][tag], root)}

            return value, say_member

        return members[index].values.map(whole)

    hint = Union[tuple(case.hint for case in members)]
    return Case(hint, st.one_of(*map(member, range(len(members)))), members=tuple(members))


def _tag(alternative: Node) -> str | None:
    """Return the name that a member of a union is wrapped under; classes and tuples are not wrappers."""
    keys = list(alternative.get("properties", ()))
    return keys[0] if len(keys) == 1 and keys[0] != "item_0" else None


def _class_body(name: str, hints: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"__annotations__": hints, "__module__": __name__, "__qualname__": name, **more}


def make_attrs(name: str, hints: dict[str, Any], defaults: dict[str, Any]) -> Any:
    fields = {key: attrs.field(default=default) for key, default in defaults.items()}
    return attrs.frozen(type(name, (), _class_body(name, hints, **fields)), kw_only=True)


def make_dataclass(name: str, hints: dict[str, Any], defaults: dict[str, Any]) -> Any:
    fields = {
        key: dataclasses.field(default_factory=lambda default=default: default)
        for key, default in defaults.items()
    }
    return dataclasses.dataclass(kw_only=True)(type(name, (), _class_body(name, hints, **fields)))


def make_model(name: str, hints: dict[str, Any], defaults: dict[str, Any]) -> Any:
    return type(name, (pydantic.BaseModel,), _class_body(name, hints, **defaults))


def make_named_tuple(name: str, hints: dict[str, Any], defaults: dict[str, Any]) -> Any:
    ordered = sorted(hints, key=lambda key: key in defaults)
    cls: Any = typing.NamedTuple(name, [(key, hints[key]) for key in ordered])  # type: ignore[misc]
    cls.__new__.__defaults__ = tuple(defaults[key] for key in ordered if key in defaults)
    return cls


def make_typed_dict(name: str, hints: dict[str, Any], defaults: dict[str, Any]) -> Any:
    qualified = {
        key: typing_extensions.NotRequired[hint] if key in defaults else hint
        for key, hint in hints.items()
    }
    return typing_extensions.TypedDict(name, qualified)  # type: ignore[operator]


Maker = Callable[[str, dict[str, Any], dict[str, Any]], Any]


def record(make: Maker, fields: dict[str, Case], defaults: set[str], recursive: bool) -> Case:
    """Return a class that *make* makes; with *recursive*, it has a field ``next`` of its own type."""
    name = f"Type{next(_numbers)}"
    hints = {key: case.hint for key, case in fields.items()}
    if recursive:
        hints["next"] = f"Optional[{name}]"
    cls = make(name, hints, dict.fromkeys(defaults))
    optional = defaults if make is make_typed_dict else set()

    def whole(parts: dict[str, tuple[Any, Say]]) -> tuple[Any, Say]:
        value = cls(**{key: value for key, (value, _) in parts.items()})
        missing = dict.fromkeys(optional - parts.keys(), lambda *_: None)
        return value, _saying_object({**{key: say for key, (_, say) in parts.items()}, **missing})

    def values(depth: int) -> st.SearchStrategy[tuple[Any, Say]]:
        parts = {key: case.values for key, case in fields.items()}
        if recursive:
            following = values(depth - 1).map(_first_member) if depth else st.nothing()
            parts["next"] = NULL.values.map(_second_member) | following
        left_out = {
            key: parts.pop(key).map(_first_member)
            for key in sorted(optional)
            if not _takes_null(fields[key])
        }
        return st.fixed_dictionaries(parts, optional=left_out).map(whole)

    return Case(cls, values(2), is_object=True)


def _takes_null(case: Case) -> bool:
    return any(member.hint in (type(None), RED_OR_NULL) for member in (case, *case.members))


def _in_union(index: int, part: tuple[Any, Say]) -> tuple[Any, Say]:
    value, say = part
    return value, lambda node, root: say(node["anyOf"][index], root)


def _first_member(part: tuple[Any, Say]) -> tuple[Any, Say]:
    return _in_union(0, part)


def _second_member(part: tuple[Any, Say]) -> tuple[Any, Say]:
    return _in_union(1, part)


def records(makers: Sequence[Maker], parts: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    names = st.sampled_from(["alpha", "beta", "gamma", "value", "key"])

    @st.composite
    def build(draw: st.DrawFn) -> Case:
        fields = draw(st.dictionaries(names, parts, max_size=3))
        defaults = draw(st.sets(st.sampled_from(sorted(fields)))) if fields else set()
        return record(draw(st.sampled_from(makers)), fields, defaults, draw(st.booleans()))

    return build()


def _collections(
    parts: st.SearchStrategy[Case], keys: st.SearchStrategy[Case]
) -> st.SearchStrategy[Case]:
    leaves = parts.filter(lambda case: case.is_leaf)
    return st.one_of(
        parts.map(lambda case: array(list[case.hint], list, case)),  # type: ignore[name-defined]
        parts.map(lambda case: array(tuple[case.hint, ...], tuple, case)),  # type: ignore[name-defined]
        leaves.map(lambda case: array(set[case.hint], set, case)),  # type: ignore[name-defined]
        st.lists(parts, min_size=1, max_size=3).map(fixed),
        st.builds(lambda key, case: mapping(dict[key.hint, case.hint], key, case), keys, parts),  # type: ignore[name-defined]
    )


def _native(parts: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    makers = [make_attrs, make_dataclass, make_named_tuple, make_typed_dict]
    return st.one_of(
        _collections(parts, st.sampled_from(COMMON_LEAVES)),
        parts.map(lambda case: union([case, NULL])),
        st.lists(parts, min_size=2, max_size=3).map(union),
        records(makers, parts),
    )


def _pydantic(parts: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    return st.one_of(
        _collections(parts, st.sampled_from(TEXT_LEAVES)),
        parts.map(lambda case: union([case, NULL])),
        records([make_model], parts),
    )


def cases() -> st.SearchStrategy[Case]:
    """Types of all kinds, in each other."""
    leaves = st.sampled_from([*COMMON_LEAVES, *OTHER_LEAVES, NULL])
    return st.recursive(leaves | models(), _native, max_leaves=6)


def models() -> st.SearchStrategy[Case]:
    """pydantic models."""
    parts = st.recursive(st.sampled_from(COMMON_LEAVES), _pydantic, max_leaves=5)
    return records([make_model], parts)


__all__ = ["Case", "Optional", "cases", "deref", "models"]

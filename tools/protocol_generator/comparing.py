"""What the schema of another CLI has more, less or otherwise."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable, Iterator

from .model import LiteralType, ObjectType, Type, UnionType
from .reading import read_types
from .schema import Method, Schema


def comparison(pinned: Schema, other: Schema) -> Iterator[str]:
    """Yield lines that tell what the protocol of *other* adds, drops and changes."""
    yield f"Codex CLI {other.version}, beside {pinned.version}:"
    tables = (
        ("client methods", pinned.client_methods, other.client_methods),
        ("notifications", pinned.notifications, other.notifications),
        ("server requests", pinned.server_requests, other.server_requests),
    )
    for title, ours, theirs in tables:
        yield from _changes(title, _names(ours), _names(theirs))
    ours_by_name, theirs_by_name = read_types(pinned), read_types(other)
    yield from _changes("types", ours_by_name.keys(), theirs_by_name.keys())
    for name in sorted(ours_by_name.keys() & theirs_by_name.keys()):
        for change in _type_changes(ours_by_name[name], theirs_by_name[name]):
            yield f"  {name}: {change}"


def _names(methods: Iterable[Method]) -> set[str]:
    return {method.name for method in methods}


def _changes(title: str, ours: Iterable[str], theirs: Iterable[str]) -> Iterator[str]:
    added, dropped = set(theirs) - set(ours), set(ours) - set(theirs)
    if added:
        yield f"  {title} added: {', '.join(sorted(added))}"
    if dropped:
        yield f"  {title} dropped: {', '.join(sorted(dropped))}"


def _type_changes(ours: Type, theirs: Type) -> Iterator[str]:
    if isinstance(ours, ObjectType) and isinstance(theirs, ObjectType):
        yield from _field_changes(ours, theirs)
    elif isinstance(ours, LiteralType) and isinstance(theirs, LiteralType):
        yield from _short_changes("words", set(ours.values), set(theirs.values))
    elif isinstance(ours, UnionType) and isinstance(theirs, UnionType):
        yield from _short_changes("members", set(_members(ours)), set(_members(theirs)))
    elif type(ours) is not type(theirs):
        yield "of another kind"


def _members(union: UnionType) -> Iterator[str]:
    for member in union.members:
        words = member.text.removeprefix("Literal")
        yield from literal_eval(words) if words != member.text else [member.text]


def _short_changes(what: str, ours: set[str], theirs: set[str]) -> Iterator[str]:
    for line in _changes(what, ours, theirs):
        yield line.strip()


def _field_changes(ours: ObjectType, theirs: ObjectType) -> Iterator[str]:
    before = {field.wire_name: field for field in ours.fields}
    after = {field.wire_name: field for field in theirs.fields}
    yield from _short_changes("fields", set(before), set(after))
    for key in sorted(before.keys() & after.keys()):
        if before[key].required != after[key].required:
            yield f"{key} is {'required' if after[key].required else 'optional'} now"
        if before[key].annotation.text != after[key].annotation.text:
            yield f"{key} was {before[key].annotation.text}, is {after[key].annotation.text}"

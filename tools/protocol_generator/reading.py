"""Definitions of the schema, read as types.

The schema is what schemars makes of Rust types: of JSON Schema it uses a small part, in few forms. Every
other form is an error, so that a CLI with something new is noticed here and not by a user.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .annotations import annotation, nullable, optional, words, wrap
from .model import (
    Annotation,
    Default,
    Direction,
    Field,
    LiteralType,
    ObjectType,
    PlainType,
    Type,
    UnionType,
)
from .names import class_name, field_name
from .places import Place
from .schema import ENVELOPES, Schema, UnknownSchema, reached

_ANYTHING = {"type": ["string", "object"]}
"""What a union that calls itself open has for its last branch; to us all of them are open."""
_UNKNOWN_VARIANT = Annotation("UnknownVariant")
_VARIANT_NAMES = {
    ("McpServerElicitationRequestParams", "openaiForm"): "OpenaiFormAlias",
}
"""First words of the names of variants whose own word would give a name that another one has."""

RESERVED = frozenset(
    """
    Any ClassVar Literal Mapping NULL Null Nullable Optional ProtocolObject Request Sequence Union
    UnknownPayload UnknownVariant define
    """.split()
)
"""Names that the generated files use; no type may have one of them."""


def read_types(schema: Schema) -> dict[str, Type]:
    """Return all types of the schema, by name.

    Raises:
        UnknownSchema: the schema has a form that is not known, or two types of one name.
    """
    types: dict[str, Type] = {}
    for type_ in _all_types(schema):
        if type_.name in types or type_.name in RESERVED:
            raise UnknownSchema(f"a second type {type_.name}")
        types[type_.name] = type_
    for method in schema.methods():
        if method.experimental:
            for name in filter(None, (method.params_class, method.result)):
                types[name] = types[name]._replace(experimental=True)
    return types


def _all_types(schema: Schema) -> Iterator[Type]:
    sent, received = _travelling(schema)
    for name, definition in schema.definitions.items():
        if name not in ENVELOPES:
            direction: Direction = "received"
            if name in sent:
                direction = "both" if name in received else "sent"
            yield from _read(name, definition, Place(name, direction, schema.stable.get(name)))
    for method in schema.client_methods:
        if method.params is None and method.result is not None:
            yield ObjectType(method.params_class, "", ())


def _travelling(schema: Schema) -> tuple[set[str], set[str]]:
    """Return what clients send and what they receive: the names of all definitions in it."""
    sent = {method.params_class for method in schema.client_methods}
    sent |= {method.result or "" for method in schema.server_requests}
    received = {method.result or "" for method in schema.client_methods}
    received |= {method.params_class for method in schema.notifications + schema.server_requests}
    return reached(sent, schema.definitions), reached(received, schema.definitions)


def _read(name: str, definition: Mapping[str, Any], place: Place) -> Iterator[Type]:
    description = str(definition.get("description", ""))
    branches = definition.get("oneOf") or definition.get("anyOf") or []
    if branches and all(map(_is_words, branches)):
        place.check(definition, "oneOf")
        yield LiteralType(name, description, _words(branches), place.experimental)
    elif branches:
        place.check(definition, "oneOf", "anyOf", "type", "properties", "required")
        yield from _read_union(name, definition, branches, place)
    elif _is_words(definition):
        place.check(definition, "type", "enum")
        yield LiteralType(name, description, _words([definition]), place.experimental)
    elif definition.get("type") == "object":
        yield _read_object(name, definition, place)
    else:
        yield PlainType(name, description, annotation(definition, place), place.experimental)


def _is_words(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and "enum" in schema


def _words(schemas: list[Any]) -> dict[str, str]:
    return {
        word: str(schema.get("description", "")) if len(schemas) > 1 else ""
        for schema in schemas
        for word in schema["enum"]
    }


def _read_union(
    name: str, definition: Mapping[str, Any], branches: list[Any], place: Place
) -> Iterator[Type]:
    """Read a union: of objects that one key tells apart, or of anything."""
    shared = {key: definition[key] for key in ("properties", "required") if key in definition}
    members = []
    if known := [word for branch in branches if _is_words(branch) for word in branch["enum"]]:
        members.append(words(known))
    for branch in branches:
        if branch == _ANYTHING or _is_words(branch):
            continue
        if "properties" in branch:
            variant = _read_variant(name, branch, branches, shared, place)
            yield variant
            members.append(Annotation(variant.name, frozenset({variant.name})))
        else:
            members.append(annotation(branch, place))
    if any(member.names for member in members):
        members.append(_UNKNOWN_VARIANT)
    description = str(definition.get("description", ""))
    yield UnionType(name, description, tuple(members), place.experimental)


def _read_variant(
    union: str, branch: dict[str, Any], branches: list[Any], shared: dict[str, Any], place: Place
) -> ObjectType:
    tag = _tag(branch, branches)
    stable = _stable_branch(branch, place.stable)
    name = branch.get("title", "").replace("v2::", "")  # a Rust path, in some
    name = name or _variant_name(union, branch, branches, tag)
    place = place.inside(name, stable)
    if tag is None and (content := _wrapped(branch)):
        [(wrapper, inner)] = content
        stable_inner = (stable or {}).get("properties", {}).get(wrapper)
        if "properties" in inner:
            branch = {**inner, "description": branch.get("description", "")}
            place = place.inside(wrapper, stable_inner)
        read = _read_object(name, branch, place)
        return read._replace(wrapper=wrapper if "properties" in inner else None, member_of=union)
    branch = {
        **branch,
        "properties": {**shared.get("properties", {}), **branch["properties"]},
        "required": [*shared.get("required", ()), *branch.get("required", ())],
    }
    if tag:
        del branch["properties"][tag[0]]
    return _read_object(name, branch, place)._replace(tag=tag, member_of=union)


def _tag(branch: Mapping[str, Any], branches: list[Any]) -> tuple[str, str] | None:
    """Return the key with one possible value that every object of the union has, and its value here."""
    objects = [other for other in branches if "properties" in other]
    for key, schema in branch["properties"].items():
        if all(_is_constant(other, key) for other in objects):
            [value] = schema["enum"]
            return key, str(value)
    return None


def _is_constant(schema: Mapping[str, Any], key: str) -> bool:
    inner = schema["properties"].get(key)
    return (
        isinstance(inner, dict)
        and len(inner.get("enum", ())) == 1
        and key in schema.get("required", ())
    )


def _wrapped(branch: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
    """Return the one key and its schema, of an object that has no other: serde's ``{"variant": …}``."""
    closed = branch.get("additionalProperties") is False
    content = list(branch["properties"].items())
    return content if closed and len(content) == 1 and branch.get("required") else None


def _variant_name(
    union: str, branch: dict[str, Any], branches: list[Any], tag: tuple[str, str] | None
) -> str:
    if tag:
        return class_name(_VARIANT_NAMES.get((union, tag[1]), tag[1]), union)
    others = [other for other in branches if other is not branch]
    required = [set(other.get("required", ())) for other in others]
    own = sorted(set(branch.get("required", ())).difference(*required))
    if not own:
        raise UnknownSchema(f"{union}: no name for a variant that no key tells apart")
    return class_name(own[0], union)


def _stable_branch(branch: Mapping[str, Any], stable: Any) -> Any:
    """Return the same variant of the union in the stable schema."""
    for other in (stable or {}).get("oneOf") or (stable or {}).get("anyOf") or ():
        if other.get("title") == branch.get("title") and (
            "title" in branch or other.get("required") == branch.get("required")
        ):
            shared = stable.get("properties", {})
            return {**other, "properties": {**shared, **other.get("properties", {})}}
    return None


def _read_object(name: str, definition: Mapping[str, Any], place: Place) -> ObjectType:
    place.check(
        definition, "type", "properties", "required", "additionalProperties", "anyOf", "oneOf"
    )
    properties, alternatives = _properties(definition, place)
    stable = None if place.stable is None else _properties(place.stable, place)[0]
    required = definition.get("required", ())
    fields = [
        _read_field(key, schema, key in required, place, stable)
        for key, schema in properties.items()
    ]
    names = [field.name for field in fields]
    if len(set(names)) < len(names):
        raise UnknownSchema(f"{place.path}: two fields of one name: {sorted(names)}")
    return ObjectType(
        name=name,
        description="\n\n".join(filter(None, (definition.get("description"), alternatives))),
        fields=tuple(sorted(fields, key=lambda field: (not field.required, field.name))),
        additional=_keeps_more(definition, place),
        experimental=place.experimental,
    )


def _properties(definition: Mapping[str, Any], place: Place) -> tuple[dict[str, Any], str]:
    """Return all properties of an object, and, in words, which of them are alternatives."""
    properties = dict(definition.get("properties", {}))
    alternatives = []
    for branch in definition.get("oneOf") or definition.get("anyOf") or ():
        place.check(branch, "type", "properties", "required")
        properties.update(branch["properties"])
        fields = (f"``{field_name(key)}``" for key in branch.get("required", ()))
        alternatives.append(" and ".join(fields))
    return properties, f"Needs {' or '.join(alternatives)}." if alternatives else ""


def _keeps_more(definition: Mapping[str, Any], place: Place) -> bool:
    more = definition.get("additionalProperties", False)
    if not isinstance(more, bool):
        raise UnknownSchema(f"{place.path}: typed properties beside named ones")
    return more


def _read_field(
    key: str, schema: Any, required: bool, place: Place, stable: Mapping[str, Any] | None
) -> Field:
    described = schema if isinstance(schema, dict) else {}
    type_, may_be_null = nullable(schema, place.inside(key))
    default = _default(described.get("default"))
    if required:
        type_ = optional(type_) if may_be_null else type_
        default = None
    elif place.direction == "sent":
        type_ = wrap("Nullable", type_) if may_be_null else optional(type_)
        default = None
    elif may_be_null or default is None:
        type_ = optional(type_)
        default = None
    return Field(
        name=field_name(key),
        wire_name=key,
        annotation=type_,
        required=required,
        default=default,
        description=_field_description(described, place, required),
        experimental=stable is not None and key not in stable,
    )


def _field_description(schema: Mapping[str, Any], place: Place, required: bool) -> str:
    """Return what the schema says of a field, with the default where the field's own is not the same."""
    text = str(schema.get("description", ""))
    default = schema.get("default")
    if required or place.direction != "sent" or default in (None, []):
        return text
    return f"{text}\n\nDefault: ``{default!r}``.".strip()


def _default(value: Any) -> Default:
    if isinstance(value, list):
        return tuple(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UnknownSchema(f"a default that is an object: {value!r}")

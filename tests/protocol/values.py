"""Values of the protocol's types, and JSON for them, without the CLI."""

from __future__ import annotations

import collections.abc
import json
from types import NoneType
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from codex_sdk import protocol

# All files are loaded now: hypothesis draws from the constants of the modules that are, and would be
# confused by more in the midst of a test.
from codex_sdk.protocol import _names as _names
from codex_sdk.protocol._base import NULL, Null, ProtocolObject, UnknownVariant
from codex_sdk.protocol._forms import MORE, form_of

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=5),
    int: st.integers(-(2**53), 2**53),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
}
JSON = st.recursive(
    st.one_of(SCALARS.values()),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def wire(value: Any) -> Any:
    """Return what becomes of a value on its way through a pipe."""
    return json.loads(json.dumps(protocol.unstructure(value)))


def values_of(cls: Any) -> st.SearchStrategy[Any]:
    """Return what makes values of a type: a class or alias of the protocol, or a part of one."""
    origin = get_origin(cls)
    if cls is Any:
        return JSON
    if cls in SCALARS:
        return SCALARS[cls]
    if cls is Null:
        return st.just(NULL)
    if cls is UnknownVariant:
        return st.nothing()  # what the unknown looks like depends on the union
    if origin is Literal:
        return st.sampled_from(get_args(cls))
    if origin is Union:
        return st.one_of(map(values_of, get_args(cls)))
    if origin in (tuple, collections.abc.Sequence):
        return st.lists(st.deferred(lambda: values_of(get_args(cls)[0])), max_size=2).map(tuple)
    if origin is collections.abc.Mapping:
        contents = st.deferred(lambda: values_of(get_args(cls)[1]))
        return st.dictionaries(st.text(max_size=3), contents, max_size=2)
    return st.deferred(lambda: objects_of(cls))


def objects_of(cls: type[ProtocolObject]) -> st.SearchStrategy[Any]:
    """Return what makes objects of a class, with any of its optional fields."""
    form = form_of(cls)
    fields = {field.name: values_of(form.types[field.name]) for field in form.fields}
    if form.keeps_more:
        # keys that are no fields' own
        fields[MORE] = st.dictionaries(st.text("xyz", min_size=1, max_size=2), JSON, max_size=2)
    required = {field.name for field in form.fields if field.required}
    optional = {name: strategy for name, strategy in fields.items() if name not in required}
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required}, optional=optional
    ).map(lambda content: cls(**content))


def simplest(cls: Any) -> Any:
    """Return a value of a type with as little in it as may be."""
    origin = get_origin(cls)
    if origin is Union:
        return simplest(get_args(cls)[0])
    if origin is Literal:
        return get_args(cls)[0]
    if origin in (tuple, collections.abc.Sequence):
        return ()
    if origin is collections.abc.Mapping or cls is Any:
        return {}
    if cls in SCALARS:
        return None if cls is NoneType else cls()
    form = form_of(cls)
    required = [field.name for field in form.fields if field.required]
    return cls(**{name: simplest(form.types[name]) for name in required})

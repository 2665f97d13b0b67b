"""How the objects of a class look in JSON."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any, NamedTuple

import attrs

from ._base import ProtocolObject, finished

MORE = "additional_properties"
"""The field of some classes for the keys that the schema leaves open."""


class Mismatch(Exception):
    """What is wrong with some data, and the path to it, which grows on the way out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self._path: list[str] = []

    def within(self, step: str) -> Mismatch:
        """Add to the path, from the left: ``.key`` or ``[index]``."""
        self._path.insert(0, step)
        return self

    def __str__(self) -> str:
        path = "".join(self._path).removeprefix(".")
        return f"{path}: {self.args[0]}" if path else str(self.args[0])


class Field(NamedTuple):
    """A field of a class, and its key."""

    key: str
    name: str
    required: bool
    default: Any


class Form:
    """How the objects of one class look in JSON."""

    def __init__(self, cls: type[ProtocolObject]) -> None:
        self._cls = finished(cls)
        self.tag, self.wrapper, names, self.keeps_more = cls.wire_form
        self.fields = tuple(
            Field(
                names.get(attribute.name) or _camel_case(attribute.name),
                attribute.name,
                attribute.default is attrs.NOTHING,
                attribute.default,
            )
            for attribute in attrs.fields(cls)
            if attribute.name != MORE
        )

    @cached_property
    def types(self) -> dict[str, Any]:
        """The types of the fields, by name.

        Their annotations are texts. typing.get_type_hints evaluates them one by one, and those of the base
        classes too, which takes several times as long.
        """
        annotations = {
            attribute.name: str(attribute.type)
            for attribute in attrs.fields(self._cls)
            if attribute.name != MORE
        }
        namespace = vars(sys.modules[self._cls.__module__])
        types = eval(f"[{','.join(annotations.values())}]", namespace)
        return dict(zip(annotations, types, strict=True))

    @cached_property
    def keys(self) -> frozenset[str]:
        return frozenset(field.key for field in self.fields)


_FORMS: dict[type[ProtocolObject], Form] = {}


def form_of(cls: type[ProtocolObject]) -> Form:
    """Return the form of a class; it is found out once."""
    form = _FORMS.get(cls)
    if form is None:
        form = _FORMS[cls] = Form(cls)
    return form


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)

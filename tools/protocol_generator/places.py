"""Where in the schema something is read, and what may stand there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .model import Direction
from .schema import UnknownSchema

_ANYWHERE = frozenset({"$schema", "default", "description", "title"})


class Place(NamedTuple):
    """A place in the schema, which way what is there travels, and its stable form, if it has one."""

    path: str
    direction: Direction
    stable: Any

    @property
    def experimental(self) -> bool:
        return self.stable is None

    def inside(self, key: str, stable: Any = None) -> Place:
        return Place(f"{self.path}.{key}", self.direction, stable)

    def check(self, schema: Mapping[str, Any], *keywords: str) -> None:
        """Refuse a schema with keywords other than these, which would be overlooked.

        Raises:
            UnknownSchema: there are others.
        """
        if unknown := schema.keys() - _ANYWHERE - {*keywords}:
            raise UnknownSchema(f"{self.path}: {sorted(unknown)} is not understood here")

"""A JSON Schema of the caller's as an output: sent as it is, and checked by jsonschema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from ...exceptions import CodexError
from .answers import decode_answer, parse_error

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["SchemaOutput", "schema_output"]


def schema_output(schema: Mapping[str, Any]) -> SchemaOutput:
    """Return the output of a JSON Schema.

    Raises:
        CodexError: it is no mapping, no JSON, no valid JSON Schema, or refers to what is not in it.
    """
    document = _plain(schema)
    return SchemaOutput(document, _validator(document))


@attrs.frozen
class SchemaOutput:
    """An answer that jsonschema validates; nothing is ever fetched for it."""

    schema: Mapping[str, Any]
    _validator: Validator

    def parse(self, text: str) -> Any:
        """Return the JSON document; CodexParseError if it is none, or violates the schema."""
        from jsonschema import exceptions

        best_match: Any = exceptions.best_match  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        answer = decode_answer(text)
        try:
            violation: ValidationError | None = best_match(self._validator.iter_errors(answer))
        except RecursionError as error:
            raise parse_error(text, (), "it is nested too deeply to be checked") from error
        if violation is not None:
            raise parse_error(text, violation.absolute_path, violation.message)
        return answer


def _plain(schema: object) -> dict[str, Any]:
    """Return a copy of the schema, as it will be sent."""
    if not isinstance(schema, Mapping):
        raise CodexError(f"an output schema is a mapping, not {schema!r}")
    mapping = cast("Mapping[str, Any]", schema)
    try:
        copy: dict[str, Any] = json.loads(json.dumps({**mapping}, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CodexError(f"the output schema is no JSON: {error}") from error
    return copy


def _validator(schema: dict[str, Any]) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    draft = validator_for(schema, default=Draft202012Validator)
    try:
        draft.check_schema(schema)
    except SchemaError as error:
        raise CodexError(
            f"the output schema is no valid JSON Schema at {error.json_path}: {error.message}"
        ) from error
    _check_references(schema)
    return draft(schema, registry=EMPTY_REGISTRY)


def _check_references(schema: dict[str, Any]) -> None:
    """Raise CodexError if the schema refers to what is not in it."""
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY, specification_with

    specification = specification_with(schema.get("$schema", ""), default=DRAFT202012)
    root = specification.create_resource(schema)
    pending = [(root, EMPTY_REGISTRY.resolver_with_root(root))]
    for resource, resolver in pending:
        pending += [(part, resolver.in_subresource(part)) for part in resource.subresources()]
        contents: Any = resource.contents
        if contents in (True, False) or not isinstance(contents.get("$ref"), str):
            continue
        try:
            resolver.lookup(contents["$ref"])
        except Unresolvable as error:
            raise CodexError(
                f"the output schema refers to {contents['$ref']!r}, which is not in it"
            ) from error

"""The types, held against the schema that they were made from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_sdk import protocol
from codex_sdk.protocol import _index
from codex_sdk.protocol._methods import generated
from tools.protocol_generator.schema import ENVELOPES, Schema

from .schemas import Instances
from .values import wire

FILES = {file: names.split() for file, names in _index.FILES.items()}


@pytest.fixture(scope="module")
def instances(schema: Schema) -> Instances:
    return Instances(schema.definitions)


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_fits_the_schema_is_read_and_written_the_same(
    schema: Schema, instances: Instances, file: str, data: st.DataObject
) -> None:
    names = [name for name in FILES[file] if name in schema.definitions]
    name = data.draw(st.sampled_from(names))
    instance = data.draw(instances.named(name))
    read = protocol.structure(generated(name), instance)
    assert wire(read) == json.loads(json.dumps(instance))
    assert "UnknownVariant" not in repr(read)


def test_every_definition_has_a_type(schema: Schema) -> None:
    names = {name for names in FILES.values() for name in names}
    assert schema.definitions.keys() - ENVELOPES <= names


def test_every_method_is_in_the_tables(schema: Schema) -> None:
    assert schema.sha256 == protocol.SCHEMA_SHA256
    for methods, table in (
        (schema.client_methods, protocol.CLIENT_METHODS),
        (schema.notifications, protocol.NOTIFICATIONS),
        (schema.server_requests, protocol.SERVER_REQUESTS),
    ):
        expected = [(method.name, method.params_class, method.result) for method in methods]
        found = [(name, *entry[:-1], None)[:3] for name, entry in table.items()]
        assert found == expected


@pytest.fixture(scope="module")
def others(other_schema: Schema) -> dict[str, st.SearchStrategy[Any]]:
    """Return what makes that which another CLI sends, for each type that is known."""
    sent = {method.result for method in other_schema.client_methods}
    sent |= {method.params for method in other_schema.notifications + other_schema.server_requests}
    known = sent & {name for names in FILES.values() for name in names}
    instances = Instances(other_schema.definitions)
    return {name: instances.named(name) for name in sorted(filter(None, known))}


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_fits_the_schema_of_another_cli_can_be_read_leniently(
    others: dict[str, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(list(others)))
    protocol.structure(generated(name), data.draw(others[name]), lenient=True)

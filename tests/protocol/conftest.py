"""The schema of the CLI under test."""

from __future__ import annotations

import subprocess

import pytest

from codex_sdk import protocol
from codex_sdk._core.versions import CliVersion, parse_cli_version
from tools.protocol_generator.schema import Schema, schema_of

FIRST_WITH_ALL = CliVersion(0, 100, 0)
"""Versions from this on print the experimental parts of their schema too."""


@pytest.fixture(scope="session")
def cli_version(codex_cli: str) -> CliVersion:
    version = parse_cli_version(subprocess.check_output([codex_cli, "--version"], text=True))
    assert version
    return version


@pytest.fixture(scope="session")
def schema(codex_cli: str, cli_version: CliVersion) -> Schema:
    """Return the schema of the pinned CLI."""
    if str(cli_version) != protocol.CODEX_VERSION:
        pytest.skip(f"the types are those of CLI {protocol.CODEX_VERSION}, not of {cli_version}")
    return schema_of(codex_cli)


@pytest.fixture(scope="session")
def other_schema(codex_cli: str, cli_version: CliVersion) -> Schema:
    """Return the schema of a CLI that is not the pinned one."""
    if str(cli_version) == protocol.CODEX_VERSION or cli_version < FIRST_WITH_ALL:
        pytest.skip("needs a CLI of the same generation and of another version than the pinned one")
    return schema_of(codex_cli)

"""What a Codex CLI says of its app-server protocol."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .results import RESULTS
from .spelling import corrected, typescript_words

BUNDLE = "codex_app_server_protocol.schemas.json"
_PREFIX = "#/definitions/"
_HEADINGS = re.compile(r"^(NEW APIs|NEW NOTIFICATIONS|DEPRECATED APIs below)\s*")
"""Headings of sections of the Rust code, which have come to stand in descriptions."""

ENVELOPES = frozenset(
    """
    ClientNotification ClientRequest ServerNotification ServerRequest W3cTraceContext
    JSONRPCError JSONRPCErrorError JSONRPCMessage JSONRPCNotification JSONRPCRequest JSONRPCResponse
    NullableGetAccountRateLimitsParams NullableGetAccountTokenUsageParams
    NullableGatewayOAuthLoginParams NullableGatewayOAuthReadParams
    NullableRemoteControlDisableParams NullableRemoteControlEnableParams
    """.split()
)
"""Definitions of which no type is made: the frames around params and results, and ``X | null``."""


class UnknownSchema(Exception):
    """The schema holds what this generator was not made for; the message says where."""


class Method(NamedTuple):
    """A request or notification, and the names of the definitions that belong to it."""

    name: str
    params: str | None
    """``None`` if the method takes none."""
    result: str | None
    """``None`` for notifications, and where it is not known."""
    experimental: bool
    description: str
    """What the schema says of it and not of its params; empty for most."""

    @property
    def params_class(self) -> str:
        """The name of the class of the params, which methods without params have too."""
        return self.params or (self.result or "").replace("Response", "Params")


class Schema(NamedTuple):
    """A protocol: all definitions by name, and the three tables of methods."""

    version: str
    sha256: str
    definitions: Mapping[str, Any]
    client_methods: tuple[Method, ...]
    notifications: tuple[Method, ...]
    server_requests: tuple[Method, ...]
    stable: Mapping[str, Any]
    """The definitions that the CLI shows without ``--experimental``."""

    def methods(self) -> tuple[Method, ...]:
        return self.client_methods + self.notifications + self.server_requests

    def check(self) -> None:
        """Refuse a schema of which not every method's params and result are known.

        Raises:
            UnknownSchema: a method without a known result, or a result of no method, or params of two.
        """
        asked = self.client_methods + self.server_requests
        unknown = [method.name for method in asked if method.result is None]
        answered = {method.result for method in asked}
        left = (
            {name for name in self.definitions if name.endswith("Response")} - answered - ENVELOPES
        )
        if unknown or left:
            raise UnknownSchema(
                f"the results of {unknown or 'no method'} are not known, {sorted(left) or 'no results'} "
                "belong to no method: tools/protocol_generator/results.py has to say which are which"
            )
        params = [method.params_class for method in self.client_methods]
        if shared := {name for name in params if params.count(name) > 1}:
            raise UnknownSchema(f"{sorted(shared)}: the params of more than one method")


def schema_of(codex: str) -> Schema:
    """Ask the CLI *codex* for its schema, from a home that holds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        environment = {**os.environ, "HOME": str(home), "CODEX_HOME": str(home)}
        version = _output(codex, "--version", env=environment).split()[-1]
        for kind in ("json-schema", "ts"):
            out = f"{folder}/{kind}"
            _output(
                codex,
                "app-server",
                f"generate-{kind}",
                "--experimental",
                "--out",
                out,
                env=environment,
            )
        out = f"{folder}/stable"
        _output(codex, "app-server", "generate-json-schema", "--out", out, env=environment)
        return read_schema(version, Path(folder))


def _output(*command: str, env: Mapping[str, str]) -> str:
    result = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stderr}")
    return result.stdout


def read_schema(version: str, folder: Path) -> Schema:
    """Read what the CLI has written: ``json-schema``, ``ts`` and, with less in it, ``stable``."""
    content = (folder / "json-schema" / BUNDLE).read_bytes()
    document = json.loads(content)
    words = typescript_words(folder / "ts")
    definitions = corrected(_flat(document), words)
    stable_document = json.loads((folder / "stable" / BUNDLE).read_bytes())
    shown = {
        table: {_method_name(variant) for variant in stable_document["definitions"][table]["oneOf"]}
        for table in ("ClientRequest", "ServerNotification", "ServerRequest")
    }

    def methods(table: str) -> tuple[Method, ...]:
        variants = document["definitions"][table]["oneOf"]
        return tuple(_method(variant, definitions, shown[table]) for variant in variants)

    return Schema(
        version=version,
        sha256=hashlib.sha256(content).hexdigest(),
        definitions=definitions,
        client_methods=methods("ClientRequest"),
        notifications=methods("ServerNotification"),
        server_requests=methods("ServerRequest"),
        stable=corrected(_flat(stable_document), words),
    )


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return all definitions by name; the two namespaces of the document have no name twice."""
    first = {key: value for key, value in document["definitions"].items() if key != "v2"}
    second = document["definitions"]["v2"]
    for name in first.keys() & second.keys():
        if _bare(first[name]) != _bare(second[name]):
            raise UnknownSchema(f"two different definitions of {name}")
    return {**first, **second}


def _bare(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key not in ("$schema", "title")}


def _method_name(variant: dict[str, Any]) -> str:
    [name] = variant["properties"]["method"]["enum"]
    return str(name)


def _method(variant: dict[str, Any], definitions: dict[str, Any], shown: set[str]) -> Method:
    name = _method_name(variant)
    params = _params(variant["properties"].get("params"), name)
    result = RESULTS.get(name) or (params or "").replace("Params", "Response")
    known = result != params and result in definitions
    said = _HEADINGS.sub("", variant.get("description", ""))
    if definitions.get(params or "", {}).get("description"):
        said = ""
    return Method(name, params, result if known else None, name not in shown, said)


def _params(schema: Any, method: str) -> str | None:
    """Return the name of the definition of a method's params; ``None`` if it takes none."""
    if schema in (None, {"type": "null"}):
        return None
    if "anyOf" in schema:  # params that may be null: an empty object says the same
        [schema] = [branch for branch in schema["anyOf"] if branch != {"type": "null"}]
    if set(schema) - {"description"} != {"$ref"}:
        raise UnknownSchema(f"{method}: params that are no definition: {schema}")
    return reference(schema)


def reference(schema: Mapping[str, Any]) -> str:
    """Return the name that a ``$ref`` refers to."""
    target = str(schema["$ref"])
    if not target.startswith(_PREFIX):
        raise UnknownSchema(f"a reference to {target}")
    return target.rpartition("/")[2]


def references(schema: Any) -> set[str]:
    """Return the names of all definitions that *schema* refers to directly."""
    if isinstance(schema, dict):
        inner = set().union(*map(references, schema.values()))
        return inner | {reference(schema)} if isinstance(schema.get("$ref"), str) else inner
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    return set()


def reached(roots: set[str], definitions: Mapping[str, Any]) -> set[str]:
    """Return the *roots*, and all that can be reached from them."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen and name in definitions:
            seen.add(name)
            waiting.extend(references(definitions[name]))
    return seen

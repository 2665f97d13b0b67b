"""The methods of the protocol, and the types that belong to them."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, ClassVar, get_args

import attrs
import pytest

from codex_sdk import protocol
from codex_sdk._core.versions import PINNED
from codex_sdk.exceptions import CodexError, CodexParseError

from .values import simplest, wire

ROOT = Path(__file__).parents[2]
CLASSES = [
    (method, cls)
    for method, entry in protocol.CLIENT_METHODS.items()
    for cls in get_args(getattr(protocol, entry.params)) or [getattr(protocol, entry.params)]
    if cls is not protocol.UnknownVariant
]


def test_the_protocol_is_that_of_the_pinned_cli() -> None:
    assert str(PINNED) == protocol.CODEX_VERSION
    assert len(protocol.SCHEMA_SHA256) == 64


def test_the_page_of_coverage_counts_all_methods() -> None:
    page = (ROOT / "docs" / "protocol-coverage.md").read_text(encoding="utf-8")
    for title, table in (
        ("Client methods", protocol.CLIENT_METHODS),
        ("Notifications", protocol.NOTIFICATIONS),
        ("Server requests", protocol.SERVER_REQUESTS),
    ):
        assert f"| {title} | {len(table)} | {len(table)} | {len(table)} |" in page
        assert all(f"\n| `{method}`" in page for method in table)


@pytest.mark.parametrize(("method", "cls"), CLASSES)
def test_params_know_their_method_and_their_result(
    method: str, cls: type[protocol.Request[Any]]
) -> None:
    assert issubclass(cls, protocol.Request)
    assert cls.method == method
    result = simplest(getattr(protocol, protocol.CLIENT_METHODS[method].result))
    assert protocol.structure_result(simplest(cls), wire(result)) == result


def test_no_two_methods_share_their_params() -> None:
    assert len({cls for _, cls in CLASSES}) == len(CLASSES)
    assert {method for method, _ in CLASSES} == set(protocol.CLIENT_METHODS)


@pytest.mark.parametrize("method", protocol.NOTIFICATIONS)
def test_each_notification_has_a_payload(method: str) -> None:
    payload = simplest(getattr(protocol, protocol.NOTIFICATIONS[method].payload))
    assert protocol.notification_payload(method, wire(payload)) == payload


@pytest.mark.parametrize("method", protocol.SERVER_REQUESTS)
def test_each_server_request_has_a_payload_and_a_response(method: str) -> None:
    entry = protocol.SERVER_REQUESTS[method]
    payload = simplest(getattr(protocol, entry.params))
    assert protocol.request_payload(method, wire(payload)) == payload
    response = protocol.response_type(method)
    assert response.__name__ == entry.response
    assert protocol.structure(response, wire(simplest(response))) == simplest(response)


def test_methods_that_are_not_known_are_kept() -> None:
    params = {"a": [1]}
    assert protocol.notification_payload("invented/event", params) == protocol.UnknownPayload(
        "invented/event", params
    )
    assert protocol.request_payload("invented/ask", None) == protocol.UnknownPayload(
        "invented/ask", None
    )
    with pytest.raises(CodexError, match="no server request 'invented/ask'"):
        protocol.response_type("invented/ask")


def test_a_variant_of_params_that_is_not_known_is_kept() -> None:
    params = {"mode": "invented", "threadId": "t", "serverName": "s"}
    payload = protocol.request_payload("mcpServer/elicitation/request", params)
    assert payload == protocol.UnknownPayload("mcpServer/elicitation/request", params)


def test_params_that_are_not_what_the_method_has_are_an_error() -> None:
    with pytest.raises(
        CodexParseError, match=r"no TurnStartedNotification .*'threadId' is missing"
    ):
        protocol.notification_payload("turn/started", {"turn": {}})


def test_a_program_can_have_requests_of_its_own() -> None:
    @attrs.frozen(kw_only=True)
    class InventedParams(protocol.Request[dict[str, int]]):
        method: ClassVar[str] = "invented/method"

        some_field: int

    request = InventedParams(some_field=1)
    assert protocol.unstructure(request) == {"someField": 1}
    assert protocol.structure_result(request, {"a": 2}) == {"a": 2}


def test_what_is_experimental_is_marked() -> None:
    assert protocol.CLIENT_METHODS["thread/search"].experimental
    assert not protocol.CLIENT_METHODS["thread/start"].experimental
    assert protocol.is_experimental("ThreadSearchParams")
    assert not protocol.is_experimental("ThreadStartParams")
    assert "Experimental: the server has to be told" in inspect.getdoc(protocol.ThreadSearchParams)  # type: ignore[operator]
    assert "dynamic_tools: Experimental." in (protocol.ThreadStartParams.__doc__ or "")


def test_experimental_methods_have_experimental_params() -> None:
    experimental = {
        method for method, entry in protocol.CLIENT_METHODS.items() if entry.experimental
    }
    marked = {
        method
        for method, entry in protocol.CLIENT_METHODS.items()
        if protocol.is_experimental(entry.params)
    }
    assert marked == experimental


def test_every_type_says_what_it_is() -> None:
    names = [name for name in dir(protocol) if isinstance(getattr(protocol, name), type)]
    assert len(names) > 800
    assert [name for name in names if not getattr(protocol, name).__doc__] == []

"""What a request asks the server for, and the answers that no script is needed for."""

from __future__ import annotations

import json
from typing import Any

from .connection import HttpRequest
from .replies import HttpReply
from .wire import error_reply

__all__ = ["is_for_the_model", "read_body", "standing_reply"]


def is_for_the_model(http: HttpRequest) -> bool:
    """Say whether *http* asks for a response of the model."""
    return http.method == "POST" and _resource(http) == "responses"


def read_body(http: HttpRequest) -> tuple[Any, HttpReply | None]:
    """Return the JSON that *http* holds, and the answer if it holds something else."""
    encoding = http.headers.get("content-encoding", "identity")
    if encoding != "identity":
        message = f"ModelServer reads no body in content-encoding {encoding}: turn compression off"
        return None, error_reply(415, message)
    if not http.body:
        return None, None
    try:
        return json.loads(http.body), None
    except ValueError as error:
        return None, error_reply(400, f"the body of the request is no JSON: {error}")


def standing_reply(http: HttpRequest) -> HttpReply:
    """Return the answer to a request that is not for the model."""
    if "upgrade" in http.headers:  # to a WebSocket: at this status newer CLIs go on with HTTP
        return error_reply(426, "ModelServer speaks no WebSocket")
    if http.method == "GET" and _resource(http) == "models":
        return HttpReply(200, {"object": "list", "data": [], "models": []})
    return error_reply(404, f"ModelServer has no answer to {http.method} {http.path}")


def _resource(http: HttpRequest) -> str:
    return http.path.partition("?")[0].rpartition("/")[2]

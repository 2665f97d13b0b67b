"""Codex's errors as PydanticAI's own, so that retries and fallbacks know what they see."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)

from ...exceptions import AppServerClosedError, CodexError, TurnFailedError

__all__ = ["model_error"]

_STATUS = re.compile(r"(?:unexpected|last) status:? (\d{3})")
_IN_WORDS: Mapping[str, type[ModelAPIError]] = {
    r"ran out of room in the model's context window": ModelContextWindowExceededError,
    r"quota exceeded|usage limit": ModelQuotaExceededError,
    r"rate limit": ModelRateLimitError,
    r"high demand": ModelServerError,
    r"at capacity|overloaded": ModelOverloadedError,
    r"\"type\": ?\"invalid_request_error\"": ModelRequestRejectedError,
    r"stream disconnected|error sending request|connection": ModelConnectionError,
}
"""What the CLIs say where they say no status."""

_Category = type[
    ModelRateLimitError | ModelUnavailableError | ModelServerError | ModelRequestRejectedError
]

_BY_STATUS: Mapping[int, _Category] = {
    401: ModelAuthenticationError,
    403: ModelAuthenticationError,
    404: ModelNotFoundError,
    429: ModelRateLimitError,
    503: ModelUnavailableError,
}


def model_error(model_name: str, error: CodexError) -> ModelAPIError:
    """Return the error to raise instead of *error*, which becomes its cause."""
    message = str(error)
    if isinstance(error, AppServerClosedError):
        return ModelConnectionError(model_name, message)
    if isinstance(error, TimeoutError):
        return ModelTimeoutError(model_name, message)
    if not isinstance(error, TurnFailedError):
        return ModelAPIError(model_name, message)
    if found := _STATUS.search(message):
        return _http_error(model_name, int(found[1]), message)
    for pattern, error_type in _IN_WORDS.items():
        if re.search(pattern, message, re.IGNORECASE):
            return error_type(model_name, message)
    return ModelAPIError(model_name, message)


def _http_error(model_name: str, status: int, message: str) -> ModelHTTPError:
    category = _BY_STATUS.get(status)
    if category is None:
        category = ModelServerError if status >= 500 else ModelRequestRejectedError
    return ModelHTTPError.for_category(
        category, status_code=status, model_name=model_name, body=message
    )

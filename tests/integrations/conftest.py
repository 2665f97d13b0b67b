"""PydanticAI agents around the real CLI under test, whose model is scripted."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from ..real_cli.conftest import (
    MakeCodex,
    Survivors,
    legacy,
    make_codex,
    mark,
    options,
    processes,
    workspace,
)
from ..tracing import tracing

__all__ = [
    "MakeCodex",
    "Survivors",
    "asyncio_only",
    "legacy",
    "make_codex",
    "mark",
    "options",
    "processes",
    "tracing",
    "workspace",
]

collect_ignore_glob = []
if find_spec("pydantic_ai"):
    from .models import make_model as make_model
    from .toolsets import make_toolset as make_toolset
else:  # it needs Python 3.11
    collect_ignore_glob.append("test_pydantic_ai_*.py")

asyncio_only = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(("asyncio", {"debug": True}), id="asyncio")]
)
"""Marks tests of PydanticAI's agents, which run on asyncio alone."""


@pytest.fixture(autouse=True)
def no_other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep OpenAI's own key out of the tests: nothing may ask a model that is not scripted."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("CODEX_API_KEY", raising=False)

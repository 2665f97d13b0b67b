from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_sdk.testing import BlockingModelServer

from ..examples.workplace import Workplace, make_workplace
from .improvising import improvise

PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def workplace(codex_cli: str, tmp_path: Path) -> Iterator[Workplace]:
    """A place to run programs in, with a model that improvises."""
    with BlockingModelServer(exhausted=improvise) as model:
        workplace = make_workplace(tmp_path, model, codex_cli)
        (workplace.directory / "screenshot.png").write_bytes(PIXEL)
        yield workplace

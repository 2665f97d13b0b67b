"""The pytest plugin: fixtures for whoever asks, and nothing for whoever does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio.lowlevel import current_token

from codex_sdk.testing import BlockingModelServer, ModelServer

from .http_client import ask, ask_for_text

HEAVY = ("anyio", "attrs", "h11", "msgspec", "trio", "codex_sdk.testing.server")


async def test_the_fixture_is_a_server_on_the_test_s_own_loop(model_server: ModelServer) -> None:
    token = current_token()
    model_server.will_reply(lambda request: str(current_token() == token))
    assert await ask_for_text(model_server.url) == "True"


async def test_each_test_gets_a_server_of_its_own(model_server: ModelServer) -> None:
    response = await ask(model_server.url)
    assert response is not None
    assert response.status == 400
    assert model_server.requests[0].number == 1


def test_the_blocking_fixture_needs_no_event_loop(
    blocking_model_server: BlockingModelServer,
) -> None:
    assert blocking_model_server.url.startswith("http://127.0.0.1:")


def test_loading_the_plugin_loads_nothing_else() -> None:
    code = f"import codex_sdk.testing.pytest_plugin, sys; print([n for n in {HEAVY} if n in sys.modules])"
    assert run([sys.executable, "-c", code]).strip() == "[]"


def test_public_names_can_all_be_imported() -> None:
    code = (
        "from codex_sdk.testing import *; import codex_sdk.testing as t; "
        "print(dir(t) == sorted(t.__all__))"
    )
    assert run([sys.executable, "-c", code]).strip() == "True"


TESTS_OF_A_USER = """
import sys
sys.modules["trio"] = None  # as if it were not installed

async def test_async(model_server):
    assert model_server.url
    assert not model_server.requests

def test_sync(blocking_model_server):
    assert blocking_model_server.url
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_fixtures_work_where_trio_is_not_installed(tmp_path: Path, mode: str) -> None:
    backend = "\nimport pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    marker = "" if mode == "auto" else "import pytest\npytestmark = pytest.mark.anyio\n"
    (tmp_path / "test_it.py").write_text(marker + TESTS_OF_A_USER + backend)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nanyio_mode = {mode}\nfilterwarnings = error\n")
    assert "2 passed" in run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path
    )


def run(command: list[str], **options: Any) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, **options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout

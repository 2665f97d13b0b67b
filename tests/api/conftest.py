"""Stand-in CLIs: small scripts that show the faults which the real CLI cannot be made to show."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest

from codex_sdk import Codex, CodexOptions

from .. import survivors

PRELUDE = """
import json, os, signal, subprocess, sys, time

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"

def emit(*events):
    for event in events:
        sys.stdout.write(json.dumps(event) + "\\n")
    sys.stdout.flush()

def store(thread_id):
    folder = os.path.join(os.environ["CODEX_HOME"], "sessions", "2026", "01", "02")
    os.makedirs(folder, exist_ok=True)
    open(os.path.join(folder, f"rollout-2026-01-02T03-04-05-{thread_id}.jsonl"), "w").close()

def started(thread_id=THREAD_ID, stored=True):
    if stored and "CODEX_HOME" in os.environ:
        store(thread_id)
    emit({"type": "thread.started", "thread_id": thread_id}, {"type": "turn.started"})

def message(text, number=0):
    item = {"id": f"item_{number}", "type": "agent_message", "text": text}
    emit({"type": "item.completed", "item": item})

def completed():
    usage = {"input_tokens": 11, "cached_input_tokens": 3, "output_tokens": 7}
    emit({"type": "turn.completed", "usage": usage})

if sys.argv[1:] == ["--version"]:
    print("codex-cli 0.163.0")
    sys.exit()

"""

MakeCodex = Callable[..., Codex]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Make an executable out of a script that may use what :data:`PRELUDE` defines."""
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex home"))

    def make(script: str) -> str:
        path = tmp_path / f"stand-in-{uuid4().hex}"
        path.write_text(f"#!{sys.executable} -IS\n{PRELUDE}{dedent(script)}", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def codex_like(stand_in: Callable[[str], str]) -> MakeCodex:
    """Make a client whose CLI is a stand-in."""

    def make(script: str, **options: object) -> Codex:
        return Codex(CodexOptions(codex_path_override=stand_in(script), **options))  # type: ignore[arg-type]

    return make


@pytest.fixture(autouse=True)
def no_process_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Fail a test that leaves a process behind; gives the test the means to look earlier."""
    mark = uuid4().hex
    monkeypatch.setenv(survivors.NAME, mark)

    yield partial(survivors.carrying, mark)
    assert survivors.carrying(mark) == []

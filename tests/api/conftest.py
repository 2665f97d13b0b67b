"""Stand-in CLIs: small scripts that show the faults which the real CLI cannot be made to show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import psutil
import pytest

from codex_sdk import Codex, CodexOptions

PRELUDE = """
import json, os, signal, subprocess, sys, time

THREAD_ID = "01a2b3c4-0000-7000-8000-000000000001"

def emit(*events):
    for event in events:
        sys.stdout.write(json.dumps(event) + "\\n")
    sys.stdout.flush()

def started(thread_id=THREAD_ID):
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
def stand_in(tmp_path: Path) -> Callable[[str], str]:
    """Make an executable out of a script that may use what :data:`PRELUDE` defines."""

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
def no_process_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """Fail a test that leaves a process behind; gives the test the means to look earlier."""
    mark = uuid4().hex
    monkeypatch.setenv("CODEX_SDK_TEST", mark)

    def survivors() -> list[int]:
        return [process.pid for process in psutil.process_iter() if _carries(process, mark)]

    yield survivors
    assert survivors() == []


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return (
            process.pid != os.getpid()
            and process.status() != psutil.STATUS_ZOMBIE
            and process.environ().get("CODEX_SDK_TEST") == mark
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False

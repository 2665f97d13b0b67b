"""What importing the protocol costs, and what it gives."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from codex_sdk import protocol
from codex_sdk.protocol import _index

SESSION = """
import sys
from codex_sdk import protocol
for request in (
    protocol.InitializeParams(client_info=protocol.ClientInfo(name="n", version="1")),
    protocol.ThreadStartParams(cwd="."),
    protocol.TurnStartParams(thread_id="t", input=[protocol.TextUserInput(text="x")]),
):
    protocol.unstructure(request)
turn = {"id": "1", "items": [], "status": "completed", "error": None}
item = {"type": "agentMessage", "id": "1", "text": "x"}
place = {"threadId": "t", "turnId": "1"}
for method, params in {
    "turn/started": {"threadId": "t", "turn": turn},
    "item/started": {**place, "item": item, "startedAtMs": 1},
    "item/agentMessage/delta": {**place, "itemId": "1", "delta": "x"},
    "item/completed": {**place, "item": item, "completedAtMs": 1},
    "turn/completed": {"threadId": "t", "turn": turn},
}.items():
    protocol.notification_payload(method, params)
ask = {**place, "itemId": "1", "startedAtMs": 1}
protocol.request_payload("item/commandExecution/requestApproval", ask)
protocol.unstructure(protocol.CommandExecutionRequestApprovalResponse(decision="accept"))
"""


def after(code: str, result: str) -> Any:
    """Return a value from a new interpreter that has run *code*."""
    source = f"import json, sys\n{code}\nprint(json.dumps({result}))"
    environ = {**os.environ, "PYTHONPATH": str(Path(protocol.__file__).parents[2])}
    process = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True, env=environ
    )
    return json.loads(process.stdout)


def test_importing_the_protocol_loads_none_of_it() -> None:
    loaded = after("from codex_sdk import protocol", "sorted(sys.modules)")
    assert [name for name in loaded if name.startswith("codex_sdk")] == [
        "codex_sdk",
        "codex_sdk.protocol",
    ]
    assert not {"anyio", "attr", "attrs", "cattrs", "msgspec"} & set(loaded)


def test_a_session_makes_few_of_the_classes() -> None:
    base = "sys.modules['codex_sdk.protocol._base']"
    waiting, classes = after(
        SESSION,
        f"[len({base}._UNFINISHED), len({base}.ProtocolObject.__subclasses__() "
        f"+ {base}.Request.__subclasses__())]",
    )
    everything = sum(len(names.split()) for names in _index.FILES.values())
    assert classes < everything / 3  # declared, since they are in the same files
    assert 0 < classes - waiting < everything / 20  # finished, which is what takes time


def test_a_session_loads_few_of_the_files() -> None:
    loaded = after(SESSION, "sorted(sys.modules)")
    prefix = "codex_sdk.protocol._generated."
    files = {name.removeprefix(prefix) for name in loaded if name.startswith(prefix)}
    assert {"common", "thread", "turn", "item", "approval", "server"} == files


def test_the_protocol_needs_neither_cattrs_nor_an_event_loop() -> None:
    loaded = set(after(SESSION, "sorted(sys.modules)"))
    assert not {"anyio", "asyncio", "cattrs", "pydantic", "jsonschema"} & loaded


def test_all_names_are_there_and_listed() -> None:
    names = {name for names in _index.FILES.values() for name in names.split()}
    assert names < set(dir(protocol))
    assert not names & protocol._HOMES.keys()  # type: ignore[attr-defined]
    for name in dir(protocol):
        getattr(protocol, name)


def test_checkers_see_the_names_that_exist() -> None:
    names = import_module("codex_sdk.protocol._names")
    seen = {name for name in vars(names) if name[0].isalpha()}
    listed = [name for names in _index.FILES.values() for name in names.split()]
    assert seen == set(listed)
    assert len(listed) == len(seen)


def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'ThreadStrat'"):
        protocol.ThreadStrat  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError, match="_invented"):
        protocol._invented  # type: ignore[attr-defined] # noqa: B018


def test_classes_are_attrs_classes_however_they_are_come_by() -> None:
    code = """
import attrs, typing
from codex_sdk import protocol
union = protocol.ThreadItem
from_union = typing.get_args(union)[0]
import codex_sdk.protocol._generated.command as command
hidden = command.CommandExecParams
before = attrs.has(hidden)
hidden(command=["ls"])
"""
    assert after(code, "[attrs.has(from_union), before, attrs.has(hidden)]") == [True, False, True]


def test_what_was_pickled_elsewhere_can_be_used_at_once() -> None:
    pickled = pickle.dumps(protocol.ThreadReadParams(thread_id="t", include_turns=True))
    code = f"""
import attrs, pickle
value = pickle.loads({pickled!r})
changed = attrs.evolve(value, thread_id="u")
"""
    assert after(code, "[repr(value), repr(changed)]") == [
        "ThreadReadParams(thread_id='t', include_turns=True)",
        "ThreadReadParams(thread_id='u', include_turns=True)",
    ]


def test_threads_may_be_the_first_to_use_a_class_at_the_same_time() -> None:
    code = """
import threading
from codex_sdk.protocol._generated import command, thread, turn
from codex_sdk.protocol._base import _UNFINISHED
sys.setswitchinterval(1e-6)
classes = [cls for cls in _UNFINISHED if cls.__name__.endswith("Params")]
barrier, failures = threading.Barrier(4), []
def use():
    barrier.wait()
    for cls in classes:
        try:
            cls(**dict.fromkeys(cls.__annotations__.keys() - {"method", "type"}))
        except Exception as error:
            failures.append(repr(error))
threads = [threading.Thread(target=use) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
"""
    assert after(code, "[len(classes) > 10, failures]") == [True, []]

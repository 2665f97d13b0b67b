"""What importing the package costs, and what it gives."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import FunctionType

import pytest

import codex_sdk

SPECIFIED = """
AbortController AbortSignal Codex Thread ThreadHooks Input TextInput LocalImageInput RunResult
RunStreamedResult Turn ThreadEvent ThreadStartedEvent TurnStartedEvent TurnCompletedEvent TurnFailedEvent
ItemStartedEvent ItemUpdatedEvent ItemCompletedEvent ThreadError ThreadErrorEvent Usage ThreadItem
AgentMessageItem ReasoningItem CommandExecutionItem FileChangeItem McpToolCallItem CollabToolCallItem
McpToolCallItemResult McpToolCallItemError WebSearchItem TodoListItem ErrorItem CommandExecutionStatus
PatchChangeKind PatchApplyStatus McpToolCallStatus CollabToolCallStatus CollabTool CollabAgentStatus
CollabAgentState TodoItem CodexOptions ThreadOptions TurnOptions ApprovalMode ApprovalsReviewer
SandboxMode ModelReasoningEffort ModelPersonality WebSearchMode CodexError CodexAbortError CodexCLIError
CodexParseError TurnFailedError AppServerClient AppServerClientInfo AppServerNotification AppServerRequest
AppServerOptions AppServerTurnSession ApprovalDecisions AppServerInput AppServerUserInput CodexAppServerError
""".split()

OWN = """
BackendName StoredThread StoredThreads
AppServerClosedError AppServerTimeoutError RequestHandlers Tool ToolImage ToolSet UnfinishedHandlerError tool
CodexBinary CodexNotFoundError CodexTimeoutError CodexWarning FileUpdateChange ParsedTurn StreamedTurn
ThreadMismatchError TurnStream UnknownEvent UnknownEvents UnknownItem UserInput find_codex
""".split()


def modules_after(statement: str, *options: str) -> set[str]:
    """Return what *statement* makes Python load, above what it loads by itself."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    command = [sys.executable, *options, "-c", code]
    environ = {**os.environ, "PYTHONPATH": str(Path(codex_sdk.__file__ or "").parents[1])}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    return set(result.stdout.split())


def packages_after(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in modules_after(statement)}


def test_importing_the_package_loads_nothing_else() -> None:
    bare = "-S"  # what site packages load at startup would hide what we load
    assert modules_after("import codex_sdk", bare) <= {"codex_sdk", "__future__"}


def test_the_client_loads_no_model_framework_and_no_generated_protocol() -> None:
    loaded = modules_after("from codex_sdk import Codex, Thread, TurnStream")
    assert "codex_sdk._runtime.exec_turn" in loaded  # the statement does load what a turn needs
    packages = {name.partition(".")[0] for name in loaded}
    optional = {"pydantic", "pydantic_ai", "opentelemetry", "logfire", "trio", "h11", "jsonschema"}
    assert not packages & optional
    assert not {name for name in loaded if name.startswith("codex_sdk.protocol")}


def test_exceptions_and_options_load_no_event_loop_and_no_decoder() -> None:
    packages = packages_after("from codex_sdk import CodexError, CodexOptions, TurnOptions")
    assert not packages & {"anyio", "asyncio", "cattrs", "msgspec", "psutil"}


def test_the_pytest_plugin_loads_nothing_until_a_fixture_is_used() -> None:
    packages = packages_after("import pytest, codex_sdk.testing.pytest_plugin")
    assert not packages & {"anyio", "attr", "h11", "msgspec", "psutil"}


def test_the_exported_names_are_those_of_the_specification_and_our_own() -> None:
    assert set(codex_sdk.__all__) == {*SPECIFIED, *OWN}
    assert sorted(codex_sdk.__all__) == codex_sdk.__all__
    assert len(set(codex_sdk.__all__)) == len(codex_sdk.__all__)


def test_checkers_see_the_names_that_exist_and_where_they_live() -> None:
    tree = ast.parse(inspect.getsource(codex_sdk))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    seen = {alias.name: f".{node.module}" for node in imports for alias in node.names}
    assert seen == codex_sdk._HOMES  # type: ignore[attr-defined]
    assert set(seen) == set(codex_sdk.__all__)


@pytest.mark.parametrize("name", codex_sdk.__all__)
def test_each_name_is_the_one_of_its_module(name: str) -> None:
    home = codex_sdk._HOMES[name]  # type: ignore[attr-defined]
    assert getattr(codex_sdk, name) is getattr(import_module(home, "codex_sdk"), name)
    assert name in dir(codex_sdk)


def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="'codex_sdk' has no attribute 'Codx'"):
        codex_sdk.Codx  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(ImportError, match="Codx"):
        exec("from codex_sdk import Codx")


def test_a_star_import_gives_all_names() -> None:
    names: dict[str, object] = {}
    exec("from codex_sdk import *", names)
    assert set(codex_sdk.__all__) <= set(names)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert codex_sdk.__version__ == version("codex-sdk-python")


@pytest.mark.parametrize("name", codex_sdk.__all__)
def test_everything_public_says_what_it_is(name: str) -> None:
    value = getattr(codex_sdk, name)
    if inspect.isclass(value):
        kinds = (property, classmethod, staticmethod, FunctionType)
        members = {key: member for key, member in vars(value).items() if key[0] != "_"}
        methods = {key: member for key, member in members.items() if isinstance(member, kinds)}
        undocumented = [key for key, member in methods.items() if not inspect.getdoc(member)]
        assert undocumented == []
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__


def test_the_package_is_typed() -> None:
    assert (Path(codex_sdk.__file__ or "").parent / "py.typed").exists()

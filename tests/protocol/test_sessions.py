"""The types, held against what the app-server of a real CLI takes and writes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_sdk import protocol
from codex_sdk.testing import AddFile, ApplyPatch, BlockingModelServer, FunctionCall, RunCommand

from .sessions import Calls, Session, session

MET = Path(__file__).with_name("met_in_sessions.txt")
SCRIPT = [
    RunCommand("touch made.txt"),
    ApplyPatch(AddFile("added.txt", "text")),
    FunctionCall("weather", {"city": "Oslo"}),
    "Done. " * 20,
]


@pytest.fixture
def server() -> Iterator[BlockingModelServer]:
    with BlockingModelServer(SCRIPT) as server:
        yield server


@pytest.fixture
def app_server(codex_cli: str, server: BlockingModelServer, tmp_path: Path) -> Iterator[Session]:
    """Return a session that has been initialized."""
    with session(codex_cli, server.codex_options(), tmp_path) as opened:
        client = protocol.ClientInfo(name="codex_sdk_tests", version="1")
        capabilities = protocol.InitializeCapabilities(experimental_api=True)
        opened.call(protocol.InitializeParams(client_info=client, capabilities=capabilities))
        opened.notify("initialized")
        yield opened


def accept_command(asked: Any) -> protocol.ProtocolObject:
    assert isinstance(asked, protocol.CommandExecutionRequestApprovalParams)
    return protocol.CommandExecutionRequestApprovalResponse(decision="accept")


def accept_patch(asked: Any) -> protocol.ProtocolObject:
    assert isinstance(asked, protocol.FileChangeRequestApprovalParams)
    return protocol.FileChangeRequestApprovalResponse(decision="accept")


def tell_weather(asked: Any) -> protocol.ProtocolObject:
    assert isinstance(asked, protocol.DynamicToolCallParams)
    assert asked.arguments == {"city": "Oslo"}
    text = protocol.InputTextDynamicToolCallOutputContentItem(text="sunny")
    return protocol.DynamicToolCallResponse(content_items=[text], success=True)


def take_turn(app_server: Session, cwd: Path) -> protocol.TurnCompletedNotification:
    """Take a turn in which the model does all that the script says."""
    app_server.answers = {
        "item/commandExecution/requestApproval": accept_command,
        "item/fileChange/requestApproval": accept_patch,
        "item/tool/call": tell_weather,
    }
    weather = protocol.FunctionDynamicToolSpec(
        name="weather", description="Tell the weather", input_schema={"type": "object"}
    )
    started = app_server.call(
        protocol.ThreadStartParams(
            cwd=str(cwd),
            model="gpt-5-codex",
            approval_policy="untrusted",
            sandbox="workspace-write",
            dynamic_tools=[weather],
        )
    )
    text = protocol.TextUserInput(text="hello")
    app_server.call(protocol.TurnStartParams(thread_id=started.thread.id, input=[text]))
    ended = app_server.until("turn/completed")
    assert isinstance(ended, protocol.TurnCompletedNotification)
    return ended


def test_a_turn_is_understood(app_server: Session, tmp_path: Path) -> None:
    turn = take_turn(app_server, tmp_path).turn
    assert (turn.status, turn.error) == ("completed", None)
    assert (tmp_path / "made.txt").exists()
    assert (tmp_path / "added.txt").exists()
    assert app_server.met >= {
        "item/commandExecution/requestApproval",
        "item/fileChange/requestApproval",
        "item/started",
        "item/completed",
        "item/agentMessage/delta",
        "turn/started",
        "turn/completed",
    }


def about_threads(thread: str, cwd: str) -> Calls:
    """Ask whatever can be asked of a thread without another turn."""
    yield protocol.ThreadReadParams(thread_id=thread, include_turns=True)
    yield protocol.ThreadSetNameParams(thread_id=thread, name="a name")
    git_info = protocol.ThreadMetadataGitInfoUpdateParams(branch="main", sha=protocol.NULL)
    yield protocol.ThreadMetadataUpdateParams(thread_id=thread, git_info=git_info)
    turns = yield protocol.ThreadTurnsListParams(thread_id=thread)
    yield protocol.ThreadItemsListParams(thread_id=thread, turn_id=turns.data[0].id)
    yield protocol.ThreadTimelineListParams(thread_id=thread)
    yield protocol.ThreadSearchParams(search_term="hello")
    yield protocol.ThreadSearchOccurrencesParams(thread_id=thread, search_term="hello")
    yield protocol.ThreadGoalSetParams(thread_id=thread, objective="an aim")
    yield protocol.ThreadGoalGetParams(thread_id=thread)
    yield protocol.ThreadGoalClearParams(thread_id=thread)
    yield protocol.ThreadQueueListParams(thread_id=thread)
    yield protocol.ThreadSettingsUpdateParams(thread_id=thread, service_tier=protocol.NULL)
    yield protocol.ThreadMemoryModeSetParams(thread_id=thread, mode="enabled")
    yield protocol.ThreadBackgroundTerminalsListParams(thread_id=thread)
    yield protocol.ThreadBackgroundTerminalsCleanParams(thread_id=thread)
    section = yield protocol.ThreadSectionCreateParams(name="a section")
    yield protocol.ThreadSectionUpdateParams(section_id=section.section.id, name="another")
    yield protocol.ThreadSectionMoveParams(thread_id=thread, section_id=section.section.id)
    yield protocol.ThreadSectionListParams()
    yield protocol.ThreadSectionDeleteParams(section_id=section.section.id)
    forked = yield protocol.ThreadForkParams(thread_id=thread)
    yield protocol.ThreadUnsubscribeParams(thread_id=forked.thread.id)
    yield protocol.ThreadResumeParams(thread_id=thread)
    yield protocol.ThreadListParams(source_kinds=["appServer", "vscode"], cwd=cwd)
    yield protocol.ThreadLoadedListParams()
    yield protocol.ThreadArchiveParams(thread_id=thread)
    yield protocol.ThreadUnarchiveParams(thread_id=thread)


def about_files(cwd: Path) -> Calls:
    path, other = str(cwd / "file.txt"), str(cwd / "other.txt")
    content = base64.b64encode(b"text").decode()
    yield protocol.FsWatchParams(path=str(cwd), watch_id="1")
    yield protocol.FsWriteFileParams(path=path, data_base64=content)
    read = yield protocol.FsReadFileParams(path=path)
    assert read.data_base64 == content
    yield protocol.FsCopyParams(source_path=path, destination_path=other)
    yield protocol.FsCreateDirectoryParams(path=str(cwd / "folder"))
    yield protocol.FsGetMetadataParams(path=path)
    listed = yield protocol.FsReadDirectoryParams(path=str(cwd))
    assert {"file.txt", "other.txt"} <= {entry.file_name for entry in listed.entries}
    yield protocol.FsRemoveParams(path=other)
    yield protocol.FsUnwatchParams(watch_id="1")
    found = yield protocol.FuzzyFileSearchParams(query="file", roots=[str(cwd)])
    assert found.files[0].file_name == "file.txt"
    ran = yield protocol.CommandExecParams(command=["cat", path])
    assert (ran.exit_code, ran.stdout) == (0, "text")
    project = yield protocol.ProjectCreateParams(idempotency_key="1", name="a project", roots=[])
    yield protocol.ProjectListParams()
    yield protocol.ProjectReadParams(project_id=project.project.id)
    yield protocol.ProjectDeleteParams(project_id=project.project.id)


def about_the_server(cwd: str) -> Calls:
    yield protocol.ConfigReadParams(include_layers=True, cwd=cwd)
    yield protocol.ConfigRequirementsReadParams()
    edit = {"key_path": "model_reasoning_effort", "value": "low", "merge_strategy": "replace"}
    yield protocol.ConfigValueWriteParams(**edit)
    yield protocol.ConfigBatchWriteParams(edits=[protocol.ConfigEdit(**edit)])
    yield protocol.McpServerRefreshParams()
    yield protocol.ListMcpServerStatusParams()
    yield protocol.ModelListParams()
    yield protocol.ModelProviderCapabilitiesReadParams()
    yield protocol.CollaborationModeListParams()
    yield protocol.ExperimentalFeatureListParams()
    yield protocol.ExperimentalFeatureEnablementSetParams(enablement={})
    yield protocol.PermissionProfileListParams()
    yield protocol.SkillsListParams(cwds=[cwd])
    yield protocol.HooksListParams(cwds=[cwd])
    yield protocol.PluginInstalledParams()
    yield protocol.AppsListParams()
    yield protocol.MemoryStatusParams()
    yield protocol.MemoryResetParams()
    yield protocol.ServerDiagnosticsParams()
    yield protocol.EnvironmentStatusParams(environment_id="local")
    yield protocol.ExternalAgentConfigDetectParams(cwds=[cwd])
    yield protocol.ExternalAgentConfigImportHistoriesReadParams()
    yield protocol.RemoteControlStatusReadParams()
    yield protocol.ThreadRealtimeListVoicesParams()
    yield protocol.UserVerificationStatusParams()
    yield protocol.WindowsSandboxReadinessParams()
    yield protocol.ApiKeyLoginAccountParams(api_key="sk-test")
    yield protocol.GetAccountParams()
    yield protocol.LogoutAccountParams()


def test_methods_take_their_params_and_answer_their_results(
    schema: object, app_server: Session, tmp_path: Path
) -> None:
    """The documentation shows the list of what this covers, so the list has to be right."""
    thread = take_turn(app_server, tmp_path).thread_id
    app_server.make(about_threads(thread, str(tmp_path)))
    app_server.make(about_files(tmp_path))
    app_server.make(about_the_server(str(tmp_path)))
    listed = set(MET.read_text(encoding="utf-8").split())
    assert listed - app_server.met == set()
    assert app_server.met - listed <= set(protocol.NOTIFICATIONS)  # of which there may be others

"""Each method of the client, as a program may call it, and what that asks the server for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import attrs

from codex_sdk import protocol


@attrs.frozen
class Call:
    """A call of a method of the client.

    Attributes:
        name: the method's name.
        arguments: its positional arguments; THREAD and TURN stand for ids.
        keywords: its keyword arguments.
        method: what the server is asked for.
        params: with which params.
    """

    name: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    method: str
    params: Mapping[str, Any]


THREAD = "<thread>"
TURN = "<turn>"
DIRECTORY = "/directory"
TEXT = [{"type": "text", "text": "hi"}]
GIT = {"sha": None, "branch": "main"}
POLICY = {"type": "dangerFullAccess"}
SKILL = "/directory/SKILL.md"
MARKET = {"marketplace_path": "/directory/market.json", "plugin_name": "p"}
MARKET_PARAMS = {"marketplacePath": "/directory/market.json", "pluginName": "p"}
SIZE = {"rows": 24, "cols": 80}
FILE = PurePosixPath("/directory/file")
COPY = "/directory/copy"


def _call(name: str, /, *arguments: Any, **more: Any) -> Call:
    method, params = more.pop("asks"), more.pop("with_", {})
    if arguments[:1] == (THREAD,):
        params = {"threadId": THREAD, **params}
    return Call(name, arguments, more, method, params)


CALLS = [
    _call(
        "thread_start",
        cwd="/directory",
        approval_policy="never",
        model=None,
        asks="thread/start",
        with_={"cwd": "/directory", "approvalPolicy": "never"},
    ),
    _call("thread_resume", THREAD, asks="thread/resume"),
    _call(
        "thread_fork",
        THREAD,
        model="m",
        service_tier=protocol.NULL,
        asks="thread/fork",
        with_={"model": "m", "serviceTier": None},
    ),
    _call("thread_loaded_list", limit=5, asks="thread/loaded/list", with_={"limit": 5}),
    _call(
        "thread_list",
        limit=1,
        sort_key="updated_at",
        model_providers=["codex_sdk"],
        source_kinds=["vscode"],
        archived=False,
        cwd="/directory",
        asks="thread/list",
        with_={
            "limit": 1,
            "sortKey": "updated_at",
            "modelProviders": ["codex_sdk"],
            "sourceKinds": ["vscode"],
            "archived": False,
            "cwd": "/directory",
        },
    ),
    _call("thread_read", THREAD, asks="thread/read", with_={"includeTurns": False}),
    _call("thread_name_set", THREAD, name="n", asks="thread/name/set", with_={"name": "n"}),
    _call(
        "thread_metadata_update",
        THREAD,
        git_info=GIT,
        asks="thread/metadata/update",
        with_={"gitInfo": GIT},
    ),
    _call(
        "thread_shell_command",
        THREAD,
        command="true",
        asks="thread/shellCommand",
        with_={"command": "true"},
    ),
    _call(
        "thread_background_terminals_clean",
        THREAD,
        asks="thread/backgroundTerminals/clean",
    ),
    _call("thread_rollback", THREAD, num_turns=1, asks="thread/rollback", with_={"numTurns": 1}),
    _call(
        "turn_steer",
        THREAD,
        TURN,
        "hi",
        asks="turn/steer",
        with_={"expectedTurnId": TURN, "input": TEXT},
    ),
    _call(
        "review_start",
        THREAD,
        target=protocol.CustomReviewTarget(instructions="look"),
        delivery="inline",
        asks="review/start",
        with_={"target": {"type": "custom", "instructions": "look"}, "delivery": "inline"},
    ),
    _call("config_requirements_read", asks="configRequirements/read"),
    _call("config_read", asks="config/read", with_={"includeLayers": False}),
    _call(
        "config_value_write",
        key_path="model",
        value="m",
        asks="config/value/write",
        with_={"keyPath": "model", "value": "m", "mergeStrategy": "replace"},
    ),
    _call(
        "config_batch_write",
        edits=[{"keyPath": "model", "value": None, "mergeStrategy": "upsert"}],
        reload_user_config=True,
        asks="config/batchWrite",
        with_={
            "edits": [{"keyPath": "model", "value": None, "mergeStrategy": "upsert"}],
            "reloadUserConfig": True,
        },
    ),
    _call("model_list", include_hidden=True, asks="model/list", with_={"includeHidden": True}),
    _call(
        "experimental_feature_list", limit=1, asks="experimentalFeature/list", with_={"limit": 1}
    ),
    _call(
        "experimental_feature_enablement_set",
        feature_enablement={"apps": False},
        asks="experimentalFeature/enablement/set",
        with_={"enablement": {"apps": False}},
    ),
    _call("collaboration_mode_list", asks="collaborationMode/list"),
    _call(
        "external_agent_config_detect",
        include_home=False,
        asks="externalAgentConfig/detect",
        with_={"includeHome": False},
    ),
    _call(
        "external_agent_config_import",
        migration_items=[],
        asks="externalAgentConfig/import",
        with_={"migrationItems": []},
    ),
    _call(
        "windows_sandbox_setup_start",
        mode="unelevated",
        asks="windowsSandbox/setupStart",
        with_={"mode": "unelevated"},
    ),
    _call(
        "skills_list",
        cwds=["/directory"],
        force_reload=True,
        asks="skills/list",
        with_={"cwds": ["/directory"], "forceReload": True},
    ),
    _call(
        "skills_config_write",
        path=SKILL,
        enabled=False,
        asks="skills/config/write",
        with_={"path": SKILL, "enabled": False},
    ),
    _call("skills_remote_list", asks="skills/remote/list"),
    _call(
        "skills_remote_read",
        hazelnut_scope="all",
        params={"more": 1},
        asks="skills/remote/list",
        with_={"hazelnutScope": "all", "more": 1},
    ),
    _call(
        "skills_remote_export",
        hazelnut_id="x",
        asks="skills/remote/export",
        with_={"hazelnutId": "x", "isPreload": False},
    ),
    _call(
        "skills_remote_write",
        hazelnut_id="x",
        is_preload=True,
        asks="skills/remote/export",
        with_={"hazelnutId": "x", "isPreload": True},
    ),
    _call("app_list", limit=1, asks="app/list", with_={"limit": 1}),
    _call(
        "plugin_list",
        force_remote_sync=True,
        asks="plugin/list",
        with_={"forceRemoteSync": True, "forceRefetch": True},
    ),
    _call("plugin_read", **MARKET, asks="plugin/read", with_=MARKET_PARAMS),
    _call("plugin_install", **MARKET, asks="plugin/install", with_=MARKET_PARAMS),
    _call("plugin_uninstall", plugin_id="p@x", asks="plugin/uninstall", with_={"pluginId": "p@x"}),
    _call(
        "fs_create_directory",
        path=DIRECTORY,
        recursive=True,
        asks="fs/createDirectory",
        with_={"path": DIRECTORY, "recursive": True},
    ),
    _call(
        "fs_write_file",
        path=FILE,
        data_base64="aGk=",
        asks="fs/writeFile",
        with_={"path": str(FILE), "dataBase64": "aGk="},
    ),
    _call("fs_read_file", path=FILE, asks="fs/readFile", with_={"path": str(FILE)}),
    _call("fs_get_metadata", path=FILE, asks="fs/getMetadata", with_={"path": str(FILE)}),
    _call("fs_read_directory", path=DIRECTORY, asks="fs/readDirectory", with_={"path": DIRECTORY}),
    _call(
        "fs_copy",
        source_path=FILE,
        destination_path=COPY,
        asks="fs/copy",
        with_={"sourcePath": str(FILE), "destinationPath": COPY},
    ),
    _call(
        "fs_remove", path=COPY, force=True, asks="fs/remove", with_={"path": COPY, "force": True}
    ),
    _call(
        "fs_watch",
        path=DIRECTORY,
        watch_id="w",
        asks="fs/watch",
        with_={"path": DIRECTORY, "watchId": "w"},
    ),
    _call("fs_unwatch", watch_id="w", asks="fs/unwatch", with_={"watchId": "w"}),
    _call(
        "command_exec",
        command=["echo", "hi"],
        cwd=DIRECTORY,
        timeout_ms=20_000,
        sandbox_policy=POLICY,
        env={"A": None},
        asks="command/exec",
        with_={
            "command": ["echo", "hi"],
            "cwd": DIRECTORY,
            "timeoutMs": 20_000,
            "sandboxPolicy": POLICY,
            "env": {"A": None},
        },
    ),
    _call(
        "command_exec_write",
        process_id="p",
        close_stdin=True,
        asks="command/exec/write",
        with_={"processId": "p", "closeStdin": True},
    ),
    _call(
        "command_exec_resize",
        process_id="p",
        size=SIZE,
        asks="command/exec/resize",
        with_={"processId": "p", "size": SIZE},
    ),
    _call(
        "command_exec_terminate",
        process_id="p",
        asks="command/exec/terminate",
        with_={"processId": "p"},
    ),
    _call(
        "mcp_server_oauth_login",
        name="x",
        scopes=["a"],
        asks="mcpServer/oauth/login",
        with_={"name": "x", "scopes": ["a"]},
    ),
    _call("mcp_server_status_list", limit=1, asks="mcpServerStatus/list", with_={"limit": 1}),
    _call("mcp_server_refresh", asks="config/mcpServer/reload"),
    _call(
        "account_login_start",
        params=protocol.ApiKeyLoginAccountParams(api_key="k"),
        asks="account/login/start",
        with_={"type": "apiKey", "apiKey": "k"},
    ),
    _call(
        "account_login_cancel",
        login_id="00000000-0000-0000-0000-000000000000",
        asks="account/login/cancel",
        with_={"loginId": "00000000-0000-0000-0000-000000000000"},
    ),
    _call("account_read", asks="account/read", with_={"refreshToken": False}),
    _call("account_rate_limits_read", asks="account/rateLimits/read"),
    _call("account_logout", asks="account/logout"),
    _call(
        "feedback_upload",
        classification="bug",
        reason="r",
        thread_id=THREAD,
        asks="feedback/upload",
        with_={
            "classification": "bug",
            "reason": "r",
            "threadId": THREAD,
            "includeLogs": False,
        },
    ),
    _call("thread_compact_start", THREAD, asks="thread/compact/start"),
    _call(
        "thread_revert",
        THREAD,
        before_turn_id=TURN,
        asks="thread/revert",
        with_={"beforeTurnId": TURN},
    ),
    _call("thread_archive", THREAD, asks="thread/archive"),
    _call("thread_unarchive", THREAD, asks="thread/unarchive"),
    _call("thread_unsubscribe", THREAD, asks="thread/unsubscribe"),
    _call("thread_delete", THREAD, asks="thread/delete"),
    _call("turn_interrupt", THREAD, TURN, asks="turn/interrupt", with_={"turnId": TURN}),
    _call(
        "turn_start",
        THREAD,
        [{"type": "local_image", "path": PurePosixPath("/a.png")}],
        effort="low",
        asks="turn/start",
        with_={"input": [{"type": "localImage", "path": "/a.png"}], "effort": "low"},
    ),
]

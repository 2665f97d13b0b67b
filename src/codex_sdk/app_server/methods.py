"""The methods of the app-server, one Python method each.

Arguments are named in snake case; those that are ``None`` are not sent, and ``protocol.NULL`` is sent as
``null``. Results are the server's own, plain dicts. All methods raise what
:meth:`AppServerClient.request` raises; one that the connected CLI does not have raises
:class:`~codex_sdk.CodexAppServerError` with that CLI's version.

What is typed throughout is ``client.call(protocol.…Params(…))``, for these methods and all others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import inf
from os import PathLike
from typing import Any
from uuid import uuid4

from .._core.app_server_input import (
    AppServerInput,
    normalize_app_server_input,
    plain,
    protocol_params,
)
from ..protocol import ProtocolObject

__all__ = ["AppServerMethods"]


class Requests(ABC):
    """What all methods are made of."""

    @abstractmethod
    async def _request(
        self, method: str, params: Mapping[str, Any], *, timeout: float | None = None
    ) -> Any:
        """Ask the server and return its answer."""

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        result: dict[str, Any] = await self._request(method, protocol_params(params))
        return result


class ThreadMethods(Requests):
    """Threads: started, resumed, listed, and what is stored of them."""

    async def thread_start(self, **params: Any) -> dict[str, Any]:
        """``thread/start``: Start a thread; the result holds it as ``thread``.

        Takes the fields of ``protocol.ThreadStartParams``.
        """
        return await self._ask("thread/start", **params)

    async def thread_resume(self, thread_id: str, **params: Any) -> dict[str, Any]:
        """``thread/resume``: Load a stored thread.

        Takes the other fields of ``protocol.ThreadResumeParams``.
        """
        return await self._ask("thread/resume", thread_id=thread_id, **params)

    async def thread_fork(self, thread_id: str, **params: Any) -> dict[str, Any]:
        """``thread/fork``: Start a thread with the history of another.

        Takes the other fields of ``protocol.ThreadForkParams``.
        """
        return await self._ask("thread/fork", thread_id=thread_id, **params)

    async def thread_loaded_list(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """``thread/loaded/list``: Return the ids of the threads that the server has loaded."""
        return await self._ask("thread/loaded/list", cursor=cursor, limit=limit)

    async def thread_list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        sort_key: str | None = None,
        model_providers: Sequence[str] | None = None,
        source_kinds: Sequence[str] | None = None,
        archived: bool | None = None,
        cwd: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
        search_term: str | None = None,
    ) -> dict[str, Any]:
        """``thread/list``: Return a page of the stored threads.

        By default current CLIs leave out those of ``codex exec``; *source_kinds* names which to
        have.
        """
        return await self._ask(
            "thread/list",
            cursor=cursor,
            limit=limit,
            sort_key=sort_key,
            model_providers=model_providers,
            source_kinds=source_kinds,
            archived=archived,
            cwd=cwd,
            search_term=search_term,
        )

    async def thread_read(self, thread_id: str, *, include_turns: bool = False) -> dict[str, Any]:
        """``thread/read``: Return a stored thread, without loading it."""
        return await self._ask("thread/read", thread_id=thread_id, include_turns=include_turns)

    async def thread_archive(self, thread_id: str) -> dict[str, Any]:
        """``thread/archive``: Archive a thread."""
        return await self._ask("thread/archive", thread_id=thread_id)

    async def thread_unarchive(self, thread_id: str) -> dict[str, Any]:
        """``thread/unarchive``: Take a thread out of the archive."""
        return await self._ask("thread/unarchive", thread_id=thread_id)

    async def thread_delete(self, thread_id: str) -> dict[str, Any]:
        """``thread/delete``: Delete a thread for good."""
        return await self._ask("thread/delete", thread_id=thread_id)

    async def thread_unsubscribe(self, thread_id: str) -> dict[str, Any]:
        """``thread/unsubscribe``: Hear no more of a thread."""
        return await self._ask("thread/unsubscribe", thread_id=thread_id)

    async def thread_name_set(self, thread_id: str, *, name: str) -> dict[str, Any]:
        """``thread/name/set``: Name a thread."""
        return await self._ask("thread/name/set", thread_id=thread_id, name=name)

    async def thread_metadata_update(
        self, thread_id: str, *, git_info: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """``thread/metadata/update``: Change what is stored about a thread; in *git_info*, ``None``
        clears an entry.
        """
        return await self._ask("thread/metadata/update", thread_id=thread_id, git_info=git_info)

    async def thread_rollback(self, thread_id: str, *, num_turns: int) -> dict[str, Any]:
        """``thread/rollback``: Drop the last turns of a thread.

        CLIs of the generation of 0.80 only; newer ones have :meth:`thread_revert`.
        """
        return await self._ask("thread/rollback", thread_id=thread_id, num_turns=num_turns)

    async def thread_revert(self, thread_id: str, *, before_turn_id: str) -> dict[str, Any]:
        """``thread/revert``: Take a thread back to before a turn.

        Not in CLIs of the generation of 0.80, which have :meth:`thread_rollback`.
        """
        return await self._ask("thread/revert", thread_id=thread_id, before_turn_id=before_turn_id)

    async def thread_compact_start(self, thread_id: str) -> dict[str, Any]:
        """``thread/compact/start``: Begin to replace the history of a thread by a summary."""
        return await self._ask("thread/compact/start", thread_id=thread_id)

    async def thread_shell_command(self, thread_id: str, *, command: str) -> dict[str, Any]:
        """``thread/shellCommand``: Run a command of the user's in a thread, **outside the
        sandbox**; its output becomes part of the history.
        """
        return await self._ask("thread/shellCommand", thread_id=thread_id, command=command)

    async def thread_background_terminals_clean(self, thread_id: str) -> dict[str, Any]:
        """``thread/backgroundTerminals/clean``: End the commands of a thread that still run.

        Needs ``experimental_api_enabled``.
        """
        return await self._ask("thread/backgroundTerminals/clean", thread_id=thread_id)


class TurnMethods(Requests):
    """Turns, which answer at once and go on until ``turn/completed``."""

    async def turn_start(
        self, thread_id: str, input: AppServerInput, **params: Any
    ) -> dict[str, Any]:
        """``turn/start``: Start a turn; the result holds it as ``turn``.

        Its notifications come to :meth:`notifications`. Takes the other fields of
        ``protocol.TurnStartParams``.

        Raises:
            CodexError: the thread runs a turn already: steer it, or wait for its end.
        """
        return await self._ask(
            "turn/start", thread_id=thread_id, input=normalize_app_server_input(input), **params
        )

    async def turn_steer(
        self, thread_id: str, expected_turn_id: str, input: AppServerInput, **params: Any
    ) -> dict[str, Any]:
        """``turn/steer``: Say something to the turn that runs.

        Not in CLIs of the generation of 0.80. Takes the other fields of
        ``protocol.TurnSteerParams``.
        """
        return await self._ask(
            "turn/steer",
            thread_id=thread_id,
            expected_turn_id=expected_turn_id,
            input=normalize_app_server_input(input),
            **params,
        )

    async def turn_interrupt(self, thread_id: str, turn_id: str) -> dict[str, Any]:
        """``turn/interrupt``: End a turn; its ``turn/completed`` says ``interrupted``.

        Commands of current CLIs go on: :meth:`thread_background_terminals_clean` ends them.
        """
        return await self._ask("turn/interrupt", thread_id=thread_id, turn_id=turn_id)

    async def review_start(
        self,
        thread_id: str,
        *,
        target: Mapping[str, Any] | ProtocolObject,
        delivery: str | None = None,
    ) -> dict[str, Any]:
        """``review/start``: Start a turn that reviews *target*, such as ``{"type":
        "uncommittedChanges"}``.
        """
        return await self._ask(
            "review/start", thread_id=thread_id, target=target, delivery=delivery
        )


class ConfigurationMethods(Requests):
    """The server's configuration, and what there is to choose from."""

    async def config_requirements_read(self) -> dict[str, Any]:
        """``configRequirements/read``: Return what an administrator prescribes; ``requirements`` is
        ``None`` where nobody does.
        """
        return await self._ask("configRequirements/read")

    async def config_read(
        self, *, include_layers: bool = False, cwd: str | PathLike[str] | None = None
    ) -> dict[str, Any]:
        """``config/read``: Return the configuration in effect; with *include_layers*, where each
        part is from.
        """
        return await self._ask("config/read", include_layers=include_layers, cwd=cwd)

    async def config_value_write(
        self,
        *,
        key_path: str,
        value: Any,
        merge_strategy: str = "replace",
        file_path: str | PathLike[str] | None = None,
        expected_version: str | None = None,
    ) -> dict[str, Any]:
        """``config/value/write``: Write one setting to the user's ``config.toml``.

        Args:
            key_path: a dotted path.
            merge_strategy: ``replace``, or ``upsert``, which merges tables.
            expected_version: refuse, if the file is of another version.
        """
        return await self._ask(
            "config/value/write",
            key_path=key_path,
            value=value,
            merge_strategy=merge_strategy,
            file_path=file_path,
            expected_version=expected_version,
        )

    async def config_batch_write(
        self,
        *,
        edits: Sequence[Mapping[str, Any] | ProtocolObject],
        file_path: str | PathLike[str] | None = None,
        expected_version: str | None = None,
        reload_user_config: bool | None = None,
    ) -> dict[str, Any]:
        """``config/batchWrite``: Write several settings at once."""
        return await self._ask(
            "config/batchWrite",
            edits=edits,
            file_path=file_path,
            expected_version=expected_version,
            reload_user_config=reload_user_config,
        )

    async def model_list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        include_hidden: bool | None = None,
    ) -> dict[str, Any]:
        """``model/list``: Return a page of the models."""
        return await self._ask(
            "model/list", cursor=cursor, limit=limit, include_hidden=include_hidden
        )

    async def experimental_feature_list(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """``experimentalFeature/list``: Return a page of the feature flags."""
        return await self._ask("experimentalFeature/list", cursor=cursor, limit=limit)

    async def experimental_feature_enablement_set(
        self, *, feature_enablement: Mapping[str, bool]
    ) -> dict[str, Any]:
        """``experimentalFeature/enablement/set``: Switch features on and off, for as long as the
        server runs.
        """
        return await self._ask("experimentalFeature/enablement/set", enablement=feature_enablement)

    async def collaboration_mode_list(self) -> dict[str, Any]:
        """``collaborationMode/list``: Return the collaboration modes.

        Needs ``experimental_api_enabled``.
        """
        return await self._ask("collaborationMode/list")

    async def external_agent_config_detect(
        self, *, cwds: Sequence[str | PathLike[str]] | None = None, include_home: bool | None = None
    ) -> dict[str, Any]:
        """``externalAgentConfig/detect``: Look for configurations of other agents."""
        return await self._ask("externalAgentConfig/detect", cwds=cwds, include_home=include_home)

    async def external_agent_config_import(
        self, *, migration_items: Sequence[Mapping[str, Any] | ProtocolObject]
    ) -> dict[str, Any]:
        """``externalAgentConfig/import``: Import what :meth:`external_agent_config_detect` has
        found.
        """
        return await self._ask("externalAgentConfig/import", migration_items=migration_items)

    async def windows_sandbox_setup_start(
        self, *, mode: str, cwd: str | PathLike[str] | None = None
    ) -> dict[str, Any]:
        """``windowsSandbox/setupStart``: Set the sandbox of Windows up; *mode* is ``elevated`` or
        ``unelevated``.
        """
        return await self._ask("windowsSandbox/setupStart", mode=mode, cwd=cwd)


class SkillMethods(Requests):
    """Skills, apps and plugins."""

    async def skills_list(
        self, *, cwds: Sequence[str | PathLike[str]] | None = None, force_reload: bool = False
    ) -> dict[str, Any]:
        """``skills/list``: Return the skills that turns in these directories have."""
        return await self._ask("skills/list", cwds=cwds, force_reload=force_reload)

    async def skills_config_write(
        self, *, path: str | PathLike[str], enabled: bool
    ) -> dict[str, Any]:
        """``skills/config/write``: Switch the skill at *path* on or off."""
        return await self._ask("skills/config/write", path=path, enabled=enabled)

    async def skills_remote_list(self) -> dict[str, Any]:
        """``skills/remote/list``: Return remote skills.

        No verified CLI has this method (any more).
        """
        return await self._ask("skills/remote/list")

    async def skills_remote_read(
        self,
        *,
        cwds: Sequence[str | PathLike[str]] | None = None,
        enabled: bool | None = None,
        hazelnut_scope: str | None = None,
        product_surface: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """``skills/remote/list``: Return the remote skills of a scope.

        No verified CLI has this method (any more).
        """
        return await self._ask(
            "skills/remote/list",
            cwds=cwds,
            enabled=enabled,
            hazelnut_scope=hazelnut_scope,
            product_surface=product_surface,
            **(params or {}),
        )

    async def skills_remote_export(
        self, *, hazelnut_id: str, is_preload: bool = False
    ) -> dict[str, Any]:
        """``skills/remote/export``: Fetch a remote skill.

        No verified CLI has this method (any more).
        """
        return await self._ask(
            "skills/remote/export", hazelnut_id=hazelnut_id, is_preload=is_preload
        )

    async def skills_remote_write(
        self, *, hazelnut_id: str, is_preload: bool = False
    ) -> dict[str, Any]:
        """``skills/remote/export``: Fetch a remote skill: :meth:`skills_remote_export` by its older
        name.
        """
        return await self._ask(
            "skills/remote/export", hazelnut_id=hazelnut_id, is_preload=is_preload
        )

    async def app_list(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        thread_id: str | None = None,
        force_refetch: bool | None = None,
    ) -> dict[str, Any]:
        """``app/list``: Return a page of the apps (connectors) of the account."""
        return await self._ask(
            "app/list", cursor=cursor, limit=limit, thread_id=thread_id, force_refetch=force_refetch
        )

    async def plugin_list(
        self, *, cwds: Sequence[str | PathLike[str]] | None = None, force_remote_sync: bool = False
    ) -> dict[str, Any]:
        """``plugin/list``: Return the marketplaces and their plugins.

        Args:
            force_remote_sync: ask the remote sources again.
        """
        sync = True if force_remote_sync else None
        return await self._ask("plugin/list", cwds=cwds, force_refetch=sync, force_remote_sync=sync)

    async def plugin_read(
        self, *, marketplace_path: str | PathLike[str], plugin_name: str
    ) -> dict[str, Any]:
        """``plugin/read``: Return a plugin of a marketplace."""
        return await self._ask(
            "plugin/read", marketplace_path=marketplace_path, plugin_name=plugin_name
        )

    async def plugin_install(
        self, *, marketplace_path: str | PathLike[str], plugin_name: str
    ) -> dict[str, Any]:
        """``plugin/install``: Install a plugin of a marketplace."""
        return await self._ask(
            "plugin/install", marketplace_path=marketplace_path, plugin_name=plugin_name
        )

    async def plugin_uninstall(self, *, plugin_id: str) -> dict[str, Any]:
        """``plugin/uninstall``: Remove a plugin."""
        return await self._ask("plugin/uninstall", plugin_id=plugin_id)


class FileMethods(Requests):
    """Files on the server's side, by absolute paths, and outside any sandbox."""

    async def fs_read_file(self, *, path: str | PathLike[str]) -> dict[str, Any]:
        """``fs/readFile``: Return a file's content, as ``dataBase64``."""
        return await self._ask("fs/readFile", path=path)

    async def fs_write_file(self, *, path: str | PathLike[str], data_base64: str) -> dict[str, Any]:
        """``fs/writeFile``: Write a file."""
        return await self._ask("fs/writeFile", path=path, data_base64=data_base64)

    async def fs_create_directory(
        self, *, path: str | PathLike[str], recursive: bool | None = None
    ) -> dict[str, Any]:
        """``fs/createDirectory``: Make a directory, and by default its parents."""
        return await self._ask("fs/createDirectory", path=path, recursive=recursive)

    async def fs_read_directory(self, *, path: str | PathLike[str]) -> dict[str, Any]:
        """``fs/readDirectory``: Return the entries of a directory."""
        return await self._ask("fs/readDirectory", path=path)

    async def fs_get_metadata(self, *, path: str | PathLike[str]) -> dict[str, Any]:
        """``fs/getMetadata``: Return what kind of file it is, and its times."""
        return await self._ask("fs/getMetadata", path=path)

    async def fs_copy(
        self,
        *,
        source_path: str | PathLike[str],
        destination_path: str | PathLike[str],
        recursive: bool | None = None,
    ) -> dict[str, Any]:
        """``fs/copy``: Copy a file, or with *recursive* a directory."""
        return await self._ask(
            "fs/copy",
            source_path=source_path,
            destination_path=destination_path,
            recursive=recursive,
        )

    async def fs_remove(
        self, *, path: str | PathLike[str], force: bool | None = None, recursive: bool | None = None
    ) -> dict[str, Any]:
        """``fs/remove``: Remove a file or, by default, a whole directory; by default none is no
        error.
        """
        return await self._ask("fs/remove", path=path, force=force, recursive=recursive)

    async def fs_watch(
        self, *, path: str | PathLike[str], watch_id: str | None = None
    ) -> dict[str, Any]:
        """``fs/watch``: Be told by ``fs/changed`` of changes below *path*; the result holds the
        ``watchId``.
        """
        name = watch_id or str(uuid4())
        return {"watchId": name, **await self._ask("fs/watch", path=path, watch_id=name)}

    async def fs_unwatch(self, *, watch_id: str) -> dict[str, Any]:
        """``fs/unwatch``: Be told no more."""
        return await self._ask("fs/unwatch", watch_id=watch_id)


class CommandMethods(Requests):
    """Single commands, without a thread."""

    async def command_exec(
        self,
        *,
        command: Sequence[str],
        timeout_ms: int | None = None,
        cwd: str | PathLike[str] | None = None,
        sandbox_policy: Mapping[str, Any] | ProtocolObject | None = None,
        disable_output_cap: bool | None = None,
        disable_timeout: bool | None = None,
        env: Mapping[str, str | None] | None = None,
        output_bytes_cap: int | None = None,
        process_id: str | None = None,
        size: Mapping[str, int] | None = None,
        stream_stdin: bool | None = None,
        stream_stdout_stderr: bool | None = None,
        tty: bool | None = None,
    ) -> dict[str, Any]:
        """``command/exec``: Run a command and return its exit code and output, when it has ended.

        ``AppServerOptions.request_timeout`` does not count here; *timeout_ms* does.

        Args:
            command: the program and its arguments.
            sandbox_policy: such as ``{"type": "readOnly"}``; default: the server's configuration.
            process_id: a name for the process, with which it can be written to, resized and ended.
        """
        params = {
            "command": command,
            "timeout_ms": timeout_ms,
            "cwd": cwd,
            "sandbox_policy": sandbox_policy,
            "disable_output_cap": disable_output_cap,
            "disable_timeout": disable_timeout,
            "env": env,
            "output_bytes_cap": output_bytes_cap,
            "process_id": process_id,
            "size": size,
            "stream_stdin": stream_stdin,
            "stream_stdout_stderr": stream_stdout_stderr,
            "tty": tty,
        }
        result: dict[str, Any] = await self._request(
            "command/exec", protocol_params(params), timeout=inf
        )
        return result

    async def command_exec_write(
        self, *, process_id: str, delta_base64: str | None = None, close_stdin: bool | None = None
    ) -> dict[str, Any]:
        """``command/exec/write``: Write to the stdin of a command that runs."""
        return await self._ask(
            "command/exec/write",
            process_id=process_id,
            delta_base64=delta_base64,
            close_stdin=close_stdin,
        )

    async def command_exec_resize(
        self, *, process_id: str, size: Mapping[str, int]
    ) -> dict[str, Any]:
        """``command/exec/resize``: Change the terminal of a command that runs: ``{"rows": …,
        "cols": …}``.
        """
        return await self._ask("command/exec/resize", process_id=process_id, size=size)

    async def command_exec_terminate(self, *, process_id: str) -> dict[str, Any]:
        """``command/exec/terminate``: End a command that runs."""
        return await self._ask("command/exec/terminate", process_id=process_id)


class AccountMethods(Requests):
    """The account, MCP servers, and feedback to OpenAI."""

    async def account_login_start(
        self, *, params: Mapping[str, Any] | ProtocolObject
    ) -> dict[str, Any]:
        """``account/login/start``: Begin a login, such as ``{"type": "chatgpt"}``;
        ``account/login/completed`` tells its end.

        A server that was started without an API key stores it, as ``codex login`` does.
        """
        result: dict[str, Any] = await self._request("account/login/start", plain(params))
        return result

    async def account_login_cancel(self, *, login_id: str) -> dict[str, Any]:
        """``account/login/cancel``: Give a login up."""
        return await self._ask("account/login/cancel", login_id=login_id)

    async def account_logout(self) -> dict[str, Any]:
        """``account/logout``: Log out, which removes the stored login."""
        return await self._ask("account/logout")

    async def account_read(self, *, refresh_token: bool = False) -> dict[str, Any]:
        """``account/read``: Return the account in use; with *refresh_token*, with fresh tokens."""
        return await self._ask("account/read", refresh_token=refresh_token)

    async def account_rate_limits_read(self) -> dict[str, Any]:
        """``account/rateLimits/read``: Return the rate limits of a ChatGPT account."""
        return await self._ask("account/rateLimits/read")

    async def mcp_server_status_list(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> dict[str, Any]:
        """``mcpServerStatus/list``: Return a page of the MCP servers, with their tools."""
        return await self._ask("mcpServerStatus/list", cursor=cursor, limit=limit)

    async def mcp_server_oauth_login(
        self, *, name: str, scopes: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """``mcpServer/oauth/login``: Begin the login to an MCP server; the result holds the URL to
        visit.
        """
        return await self._ask("mcpServer/oauth/login", name=name, scopes=scopes)

    async def mcp_server_refresh(self) -> dict[str, Any]:
        """``config/mcpServer/reload``: Read the configuration of MCP servers again, and start what
        is new.

        Not in CLIs of the generation of 0.80.
        """
        return await self._ask("config/mcpServer/reload")

    async def feedback_upload(
        self,
        *,
        classification: str,
        reason: str | None = None,
        thread_id: str | None = None,
        include_logs: bool = False,
    ) -> dict[str, Any]:
        """``feedback/upload``: Send feedback to OpenAI; with *include_logs*, with logs and the
        thread's history.
        """
        return await self._ask(
            "feedback/upload",
            classification=classification,
            reason=reason,
            thread_id=thread_id,
            include_logs=include_logs,
        )


class AppServerMethods(
    ThreadMethods,
    TurnMethods,
    ConfigurationMethods,
    SkillMethods,
    FileMethods,
    CommandMethods,
    AccountMethods,
):
    """All methods that have a Python method."""

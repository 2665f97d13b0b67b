"""Options as the params of the app-server's ``thread/start``, ``thread/resume`` and ``turn/start``.

A thread is to do the same on both backends, so that what ``codex exec`` does by itself is asked for here:

* it never asks for approvals, unless it is told to, while the app-server's default is to ask;
* it resumes a thread's history with the options that it is given, and its configuration's defaults for the
  others, while newer app-servers restore the thread's model, sandbox and approval policy;
* it trusts no project by running in it, while newer app-servers write ``trust_level = "trusted"`` to the
  user's ``config.toml`` when a thread may write to a Git repository.

Verified on 0.80.0, 0.163.0 and 0.169.0, by what they answered and what they then sent to a model.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import PurePath
from typing import Any, cast

import attrs

from ..exceptions import CodexError
from ..options import ApprovalMode, ApprovalsReviewer, CodexOptions, SandboxMode, ThreadOptions
from .approvals import REVIEWERS
from .arguments import SETTINGS, check_thread_id
from .checks import checked_name, checked_path
from .command_line import CommandLine, words_for
from .endpoint import add_endpoint
from .toml import encode_config_override
from .versions import CliVersion

__all__ = ["ThreadParams", "check_echo", "thread_params", "turn_input"]

_Json = Mapping[str, Any]

_SANDBOXES = ("read-only", "workspace-write", "danger-full-access")
"""From the strongest to the weakest."""

_WRITABLE_ROOTS = "sandbox_workspace_write.writable_roots"


@attrs.frozen
class ThreadParams:
    """What a thread is loaded with.

    Attributes:
        method: ``thread/start`` or ``thread/resume``.
        params: its params.
        warnings: for each option that the CLI cannot honour, a text that says so.
        network_denied: whether commands in a sandbox are to have no network.
    """

    method: str
    params: Mapping[str, Any]
    warnings: tuple[str, ...] = ()
    network_denied: bool = False


def thread_params(
    codex: CodexOptions,
    thread: ThreadOptions,
    *,
    version: CliVersion,
    thread_id: str | None,
    cwd: str,
    config: Mapping[str, Any],
) -> ThreadParams:
    """Return how to start a thread, or to resume the thread of *thread_id*.

    Args:
        codex: the client's options, which the app-server runs with.
        thread: the thread's.
        version: the CLI's.
        thread_id: the thread to resume; ``None``: a new one.
        cwd: this process's directory, to which a relative working directory is relative.
        config: the CLI's configuration, as ``config/read`` has told it for the working directory.

    Raises:
        CodexError: an option, id or path is refused.
        TypeError: a config override has a type that TOML does not know.
        ValueError: a config override has a value that TOML does not know, or a key that the CLI would
            misread.
    """
    line = _ThreadLine(codex, thread, version, cwd)
    for add in SETTINGS:
        add(line)
    if "model_provider" in (thread.config_overrides or {}):
        add_endpoint(line)  # the server's own is the client's
    line.refuse_arguments()
    params: dict[str, Any] = {"cwd": working_directory(thread, cwd)}
    if thread_id is not None:
        check_thread_id(thread_id)
        params["threadId"] = thread_id
    _add_model(params, thread)
    _add_approvals(params, line, config)
    _add_sandbox(params, line, config)
    _add_writable_roots(params, line, config)
    if not version.legacy:
        if thread_id is not None:
            _keep_from_restoring(params, line, config)
        _keep_from_trusting(params, line, config)
    if line.settings:
        params["config"] = line.settings
    network_denied = thread.network_access_enabled is False
    method = "thread/start" if thread_id is None else "thread/resume"
    return ThreadParams(method, params, tuple(line.warnings), network_denied)


def working_directory(thread: ThreadOptions, cwd: str) -> str:
    """Return the directory that the agent works in, as an absolute path."""
    if thread.working_directory is None:
        return cwd
    path = checked_path(thread.working_directory, words_for("working_directory"))
    return os.path.normpath(PurePath(cwd, path))


def turn_input(prompt: str, images: Sequence[str]) -> list[dict[str, Any]]:
    """Return what a turn is given: the images first, as ``codex exec`` does it."""
    return [
        *({"type": "localImage", "path": path} for path in images),
        {"type": "text", "text": prompt},
    ]


def check_echo(asked: ThreadParams, told: Mapping[str, Any]) -> tuple[str, ...]:
    """Compare what the server says that a thread runs with, with what was asked; return warnings.

    Raises:
        CodexError: the sandbox is weaker than asked for, or approvals are asked for in another way. The
            thread must not be used.
    """
    _check_sandbox(asked, told)
    policy = asked.params["approvalPolicy"]
    if not _is_same_policy(policy, told.get("approvalPolicy")):
        raise CodexError(
            f"the app-server runs the thread with the approval policy {told.get('approvalPolicy')!r}, not "
            f"with {policy!r} as asked; the thread is not used. An administrator's requirements.toml may "
            "be the reason"
        )
    return (*_stronger_sandbox(asked, told), *_other_model(asked, told))


class _ThreadLine(CommandLine):
    """Settings for one thread.

    Attributes:
        settings: dotted keys and their values, none of which reaches into another: the server takes
            them in no certain order.
    """

    def __init__(
        self, codex: CodexOptions, thread: ThreadOptions, version: CliVersion, cwd: str
    ) -> None:
        super().__init__(codex, thread, version, cwd)
        self.settings: dict[str, Any] = {}
        self._clients = {**(codex.config_overrides or {})}
        for key in thread.config_overrides or {}:
            self._clients.pop(key, None)

    def set(self, key: str, value: object) -> None:
        """Set *key*, a dotted path; it wins over what was set before."""
        encode_config_override(key, value)  # refuses what it does not take
        if self._clients.get(key) is value:
            return  # the server runs with it
        plain = _plain(value)
        for other in list(self.settings):
            if other == key or other.startswith(f"{key}."):
                del self.settings[other]
            elif key.startswith(f"{other}."):
                self.settings[other] = _with(
                    self.settings[other], key[len(other) + 1 :].split("."), plain
                )
                return
        self.settings[key] = plain

    def get(self, key: str) -> Any:
        """Return what *key* is set to, for this thread or for the whole server."""
        for settings in (self.settings, self._clients):
            value = _at(settings, key)
            if value is not None:
                return value
        return None

    def refuse_arguments(self) -> None:
        """Warn of what is a flag of ``codex exec`` and nothing else."""
        if "--ignore-rules" in self.arguments:
            self.warn_of(
                "exec_policy_enabled",
                'only codex exec can do without the rules files; use backend="exec", or remove the rules',
            )


def _with(table: Any, path: Sequence[str], value: Any) -> Any:
    """Return *table* with *value* at *path*; what is no table on the way is replaced."""
    fields = dict(cast("_Json", table)) if isinstance(table, Mapping) else {}
    head, *rest = path
    fields[head] = _with(fields.get(head), rest, value) if rest else value
    return fields


def _at(settings: _Json, key: str) -> Any:
    """Return the value of a dotted key, wherever in *settings* its table begins."""
    if key in settings:
        return settings[key]
    for other, table in settings.items():
        if key.startswith(f"{other}.") and isinstance(table, Mapping):
            return _at(cast("_Json", table), key[len(other) + 1 :])
    inner = {
        name[len(key) + 1 :]: settings[name] for name in settings if name.startswith(f"{key}.")
    }
    return inner or None


def _plain(value: object) -> Any:
    """Return *value*, which TOML has a form for, as JSON has it."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in cast("_Json", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in cast("Sequence[object]", value)]
    return fspath(cast("PathLike[str]", value)) if isinstance(value, PathLike) else value


def _add_model(params: dict[str, Any], thread: ThreadOptions) -> None:
    if thread.model is not None:
        params["model"] = checked_name(thread.model, words_for("model"))


def _add_approvals(params: dict[str, Any], line: _ThreadLine, config: _Json) -> None:
    reviewed = _add_reviewer(params, line)
    policy: Any = line.get("approval_policy")
    if line.thread.approval_policy is not None:
        policy = _policy(line, policy)
    elif policy is None:
        policy = (config.get("approval_policy") or "on-request") if reviewed else "never"
    params["approvalPolicy"] = policy


def _policy(line: _ThreadLine, configured: Any) -> Any:
    """Return the policy that is asked for, so far as the CLI knows it; else that which asks nobody."""
    policy = line.choice("approval_policy", ApprovalMode)
    if policy == "granular":
        if isinstance(configured, Mapping) and not line.version.legacy:
            return cast("_Json", configured)
        details = "config_overrides={'approval_policy': {'granular': {...}}}"
        line.warn_of(
            "approval_policy",
            'it has no such policy; "never" is used instead'
            if line.version.legacy
            else f'this policy consists of its details; give them as {details}. "never" is used instead',
        )
        return "never"
    if policy == "on-failure" and not line.version.legacy:
        line.warn_of("approval_policy", 'it no longer knows this policy; use "on-request"')
        return "never"
    return policy


def _add_reviewer(params: dict[str, Any], line: _ThreadLine) -> bool:
    """Set who reviews approvals; true: a model does."""
    reviewer: Any = line.get("approvals_reviewer")
    if line.thread.approvals_reviewer is not None:
        reviewer = line.choice("approvals_reviewer", ApprovalsReviewer)
    if line.version.legacy:
        if line.thread.approvals_reviewer not in (None, "user"):
            line.warn_of(
                "approvals_reviewer", "it asks its client; a newer CLI has a model review it"
            )
        return False
    if reviewer is not None:
        params["approvalsReviewer"] = reviewer
    elif "threadId" in params:
        params["approvalsReviewer"] = "user"
    return reviewer in REVIEWERS


def _add_sandbox(params: dict[str, Any], line: _ThreadLine, config: _Json) -> None:
    mode = line.thread.sandbox_mode
    if mode is not None:
        params["sandbox"] = line.choice("sandbox_mode", SandboxMode)


def _add_writable_roots(params: dict[str, Any], line: _ThreadLine, config: _Json) -> None:
    """Add the directories to those that the configuration has: a list of ours takes their place."""
    added = [
        os.path.normpath(
            PurePath(params["cwd"], checked_path(each, words_for("additional_directories")))
        )
        for each in line.thread.additional_directories or ()
    ]
    if added:
        known: Any = line.get(_WRITABLE_ROOTS) or _at(config, _WRITABLE_ROOTS) or []
        line.set(_WRITABLE_ROOTS, [*known, *(each for each in added if each not in known)])


def _keep_from_trusting(params: dict[str, Any], line: _ThreadLine, config: _Json) -> None:
    """Have the server leave ``config.toml`` alone, where the user has not decided on the project."""
    configured = line.get("sandbox_mode") or config.get("sandbox_mode")
    if params.get("sandbox", configured) not in _SANDBOXES[1:]:
        return
    projects: dict[str, Any] = line.get("projects") or config.get("projects") or {}
    if not any(_is_within(params["cwd"], project) for project in projects):
        line.set("projects", {**projects, params["cwd"]: {"trust_level": "untrusted"}})


def _keep_from_restoring(params: dict[str, Any], line: _ThreadLine, config: _Json) -> None:
    """Have the server resume a thread with what it would start one with.

    It restores the model and the effort unless the request names a provider.
    """
    params["excludeTurns"] = True
    provider = line.get("model_provider") or config.get("model_provider") or "openai"
    params["modelProvider"] = provider
    if "sandbox" not in params:
        params["sandbox"] = _default_sandbox(params, line, config)


def _default_sandbox(params: dict[str, Any], line: _ThreadLine, config: _Json) -> str:
    """Return what every CLI runs with that is not told otherwise."""
    mode = line.get("sandbox_mode") or config.get("sandbox_mode")
    if mode in _SANDBOXES:
        return cast("str", mode)
    projects: dict[str, Any] = line.get("projects") or config.get("projects") or {}
    decided = any(_is_within(params["cwd"], project) for project in projects)
    return "workspace-write" if decided else "read-only"


def _is_within(path: str, folder: str) -> bool:
    return PurePath(path).is_relative_to(folder)


def _check_sandbox(asked: ThreadParams, told: _Json) -> None:
    wanted = _asked_sandbox(asked)
    if wanted is None:
        return
    policy = _told_sandbox(told)
    problem = None
    if _strength(policy) > _SANDBOXES.index(wanted):
        problem = f"in the weaker sandbox {policy.get('type')!r}, not in {wanted!r} as asked"
    elif (
        asked.network_denied and wanted == "workspace-write" and policy.get("networkAccess") is True
    ):
        problem = "with network access for its commands, and it was asked for without"
    if problem is not None:
        raise CodexError(f"the app-server runs the thread {problem}; the thread is not used")


def _asked_sandbox(asked: ThreadParams) -> str | None:
    mode = asked.params.get("sandbox") or _at(asked.params.get("config") or {}, "sandbox_mode")
    return mode if mode in _SANDBOXES else None


def _told_sandbox(told: _Json) -> _Json:
    policy: object = told.get("sandbox")
    return cast("_Json", policy) if isinstance(policy, Mapping) else {}


def _strength(policy: _Json) -> int:
    return _STRENGTHS.get(str(policy.get("type")), len(_SANDBOXES))


_STRENGTHS = {"readOnly": 0, "workspaceWrite": 1, "dangerFullAccess": 2}
"""How weak a sandbox is; one that is not known is taken for weaker than all."""


def _stronger_sandbox(asked: ThreadParams, told: _Json) -> Iterator[str]:
    wanted = _asked_sandbox(asked)
    policy = _told_sandbox(told)
    if wanted is not None and _strength(policy) < _SANDBOXES.index(wanted):
        yield (
            f"the app-server runs the thread in the stronger sandbox {policy.get('type')!r}, not in "
            f"{wanted!r} as asked; an administrator's requirements.toml may be the reason"
        )


def _other_model(asked: ThreadParams, told: _Json) -> Iterator[str]:
    """Warn, and no more: some providers know one model by several names."""
    model = asked.params.get("model")
    if model is not None and told.get("model") not in (None, model):
        yield f"the app-server runs the thread with the model {told['model']!r}, not with {model!r} as asked"


def _is_same_policy(asked: Any, told: Any) -> bool:
    if isinstance(asked, Mapping) and isinstance(told, Mapping):
        wanted: _Json = cast("_Json", asked).get("granular") or {}
        given: _Json = cast("_Json", told).get("granular") or {}
        return all(given.get(name) == value for name, value in wanted.items())
    return bool(asked == told)

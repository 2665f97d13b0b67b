"""What a client, a thread and a turn can be asked for.

Options are frozen values: ``attrs.evolve(options, model="…")`` makes a changed copy. A field left at
``None`` is not sent, so that the CLI's own configuration decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any, Literal

import attrs

from .abort import AbortSignal, check_seconds

ApprovalMode = Literal["never", "on-request", "on-failure", "untrusted", "granular"]
ApprovalsReviewer = Literal["user", "guardian_subagent"]
SandboxMode = Literal["read-only", "workspace-write", "danger-full-access"]
ModelReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
ModelPersonality = Literal["friendly", "pragmatic", "none"]
WebSearchMode = Literal["disabled", "cached", "live"]
UnknownEvents = Literal["error", "keep"]
BackendName = Literal["exec", "app-server"]

DEFAULT_MAX_LINE_BYTES = 64 * 1024 * 1024
"""64 MiB: twelve times the longest line seen from a CLI (5 MB of command output in one event)."""


def _optional_dict(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Copy a mapping, so that a later change of the caller's does not change the options."""
    return None if value is None else dict(value)


def _optional_path(value: str | PathLike[str] | None) -> str | None:
    return None if value is None else fspath(value)


def _optional_paths(value: Sequence[str | PathLike[str]] | None) -> tuple[str, ...] | None:
    if isinstance(value, (str, PathLike)):
        raise TypeError("additional_directories is a sequence of paths, not one path")
    return None if value is None else tuple(fspath(path) for path in value)


def _names_only(value: Mapping[str, Any] | None) -> str:
    """Show a mapping whose values may be secret."""
    return "None" if value is None else f"<{', '.join(map(str, value))}>"


def _without_user_info(url: str | None) -> str:
    """Show a URL that may hold a password."""
    return repr(url if url is None else re.sub(r"//[^/@]*@", "//<secret>@", url))


def _secret(value: str | None) -> str:
    return "None" if value is None else "<secret>"


def _words(value: Sequence[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError("opt_out_notification_methods is a sequence of methods, not one method")
    return tuple(value)


def _package_version() -> str:
    from . import __version__

    return __version__


class _Options:
    """What the option classes share."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, unset ones (``None``) left out.

        The values are the ones in use, secrets included: do not log the result. ``repr()`` is safe to log.
        """
        fields = attrs.asdict(self, recurse=False)  # type: ignore[arg-type]
        return {name: value for name, value in fields.items() if value is not None}


@attrs.frozen(kw_only=True)
class CodexOptions(_Options):
    """How the Codex CLI is found, authenticated, configured and read.

    Attributes:
        codex_path_override: the CLI to run, instead of the one that would be found (see
            :func:`codex_sdk.find_codex`).
        base_url: an OpenAI-compatible endpoint (``https://host/v1``) for the model requests. It is
            set up as a model provider of its own, which every verified CLI honours, and as
            ``OPENAI_BASE_URL`` in the child's environment.
        api_key: ``CODEX_API_KEY`` for the child; never on its command line, in a log or in an error.
        env: the child's whole environment, instead of a copy of ``os.environ``. What the SDK needs
            (the API key, the marker by which it finds the processes of a turn) is added to it.
        config_overrides: ``--config`` entries of every turn: dotted keys of the CLI's ``config.toml``.
        unknown_events: what an event or item of an unknown type is: a :class:`CodexParseError`
            (``"error"``), or an ``UnknownEvent`` / ``UnknownItem`` (``"keep"``).
        max_line_bytes: the longest line that is accepted from the CLI.
        backend: what runs the turns: a process of ``codex exec`` for each (``"exec"``), or one
            ``codex app-server`` for all turns of a client's block (``"app-server"``), which takes a
            fraction of the time for each, tells texts piece by piece, and can do more; see :class:`Codex`.
    """

    codex_path_override: str | None = attrs.field(default=None, converter=_optional_path)
    base_url: str | None = attrs.field(default=None, repr=_without_user_info)
    api_key: str | None = attrs.field(default=None, repr=_secret)
    env: Mapping[str, str] | None = attrs.field(
        default=None, converter=_optional_dict, repr=_names_only
    )
    config_overrides: Mapping[str, Any] | None = attrs.field(
        default=None, converter=_optional_dict, repr=_names_only
    )
    unknown_events: UnknownEvents = attrs.field(
        default="error", validator=attrs.validators.in_(("error", "keep"))
    )
    max_line_bytes: int = attrs.field(
        default=DEFAULT_MAX_LINE_BYTES, validator=attrs.validators.gt(0)
    )
    backend: BackendName = attrs.field(
        default="exec", validator=attrs.validators.in_(("exec", "app-server"))
    )


@attrs.frozen(kw_only=True)
class ThreadOptions(_Options):
    """What every turn of a thread runs with.

    Codex stores a thread's history, not its options: a resumed thread runs with the options that it
    is resumed with. An option that the CLI in use has no way to honour is left out, with a
    :class:`CodexWarning` that says so.

    Attributes:
        model: the model's name.
        sandbox_mode: what commands may touch. ``codex exec`` defaults to ``"read-only"``.
        working_directory: where the agent works, ``--cd``; default: this process's own.
        skip_git_repo_check: run outside a Git repository too.
        model_reasoning_effort: how much the model thinks.
        model_instructions_file: a file whose text replaces the model's base instructions; a relative
            path starts at ``working_directory``.
        model_personality: the agent's tone. CLIs before 0.100 have none.
        max_threads: how many sub-agents may run at once, at least 1. CLIs before 0.100 have none.
        network_access_enabled: network for commands in the ``workspace-write`` sandbox.
        web_search_mode: the model's own web search: off, from an index (which current CLIs do in a
            sandbox only), or live.
        web_search_enabled: the older form of ``web_search_mode="live"``.
        web_search_cached_enabled: the older form of ``web_search_mode="cached"``.
        skills_enabled: deprecated, and never sent: skills are always on.
        shell_snapshot_enabled: start commands from a snapshot of the login shell.
        background_terminals_enabled: commands that go on in the background; always on in current CLIs.
        apply_patch_freeform_enabled: patches as free text. In current CLIs, the model decides.
        exec_policy_enabled: the rules files that allow and forbid commands.
        remote_models_enabled: the model list from the server; always on in current CLIs.
        collaboration_modes_enabled: collaboration modes; always on in current CLIs, which have no
            switch for them, and unknown to those before 0.100.
        connectors_enabled: apps (formerly connectors) of the ChatGPT account.
        responses_websockets_enabled: a WebSocket to the model: always tried with OpenAI itself, and a
            setting of the provider with a ``base_url``.
        request_compression_enabled: compressed model requests; to OpenAI itself only.
        feature_overrides: further feature flags, name to on or off; explicit options win.
        approval_policy: when Codex asks before it acts. ``codex exec`` has nobody to ask and runs with
            ``"never"``, unless ``approvals_reviewer`` names a model to ask. With an app-server, the
            client's ``handlers`` and ``approvals`` are asked, and the default is ``"never"`` too.
        approvals_reviewer: who reviews approvals; ``"guardian_subagent"``, a model, needs a current CLI.
        additional_directories: directories that are writable besides the working directory, to which
            relative ones are relative.
        config_overrides: ``--config`` entries; they win over those of the client's options.
    """

    model: str | None = None
    sandbox_mode: SandboxMode | None = None
    working_directory: str | None = attrs.field(default=None, converter=_optional_path)
    skip_git_repo_check: bool | None = None
    model_reasoning_effort: ModelReasoningEffort | None = None
    model_instructions_file: str | None = attrs.field(default=None, converter=_optional_path)
    model_personality: ModelPersonality | None = None
    max_threads: int | None = None
    network_access_enabled: bool | None = None
    web_search_mode: WebSearchMode | None = None
    web_search_enabled: bool | None = None
    web_search_cached_enabled: bool | None = None
    skills_enabled: bool | None = None
    shell_snapshot_enabled: bool | None = None
    background_terminals_enabled: bool | None = None
    apply_patch_freeform_enabled: bool | None = None
    exec_policy_enabled: bool | None = None
    remote_models_enabled: bool | None = None
    collaboration_modes_enabled: bool | None = None
    connectors_enabled: bool | None = None
    responses_websockets_enabled: bool | None = None
    request_compression_enabled: bool | None = None
    feature_overrides: Mapping[str, bool] | None = attrs.field(
        default=None, converter=_optional_dict
    )
    approval_policy: ApprovalMode | None = None
    approvals_reviewer: ApprovalsReviewer | None = None
    additional_directories: Sequence[str | PathLike[str]] | None = attrs.field(
        default=None, converter=_optional_paths
    )
    config_overrides: Mapping[str, Any] | None = attrs.field(
        default=None, converter=_optional_dict, repr=_names_only
    )


@attrs.frozen(kw_only=True)
class TurnOptions(_Options):
    """What one turn runs with.

    Attributes:
        output_schema: a JSON Schema (a mapping) that the final answer must satisfy.
        signal: ends the turn with :class:`CodexAbortError` when it is aborted.
        timeout: seconds after which the turn is stopped with :class:`CodexTimeoutError`; ``None``: no
            limit. Worth setting in unattended programs: current CLIs retry for ever when the
            network is down.
    """

    output_schema: Mapping[str, Any] | None = None
    signal: AbortSignal | None = None
    timeout: float | None = attrs.field(
        default=None,
        validator=lambda _, __, seconds: check_seconds(seconds, "TurnOptions.timeout"),
    )


@attrs.frozen
class AppServerClientInfo:
    """How a client introduces itself to an app-server, which passes it on to the model's provider."""

    name: str = "codex_sdk_python"
    title: str | None = "Codex SDK Python"
    version: str = attrs.field(factory=_package_version)

    def as_dict(self) -> dict[str, str]:
        """Return the fields as the protocol has them."""
        fields = {"name": self.name, "title": self.title, "version": self.version}
        return {name: value for name, value in fields.items() if value is not None}


@attrs.frozen(kw_only=True)
class AppServerOptions(_Options):
    """How an app-server is started or reached, and how it is talked to.

    Attributes:
        codex_path_override, base_url, api_key, env, config_overrides, max_line_bytes: as in
            :class:`CodexOptions`, for the whole life of the server; not for one that runs elsewhere. Without
            *api_key*, a ``CODEX_API_KEY`` of the server's environment is the key.
        client_info: how the client introduces itself; default: as this package.
        auto_initialize: shake hands on connecting. Without it, ``initialize()`` is the first call to make.
        request_timeout: seconds that the server has to answer a request; ``math.inf``: no limit. By default,
            300 for what a server that works answers at once, in milliseconds as a rule: requests about
            threads, turns, the configuration and the models. None for others: ``command/exec`` takes as long
            as its command, a review, a login or a tool as long as it likes.
        experimental_api_enabled: ask for the experimental part of the protocol.
        opt_out_notification_methods: notifications that the server is not to send to this client.
        url: where a server runs already: ``unix:///path`` or ``ws://host:port``, as
            ``codex app-server --listen`` has them. Needs the extra ``websocket``.
        token: the bearer token that this server asks for; never in a log or an error.
        unclaimed_request_timeout: seconds after which a request of the server that neither a handler
            nor a reader of ``requests()`` has taken is declined; ``None``: never.
        overload_timeout: seconds for which a request that the server refuses as overloaded is tried again.
            It was not carried out, so that trying again is safe.
    """

    codex_path_override: str | None = attrs.field(default=None, converter=_optional_path)
    base_url: str | None = attrs.field(default=None, repr=_without_user_info)
    api_key: str | None = attrs.field(default=None, repr=_secret)
    env: Mapping[str, str] | None = attrs.field(
        default=None, converter=_optional_dict, repr=_names_only
    )
    config_overrides: Mapping[str, Any] | None = attrs.field(
        default=None, converter=_optional_dict, repr=_names_only
    )
    client_info: AppServerClientInfo | None = None
    auto_initialize: bool = True
    request_timeout: float | None = attrs.field(
        default=None,
        validator=lambda _, __, seconds: check_seconds(seconds, "AppServerOptions.request_timeout"),
    )
    experimental_api_enabled: bool = False
    opt_out_notification_methods: Sequence[str] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_words)
    )
    url: str | None = attrs.field(default=None, repr=_without_user_info)
    token: str | None = attrs.field(default=None, repr=_secret)
    max_line_bytes: int = attrs.field(
        default=DEFAULT_MAX_LINE_BYTES, validator=attrs.validators.gt(0)
    )
    unclaimed_request_timeout: float | None = attrs.field(
        default=2.0,
        validator=lambda _, __, seconds: check_seconds(
            seconds, "AppServerOptions.unclaimed_request_timeout"
        ),
    )
    overload_timeout: float = attrs.field(
        default=30.0,
        validator=lambda _, __, seconds: check_seconds(
            seconds, "AppServerOptions.overload_timeout"
        ),
    )

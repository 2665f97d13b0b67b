"""Options as the arguments of ``codex exec``.

Every argument is one word, ``--flag=value``: that form, and ``resume -- ID`` at the very end, is the one that
no value can break out of. Explicit options come after config overrides, and so win.

An option takes effect on every CLI that has a way to honour it, whatever that CLI calls it; for others it is
left out, with a warning. What each way does was seen in what 0.80.0, 0.163.0 and 0.169.0 then sent to a
model. The on/off options are in :mod:`.switches`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs

from ..exceptions import CodexError
from ..options import CodexOptions, ModelPersonality, SandboxMode, ThreadOptions, WebSearchMode
from .approvals import REVIEWS_APPROVALS, add_approvals
from .checks import checked_boolean, checked_name, checked_path
from .command_line import CommandLine, words_for
from .endpoint import HAS_OPENAI_BASE_URL, add_endpoint, answered_by_endpoint
from .switches import SWITCHES, Way, Wish, other_features
from .versions import CURRENT_GENERATION, CliVersion

__all__ = ["SETTINGS", "ExecArguments", "check_thread_id", "exec_arguments", "needs_version"]

_ANYWHERE = "C:\\" if os.name == "nt" else "/"


@attrs.frozen
class ExecArguments:
    """A command line for ``codex``.

    Attributes:
        arguments: what follows the program; the SDK itself puts no secret in it.
        warnings: for each option that the CLI cannot honour, a text that says so.
    """

    arguments: tuple[str, ...]
    warnings: tuple[str, ...]


def exec_arguments(
    codex: CodexOptions,
    thread: ThreadOptions,
    *,
    version: CliVersion,
    thread_id: str | None,
    images: Sequence[str],
    schema_file: str | None,
    cwd: str | None = None,
    marker: tuple[str, str] | None = None,
) -> ExecArguments:
    """Return the arguments that run one turn. The prompt is to come on stdin.

    Args:
        codex: the client's options.
        thread: the thread's; their config overrides win over the client's.
        version: the CLI's; any will do if :func:`needs_version` says that none is needed.
        thread_id: the thread to resume; ``None``: a new one.
        images: paths of images. The CLI splits paths at commas, so they hold none.
        schema_file: the file that the output schema is in.
        cwd: the directory that the CLI will be started in: what a relative working directory is
            relative to. ``model_instructions_file`` is relative to the working directory.
        marker: a variable, name and value, that the commands of the model find in their environment
            even where the user's configuration lets them inherit none.

    Raises:
        CodexError: an option, id or path is refused.
        TypeError: a config override has a type that TOML does not know.
        ValueError: a config override has a value that TOML does not know, or a key that the CLI would
            misread.
    """
    line = _options_line(codex, thread, version, cwd)
    if schema_file is not None:
        line.add("--output-schema", checked_path(schema_file, "the schema file's path"))
    if marker is not None:
        name, value = marker
        line.set(f"shell_environment_policy.set.{name}", value)
    for image in images:
        line.add("--image", _checked_image(image))
    if thread_id is not None:
        check_thread_id(thread_id)
        line.arguments += ["resume", "--", thread_id]
    return ExecArguments(("exec", "--experimental-json", *line.arguments), tuple(line.warnings))


def needs_version(codex: CodexOptions, thread: ThreadOptions) -> bool:
    """Whether some CLI has another way to honour the options than the others, or no way.

    Raises:
        CodexError, TypeError, ValueError: as :func:`exec_arguments` does.
    """
    lines = [_options_line(codex, thread, version, _ANYWHERE) for version in _TURNING_POINTS]
    return any(line.warnings or line.arguments != lines[0].arguments for line in lines)


def check_thread_id(thread_id: str) -> None:
    """Refuse what cannot be the id of a thread.

    Raises:
        CodexError: *thread_id* is empty, begins with ``-`` or holds a NUL character.
    """
    checked_name(thread_id, "the thread id")


def _options_line(
    codex: CodexOptions, thread: ThreadOptions, version: CliVersion, cwd: str | None
) -> CommandLine:
    line = CommandLine(codex, thread, version, cwd)
    for add in _PARTS:
        add(line)
    return line


def _add_flags(line: CommandLine) -> None:
    thread = line.thread
    if thread.model is not None:
        line.add("--model", checked_name(thread.model, words_for("model")))
    if thread.sandbox_mode is not None:
        line.add("--sandbox", line.choice("sandbox_mode", SandboxMode))
    if thread.working_directory is not None:
        line.add("--cd", checked_path(thread.working_directory, words_for("working_directory")))
    for directory in thread.additional_directories or ():
        line.add("--add-dir", checked_path(directory, words_for("additional_directories")))
    if thread.skip_git_repo_check:
        line.arguments.append("--skip-git-repo-check")


def _add_overrides(line: CommandLine) -> None:
    for key, value in line.overrides.items():
        line.set(key, value)
    for feature in other_features(line.thread):
        if feature.is_gone(line.version):
            line.warn(feature.words, "it no longer has this feature flag")
        else:
            line.set(f"features.{feature.name}", feature.value)


def _add_model_settings(line: CommandLine) -> None:
    effort = line.thread.model_reasoning_effort
    if effort is not None:
        line.set(
            "model_reasoning_effort", checked_name(effort, words_for("model_reasoning_effort"))
        )
    if line.thread.model_instructions_file is not None:
        key = "experimental_instructions_file" if line.version.legacy else "model_instructions_file"
        line.set(key, _instructions_file(line, line.thread.model_instructions_file))


def _instructions_file(line: CommandLine, name: str) -> str:
    """Return the path as an absolute one: older CLIs refuse others."""
    words = words_for("model_instructions_file")
    path = Path(line.cwd or "", line.thread.working_directory or "", checked_path(name, words))
    if not path.is_absolute():
        raise CodexError(f"{words} is to be an absolute path: {name!r}")
    return str(path)


def _add_personality(line: CommandLine) -> None:
    if line.thread.model_personality is None:
        return
    personality = line.choice("model_personality", ModelPersonality)
    if not line.version.legacy:
        line.set("personality", personality)
    elif personality != "none":
        line.warn_of("model_personality", "it has no personalities; a newer CLI has")


def _add_max_threads(line: CommandLine) -> None:
    limit: object = line.thread.max_threads
    if limit is None:
        return
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise CodexError(f"{words_for('max_threads')} is a number of at least 1, not {limit!r}")
    if line.version.legacy:
        line.warn_of("max_threads", "it starts no sub-agents; a newer CLI does")
    else:
        line.set("agents.max_threads", limit)


def _add_network_access(line: CommandLine) -> None:
    enabled = line.thread.network_access_enabled
    if enabled is not None:
        checked_boolean(enabled, words_for("network_access_enabled"))
        line.set("sandbox_workspace_write.network_access", enabled)


def _add_web_search(line: CommandLine) -> None:
    mode, words = _web_search_mode(line)
    if mode is None:
        return
    if line.version.legacy:
        line.set("features.web_search_request", mode == "live")
        line.set("features.web_search_cached", mode == "cached")
    elif mode == "cached" and _is_unsandboxed(line):
        line.warn(
            words, "without a sandbox it searches live; ask for a sandbox or for no web search"
        )
    else:
        line.set("web_search", mode)


def _web_search_mode(line: CommandLine) -> tuple[str | None, str]:
    """Return the mode that is asked for, and in which words."""
    if line.thread.web_search_mode is not None:
        mode = line.choice("web_search_mode", WebSearchMode)
        return mode, f"{words_for('web_search_mode')}={mode!r}"
    cached = line.wishes.get("web_search_cached_enabled")
    enabled = line.wishes.get("web_search_enabled")
    if cached and cached.value:
        return "cached", cached.words
    if enabled and enabled.value:
        return "live", enabled.words
    return ("disabled" if cached or enabled else None), ""


def _is_unsandboxed(line: CommandLine) -> bool:
    return (line.thread.sandbox_mode or line.overrides.get("sandbox_mode")) == "danger-full-access"


def _add_switches(line: CommandLine) -> None:
    for switch in SWITCHES:
        wish = line.wishes.get(switch.option)
        if wish is not None and not answered_by_endpoint(line, switch.option, wish):
            _add_switch(line, wish, switch.way(line.version))


def _add_switch(line: CommandLine, wish: Wish, way: Way) -> None:
    if wish.value not in way.honours:
        line.warn(wish.words, way.why)
    elif way.feature is not None:
        line.set(f"features.{way.feature}", wish.value)
    elif way.off is not None and not wish.value:
        line.arguments.append(way.off)


def _checked_image(path: str) -> str:
    if "," in checked_path(path, "an image's path"):
        raise CodexError(
            f"an image's path holds a comma, at which the CLI would split it: {path!r}"
        )
    return path


Part = Callable[[CommandLine], None]

SETTINGS: tuple[Part, ...] = (
    _add_overrides,
    _add_model_settings,
    _add_personality,
    _add_max_threads,
    _add_network_access,
    _add_web_search,
    _add_switches,
)
"""What is a setting of the CLI's, whichever way the CLI is told."""

_PARTS: tuple[Part, ...] = (_add_flags, *SETTINGS, add_approvals, add_endpoint)


def _turning_points() -> Iterator[CliVersion]:
    yield CliVersion(0, 80, 0)
    for switch in SWITCHES:
        yield from (way.since for way in switch.ways if way.since is not None)
    yield from (CURRENT_GENERATION, HAS_OPENAI_BASE_URL, REVIEWS_APPROVALS)


_TURNING_POINTS = sorted({*_turning_points()})
"""One version of each kind that options are spelled for."""

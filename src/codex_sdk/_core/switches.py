"""What can be turned on and off, and how each generation of CLIs is told.

A switch that a CLI does not have may still be answered by what that CLI always does: to ask for collaboration
modes of a CLI that cannot be without them needs no argument and no warning; to ask it to do without them
does need a warning.

The rows were found by running 0.80.0, 0.100.0, 0.117.0, 0.163.0 and 0.169.0. Between two of these, the
older one's row holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from ..exceptions import CodexError
from ..options import ThreadOptions
from .checks import checked_boolean
from .versions import CURRENT_GENERATION, CliVersion

__all__ = ["FEATURE_OPTIONS", "SWITCHES", "Switch", "Way", "Wish", "other_features", "wishes"]

_0_100 = CURRENT_GENERATION
_0_117 = CliVersion(0, 117, 0)
_0_163 = CliVersion(0, 163, 0)

_BOTH = (True, False)
_FEATURE_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@attrs.frozen
class Way:
    """How CLIs as new as *since* are told.

    Attributes:
        since: the first of them; ``None``: the first of all.
        feature: the feature flag that is sent; ``None``: there is none.
        honours: the values that take effect, by the flag or because they are what the CLI always does.
        why: why the other values take none, and what to use instead.
        off: the argument that turns it off, where that is not a feature flag.
    """

    since: CliVersion | None
    feature: str | None = None
    honours: tuple[bool, ...] = _BOTH
    why: str = ""
    off: str | None = None


@attrs.frozen
class Switch:
    """One on/off option of :class:`ThreadOptions`, and its ways from the oldest CLI to the newest."""

    option: str
    ways: tuple[Way, ...]

    def way(self, version: CliVersion) -> Way:
        """Return the way that holds for *version*."""
        return [way for way in self.ways if way.since is None or version.reaches(way.since)][-1]


SWITCHES = (
    Switch(
        "skills_enabled",
        (
            Way(None, None, (True,), "skills are always on"),
            Way(
                _0_163,
                None,
                (True,),
                "skills are always on; config_overrides={'skills.include_instructions': False} keeps "
                "them from the model",
            ),
        ),
    ),
    Switch("shell_snapshot_enabled", (Way(None, "shell_snapshot"),)),
    Switch(
        "background_terminals_enabled",
        (
            Way(None, "unified_exec"),
            Way(_0_163, "unified_exec", (True,), "it runs every command in a background terminal"),
        ),
    ),
    Switch(
        "apply_patch_freeform_enabled",
        (
            Way(None, "apply_patch_freeform"),
            Way(_0_163, None, (), "the model decides how it writes patches; choose another model"),
        ),
    ),
    Switch(
        "exec_policy_enabled",
        (
            Way(None, "exec_policy"),
            Way(_0_100, None, (True,), "it always follows the rules files; remove the rules"),
            Way(_0_163, off="--ignore-rules"),
        ),
    ),
    Switch(
        "remote_models_enabled",
        (
            Way(None, "remote_models"),
            Way(
                _0_117, None, (True,), "with a ChatGPT login it always asks for the list of models"
            ),
        ),
    ),
    Switch(
        "collaboration_modes_enabled",
        (
            Way(None, None, (False,), "it has no collaboration modes; a newer CLI has"),
            Way(_0_100, "collaboration_modes"),
            Way(_0_117, None, (True,), "it cannot do without collaboration modes"),
        ),
    ),
    Switch(
        "connectors_enabled",
        (
            Way(None, None, (False,), "it has no apps (connectors); a newer CLI has"),
            Way(_0_100, "apps"),
        ),
    ),
    Switch("request_compression_enabled", (Way(None, "enable_request_compression"),)),
    Switch(
        "responses_websockets_enabled",
        (
            Way(None, None, (False,), "it speaks HTTP alone; a newer CLI speaks WebSocket too"),
            Way(_0_100, "responses_websockets"),
            Way(
                _0_117,
                None,
                (True,),
                "OpenAI's own provider always tries a WebSocket first; with an API key, "
                'base_url="https://api.openai.com/v1" makes it another provider, which does not',
            ),
        ),
    ),
)

_GONE: Mapping[str, CliVersion] = {
    "elevated_windows_sandbox": _0_100,
    "experimental_windows_sandbox": _0_100,
    "powershell_utf8": _0_117,
    "remote_compaction": _0_100,
    "tui2": _0_100,
    "undo": _0_163,
}
"""Feature flags without an option, and the first version seen to know them no longer."""

FEATURE_OPTIONS: Mapping[str, str] = {
    "apply_patch_freeform": "apply_patch_freeform_enabled",
    "apps": "connectors_enabled",
    "collaboration_modes": "collaboration_modes_enabled",
    "connectors": "connectors_enabled",
    "enable_request_compression": "request_compression_enabled",
    "exec_policy": "exec_policy_enabled",
    "remote_models": "remote_models_enabled",
    "responses_websockets": "responses_websockets_enabled",
    "shell_snapshot": "shell_snapshot_enabled",
    "skills": "skills_enabled",
    "unified_exec": "background_terminals_enabled",
    "web_search_cached": "web_search_cached_enabled",
    "web_search_request": "web_search_enabled",
}
"""Feature flags that have an option of their own, under which newer CLIs may know them by another name."""


@attrs.frozen
class Wish:
    """What is asked of a switch, and in which words."""

    value: bool
    words: str


def wishes(options: ThreadOptions) -> dict[str, Wish]:
    """Return what is asked of each switch and of web search, by option.

    An option that is not set may be asked for by its flag in ``feature_overrides``.

    Raises:
        CodexError: a switch or a feature flag is neither true nor false, or a flag has no valid name.
    """
    asked: dict[str, Wish] = {}
    for name, value in _features(options):
        if option := FEATURE_OPTIONS.get(name):
            asked[option] = Wish(value, _words(name, value))
    for option in {*FEATURE_OPTIONS.values()}:
        value = getattr(options, option)
        if value is not None:
            words = f"ThreadOptions.{option}"
            asked[option] = Wish(checked_boolean(value, words), f"{words}={value}")
    return asked


@attrs.frozen
class Feature:
    """An entry of ``feature_overrides`` that has no option of its own."""

    name: str
    value: bool
    words: str

    def is_gone(self, version: CliVersion) -> bool:
        """Whether the CLI is known to have had the flag once, and to have it no longer."""
        since = _GONE.get(self.name)
        return since is not None and version.reaches(since)


def other_features(options: ThreadOptions) -> list[Feature]:
    """Return the entries of ``feature_overrides`` that have no option of their own, sorted by name.

    Raises:
        CodexError: as by :func:`wishes`.
    """
    return [
        Feature(name, value, _words(name, value))
        for name, value in _features(options)
        if name not in FEATURE_OPTIONS
    ]


def _words(name: str, value: bool) -> str:
    return f"ThreadOptions.feature_overrides[{name!r}]={value}"


def _features(options: ThreadOptions) -> list[tuple[str, bool]]:
    features: dict[str, bool] = {}
    for key, value in (options.feature_overrides or {}).items():
        words = f"ThreadOptions.feature_overrides[{key!r}]"
        if not isinstance(key, str):
            raise CodexError(f"{words}: a feature's name is a str")
        name = key.removeprefix("features.")
        if not _FEATURE_NAME.fullmatch(name):
            raise CodexError(f"{words}: no feature has such a name")
        features[name] = checked_boolean(value, words)
    return sorted(features.items())

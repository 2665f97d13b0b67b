"""What a request can be set to, and what a thread is set to where nothing is said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast, get_args

import attrs
from pydantic_ai.profiles.openai import openai_model_profile
from pydantic_ai.settings import ModelSettings, ThinkingLevel

from ..._core.toml import merge_config_overrides
from ...options import ModelPersonality, ModelReasoningEffort, ThreadOptions

__all__ = ["CodexModelSettings", "options_for", "with_safe_defaults"]


class CodexModelSettings(ModelSettings, total=False):
    """Settings of a request to a :class:`CodexModel`, besides PydanticAI's own.

    ``thinking`` sets the reasoning effort: ``True`` is Codex's own choice, ``False`` is ``"none"``, ``"max"``
    is ``"xhigh"``. Models that PydanticAI knows not to take an effort get the closest one that they take;
    that is their lowest for ``False``.
    """

    codex_reasoning_effort: ModelReasoningEffort
    """The reasoning effort in Codex's own words; it wins over ``thinking``."""

    codex_personality: ModelPersonality
    """The agent's tone."""

    codex_config_overrides: Mapping[str, Any]
    """Entries of Codex's configuration, laid over those of the thread's options."""


def with_safe_defaults(options: ThreadOptions | None) -> ThreadOptions:
    """Return *options* with what a model, as opposed to an agent, should do where they say nothing.

    It reads and answers: no writing, no network, no web search, nobody is asked for an approval, and the
    working directory need not be a Git repository.
    """
    options = options or ThreadOptions()
    changes = {name: value for name, value in _SAFE.items() if getattr(options, name) is None}
    if all(getattr(options, name) is None for name in _WEB_SEARCH):
        changes["web_search_mode"] = "disabled"
    return attrs.evolve(options, **changes)


_SAFE: Mapping[str, Any] = {
    "sandbox_mode": "read-only",
    "skip_git_repo_check": True,
    "approval_policy": "never",
    "network_access_enabled": False,
}
_WEB_SEARCH = ("web_search_mode", "web_search_enabled", "web_search_cached_enabled")


def options_for(
    options: ThreadOptions, settings: ModelSettings | None, thinking: ThinkingLevel | None
) -> ThreadOptions:
    """Return the options of a thread for one request."""
    codex = cast("Mapping[str, Any]", settings or {})
    changes: dict[str, Any] = {}
    effort = codex.get("codex_reasoning_effort") or _effort(thinking, options.model)
    if effort is not None:
        changes["model_reasoning_effort"] = effort
    if personality := codex.get("codex_personality"):
        changes["model_personality"] = personality
    if overrides := codex.get("codex_config_overrides"):
        changes["config_overrides"] = merge_config_overrides(options.config_overrides, overrides)
    return attrs.evolve(options, **changes)


def _effort(thinking: ThinkingLevel | None, model: str | None) -> str | None:
    """Return the effort for a level of thinking; ``None`` leaves it to Codex."""
    if thinking is None or thinking is True:
        return None
    known = cast("Mapping[str, Any]", openai_model_profile(model or ""))
    accepted: Collection[str] | None = known.get("openai_reasoning_efforts")
    if accepted is not None:
        return _closest(thinking, [effort for effort in _EFFORTS if effort in accepted])
    if thinking is False:  # how little a model could do that always thinks is not known
        return None if known.get("thinking_always_enabled") else "none"
    if thinking == "minimal" and not known.get("openai_supports_minimal_reasoning_effort", True):
        return "low"
    return _word(thinking)


def _closest(thinking: ThinkingLevel, accepted: Sequence[str]) -> str | None:
    """Return the lowest of the *accepted* efforts that is enough, or else the highest."""
    if thinking is False:
        return next(iter(accepted), None)
    wanted = _EFFORTS.index(_word(thinking))
    enough = [effort for effort in accepted if _EFFORTS.index(effort) >= wanted]
    return next(iter([*enough, *accepted[-1:]]), None)


def _word(thinking: ThinkingLevel) -> str:
    return "xhigh" if thinking == "max" else str(thinking)


_EFFORTS: Sequence[str] = get_args(ModelReasoningEffort)
"""The efforts, the least one first."""

"""What tools are called where Codex has tools of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["codex_names"]

_CODEX_OWN = frozenset(
    """
    apply_patch close_agent container.exec create_goal exec exec_command get_goal get_context_remaining
    grep_files image_generation js_repl js_repl_reset list_agents list_dir list_mcp_resources
    list_mcp_resource_templates local_shell memory multi_tool_use.parallel read_file read_mcp_resource
    request_permissions request_user_input resume_agent send_input send_message shell shell_command
    spawn_agent spawn_agents_on_csv test_sync_tool tool_search tool_suggest unified_exec update_goal
    update_plan view_image wait wait_agent web_search write_stdin
    """.split()
)
"""Tools that some CLI has. It would run its own in place of the program's, without a word."""

_RESERVED = re.compile(r"mcp__|functions$")
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST = 64
"""Characters that OpenAI's API allows."""


def codex_names(names: Iterable[str]) -> Mapping[str, str]:
    """Return under what name Codex is told of each tool: its own, where that is free and allowed."""
    given: dict[str, str] = {}
    names = list(names)
    for name in names:
        taken = {*given.values(), *(other for other in names if other != name)}
        given[name] = _allowed(name, taken)
    return given


def _allowed(name: str, taken: set[str]) -> str:
    plain = _FORBIDDEN.sub("_", name)[:_LONGEST]
    if _RESERVED.match(plain):
        plain = f"tool_{plain}"[:_LONGEST]
    number = 0
    candidate = plain
    while candidate in _CODEX_OWN or candidate in taken:
        number += 1
        ending = f"_{number}"
        candidate = plain[: _LONGEST - len(ending)] + ending
    return candidate

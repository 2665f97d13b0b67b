"""The events of a turn, told line by line as they happen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..events import ThreadEvent
from ..items import (
    AgentMessageItem,
    CommandExecutionItem,
    ErrorItem,
    FileChangeItem,
    ReasoningItem,
    ThreadItem,
    TodoListItem,
)
from .output import Output, Style

__all__ = ["Narrator", "tell_diff"]

_OUTPUT_LINES = 12
"""Lines of a command's output that are shown: the last ones, where the verdict is."""


class Narrator:
    """Tells the events of one turn."""

    def __init__(self, output: Output, project: Path) -> None:
        self._output = output
        self._project = project.resolve()
        self._announced: set[str] = set()
        self._tellers: dict[str, Callable[[Any], None]] = {
            "agent_message": self._message,
            "reasoning": self._reasoning,
            "command_execution": self._command,
            "file_change": self._file_change,
            "todo_list": self._plan,
            "error": self._warning,
        }

    def tell(self, event: ThreadEvent) -> None:
        """Write what there is to say of *event*."""
        if event.type == "error":
            self._output.block((("! ", "doubtful"),), event.message, "doubtful", indent=2)
        elif event.type == "item.started" and event.item.type == "command_execution":
            self._announce(event.item)
        elif event.type == "item.completed":
            self._tellers.get(event.item.type, self._other)(event.item)

    def _message(self, item: AgentMessageItem) -> None:
        self._output.line()
        self._output.block((("• ", "special"),), item.text, indent=2)

    def _reasoning(self, item: ReasoningItem) -> None:
        self._output.line()
        self._output.block((), item.text, "faint", indent=2)

    def _announce(self, item: CommandExecutionItem) -> None:
        self._announced.add(item.id)
        self._output.line()
        command = _as_typed(item.command)
        self._output.block((("$ ", "special"),), command, "strong", indent=2, wrap=False)

    def _command(self, item: CommandExecutionItem) -> None:
        if item.id not in self._announced:
            self._announce(item)
        lines = item.aggregated_output.rstrip().splitlines()
        shown = ["…", *lines[-_OUTPUT_LINES:]] if len(lines) > _OUTPUT_LINES else lines
        for line in shown:
            self._output.line("  ", (line, "faint"))
        outcome = item.status if item.exit_code is None else f"exit status {item.exit_code}"
        self._output.line("  ", (outcome, "good" if item.exit_code == 0 else "bad"))

    def _file_change(self, item: FileChangeItem) -> None:
        self._output.line()
        style: Style = "special" if item.status == "completed" else "bad"
        for change in item.changes:
            self._output.line(
                ("± ", style), (self._in_project(change.path), "strong"), f" {change.kind}"
            )
        if item.status != "completed":
            self._output.line("  ", (item.status, style))

    def _plan(self, item: TodoListItem) -> None:
        self._output.line()
        for step in item.items:
            self._output.line("  [x] " if step.completed else "  [ ] ", step.text)

    def _warning(self, item: ErrorItem) -> None:
        self._output.block((("! ", "doubtful"),), item.message, "doubtful", indent=2)

    def _other(self, item: ThreadItem) -> None:
        self._output.line(("  " + item.type.replace("_", " "), "faint"))

    def _in_project(self, path: str) -> str:
        try:
            return str(Path(path).resolve().relative_to(self._project))
        except ValueError:
            return path


def tell_diff(lines: Iterable[str], output: Output) -> None:
    """Write a unified diff."""
    for line in lines:
        output.line("  ", (line, style) if (style := _diff_style(line)) else line)


def _diff_style(line: str) -> Style | None:
    if line.startswith(("--- ", "+++ ")):
        return "strong"
    return _DIFF_STYLES.get(line[:1])


_DIFF_STYLES: dict[str, Style] = {"+": "good", "-": "bad", "@": "special"}


def _as_typed(command: str) -> str:
    """Return *command* without the shell that Codex wraps around it."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if len(words) == 3 and words[1] in {"-c", "-lc"}:
        return words[2]
    return command

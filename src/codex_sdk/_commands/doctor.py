"""``python -m codex_sdk doctor``: whether a turn can run on this machine, and if not, what to do."""

from __future__ import annotations

import json
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import attrs

from .._core.versions import VERIFIED, CliVersion
from .checks import Check, Status, check_account, check_sandbox, check_version, find_cli
from .cli import Cli
from .interrupts import until_interrupted
from .output import Output, Style, sdk_version

__all__ = ["doctor"]

_MARKS: Mapping[Status, tuple[str, str, Style]] = {
    "ok": ("✓", "ok", "good"),
    "warning": ("!", "warning", "doubtful"),
    "fail": ("✗", "FAIL", "bad"),
}
_NAME_WIDTH = 12


@attrs.frozen
class Report:
    """All that was found; a check that needs what an earlier one did not find is not among it."""

    checks: tuple[Check, ...]
    cli: Cli | None = None
    version: CliVersion | None = None

    @property
    def healthy(self) -> bool:
        """Whether a turn can run."""
        return all(check.status != "fail" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data. Fields may be added to it, and none will change."""
        return {
            "ok": self.healthy,
            "codex_sdk": sdk_version(),
            "python": platform.python_version(),
            "platform": _platform(),
            "cli": None
            if self.cli is None
            else {
                "path": self.cli.binary.path,
                "source": self.cli.binary.source,
                "version": None if self.version is None else str(self.version),
                "verified": self.version in VERIFIED,
            },
            "checks": [attrs.asdict(check) for check in self.checks],
        }


def doctor(*, as_json: bool, time_limit: float) -> int:
    """Examine this machine, print what was found, and return the exit status."""
    return anyio.run(until_interrupted, partial(_examine_and_report, as_json, time_limit))


async def _examine_and_report(as_json: bool, time_limit: float) -> int:
    report = await examine(time_limit)
    output = Output(sys.stdout)
    if as_json:
        output.block((), json.dumps(report.to_dict(), indent=2), indent=0, wrap=False)
    else:
        _print(report, output)
    return 0 if report.healthy else 1


async def examine(time_limit: float) -> Report:
    """Make the checks that can be made; each command of the CLI may take *time_limit* seconds."""
    cli, found = find_cli(time_limit)
    if cli is None:
        return Report((found,))
    version, verified = await check_version(cli)
    if verified.status == "fail":
        return Report((found, verified), cli)
    home, login = await check_account(cli)
    sandbox = await check_sandbox(cli, version)
    return Report((found, verified, home, login, sandbox), cli, version)


def _print(report: Report, output: Output) -> None:
    head = f"codex_sdk {sdk_version()}, Python {platform.python_version()}, {_platform()}"
    output.line((head, "strong"))
    output.line()
    for check in report.checks:
        _print_check(check, output)
    output.line()
    _print_verdict(report, output)


def _print_check(check: Check, output: Output) -> None:
    symbol, word, style = _MARKS[check.status]
    mark = f"{symbol} " if output.is_terminal else f"{word:<8}"
    indent = len(mark) + _NAME_WIDTH
    output.block(((mark, style), (check.name, "strong")), check.summary, indent=indent)
    for detail in check.details:
        output.block((), detail, "faint", indent=indent)
    if check.remedy:
        output.block((" " * (indent - 2), ("→ ", "special")), check.remedy, indent=indent)


def _print_verdict(report: Report, output: Output) -> None:
    counts = Counter(check.status for check in report.checks)
    problems, warnings = _counted(counts["fail"], "problem"), _counted(counts["warning"], "warning")
    if not report.healthy:
        output.line(
            ("No turn can run", "bad"), f": {', '.join(filter(None, (problems, warnings)))}."
        )
    else:
        output.line(("A turn can run", "good"), f", with {warnings}." if warnings else ".")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _platform() -> str:
    return f"{sys.platform}-{platform.machine()}".lower()

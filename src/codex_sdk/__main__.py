"""``python -m codex_sdk``: a check of the installation, and a demonstration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

_AddParser = Callable[..., argparse.ArgumentParser]

USAGE_ERROR = 2
INTERRUPTED = 128 + 2  # what shells report for a program that SIGINT ended
NO_READER = 128 + 13  # likewise, for SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    try:
        return _run(options)
    except KeyboardInterrupt:  # outside of the event loop, where signals are awaited
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return NO_READER


def _run(options: argparse.Namespace) -> int:
    if options.command == "doctor":
        from ._commands.doctor import doctor

        return doctor(as_json=options.json, time_limit=options.timeout)
    from ._commands.demo import demo

    return demo(keep=options.keep, scripted=options.scripted, backend=options.backend)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m codex_sdk", description="Run the OpenAI Codex agent from Python."
    )
    parser.add_argument("--version", action=_Version, help="print the version of codex_sdk")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_doctor(commands.add_parser)
    _add_demo(commands.add_parser)
    return parser


def _add_doctor(add_parser: _AddParser) -> None:
    doctor = add_parser(
        "doctor",
        help="check whether a turn can run on this machine",
        description="Check whether a turn can run on this machine: the Codex CLI, its version, its "
        "configuration, its login and its sandbox.",
        epilog="Exit status: 0 if a turn can run, with or without warnings; 1 if something prevents it.",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long each command of the CLI may take (default: 10)",
    )


def _add_demo(add_parser: _AddParser) -> None:
    demo = add_parser(
        "demo",
        help="run a turn of the real Codex CLI in a temporary project",
        description="Run a turn of the real Codex CLI in a temporary project with a failing test. The "
        "model is OpenAI's if CODEX_API_KEY is set or the CLI is logged in, else a scripted one on "
        "this machine.",
        epilog="Exit status: 0 if the turn did its work, 1 if not.",
    )
    demo.add_argument("--keep", action="store_true", help="keep the project")
    demo.add_argument(
        "--scripted", action="store_true", help="use the scripted model in any case: costs nothing"
    )
    demo.add_argument(
        "--backend",
        choices=("asyncio", "trio"),
        default="asyncio",
        help="the event loop to run on (default: asyncio)",
    )


class _Version(argparse.Action):
    """Print the version; unlike argparse's own action, look it up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from ._commands.output import sdk_version

        print(f"codex_sdk {sdk_version()}")
        parser.exit()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 3600")
    return seconds


def _forget_stdout() -> None:
    """Keep Python from complaining, as it exits, that what is buffered cannot be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())

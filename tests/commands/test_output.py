"""Text for people, at the level of what reaches the stream."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._commands.output import Output


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    encoding = "ascii"


def test_styles_are_shown_in_a_terminal_alone() -> None:
    terminal, pipe = Terminal(), Pipe()
    for stream in (terminal, pipe):
        Output(stream, {"TERM": "xterm"}).line(("all", "good"), " is well")

    assert terminal.getvalue() == "\x1b[32mall\x1b[0m is well\n"
    assert pipe.getvalue() == "all is well\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_a_terminal_can_be_kept_without_colours(environ: dict[str, str]) -> None:
    terminal = Terminal()
    Output(terminal, environ).line(("all", "good"), " is well")

    assert terminal.getvalue() == "all is well\n"


def test_an_empty_no_color_does_not_count() -> None:
    terminal = Terminal()
    Output(terminal, {"NO_COLOR": "", "TERM": "xterm"}).line(("all", "good"))

    assert terminal.getvalue() == "\x1b[32mall\x1b[0m\n"


@pytest.mark.parametrize(
    "text",
    [
        "red\x1b[31m",
        "red\x1b[1;31m",
        "\x1b]0;a window's title\x07red",
        "\x1b]8;;http://example.org\x1b\\red\x1b]8;;\x1b\\",
        "\x1bcred",
        "re\x08\x7f\x9bd",
        "red\x1b",
    ],
)
def test_what_others_wrote_has_no_power_over_the_terminal(text: str) -> None:
    terminal = Terminal()
    Output(terminal, {"TERM": "dumb"}).line(text)

    assert terminal.getvalue() == "red\n"


@given(st.text())
def test_no_text_brings_a_control_character_or_a_second_line(text: str) -> None:
    terminal = Terminal()
    Output(terminal, {"TERM": "dumb"}).line(text)

    line = terminal.getvalue()
    assert line.endswith("\n")
    assert not any(
        unicodedata.category(character) == "Cc" for character in line[:-1].replace("\t", "")
    )


def test_symbols_that_the_encoding_lacks_are_spelled_out() -> None:
    pipe = Pipe()
    Output(pipe).line("✓ done → next… naïve")

    assert pipe.getvalue() == "ok done -> next... na?ve\n"


def test_a_block_hangs_below_its_head_and_wraps_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal, pipe = Terminal(), Pipe()
    for stream in (terminal, pipe):
        output = Output(stream, {"TERM": "dumb"})
        output.block(("CLI",), "a text that forty columns cannot hold\n\nand another", indent=5)

    assert terminal.getvalue().splitlines() == [
        "CLI  a text that forty columns cannot",
        "     hold",
        "",
        "     and another",
    ]
    assert pipe.getvalue().splitlines() == [
        "CLI  a text that forty columns cannot hold",
        "",
        "     and another",
    ]

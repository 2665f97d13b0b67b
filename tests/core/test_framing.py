"""Lines come out of bytes, whatever the bytes are and however they arrive."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_sdk._core.framing import LineFramer
from codex_sdk.exceptions import CodexParseError

MIB = 1024 * 1024

text_like = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"\t", b"a", b"{}", b"\x85"]))
streams = st.one_of(st.binary(max_size=200), text_like.map(b"".join))


def in_chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


def framed(chunks: list[bytes], limit: int) -> tuple[list[bytes], str | None]:
    """Return the lines that come out, and the message of the error that ends them, if one does."""
    framer = LineFramer(limit)
    lines: list[bytes] = []
    try:
        for chunk in chunks:
            for line in framer.feed(chunk):
                lines.append(line)  # noqa: PERF402 (an error must not take the lines before it along)
        last = framer.finish()
    except CodexParseError as error:
        return lines, str(error)
    return (lines if last is None else [*lines, last]), None


def expected(data: bytes, limit: int) -> tuple[list[bytes], bool]:
    """Say the same of the whole of the data, in the plainest words: the lines, and whether it fails."""
    lines = data.split(b"\n")
    too_long = [len(line) > limit for line in lines]
    good = lines[: too_long.index(True)] if any(too_long) else lines
    return [line.removesuffix(b"\r") for line in good if line.strip()], any(too_long)


@given(data=streams, sizes=st.lists(st.integers(0, 20)), limit=st.integers(1, 30))
@example(data=b"ab\r\ncd", sizes=[3, 1], limit=30)
@example(data=b"ab\ncdefgh\nij\n", sizes=[], limit=4)
@example(data=b"abcd\nefghi\n", sizes=[], limit=4)
@example(data=b"abcd\nefghi\n", sizes=[1] * 10, limit=4)
def test_lines_do_not_depend_on_the_chunks(data: bytes, sizes: list[int], limit: int) -> None:
    lines, failure = framed(in_chunks(data, sizes), limit)
    assert (lines, failure is not None) == expected(data, limit)
    assert failure == framed([data], limit)[1]


@pytest.mark.parametrize(
    "text", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1d", "\x1e", "\0", "\r"]
)
def test_only_a_newline_ends_a_line(text: str) -> None:
    line = f'{{"text":"one{text}two"}}'.encode()
    assert framed([line + b"\n"], 100) == ([line], None)


def test_data_is_taken_even_if_no_line_is_asked_for() -> None:
    framer = LineFramer(100)
    framer.feed(b"lost\nkep")
    assert list(framer.feed(b"t\n")) == [b"kept"]


def test_a_last_line_without_a_newline_comes_at_the_end_once() -> None:
    framer = LineFramer(100)
    assert list(framer.feed(b"one\ntwo\r")) == [b"one"]
    assert framer.finish() == b"two"
    assert framer.finish() is None


def test_lines_before_one_that_is_too_long_still_come() -> None:
    lines = LineFramer(8).feed(b"one\ntwo\nfar too long\nfour\n")
    assert [next(lines), next(lines)] == [b"one", b"two"]
    with pytest.raises(CodexParseError, match=r"more than 8 bytes.*max_line_bytes.*'far too '"):
        next(lines)


def test_a_line_that_goes_on_for_ever_is_an_error_before_it_ends() -> None:
    framer = LineFramer(1000)
    with pytest.raises(CodexParseError, match="more than 1000 bytes"):
        for _ in range(11):
            list(framer.feed(b"x" * 100))


def test_the_error_comes_again_and_the_input_is_let_go() -> None:
    framer = LineFramer(2 * MIB)
    chunk = b"x" * MIB
    tracemalloc.start()
    try:
        assert not [*framer.feed(chunk), *framer.feed(chunk)]
        assert tracemalloc.get_traced_memory()[0] > 2 * MIB
        for _ in range(10):
            with pytest.raises(CodexParseError, match="max_line_bytes"):
                next(framer.feed(chunk))
            assert tracemalloc.get_traced_memory()[0] < MIB
        with pytest.raises(CodexParseError, match="max_line_bytes"):
            framer.finish()
    finally:
        tracemalloc.stop()


def test_a_line_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    limit = 64 * MIB
    line = b"x" * limit
    pieces = [line[start : start + 65536] for start in range(0, limit, 65536)]
    framer = LineFramer(limit)
    assert not any(list(framer.feed(piece)) for piece in pieces)
    assert list(framer.feed(b"\n")) == [line]
    for piece in pieces:
        list(framer.feed(piece))
    with pytest.raises(CodexParseError):
        list(framer.feed(b"x"))


def cpu_time_of_one_line(size: int) -> float:
    piece = b"x" * 1024
    best = float("inf")
    for _ in range(3):
        framer = LineFramer(size)
        start = time.process_time()
        for _ in range(size // len(piece)):
            framer.feed(piece)
        assert framer.finish()
        best = min(best, time.process_time() - start)
    return best


def test_a_long_line_in_small_pieces_takes_linear_time() -> None:
    # Eight times the bytes: 8 times the work if it is linear, 64 times if each piece copies the rest.
    assert cpu_time_of_one_line(16 * MIB) < 24 * cpu_time_of_one_line(2 * MIB)

"""What is known of the threads that were used last."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.recent import Recent


def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    recent: Recent[int] = Recent(limit=2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)

    assert recent.oldest_first() == [("a", 1), ("c", 3)]
    assert recent.get("b") is None
    assert "b" not in recent


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["put", "get", "drop"]))))
def test_there_are_never_more_than_the_limit_and_the_last_ones_are_there(
    uses: Sequence[tuple[str, str]],
) -> None:
    recent: Recent[str] = Recent(limit=3)
    expected: list[str] = []
    for name, use in uses:
        known = name in expected
        if use == "put" or known:
            expected = [each for each in expected if each != name]
        if use == "put":
            recent.put(name, name)
            expected = [*expected, name][-3:]
        elif use == "get":
            assert recent.get(name) == (name if known else None)
            expected += [name] if known else []
        else:
            assert recent.drop(name) == (name if known else None)
        assert [each for each, _ in recent.oldest_first()] == expected
        assert len(recent) == len(expected) <= 3

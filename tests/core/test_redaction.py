"""What errors may not pass on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.redaction import redact

KEY = "sk-0123456789"


def test_a_secret_is_replaced_by_its_name_wherever_it_stands() -> None:
    text = f"401: {KEY} is no key ({KEY})"

    assert (
        redact(text, {"CODEX_API_KEY": KEY}) == "401: <CODEX_API_KEY> is no key (<CODEX_API_KEY>)"
    )


def test_what_has_no_secret_s_name_is_shown() -> None:
    assert redact("in /anywhere/else", {"HOME": "/anywhere/else"}) == "in /anywhere/else"


def test_a_value_that_is_too_short_for_a_secret_is_shown() -> None:
    assert redact("exit code 1", {"USE_KEYRING": "1"}) == "exit code 1"


def test_a_secret_that_begins_with_another_leaves_nothing_of_itself() -> None:
    secrets = {"OLD_KEY": KEY, "NEW_KEY": f"{KEY}-and-more"}

    assert redact(f"<{KEY}-and-more>", secrets) == "<<NEW_KEY>>"


@given(st.integers(min_value=1, max_value=len(KEY) - 4))
def test_the_rest_of_a_secret_at_the_start_of_a_tail_is_dropped(cut: int) -> None:
    assert redact(f"{KEY[cut:]} was refused", {"A_TOKEN": KEY}) == " was refused"

"""CLI versions: parsing, order, generations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk._core.versions import PINNED, VERIFIED, CliVersion, parse_cli_version

NUMBERS = st.integers(0, 10**18 - 1)
IDENTIFIERS = st.from_regex(r"[0-9A-Za-z-]{1,8}", fullmatch=True)
VERSIONS = st.builds(
    CliVersion, NUMBERS, NUMBERS, NUMBERS, st.lists(IDENTIFIERS, max_size=3).map(".".join)
)


@given(VERSIONS)
def test_what_a_cli_prints_is_read_back(version: CliVersion) -> None:
    assert parse_cli_version(f"codex-cli {version}\n") == version


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_and_the_order_agrees_with_equality(
    one: CliVersion, other: CliVersion
) -> None:
    assert (one < other) + (one == other) + (one > other) == 1


@given(st.text())
def test_any_text_is_a_version_or_none(text: str) -> None:
    parse_cli_version(text)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("codex-cli 0.163.0", CliVersion(0, 163, 0)),
        ("codex-cli 0.1.2505172129", CliVersion(0, 1, 2505172129)),
        ("v0.169.0", CliVersion(0, 169, 0)),
        ("codex-cli 0.170.0-alpha.3 (abc)", CliVersion(0, 170, 0, "alpha.3")),
        ("WARNING: something\ncodex-cli 0.80.0", CliVersion(0, 80, 0)),
        ("", None),
        ("codex-cli", None),
        ("1.2", None),
        ("0.1." + "9" * 5000, None),
        ("codex-cli ٠.١.٢", None),
    ],
)
def test_the_version_is_found_in_what_was_printed(text: str, version: CliVersion | None) -> None:
    assert parse_cli_version(text) == version


def test_pre_releases_come_before_their_release_in_their_own_order() -> None:
    texts = [
        "0.99.9",
        "0.100.0-1",
        "0.100.0-alpha.2",
        "0.100.0-alpha.10",
        "0.100.0-beta",
        "0.100.0",
    ]
    versions = [version for text in texts if (version := parse_cli_version(text))]
    assert [str(version) for version in sorted({*versions})] == texts


@pytest.mark.parametrize(
    ("version", "legacy"),
    [
        (CliVersion(0, 80, 0), True),
        (CliVersion(0, 99, 99), True),
        (CliVersion(0, 100, 0, "alpha.1"), False),
        (CliVersion(0, 100, 0), False),
        (CliVersion(1, 0, 0), False),
        (CliVersion(0, 0, 0), False),
    ],
)
def test_the_generations_part_at_0_100(version: CliVersion, legacy: bool) -> None:
    assert version.legacy is legacy


def test_the_pinned_version_is_verified_and_prints_as_the_cli_does() -> None:
    assert PINNED in VERIFIED
    assert str(PINNED) == "0.163.0"
    assert str(CliVersion(0, 170, 0, "alpha.3")) == "0.170.0-alpha.3"


@given(VERSIONS, VERSIONS)
def test_reaching_is_being_as_new_except_for_a_build_from_source(
    one: CliVersion, other: CliVersion
) -> None:
    assert one.reaches(other) == (one >= other or str(one) == "0.0.0")
    assert CliVersion(0, 0, 0).reaches(one)

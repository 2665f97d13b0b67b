"""Config override values: what is written is read back by a TOML parser, or refused by name."""

from __future__ import annotations

import enum
import math
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_sdk.config_overrides import (
    encode_config_override,
    encode_config_value,
    merge_config_overrides,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=12,
)


def read_back(text: str) -> Any:
    return tomllib.loads(f"value = {text}")["value"]


def same(one: Any, other: Any) -> bool:
    """Compare strictly: ``True == 1 == 1.0`` and ``0.0 == -0.0`` are not the same TOML."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


@given(VALUES)
@example("emoji \U0001f600, \"quotes\", 'quotes', '''three''', \"\"\"three\"\"\"")
@example("\x00\x01\x08\t\n\r\n\x1f\x7f\x80\x85\u2028\ufeff\uffff\U0010ffff")
@example({"a.b c": {"": {'"': 1, "'": 2, "\n": 3, "#=": [{}, []]}}})
@example([1e300, 5e-324, 1e16, -0.0])
def test_every_value_is_read_back_as_it_was(value: Any) -> None:
    assert same(read_back(encode_config_value(value)), value)


@given(VALUES)
def test_a_value_is_one_line_without_control_characters(value: Any) -> None:
    text = encode_config_value(value)
    assert not [character for character in text if character < " " or character == "\x7f"]


class Colour(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    TWO = 2


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Path("dir") / "file", str(Path("dir/file"))),
        (PurePosixPath("/a b/ü"), "/a b/ü"),
        ((1, (2, "x")), [1, [2, "x"]]),
        (MappingProxyType({"a": MappingProxyType({})}), {"a": {}}),
        (Colour.RED, "red"),
        (Number.TWO, 2),
        ([], []),
        ({}, {}),
    ],
)
def test_kin_of_the_plain_types_are_written_as_what_they_stand_for(value: Any, plain: Any) -> None:
    assert same(read_back(encode_config_value(value)), plain)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.5, "0.5"),
        ("a", '"a"'),
        ([1, "b"], '[1, "b"]'),
        ({"k": 1, "l m": 2}, '{k = 1, "l m" = 2}'),
    ],
)
def test_plain_values_are_written_plainly(value: Any, text: str) -> None:
    assert encode_config_value(value) == text


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return value


def test_64_levels_are_read_back() -> None:
    assert same(read_back(encode_config_value(nested(64))), nested(64))


def endless() -> Mapping[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


@pytest.mark.parametrize(
    ("value", "error", "part"),
    [
        (None, TypeError, "a.b: TOML has no form for NoneType"),
        ({"c": [0, None]}, TypeError, "a.b.c[1]: TOML has no form for NoneType"),
        ({"c d": {"e": {1}}}, TypeError, "a.b.c d.e: TOML has no form for set"),
        (b"bytes", TypeError, "a.b: TOML has no form for bytes"),
        (object(), TypeError, "a.b: TOML has no form for object"),
        ({1: 2}, TypeError, "a.b: a mapping's keys are str, not int: 1"),
        ({"c": {None: 2}}, TypeError, "a.b.c: a mapping's keys are str, not NoneType"),
        (math.nan, ValueError, "a.b: nan is not finite"),
        ([math.inf], ValueError, "a.b[0]: inf is not finite"),
        ({"c": -math.inf}, ValueError, "a.b.c: -inf is not finite"),
        (2**63, ValueError, "a.b: 9223372036854775808 does not fit"),
        (-(2**63) - 1, ValueError, "does not fit TOML's 64 bits"),
        ("x\ud800", ValueError, "a.b: half of a surrogate pair at position 1"),
        ({"\udfff": 1}, ValueError, "half of a surrogate pair"),
        (nested(65), ValueError, "nested deeper than 64 levels"),
        (endless(), ValueError, "nested deeper than 64 levels"),
    ],
)
def test_what_toml_cannot_say_is_refused_by_name(
    value: Any, error: type[Exception], part: str
) -> None:
    with pytest.raises(error) as caught:
        encode_config_override("a.b", value)
    assert type(caught.value) is error
    assert part in str(caught.value)


KEYS = st.lists(st.from_regex(r"[A-Za-z0-9_-]+", fullmatch=True), min_size=1).map(".".join)


@given(KEYS, st.text())
def test_the_cli_finds_key_and_value_at_the_first_equals_sign(key: str, value: str) -> None:
    before, _, after = encode_config_override(key, value).partition("=")
    assert before == key
    assert read_back(after) == value


@pytest.mark.parametrize(
    "key",
    ["", ".", "a.", ".a", "a..b", " a", "a ", "a. b", "a=b", 'a."b.c"', "a.'b'", "a\0b", "a\ud800"],
)
def test_keys_that_the_cli_would_misread_are_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"config override"):
        encode_config_override(key, 1)


def test_a_key_is_a_text() -> None:
    with pytest.raises(TypeError, match="key is a str, not int"):
        encode_config_override(1, 1)  # type: ignore[arg-type]


def test_nothing_merged_is_none() -> None:
    assert merge_config_overrides() is None
    assert merge_config_overrides(None, {}, None) is None


def test_later_values_win_and_stand_last() -> None:
    client = {"a.b": 1, "c": 2}
    thread = {"a": {"b": 3}, "a.b": 4}
    merged = merge_config_overrides(client, None, thread)
    assert merged is not None
    assert list(merged.items()) == [("c", 2), ("a", {"b": 3}), ("a.b", 4)]
    assert client == {"a.b": 1, "c": 2}


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers())))
def test_merging_is_updating_in_turn(mappings: list[dict[str, int]]) -> None:
    expected: dict[str, int] = {}
    for mapping in mappings:
        expected.update(mapping)
    assert merge_config_overrides(*mappings) == (expected or None)

"""Python types as output types: what is sent for them, what is read, what is refused."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import attrs
import msgspec
import pydantic
import pytest
from msgspec import Meta
from typing_extensions import NotRequired, ReadOnly, Required, TypeAliasType, TypedDict

from codex_sdk._core.output_schema import typed_output
from codex_sdk.exceptions import CodexError, CodexParseError

from .strict_rules import violations

T = TypeVar("T")


@attrs.frozen
class Cat:
    """Says miaow."""

    name: str


@dataclasses.dataclass
class Dog:
    name: str


@attrs.frozen
class Report:
    files: list[str]
    mood: Literal["good", "bad"] = "good"
    _secret: int = 0
    cached: int = attrs.field(init=False, default=7)
    when: Optional[dt.date] = None


@attrs.define
class Tree:
    value: int
    children: list[Tree] = attrs.field(factory=list)


class Options(TypedDict, total=False):
    path: Required[ReadOnly[str]]
    depth: int
    label: NotRequired[Optional[str]]
    frozen: ReadOnly[bool]


class Point(NamedTuple):
    x: float
    y: float = 0.0


@attrs.frozen
class Box(Generic[T]):
    content: T
    history: list[T]


@attrs.frozen
class IntBox(Box[int]):
    label: str


class Severity(enum.Enum):
    """How bad it is."""

    LOW = 1
    HIGH = 2


class Item(pydantic.BaseModel):
    sizes: dict[str, tuple[int, int]] = pydantic.Field(default_factory=dict)
    count: int = pydantic.Field(ge=1)


@attrs.frozen
class Shelf:
    items: list[Item]


@attrs.frozen
class Inner:
    extra: dict[str, object]


@attrs.frozen
class Outer:
    inner: list[Inner]


def sent(output_type: Any) -> Any:
    schema = typed_output(output_type).schema
    assert violations(dict(schema)) == []
    return schema


def sent_for(output_type: Any) -> Any:
    """Return what is sent for a type that is no object."""
    return sent(output_type)["properties"]["value"]


def read(output_type: Any, answer: Any) -> Any:
    return typed_output(output_type).parse(json.dumps(answer))


def refusal(output_type: Any) -> str:
    with pytest.raises(CodexError) as caught:
        typed_output(output_type)
    assert type(caught.value) is CodexError
    return str(caught.value)


def failure(output_type: Any, answer: Any) -> str:
    with pytest.raises(CodexParseError) as caught:
        read(output_type, answer)
    return str(caught.value)


def test_a_class_is_an_object_of_what_its_init_takes_all_of_it_required() -> None:
    assert sent(Report) == {
        "type": "object",
        "properties": {
            "files": {"type": "array", "items": {"type": "string"}},
            "mood": {"type": "string", "enum": ["good", "bad"]},
            "secret": {"type": "integer"},
            "when": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
        },
        "required": ["files", "mood", "secret", "when"],
        "additionalProperties": False,
    }
    answer = {"files": ["a"], "mood": "bad", "secret": 3, "when": "2026-01-02"}
    report = read(Report, answer)
    assert report == Report(["a"], "bad", 3, when=dt.date(2026, 1, 2))
    assert report.cached == 7


def test_what_is_no_object_is_wrapped_in_one_and_unwrapped() -> None:
    assert sent(list[int])["properties"] == {
        "value": {"type": "array", "items": {"type": "integer"}}
    }
    assert read(list[int], {"value": [1, 2]}) == [1, 2]
    assert read(Optional[str], {"value": None}) is None
    assert read(None, {"value": None}) is None


def test_a_recursive_type_refers_to_itself() -> None:
    children = sent(Tree)["properties"]["children"]
    assert children == {"type": "array", "items": {"$ref": "#"}}
    assert sent(list[Tree])["$defs"]["Tree"]["properties"]["children"]["items"] == {
        "$ref": "#/$defs/Tree"
    }
    answer = {"value": 1, "children": [{"value": 2, "children": []}]}
    assert read(Tree, answer) == Tree(1, [Tree(2)])


def test_a_mapping_is_an_array_of_pairs_whatever_its_keys() -> None:
    answer = {"value": [{"key": 1, "value": "one"}, {"key": 2, "value": "two"}]}
    for mapping in (dict[int, str], Mapping[int, str]):
        assert read(mapping, answer) == {1: "one", 2: "two"}
    assert sent_for(dict[int, str])["items"]["required"] == ["key", "value"]
    twice = {"value": [{"key": 1, "value": "one"}, {"key": 1, "value": "uno"}]}
    assert "$.value: a key is there twice" in failure(dict[int, str], twice)


def test_a_tuple_of_fixed_length_is_an_object() -> None:
    assert sent(tuple[int, str])["required"] == ["item_0", "item_1"]
    assert read(tuple[int, str], {"item_0": 1, "item_1": "a"}) == (1, "a")
    assert read(tuple[()], {}) == ()


def test_sequences_and_sets_are_arrays() -> None:
    for hint, value in [
        (Sequence[int], [1, 1]),
        (tuple[int, ...], (1, 1)),
        (set[int], {1}),
        (frozenset[int], frozenset({1})),
    ]:
        made = read(hint, {"value": [1, 1]})
        assert made == value
        assert type(made) is type(value)


def test_a_named_tuple_is_an_object_of_its_fields() -> None:
    assert sent(Point)["required"] == ["x", "y"]
    assert read(Point, {"x": 1, "y": 2}) == Point(1.0, 2.0)


def test_a_key_of_a_typed_dict_that_may_be_left_out_may_be_null() -> None:
    schema = sent(Options)
    assert schema["required"] == ["path", "depth", "label", "frozen"]
    assert schema["properties"]["path"] == {"type": "string"}
    assert schema["properties"]["depth"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    answer = {"path": "p", "depth": None, "label": None, "frozen": None}
    assert read(Options, answer) == {"path": "p", "label": None}
    assert read(Options, {**answer, "depth": 3})["depth"] == 3


def test_members_of_a_union_that_differ_in_their_keys_are_told_apart_by_them() -> None:
    union = Union[Cat, Tree, int, None]
    assert sent_for(union) == {
        "anyOf": [
            {"$ref": "#/$defs/Cat"},
            {"$ref": "#/$defs/Tree"},
            {"type": "integer"},
            {"type": "null"},
        ]
    }
    assert read(union, {"value": {"name": "Tom"}}) == Cat("Tom")
    assert read(union, {"value": {"value": 1, "children": []}}) == Tree(1)
    assert read(union, {"value": 3}) == 3


def test_members_of_a_union_that_could_be_confused_are_wrapped_under_their_names() -> None:
    union = Union[Cat, Dog, None]
    wrapped = sent_for(union)["anyOf"]
    assert [list(member.get("properties", ())) for member in wrapped] == [["Cat"], ["Dog"], []]
    assert read(union, {"value": {"Dog": {"name": "Rex"}}}) == Dog("Rex")
    assert read(union, {"value": {"Cat": {"name": "Tom"}}}) == Cat("Tom")
    assert read(union, {"value": None}) is None
    assert read(Union[list[int], set[int]], {"value": {"set": []}}) == set()
    assert read(Union[str, dt.date], {"value": {"date": "2026-01-02"}}) == dt.date(2026, 1, 2)


def test_a_wrapper_never_looks_like_another_member() -> None:
    @attrs.frozen
    class Decoy:
        Cat: Cat

    union = Union[Cat, Dog, Decoy]
    keys = [list(member["properties"]) for member in sent_for(union)["anyOf"]]
    assert keys == [["Cat"], ["Dog"], ["Decoy"]]
    answer = {"value": {"Decoy": {"Cat": {"name": "Tom"}}}}
    assert read(union, answer) == Decoy(Cat("Tom"))


def test_a_literal_field_tells_classes_apart() -> None:
    @attrs.frozen
    class Started:
        kind: Literal["started"]
        at: int

    @attrs.frozen
    class Ended:
        kind: Literal["ended"]
        at: int

    assert all("$ref" in member for member in sent_for(Union[Started, Ended])["anyOf"])
    answer = {"value": {"kind": "ended", "at": 1}}
    assert read(Union[Started, Ended], answer) == Ended("ended", 1)


def test_an_alias_of_a_union_is_a_member_like_any_other() -> None:
    alias = TypeAliasType("Alias", Union[Cat, int])
    assert sent_for(Union[alias, Tree])["anyOf"] == [
        {"$ref": "#/$defs/Alias"},
        {"$ref": "#/$defs/Tree"},
    ]
    for union in (Union[alias, Dog], Union[Dog, alias]):
        assert read(union, {"value": {"Alias": {"name": "Tom"}}}) == Cat("Tom")
        assert read(union, {"value": {"Dog": {"name": "Rex"}}}) == Dog("Rex")


def test_a_decimal_is_no_number() -> None:
    union = Union[decimal.Decimal, int]
    assert type(read(union, {"value": 7})) is int
    assert read(union, {"value": "7"}) == decimal.Decimal(7)


def test_an_integer_is_a_number() -> None:
    union = Union[float, Severity]
    assert read(union, {"value": {"float": 1}}) == 1.0
    assert read(union, {"value": {"Severity": 1}}) is Severity.LOW


def test_values_that_json_has_itself_need_no_wrapping() -> None:
    assert sent_for(Union[int, float, str]) == {
        "anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}]
    }
    assert read(Union[int, float], {"value": 1.5}) == 1.5


def test_enum_members_are_given_by_value_with_a_legend_or_by_name() -> None:
    assert sent_for(Severity) == {"$ref": "#/$defs/Severity"}
    assert sent(Severity)["$defs"]["Severity"] == {
        "type": "integer",
        "enum": [1, 2],
        "description": "How bad it is.\n\n1: LOW, 2: HIGH",
    }
    assert read(Severity, {"value": 2}) is Severity.HIGH
    assert "$.value: True is not one of [1, 2]" in failure(Severity, {"value": True})

    class Size(enum.Enum):
        SMALL = (1, 1)

    assert read(Size, {"value": "SMALL"}) is Size.SMALL


def test_a_literal_of_several_types_has_them_all() -> None:
    literal = Literal["a", 1, True, Severity.HIGH]
    assert sent_for(literal) == {
        "type": ["boolean", "integer", "string"],
        "enum": ["a", 1, True, 2],
    }
    assert read(literal, {"value": True}) is True
    assert read(literal, {"value": 2}) is Severity.HIGH


def test_docstrings_that_somebody_wrote_are_descriptions() -> None:
    assert sent(Cat)["description"] == "Says miaow."
    assert "description" not in sent(Dog)
    assert "description" not in sent(Point)
    assert "description" not in sent(Options)


def test_constraints_and_descriptions_of_msgspec_are_sent_and_checked() -> None:
    @attrs.frozen
    class Review:
        stars: Annotated[int, Meta(ge=1, le=5, description="More is better.")]
        tags: Annotated[list[str], Meta(max_length=2)]
        cat: Annotated[Cat, Meta(description="The reviewer.")]
        again: Cat
        code: Annotated[str, Meta(pattern="^(?=x)", description="A code.")]

    schema = sent(Review)
    assert schema["properties"]["stars"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 5,
        "description": "More is better.",
    }
    assert schema["properties"]["tags"]["maxItems"] == 2
    assert schema["properties"]["again"] == {"$ref": "#/$defs/Cat_2"}
    assert schema["$defs"]["Cat"]["description"] == "The reviewer.\n\nSays miaow."
    assert schema["$defs"]["Cat_2"]["description"] == "Says miaow."
    assert schema["properties"]["code"] == {
        "type": "string",
        "description": "A code.; pattern: ^(?=x)",
    }
    tom = {"name": "Tom"}
    answer = {"stars": 5, "tags": [], "cat": tom, "again": tom, "code": "x"}
    assert read(Review, answer).stars == 5
    assert "$.stars: Expected `int` <= 5" in failure(Review, {**answer, "stars": 6})
    assert "$.tags: Expected `array` of length <= 2" in failure(
        Review, {**answer, "tags": [""] * 3}
    )
    assert "$.code: Expected `str` matching" in failure(Review, {**answer, "code": "y"})


def test_a_description_where_a_type_recurs_is_kept() -> None:
    class Node(TypedDict):
        next: NotRequired[Annotated[Node, Meta(description="The next one.")]]

    schema = sent(Node)
    assert schema["$defs"]["Node"]["description"] == "The next one."
    assert read(Node, {"next": {"next": {"next": None}}}) == {"next": {"next": {}}}


def test_generic_classes_are_what_they_are_made_with() -> None:
    answer = {"content": 1, "history": [2]}
    assert read(Box[int], answer) == Box(1, [2])
    assert read(IntBox, {**answer, "label": "x"}) == IntBox(1, [2], "x")
    assert list(sent(list[Box[Cat]])["$defs"]) == ["Box_Cat", "Cat"]
    assert "Box.content" in refusal(Box)
    assert "$.content: Expected `int`, got `str`" in failure(Box[int], {**answer, "content": ""})


Name = NewType("Name", str)
Several = TypeAliasType("Several", list[T], type_params=(T,))


def test_new_types_and_aliases_are_what_they_stand_for() -> None:
    assert sent_for(Name) == {"type": "string"}
    assert read(list[Name], {"value": ["x"]}) == ["x"]
    assert read(Several[int], {"value": [1]}) == [1]
    assert "there is no way to give a T in JSON" in refusal(Several)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_an_alias_may_refer_to_itself() -> None:
    scope: dict[str, Any] = {}
    exec("type Nested = int | list[Nested]\ntype Circle = Circle", scope)
    nested = scope["Nested"]
    assert read(nested, {"value": [1, [2, []]]}) == [1, [2, []]]
    assert "$.value[0]: " in failure(nested, {"value": ["x"]})
    assert "made of itself alone" in refusal(scope["Circle"])


def test_paths_are_strings() -> None:
    assert sent_for(Path) == {"type": "string"}
    assert read(list[Path], {"value": ["a/b"]}) == [Path("a/b")]


def test_two_classes_of_one_name_are_two_definitions() -> None:
    def other() -> Any:
        @attrs.frozen
        class Cat:
            lives: int

        return Cat

    assert list(sent(Union[Cat, other()])["$defs"]) == ["Cat", "Cat_2"]


def test_pydantic_models_work_inside_other_types() -> None:
    size = {"key": "a", "value": {"item_0": 1, "item_1": 2}}
    shelf = read(Shelf, {"items": [{"sizes": [size], "count": 3}]})
    assert shelf == Shelf([Item(sizes={"a": (1, 2)}, count=3)])
    assert "$.items[0].count: Input should be greater than or equal to 1" in failure(
        Shelf, {"items": [{"sizes": [], "count": 0}]}
    )


def test_pydantic_dataclasses_are_read_by_pydantic() -> None:
    @pydantic.dataclasses.dataclass
    class Item:
        count: Annotated[int, pydantic.Field(ge=1)] = 1
        made: int = dataclasses.field(init=False, default=3)

    assert sent(Item)["properties"] == {"count": {"type": "integer", "minimum": 1}}
    assert read(Item, {"count": 2}) == Item(2)
    assert "$.count" in failure(Item, {"count": 0})


def test_other_types_need_no_pydantic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    assert read(Tree, {"value": 1, "children": []}) == Tree(1)


def test_what_a_class_itself_refuses_is_a_violation_too() -> None:
    @attrs.frozen
    class Even:
        number: int = attrs.field()

        @number.validator
        def _check(self, _attribute: Any, value: int) -> None:
            if value % 2:
                raise ValueError("odd")

    assert "$.value[1]: ValueError: odd" in failure(
        list[Even], {"value": [{"number": 0}, {"number": 1}]}
    )
    assert "$.value: TypeError: unhashable" in failure(
        set[tuple[list[int]]], {"value": [{"item_0": []}]}
    )


def test_attrs_converters_run() -> None:
    @attrs.frozen
    class Sum:
        total: list[int] = attrs.field(converter=sum)

    assert read(Sum, {"total": [1, 2]}).total == 3


@pytest.mark.parametrize(
    ("hint", "what"),
    [
        (Any, "Any: Any may be anything"),
        (object, "object: object may be anything"),
        (list, "list: list does not say what it holds"),
        (tuple, "tuple: tuple does not say what it holds"),
        (dict, "dict: dict does not say what it holds"),
        (dict[str, Any], "dict[str, Any]: Any may be anything"),
        (list[Mapping], "list[Mapping]: Mapping does not say what it holds"),
        (complex, "complex: there is no way to give a complex in JSON"),
        (msgspec.Raw, "Raw: there is no way to give a Raw in JSON"),
        ([int], "[<class 'int'>] is no type"),
        (list["Cat"], "list[Cat]: Cat is the name of a type"),
        (Literal[b"a"], "not all of (b'a',) are values that JSON has"),
        (enum.Enum("Empty", ()), "the enum Empty has no members"),
        (Annotated[Cat, Meta(min_length=1)], "min_length does not apply to Cat"),
        (Annotated[int, Meta(pattern="a")], "Can only set `pattern` on a str type"),
        (collections.namedtuple("Bare", "x"), "Bare.x has no type"),  # noqa: PYI024
    ],
)
def test_types_that_cannot_be_expressed_are_refused_by_name(hint: Any, what: str) -> None:
    assert what in refusal(hint)


def test_a_refusal_names_the_class_and_the_field() -> None:
    assert refusal(Outer).startswith("Inner.extra: object may be anything")


def test_classes_that_cannot_be_understood_are_refused() -> None:
    @attrs.frozen
    class Unknown:
        part: Nonexistent  # type: ignore[name-defined]  # noqa: F821

    @dataclasses.dataclass
    class NeedsMore:
        part: int
        more: dataclasses.InitVar[int]

    @attrs.frozen
    class Untyped:
        part = attrs.field()

    assert "name 'Nonexistent' is not defined" in refusal(Unknown)
    assert "NeedsMore" in refusal(NeedsMore)
    assert "Untyped.part has no type" in refusal(Untyped)


def test_a_type_made_of_itself_alone_is_refused() -> None:
    @attrs.frozen
    class Endless(Generic[T]):
        more: Optional[Endless[list[T]]]

    assert "made of itself alone" in refusal(Endless[int])


def test_a_schema_that_the_api_would_find_too_large_is_refused() -> None:
    nested: Any = int
    for _ in range(11):
        nested = tuple[nested]  # type: ignore[assignment]
    assert "levels of objects in objects" in refusal(nested)
    fields = {f"f{number}": int for number in range(5001)}
    assert "5001 properties" in refusal(TypedDict("Wide", fields))  # type: ignore[operator]
    values = Literal[tuple(range(1001))]  # type: ignore[valid-type]
    assert "1001 enum values" in refusal(values)
    long = Literal[tuple(f"{number:0100}" for number in range(251))]  # type: ignore[valid-type]
    assert "25100 characters in an enum of more than 250 values" in refusal(long)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("", "the answer is no JSON"),
        ("Done!", "it is: Done!"),
        ("```json\n{}\n```", "the answer is no JSON"),
        ('{"files": NaN}', "the answer is no JSON"),
        ("[" * 100_000, "the answer is no JSON"),
        ('"\ud800"', "the answer is no JSON"),
        ("[]", "at $: Expected `object`, got `array`"),
        ('{"name": "Tom", "age": 3}', "at $: the key 'age' is not expected"),
        ("{}", "at $: the key 'name' is missing"),
        ('{"name": null}', "at $.name: Expected `str`, got `null`"),
    ],
)
def test_a_wrong_answer_is_a_parse_error_with_path_and_text(answer: str, message: str) -> None:
    with pytest.raises(CodexParseError, match=r"^the answer") as caught:
        typed_output(Cat).parse(answer)
    assert message in str(caught.value)


def test_a_long_answer_is_shown_by_its_beginning() -> None:
    message = failure(Cat, {"name": "x" * 1000, "age": 1})
    assert message.endswith("x…")
    assert len(message) < 400


def test_an_answer_nested_deeper_than_python_can_read_is_a_parse_error() -> None:
    answer: Any = {"value": 0, "children": []}
    for _ in range(400):
        answer = {"value": 0, "children": [answer]}
    assert "nested too deeply" in failure(Tree, answer)


def test_a_union_reports_the_member_that_fits_best() -> None:
    answer = {"value": {"value": 1, "children": [{"value": "x", "children": []}]}}
    assert "$.value.children[0].value: Expected `int`, got `str`" in failure(
        Union[Cat, Tree], answer
    )
    assert "Expected `int`, got `str`; Expected `null`, got `str`" in failure(
        Optional[int], {"value": "x"}
    )


def test_the_error_for_a_wrong_answer_carries_the_answer_and_the_path() -> None:
    text = '{"value": [1, "two"]}'
    with pytest.raises(CodexParseError) as caught:
        typed_output(list[int]).parse(text)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.text, copy.path) == (text, "$.value[1]")
    with pytest.raises(CodexParseError) as caught:
        typed_output(list[int]).parse("no JSON")
    assert (caught.value.text, caught.value.path) == ("no JSON", None)

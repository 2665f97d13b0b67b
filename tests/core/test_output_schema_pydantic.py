"""pydantic models as output types."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar, Union

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel
from typing_extensions import NotRequired, TypedDict

from codex_sdk._core.output_schema import pydantic_output, typed_output
from codex_sdk.exceptions import CodexError, CodexParseError

from .strict_rules import violations

T = TypeVar("T")


class Cat(BaseModel):
    """Says miaow."""

    kind: Literal["cat"] = "cat"
    lives: int = Field(9, ge=0, description="How many are left.")


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Keys(TypedDict):
    must: int
    may: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str


class Owner(BaseModel):
    name: str = Field("nobody", min_length=1, max_length=20, pattern="^[a-z]+$", examples=["ann"])
    pet: Annotated[Union[Cat, Dog], Field(discriminator="kind")]
    favourite: Cat = Field(default_factory=Cat, description="The one that is fed first.")
    friends: list[Owner] = Field(default_factory=list)
    boss: Optional[Owner] = None
    mood: Mood = Mood.GOOD
    scores: dict[str, float] = {}
    span: tuple[dt.date, dt.date] | None = None
    tags: set[str] = set()
    keys: Keys = {"must": 1}
    pair: Pair = Pair(1, "")
    balance: decimal.Decimal = decimal.Decimal(0)
    home: Optional[pydantic.AnyUrl] = None
    raw: bytes = b""
    alias: int = Field(0, alias="Alias")


def sent(model: Any) -> Any:
    schema = pydantic_output(model).schema
    assert violations(dict(schema)) == []
    return schema


def answer_for_owner() -> dict[str, Any]:
    return {
        "name": "ann",
        "pet": {"kind": "dog", "lives": 1},
        "favourite": {"kind": "cat", "lives": 8},
        "friends": [],
        "boss": None,
        "mood": "bad",
        "scores": [{"key": "maths", "value": 1.5}],
        "span": {"item_0": "2026-01-02", "item_1": "2026-01-03"},
        "tags": ["a", "b"],
        "keys": {"must": 1, "may": None},
        "pair": {"item_0": 1, "item_1": "x"},
        "balance": "1.50",
        "home": "https://example.org/",
        "raw": "abc",
        "Alias": 4,
    }


def test_a_model_with_everything_in_it_has_a_strict_schema() -> None:
    schema = sent(Owner)
    properties = schema["properties"]
    assert schema["required"] == list(properties)
    assert "default" not in json.dumps(schema)
    assert properties["name"] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 20,
        "pattern": "^[a-z]+$",
    }
    assert properties["pet"] == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}
    assert properties["friends"] == {"type": "array", "items": {"$ref": "#"}}
    assert properties["keys"] == {"$ref": "#/$defs/Keys"}
    assert properties["tags"]["description"] == "uniqueItems: true"
    assert properties["home"]["anyOf"][0]["description"] == "format: uri"
    assert schema["$defs"]["Cat"]["properties"]["lives"]["description"] == "How many are left."


def test_a_default_need_not_be_json() -> None:
    class Defaulted(BaseModel):
        count: int = Field(default=object())  # type: ignore[assignment]

    assert sent(Defaulted)["properties"] == {"count": {"type": "integer"}}


def test_a_described_reference_is_a_definition_of_its_own() -> None:
    schema = sent(Owner)
    name = schema["properties"]["favourite"]["$ref"].rpartition("/")[2]
    assert schema["$defs"][name]["description"] == "The one that is fed first.\n\nSays miaow."
    assert schema["$defs"]["Cat"]["description"] == "Says miaow."


def test_an_answer_is_validated_and_its_encodings_are_undone() -> None:
    owner = pydantic_output(Owner).parse(json.dumps(answer_for_owner()))
    assert owner.pet == Dog()
    assert owner.favourite == Cat(lives=8)
    assert owner.mood is Mood.BAD
    assert owner.scores == {"maths": 1.5}
    assert owner.span == (dt.date(2026, 1, 2), dt.date(2026, 1, 3))
    assert owner.keys == {"must": 1}
    assert owner.pair == Pair(1, "x")
    assert owner.balance == decimal.Decimal("1.50")
    assert owner.alias == 4


@pytest.mark.parametrize(
    ("change", "location"),
    [
        ({"pet": {"kind": "dog", "lives": "many"}}, ("pet", "dog", "lives")),
        ({"favourite": {"kind": "cat", "lives": -1}}, ("favourite", "lives")),
        ({"name": ""}, ("name",)),
    ],
)
def test_what_does_not_validate_is_pydantics_own_error(
    change: dict[str, Any], location: tuple[str, ...]
) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        pydantic_output(Owner).parse(json.dumps(answer_for_owner() | change))
    assert caught.value.errors()[0]["loc"] == location


def test_what_pydantic_takes_is_taken_though_the_schema_asks_for_more() -> None:
    assert pydantic_output(Cat).parse('{"lives": "3", "colour": "red"}') == Cat(lives=3)


def test_what_is_no_json_is_a_parse_error() -> None:
    with pytest.raises(CodexParseError, match=r"no JSON.*it is: Sorry"):
        pydantic_output(Cat).parse("Sorry")


def test_a_strict_model_reads_json() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")

        day: dt.date
        pair: tuple[int, str]

    answer = '{"day": "2026-01-02", "pair": {"item_0": 1, "item_1": "x"}}'
    assert pydantic_output(Strict).parse(answer) == Strict(day=dt.date(2026, 1, 2), pair=(1, "x"))


def test_a_model_whose_root_is_no_object_is_wrapped() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    assert sent(Numbers)["required"] == ["value"]
    assert pydantic_output(Numbers).parse('{"value": [1, 2]}') == Numbers([1, 2])


def test_generic_and_recursive_models_work() -> None:
    class Node(BaseModel, Generic[T]):
        value: T
        children: list[Annotated[Node[T], Field(description="A child.")]] = []

    leaf = {"value": 2, "children": []}
    node = pydantic_output(Node[int]).parse(json.dumps({"value": 1, "children": [leaf]}))
    assert node == Node[int](value=1, children=[Node[int](value=2)])
    sent(Node[int])


def test_a_union_of_encoded_and_plain_values_is_told_apart() -> None:
    class Holder(BaseModel):
        held: Union[list[int], dict[str, int]]

    sent(Holder)
    output = pydantic_output(Holder)
    assert output.parse('{"held": {"dict": []}}') == Holder(held={})
    assert output.parse('{"held": {"array": []}}') == Holder(held=[])


def test_keys_of_a_mapping_are_constrained() -> None:
    class Holder(BaseModel):
        by_mood: dict[Mood, int]
        by_code: dict[Annotated[str, Field(pattern="^[A-Z]$")], int]
        few: dict[str, int] = Field(max_length=2)

    properties = sent(Holder)["properties"]
    assert properties["by_code"]["items"]["properties"]["key"]["pattern"] == "^[A-Z]$"
    assert properties["few"]["maxItems"] == 2
    answer = {
        "by_mood": [{"key": "good", "value": 1}],
        "by_code": [{"key": "A", "value": 1}],
        "few": [],
    }
    holder = pydantic_output(Holder).parse(json.dumps(answer))
    assert holder == Holder(by_mood={Mood.GOOD: 1}, by_code={"A": 1}, few={})


def test_fields_that_say_nothing_are_refused_by_name() -> None:
    class Vague(BaseModel):
        extra: dict[str, Any] = {}

    class Empty(BaseModel):
        things: list = []  # type: ignore[type-arg]

    class Odd(BaseModel):
        call: Callable[[], None]

    with pytest.raises(CodexError, match=r"Vague\.extra may be anything"):
        pydantic_output(Vague)
    with pytest.raises(CodexError, match=r"Empty\.things may be anything"):
        pydantic_output(Empty)
    with pytest.raises(CodexError, match="Odd has no JSON Schema"):
        pydantic_output(Odd)


def custom(schema: dict[str, Any]) -> Any:
    """Return a model whose one field has a JSON Schema of its own."""
    hint = Annotated[Any, pydantic.WithJsonSchema(schema)]
    return pydantic.create_model("Custom", field=(hint, ...))


def test_json_schemas_of_the_users_own_are_understood() -> None:
    assert sent(custom({"allOf": [{"type": "string"}]}))["properties"]["field"] == {
        "type": "string"
    }
    assert sent(custom({"type": ["integer", "null"], "maximum": 3}))["properties"]["field"] == {
        "anyOf": [{"type": "integer", "maximum": 3}, {"type": "null"}]
    }
    model = custom({"oneOf": [{"const": "a"}, {"enum": [1, 2]}], "description": "Either."})
    assert sent(model)["properties"]["field"] == {
        "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1, 2]}],
        "description": "Either.",
    }
    assert pydantic_output(model).parse('{"field": 2}').field == 2


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({}, "Custom.field may be anything"),
        ({"type": "array", "items": True}, "an item of Custom.field may be anything"),
        ({"type": "object"}, "a value of Custom.field may be anything"),
        ({"allOf": [{"type": "string"}, {"maxLength": 3}]}, "Custom.field may be anything"),
        ({"enum": [["a"], ["b"]]}, "Custom.field: a choice between lists or objects"),
        (
            {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "integer"}},
            "Custom.field: a sequence whose first items",
        ),
    ],
)
def test_json_schemas_that_strict_mode_cannot_express_are_refused(
    schema: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CodexError) as caught:
        pydantic_output(custom(schema))
    assert reason in str(caught.value)


def test_an_answer_nested_deeper_than_python_can_read_is_a_parse_error() -> None:
    answer: Any = answer_for_owner()
    for _ in range(400):
        answer = answer_for_owner() | {"boss": answer}
    with pytest.raises(CodexParseError, match="nested too deeply"):
        pydantic_output(Owner).parse(json.dumps(answer))


def test_a_model_that_is_not_finished_is_refused() -> None:
    class Unfinished(BaseModel):
        part: Nonexistent  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(CodexError, match="Unfinished has no JSON Schema"):
        pydantic_output(Unfinished)


@pytest.mark.parametrize("model", [dict, int, Cat(), "Cat", list[Cat]])
def test_what_is_no_model_is_refused(model: Any) -> None:
    with pytest.raises(CodexError, match=r"is no subclass of pydantic\.BaseModel"):
        pydantic_output(model)


def test_without_pydantic_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic", None)
    with pytest.raises(CodexError, match=r"codex-sdk-python\[pydantic\]"):
        pydantic_output(Cat)


def test_a_model_as_a_typed_output_reports_the_place() -> None:
    output = typed_output(Cat)
    assert output.parse('{"kind": "cat", "lives": 3}') == Cat(lives=3)
    with pytest.raises(CodexParseError, match=r"at \$\.lives: Input should be greater"):
        output.parse('{"kind": "cat", "lives": -3}')
    with pytest.raises(CodexParseError, match=r"at \$: the key 'kind' is missing"):
        output.parse('{"lives": 3}')

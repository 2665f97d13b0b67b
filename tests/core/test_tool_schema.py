"""Python functions as tools: what Codex is told of them, how arguments are read, what is refused."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import inspect
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional, Union

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typing_extensions import Doc, Required, TypeAliasType, TypedDict

from codex_sdk._core.tool_schema import Signature, signature_of
from codex_sdk._core.tool_schema.wording import in_words
from codex_sdk.exceptions import CodexError, CodexParseError

if TYPE_CHECKING:
    from decimal import Decimal


@attrs.frozen
class Cat:
    """Says miaow."""

    name: str
    lives: int = 9


@dataclasses.dataclass
class Dog:
    name: str
    tags: dict[str, int] = dataclasses.field(default_factory=dict)


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Filter(TypedDict, total=False):
    path: Required[str]
    depth: int


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Item(pydantic.BaseModel):
    count: int = pydantic.Field(ge=1, description="How many.")
    due: dt.date = dt.date(2030, 1, 1)
    pair: tuple[int, str] = (1, "a")
    next: Optional[Item] = None


class Tabby(pydantic.BaseModel):
    kind: Literal["tabby"]
    stripes: int


class Siamese(pydantic.BaseModel):
    kind: Literal["siamese"]


def taking(hint: Any, default: Any = inspect.Parameter.empty) -> Signature:
    """Return the signature of a function that takes one argument, ``it``."""
    return signature_of(function_of({"it": (hint, default)}), "tool")


def function_of(parameters: Mapping[str, tuple[Any, Any]]) -> Callable[..., Any]:
    def function(**_: Any) -> None: ...

    function.__annotations__ = {name: hint for name, (hint, _) in parameters.items()}
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint
            )
            for name, (hint, default) in parameters.items()
        ]
    )
    return function


def sent(hint: Any) -> Any:
    return taking(hint).schema["properties"]["it"]


def read(hint: Any, argument: Any) -> Any:
    return taking(hint).read({"it": argument})["it"]


def failure(hint: Any, argument: Any) -> str:
    with pytest.raises(CodexParseError) as caught:
        read(hint, argument)
    return str(caught.value)


def refusal(function: Callable[..., Any]) -> str:
    with pytest.raises(CodexError) as caught:
        signature_of(function, "look")
    return str(caught.value)


def weather(city: Annotated[str, "Where."], *, days: int = 3, unit: Literal["C", "F"] = "C") -> str:
    return f"{city} {days} {unit}"


def test_a_parameter_with_a_default_may_be_left_out() -> None:
    signature = signature_of(weather, "weather")
    assert signature.schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "days": {"type": "integer", "description": "default: 3"},
            "unit": {"type": "string", "enum": ["C", "F"], "description": "default: C"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert signature.read({"city": "Oslo"}) == {"city": "Oslo"}
    assert signature.read({"city": "Oslo", "days": 1}) == {"city": "Oslo", "days": 1}


def test_a_function_without_parameters_takes_no_arguments() -> None:
    signature = signature_of(function_of({}), "tool")
    assert signature.schema["properties"] == {}
    assert signature.schema["required"] == []
    assert signature.read({}) == {}
    with pytest.raises(CodexParseError, match=r"at \$: the key 'x' is not expected"):
        signature.read({"x": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "invalid arguments at $: the key 'city' is missing"),
        ({"city": 3}, "invalid arguments at $.city: Expected `str`, got `int`"),
        ({"city": "a", "unit": "K"}, "invalid arguments at $.unit: 'K' is not one of ['C', 'F']"),
        ({"city": "a", "town": 1}, "invalid arguments at $: the key 'town' is not expected"),
        ([], "invalid arguments at $: Expected `object`, got `array`"),
        (None, "invalid arguments at $: Expected `object`, got `null`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_place(arguments: Any, message: str) -> None:
    with pytest.raises(CodexParseError) as caught:
        signature_of(weather, "weather").read(arguments)
    assert str(caught.value) == message


def test_arguments_that_are_nested_too_deeply_are_refused() -> None:
    nested: Any = {}
    for _ in range(100_000):
        nested = {"next": nested, "count": 1}
    assert "invalid arguments" in failure(Item, nested)


def test_a_field_with_a_default_may_be_left_out() -> None:
    assert taking(Cat).schema["$defs"]["Cat"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "lives": {"type": "integer"}},
        "required": ["name"],
        "additionalProperties": False,
        "description": "Says miaow.",
    }
    assert read(Cat, {"name": "Tom"}) == Cat("Tom")
    assert read(Cat, {"name": "Tom", "lives": 8}) == Cat("Tom", 8)
    assert read(Dog, {"name": "Rex", "tags": {"good": 1}}) == Dog("Rex", {"good": 1})
    assert read(Point, {"x": 1}) == Point(1.0)
    assert "$.it: the key 'name' is missing" in failure(Cat, {"lives": 1})
    assert "$.it: the key 'age' is not expected" in failure(Cat, {"name": "Tom", "age": 3})


def test_a_key_of_a_typed_dict_that_may_be_left_out_may_not_be_null() -> None:
    assert read(Filter, {"path": "p"}) == {"path": "p"}
    assert read(Filter, {"path": "p", "depth": 1}) == {"path": "p", "depth": 1}
    assert "$.it.depth: Expected `int`" in failure(Filter, {"path": "p", "depth": None})
    assert "'path' is missing" in failure(Filter, {"depth": 1})


def test_a_mapping_with_strings_for_keys_is_an_object_and_any_other_an_array_of_pairs() -> None:
    assert sent(dict[str, int]) == {
        "type": "object",
        "properties": {},
        "additionalProperties": {"type": "integer"},
    }
    assert read(dict[str, int], {"a": 1}) == {"a": 1}
    assert '$.it["a b"]' in failure(dict[str, int], {"a b": "x"}).replace("'", '"')
    assert "Expected `object`" in failure(dict[str, int], [])
    assert read(dict[int, str], [{"key": 1, "value": "one"}]) == {1: "one"}
    assert read(dict[Colour, int], [{"key": "red", "value": 1}]) == {Colour.RED: 1}
    assert read(dict[Path, int], [{"key": "a", "value": 1}]) == {Path("a"): 1}


@pytest.mark.parametrize("hint", [Any, object])
def test_anything_is_what_it_is(hint: Any) -> None:
    assert sent(hint) == {}
    for value in (None, 1, "a", [1, {"b": None}]):
        assert read(hint, value) == value
    assert read(dict[str, hint], {"a": [1]}) == {"a": [1]}
    assert read(dict, {"a": [1]}) == {"a": [1]}
    assert read(list, [1, "a"]) == [1, "a"]


def test_a_union_whose_members_could_be_confused_is_told_apart_by_names() -> None:
    union = Union[Cat, Dog, None]
    assert read(union, {"Cat": {"name": "Tom"}}) == Cat("Tom")
    assert read(union, {"Dog": {"name": "Rex"}}) == Dog("Rex")
    assert read(union, None) is None
    assert [*sent(union)["anyOf"][1]["properties"]] == ["Dog"]
    assert read(Union[str, list[str]], ["a"]) == ["a"]
    assert sent(Union[dict[str, int], dict[str, str]]) == {
        "anyOf": [sent(dict[str, int]), sent(dict[str, str])]
    }
    dated = {"dict_str_date": {"a": "2030-01-02"}}
    assert read(Union[dict[str, dt.date], dict[str, str]], dated) == {"a": dt.date(2030, 1, 2)}
    positive = Annotated[float, pydantic.Field(ge=0)]
    assert [*sent(Union[positive, int])["anyOf"][0]["properties"]] == ["float"]
    assert [*sent(Union[positive, str])["anyOf"][0]] == ["type", "description"]


def test_descriptions_come_from_annotations_of_every_kind() -> None:
    class Line(TypedDict):
        text: Annotated[str, "What it says."]

    for comment in (
        "Words.",
        msgspec.Meta(description="Words."),
        pydantic.Field(description="Words."),
        Doc("Words."),
    ):
        assert sent(Annotated[str, comment]) == {"type": "string", "description": "Words."}
        assert sent(Annotated[Any, comment]) == {"description": "Words."}
    assert taking(Line).schema["$defs"]["Line"]["properties"]["text"]["description"]
    whole = taking(Annotated[Cat, "The one."])
    assert whole.schema["$defs"]["Cat"]["description"] == "The one.\n\nSays miaow."


def test_constraints_are_checked_and_put_in_words_as_codex_does_not_hand_them_on() -> None:
    stars = Annotated[int, msgspec.Meta(ge=1, le=5, description="Stars.")]
    assert sent(stars) == {"type": "integer", "description": "Stars. (minimum: 1; maximum: 5)"}
    assert "Expected `int` <= 5" in failure(stars, 6)
    with_field = Annotated[int, pydantic.Field(ge=1, description="Stars.")]
    assert sent(with_field) == {"type": "integer", "description": "Stars. (minimum: 1)"}
    assert "$.it: Input should be greater than or equal to 1" in failure(with_field, 0)
    assert sent(dt.date)["description"] == "format: date"
    assert sent(dt.datetime)["description"] == "format: date-time"
    assert sent(dt.time)["description"] == "format: time"
    assert read(dt.datetime, "2030-01-01T12:00:00Z") == dt.datetime(
        2030, 1, 1, 12, tzinfo=dt.timezone.utc
    )


def test_pydantic_models_are_described_and_validated_by_pydantic() -> None:
    schema = taking(list[Item]).schema
    [name] = {part["$ref"] for part in (schema["properties"]["it"]["items"],)}
    model = schema["$defs"][name.removeprefix("#/$defs/")]
    while "$ref" in model:
        model = schema["$defs"][model["$ref"].removeprefix("#/$defs/")]
    assert model["required"] == ["count"]
    assert model["properties"]["count"]["description"] == "How many. (minimum: 1)"
    assert model["properties"]["pair"] == {
        "type": "array",
        "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "minItems": 2,
        "description": '2 items, of these types in this order (default: [1, "a"])',
    }
    nested = {"count": 1, "next": {"count": 2, "due": "2031-02-03", "pair": [3, "b"]}}
    inner = Item(count=2, due=dt.date(2031, 2, 3), pair=(3, "b"))
    assert read(list[Item], [nested]) == [Item(count=1, next=inner)]
    assert read(Optional[Item], None) is None
    assert read(Optional[Item], {"count": 1}) == Item(count=1)
    broken = {"count": 1, "next": {"count": 0}}
    assert failure(list[Item], [broken]).startswith("invalid arguments at $.it[0].next.count: ")


def test_models_that_pydantic_tells_apart_are_told_apart_by_it() -> None:
    union = Annotated[Union[Tabby, Siamese], pydantic.Field(discriminator="kind")]
    for hint in (union, Optional[union]):
        assert read(hint, {"kind": "tabby", "stripes": 3}) == Tabby(kind="tabby", stripes=3)
        assert read(hint, {"kind": "siamese"}) == Siamese(kind="siamese")
    assert read(Union[Tabby, Siamese], {"Siamese": {"kind": "siamese"}}) == Siamese(kind="siamese")


def test_two_models_that_need_definitions_of_one_name_get_two() -> None:
    def model(hint: Any) -> Any:
        part = pydantic.create_model("Part", value=(hint, ...))
        return pydantic.create_model("Whole", part=(part, ...))

    first, second = model(int), model(str)
    signature = signature_of(function_of({"a": (first, ...), "b": (second, ...)}), "tool")
    values = signature.read({"a": {"part": {"value": 1}}, "b": {"part": {"value": "x"}}})
    assert (values["a"].part.value, values["b"].part.value) == (1, "x")
    assert validator(signature).is_valid(
        {"a": {"part": {"value": 1}}, "b": {"part": {"value": ""}}}
    )
    assert not validator(signature).is_valid(
        {"a": {"part": {"value": ""}}, "b": {"part": {"value": 1}}}
    )


def test_a_default_that_is_no_json_is_not_told() -> None:
    assert taking(Path, Path()).schema["properties"]["it"] == {"type": "string"}
    assert "description" not in taking(Optional[str], None).schema["properties"]["it"]
    assert taking(Colour, Colour.RED).schema["properties"]["it"] == {"$ref": "#/$defs/Colour"}


def test_a_default_of_a_type_with_a_definition_is_not_told() -> None:
    alias = TypeAliasType("Alias", str)
    assert taking(alias, "x").schema["properties"]["it"] == {"$ref": "#/$defs/Alias"}


def test_what_codex_takes_as_it_is_stays_and_the_rest_becomes_words() -> None:
    assert in_words(
        {
            "title": "T",
            "type": "object",
            "properties": {
                "a": {"const": "k", "default": "k"},
                "b": {"type": "array", "items": True, "minItems": 1, "maxItems": 2},
                "c": {"oneOf": [{"type": "string", "pattern": "^x"}], "discriminator": {}},
                "d": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}},
            },
            "$defs": {"e": {"allOf": [{"type": "string", "format": "uri"}]}},
        }
    ) == {
        "type": "object",
        "properties": {
            "a": {"enum": ["k"], "description": "default: k"},
            "b": {"type": "array", "items": {}, "minItems": 1, "description": "maxItems: 2"},
            "c": {"oneOf": [{"type": "string", "description": "pattern: ^x"}]},
            "d": {
                "type": "object",
                "properties": {},
                "additionalProperties": {"type": "string", "description": "maxLength: 3"},
            },
        },
        "$defs": {"e": {"allOf": [{"type": "string", "description": "format: uri"}]}},
    }


def test_functions_that_cannot_be_called_by_name_are_refused_with_the_remedy() -> None:
    def positional(city: str, /) -> None: ...

    def several(*cities: str) -> None: ...

    def any_names(**cities: str) -> None: ...

    assert "look(city: 'str'): " in refusal(positional)
    assert "remove the `/`" in refusal(positional)
    assert "*cities" in refusal(several)
    assert "**cities" in refusal(any_names)
    assert "it is not known what it is called with" in refusal(type)


def test_parameters_without_a_type_that_json_has_are_refused_by_name() -> None:
    def untyped(city, days: int = 1) -> None: ...  # type: ignore[no-untyped-def]

    def unknown(city: Decimal) -> None: ...

    def no_json(city: str, connection: complex) -> None: ...

    def field(days: int = pydantic.Field(ge=1)) -> None: ...

    assert "look(city): city has no type: say what it takes" in refusal(untyped)
    assert "name 'Decimal' is not defined" in refusal(unknown)
    assert "look(connection): there is no way to give a complex in JSON" in refusal(no_json)
    assert "days: Annotated[…, Field(…)]" in refusal(field)


class Atlas:
    def look(self, city: str) -> str:
        return city

    def __call__(self, country: str) -> str:
        return country


def test_a_method_is_a_tool_of_its_object() -> None:
    assert "tool(thing.look)" in refusal(Atlas.look)
    assert [*signature_of(Atlas().look, "look").schema["properties"]] == ["city"]
    assert [*signature_of(Atlas(), "atlas").schema["properties"]] == ["country"]


def test_what_a_partial_function_has_got_is_not_the_models_to_give() -> None:
    partial = functools.partial(weather, days=5)
    assert [*signature_of(partial, "weather").schema["properties"]] == ["city", "unit"]
    given_first = functools.partial(weather, "Oslo")
    assert [*signature_of(given_first, "weather").schema["properties"]] == ["days", "unit"]


def test_a_wrapped_function_has_the_parameters_of_what_it_wraps() -> None:
    @functools.wraps(weather)
    def wrapper(*args: Any, **kwargs: Any) -> Any: ...

    assert signature_of(wrapper, "weather").schema == signature_of(weather, "weather").schema


def test_the_type_of_the_result_does_not_matter() -> None:
    def look(city: str) -> Decimal: ...  # type: ignore[empty-body]

    assert signature_of(look, "look").read({"city": "Oslo"}) == {"city": "Oslo"}


Value = tuple[Any, Any]
"""A value, and the JSON that stands for it."""


@attrs.frozen
class Case:
    hint: Any
    values: st.SearchStrategy[Value] = attrs.field(repr=False)
    nullable: bool = False


def leaf(
    hint: Any, values: st.SearchStrategy[Any], say: Callable[[Any], Any] = lambda x: x
) -> Case:
    return Case(hint, values.map(lambda value: (value, say(value))))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda parts: (
        st.lists(parts, max_size=2) | st.dictionaries(st.text(max_size=3), parts, max_size=2)
    ),
    max_leaves=4,
)
LEAVES = [
    leaf(int, st.integers(-(2**63), 2**63 - 1)),
    leaf(float, st.floats(allow_nan=False, allow_infinity=False)),
    leaf(bool, st.booleans()),
    leaf(str, st.text()),
    leaf(Literal["a", 3], st.sampled_from(["a", 3])),
    leaf(Colour, st.sampled_from(Colour), lambda colour: colour.value),
    leaf(dt.date, st.dates(), dt.date.isoformat),
    leaf(Item, st.integers(1, 9).map(lambda n: Item(count=n)), lambda item: {"count": item.count}),
    attrs.evolve(leaf(Any, JSON), nullable=True),
]
_numbers = itertools.count()


def lists(item: Case) -> Case:
    def whole(parts: list[Value]) -> Value:
        return [value for value, _ in parts], [said for _, said in parts]

    return Case(list[item.hint], st.lists(item.values, max_size=3).map(whole))  # type: ignore[name-defined]


def dicts(item: Case) -> Case:
    def whole(parts: dict[str, Value]) -> Value:
        return (
            {key: value for key, (value, _) in parts.items()},
            {key: said for key, (_, said) in parts.items()},
        )

    return Case(
        dict[str, item.hint],  # type: ignore[name-defined]
        st.dictionaries(st.text(max_size=3), item.values, max_size=3).map(whole),
    )


def optionals(item: Case) -> Case:
    if item.nullable:
        return item
    return Case(Optional[item.hint], item.values | st.just((None, None)), nullable=True)


DEFAULT = object()


def records(fields: list[tuple[Case, bool]]) -> Case:
    """Return a class whose fields are of these cases, each with a default or without."""
    names = {f"f{index}": field for index, field in enumerate(fields)}
    cls = attrs.make_class(
        f"Record{next(_numbers)}",
        {
            name: attrs.field(type=case.hint, default=DEFAULT if omissible else attrs.NOTHING)
            for name, (case, omissible) in names.items()
        },
        kw_only=True,
    )

    def whole(parts: dict[str, Value]) -> Value:
        value = cls(**{name: value for name, (value, _) in parts.items()})
        return value, {name: said for name, (_, said) in parts.items()}

    return Case(cls, arguments_of(names).map(whole))


def arguments_of(
    parameters: Mapping[str, tuple[Case, bool]],
) -> st.SearchStrategy[dict[str, Value]]:
    return st.fixed_dictionaries(
        {name: case.values for name, (case, omissible) in parameters.items() if not omissible},
        optional={name: case.values for name, (case, omissible) in parameters.items() if omissible},
    )


CASES = st.recursive(
    st.sampled_from(LEAVES),
    lambda cases: (
        cases.map(lists)
        | cases.map(dicts)
        | cases.map(optionals)
        | st.lists(st.tuples(cases, st.booleans()), max_size=3).map(records)
    ),
    max_leaves=4,
)
PARAMETERS = st.lists(st.tuples(CASES, st.booleans()), max_size=3).map(
    lambda parts: {f"p{index}": part for index, part in enumerate(parts)}
)


def made(parameters: Mapping[str, tuple[Case, bool]]) -> Signature:
    return signature_of(
        function_of(
            {
                name: (case.hint, DEFAULT if omissible else inspect.Parameter.empty)
                for name, (case, omissible) in parameters.items()
            }
        ),
        "tool",
    )


def validator(signature: Signature) -> Draft202012Validator:
    Draft202012Validator.check_schema(signature.schema)
    return Draft202012Validator(signature.schema)


@given(data=st.data(), parameters=PARAMETERS)
def test_every_function_has_a_schema_and_reads_what_the_schema_lets_through(
    data: st.DataObject, parameters: dict[str, tuple[Case, bool]]
) -> None:
    signature = made(parameters)
    parts = data.draw(arguments_of(parameters))
    arguments = {name: said for name, (_, said) in parts.items()}
    validator(signature).validate(arguments)
    assert signature.read(json.loads(json.dumps(arguments))) == {
        name: value for name, (value, _) in parts.items()
    }


@given(data=st.data(), parameters=PARAMETERS.filter(bool))
def test_arguments_that_violate_the_schema_are_refused(
    data: st.DataObject, parameters: dict[str, tuple[Case, bool]]
) -> None:
    signature = made(parameters)
    parts = data.draw(arguments_of(parameters))
    arguments = {name: said for name, (_, said) in parts.items()}
    name = data.draw(st.sampled_from([*parameters, "unexpected"]))
    replacement = data.draw(st.sampled_from([None, True, 7, 0.5, "?", [], [None], {}, {"?": 1}]))
    if name in arguments and data.draw(st.booleans()):
        del arguments[name]
    else:
        arguments[name] = replacement
    assume(not validator(signature).is_valid(arguments))
    with pytest.raises(CodexParseError):
        signature.read(arguments)


@given(parameters=PARAMETERS)
def test_a_schema_says_nothing_that_codex_would_leave_out(
    parameters: dict[str, tuple[Case, bool]],
) -> None:
    schema = made(parameters).schema
    assert in_words(schema) == schema

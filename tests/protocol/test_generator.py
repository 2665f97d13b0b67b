"""The generator, on schemas that are small enough to see what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from codex_sdk import protocol
from tools.protocol_generator.comparing import comparison
from tools.protocol_generator.coverage import coverage_page
from tools.protocol_generator.drift import drift
from tools.protocol_generator.index import index_file
from tools.protocol_generator.model import (
    LiteralType,
    ObjectType,
    PlainType,
    Type,
    UnionType,
)
from tools.protocol_generator.names import class_name, default_wire_name, field_name
from tools.protocol_generator.output import FILES, write
from tools.protocol_generator.placing import place_types
from tools.protocol_generator.reading import read_types
from tools.protocol_generator.schema import BUNDLE, Schema, UnknownSchema, read_schema
from tools.protocol_generator.spelling import corrected
from tools.protocol_generator.writing import Writer

ITEM: dict[str, Any] = {"type": "object", "properties": {"id": {"type": "string"}}}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/v2/{name}"}


def variant(method: str, params: object) -> dict[str, Any]:
    return {"properties": {"method": {"enum": [method]}, "params": params}}


def a_schema(
    folder: Path,
    definitions: Mapping[str, Any],
    *,
    methods: Mapping[str, object] | None = None,
    notifications: Mapping[str, object] | None = None,
    stable: Mapping[str, Any] | None = None,
    version: str = "1.0.0",
) -> Schema:
    """Return the schema of a CLI that has these definitions, and these methods with their params."""

    def document(definitions: Mapping[str, Any]) -> str:
        tables = {
            "ClientRequest": methods or {},
            "ServerNotification": notifications or {},
            "ServerRequest": {},
        }
        envelopes = {
            table: {"oneOf": [variant(*entry) for entry in entries.items()]}
            for table, entries in tables.items()
        }
        return json.dumps({"definitions": {**envelopes, "v2": dict(definitions)}})

    for name, content in (("json-schema", definitions), ("stable", stable or definitions)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / BUNDLE).write_text(document(content))
    return read_schema(version, folder)


def read(folder: Path, definition: Mapping[str, Any], name: str = "Thing") -> dict[str, Type]:
    return read_types(a_schema(folder, {name: definition, "Other": ITEM}))


def test_a_method_gets_the_result_that_is_named_like_its_params(tmp_path: Path) -> None:
    schema = a_schema(
        tmp_path,
        {"AddParams": ITEM, "AddResponse": ITEM},
        methods={"thing/add": ref("AddParams")},
    )
    schema.check()
    [method] = schema.client_methods
    assert (method.params_class, method.result) == ("AddParams", "AddResponse")


def test_a_method_without_params_gets_an_empty_class(tmp_path: Path) -> None:
    schema = a_schema(
        tmp_path, {"LogoutAccountResponse": ITEM}, methods={"account/logout": {"type": "null"}}
    )
    schema.check()
    logout = read_types(schema)["LogoutAccountParams"]
    assert isinstance(logout, ObjectType)
    assert logout.fields == ()


def test_params_that_may_be_null_are_the_params(tmp_path: Path) -> None:
    params = {"anyOf": [ref("AddParams"), {"type": "null"}]}
    schema = a_schema(
        tmp_path, {"AddParams": ITEM, "AddResponse": ITEM}, methods={"thing/add": params}
    )
    assert schema.client_methods[0].params == "AddParams"


@pytest.mark.parametrize(
    ("definitions", "methods", "problem"),
    [
        ({"AddParams": ITEM}, {"thing/add": ref("AddParams")}, r"results of \['thing/add'\]"),
        ({"AddResponse": ITEM}, {}, r"\['AddResponse'\] belong to no method"),
        (
            {"AddParams": ITEM, "AddResponse": ITEM},
            {"thing/add": ref("AddParams"), "thing/put": ref("AddParams")},
            r"\['AddParams'\]: the params of more than one method",
        ),
    ],
)
def test_a_method_whose_types_are_not_clear_is_refused(
    tmp_path: Path, definitions: dict[str, Any], methods: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UnknownSchema, match=problem):
        a_schema(tmp_path, definitions, methods=methods).check()


def test_what_only_the_experimental_schema_has_is_marked(tmp_path: Path) -> None:
    thing = {"type": "object", "properties": {"old": {"type": "string"}, "new": {"type": "string"}}}
    stable = {"type": "object", "properties": {"old": {"type": "string"}}}
    schema = a_schema(tmp_path, {"Thing": thing, "New": ITEM}, stable={"Thing": stable})
    types = read_types(schema)
    thing_type, new_type = types["Thing"], types["New"]
    assert isinstance(thing_type, ObjectType)
    assert {field.name: field.experimental for field in thing_type.fields} == {
        "old": False,
        "new": True,
    }
    assert (thing_type.experimental, new_type.experimental) == (False, True)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer", "format": "uint64", "minimum": 0.0}, "int"),
        ({"type": "number"}, "float"),
        (True, "Any"),
        ({"description": "anything"}, "Any"),
        (ref("Other"), "Other"),
        ({"allOf": [ref("Other")], "description": "one"}, "Other"),
        ({"type": ["string", "null"]}, "Optional[str]"),
        ({"anyOf": [ref("Other"), {"type": "null"}]}, "Optional[Other]"),
        (
            {"anyOf": [{"anyOf": [ref("Other"), {"type": "null"}]}, {"type": "null"}]},
            "Optional[Other]",
        ),
        ({"type": "array", "items": {"type": "string"}}, "tuple[str, ...]"),
        ({"type": ["array", "null"], "items": ref("Other")}, "Optional[tuple[Other, ...]]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "Mapping[str, int]"),
        (
            {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
            "Mapping[str, Optional[str]]",
        ),
        ({"type": "object"}, "Mapping[str, Any]"),
        ({"type": "string", "enum": ["a", "b"]}, "Literal['a', 'b']"),
        ({"type": ["string", "integer"]}, "Union[str, int]"),
    ],
)
def test_a_field_gets_the_type_that_its_schema_says(
    tmp_path: Path, schema: object, text: str
) -> None:
    definition = {"type": "object", "properties": {"key": schema}, "required": ["key"]}
    thing = read(tmp_path, definition)["Thing"]
    assert isinstance(thing, ObjectType)
    assert [field.annotation.text for field in thing.fields] == [text]


@pytest.mark.parametrize(
    ("schema", "sent", "received"),
    [
        ({"type": "string"}, ("Optional[str]", None), ("Optional[str]", None)),
        ({"type": ["string", "null"]}, ("Nullable[str]", None), ("Optional[str]", None)),
        ({"type": "boolean", "default": False}, ("Optional[bool]", None), ("bool", False)),
        (
            {"type": "array", "items": {"type": "string"}, "default": []},
            ("Optional[Sequence[str]]", None),
            ("tuple[str, ...]", ()),
        ),
    ],
)
def test_a_field_that_may_be_left_out_has_a_default_by_which_way_it_goes(
    tmp_path: Path,
    schema: object,
    sent: tuple[str, object],
    received: tuple[str, object],
) -> None:
    definition = {"type": "object", "properties": {"key": schema}}
    types = read_types(
        a_schema(
            tmp_path,
            {"AddParams": definition, "AddResponse": definition},
            methods={"thing/add": ref("AddParams")},
        )
    )
    for name, expected in (("AddParams", sent), ("AddResponse", received)):
        type_ = types[name]
        assert isinstance(type_, ObjectType)
        [field] = type_.fields
        assert (field.annotation.text, field.default) == expected


def test_words_with_and_without_descriptions_are_one_type(tmp_path: Path) -> None:
    one_of = [
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string", "enum": ["c"], "description": "The third."},
    ]
    thing = read(tmp_path, {"oneOf": one_of})["Thing"]
    assert isinstance(thing, LiteralType)
    assert thing.values == {"a": "", "b": "", "c": "The third."}


def test_variants_have_the_key_that_tells_them_apart(tmp_path: Path) -> None:
    def branch(word: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": [word]}, "x": {"type": "string"}},
            "required": ["kind"],
        }

    types = read(tmp_path, {"oneOf": [branch("one"), {**branch("two"), "title": "SecondThing"}]})
    union, first = types["Thing"], types["OneThing"]
    assert isinstance(union, UnionType)
    assert [member.text for member in union.members] == [
        "OneThing",
        "SecondThing",
        "UnknownVariant",
    ]
    assert isinstance(first, ObjectType)
    assert first.tag == ("kind", "one")
    assert [field.name for field in first.fields] == ["x"]


def test_variants_with_one_key_have_the_fields_inside_it(tmp_path: Path) -> None:
    inner = {"type": "object", "properties": {"code": {"type": "integer"}}}
    wrapped = {
        "type": "object",
        "title": "FailedThing",
        "properties": {"failed": inner},
        "required": ["failed"],
        "additionalProperties": False,
    }
    types = read(tmp_path, {"oneOf": [{"type": "string", "enum": ["done"]}, wrapped]})
    failed = types["FailedThing"]
    assert isinstance(failed, ObjectType)
    assert (failed.wrapper, [field.name for field in failed.fields]) == ("failed", ["code"])


def test_fields_around_a_union_are_in_each_variant(tmp_path: Path) -> None:
    tag = {"type": "string", "enum": ["one"]}
    branch = {"type": "object", "properties": {"type": tag}, "required": ["type"]}
    around = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    one = read(tmp_path, {"oneOf": [branch], **around})["OneThing"]
    assert isinstance(one, ObjectType)
    assert [(field.name, field.required) for field in one.fields] == [("id", True)]


def test_fields_of_which_one_is_needed_are_all_there(tmp_path: Path) -> None:
    alternatives = [
        {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}
        for key in ("url", "fileId")
    ]
    tag = {"type": "string", "enum": ["image"]}
    branch = {
        "type": "object",
        "properties": {"type": tag},
        "required": ["type"],
        "anyOf": alternatives,
    }
    image = read(tmp_path, {"oneOf": [branch]})["ImageThing"]
    assert isinstance(image, ObjectType)
    assert [(field.name, field.required) for field in image.fields] == [
        ("file_id", False),
        ("url", False),
    ]
    assert image.description == "Needs ``url`` or ``file_id``."


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"type": "object", "patternProperties": {}}, r"Thing: \['patternProperties'\]"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, r"Thing.a: \['not'\]"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}}, "pattern"),
        ({"type": "object", "properties": {"a": {"$ref": "other.json"}}}, "other.json"),
        ({"type": "object", "properties": {"a": {}, "A": {}}}, "two fields of one name"),
        ({"type": "object", "additionalProperties": {}, "properties": {"a": {}}}, "beside named"),
        ({"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}}] * 2}, "no name"),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}, "prop"),
    ],
)
def test_what_the_generator_was_not_made_for_is_refused(
    tmp_path: Path, definition: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UnknownSchema, match=problem):
        read(tmp_path, definition)


@pytest.mark.parametrize("name", ["Union", "ProtocolObject", "UnknownVariant"])
def test_a_type_cannot_have_a_name_that_the_files_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownSchema, match=name):
        read(tmp_path, ITEM, name)


def test_a_description_that_would_end_its_docstring_is_refused(tmp_path: Path) -> None:
    schema = a_schema(tmp_path, {"Thing": {**ITEM, "description": 'ends """ here'}})
    with pytest.raises(UnknownSchema, match="escapes"):
        Writer(schema, place_types(read_types(schema), schema)).file("unlisted")


def test_keys_are_spelt_as_the_typescript_types_spell_them() -> None:
    definition = {
        "oneOf": [
            {
                "properties": {"turn_id": {}, "file_path": {}, "properties": {}},
                "required": ["turn_id"],
            }
        ]
    }
    words = {"turnId", "file_path", "filePath", "properties"}
    assert corrected({"Thing": definition}, {"Thing": words}) == {
        "Thing": {
            "oneOf": [
                {
                    "properties": {"turnId": {}, "file_path": {}, "properties": {}},
                    "required": ["turnId"],
                }
            ]
        }
    }
    assert corrected({"Thing": definition}, {}) == {"Thing": definition}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("threadId", "thread_id"),
        ("originURL", "origin_url"),
        ("_meta", "meta"),
        ("$schema", "schema"),
        ("async", "async_"),
        ("unified_diff", "unified_diff"),
        ("PreToolUse", "pre_tool_use"),
        ("v1", "v1"),
    ],
)
def test_fields_have_names_in_snake_case(key: str, name: str) -> None:
    assert field_name(key) == name


def test_the_generator_and_the_package_assume_the_same_keys() -> None:
    params = protocol.InitializeCapabilities(opt_out_notification_methods=["x"])
    assert [*protocol.unstructure(params)] == [default_wire_name("opt_out_notification_methods")]
    assert class_name("openai/form", "Params") == "OpenaiFormParams"


def test_types_are_in_the_file_of_the_methods_that_need_them(tmp_path: Path) -> None:
    def of(*names: str) -> dict[str, Any]:
        return {"type": "object", "properties": {name.lower(): ref(name) for name in names}}

    schema = a_schema(
        tmp_path,
        {
            "FsA": of("Shared", "Own"),
            "TurnB": of("Shared"),
            "Shared": ITEM,
            "Own": ITEM,
            "None_": ITEM,
        },
        notifications={"fs/a": ref("FsA"), "turn/b": ref("TurnB")},
    )
    files = place_types(read_types(schema), schema)
    assert {file: [type_.name for type_ in types] for file, types in files.items()} == {
        "common": ["Shared"],
        "fs": ["Own", "FsA"],
        "turn": ["TurnB"],
        "unlisted": ["None_"],
    }


def test_what_is_written_is_python_that_says_what_the_schema_says(tmp_path: Path) -> None:
    add = {
        "type": "object",
        "description": "Adds a thing.",
        "properties": {"dry_run": {"type": "boolean", "default": True, "description": "Do not."}},
    }
    schema = a_schema(
        tmp_path, {"AddParams": add, "AddResponse": ITEM}, methods={"fs/add": ref("AddParams")}
    )
    files = place_types(read_types(schema), schema)
    text = Writer(schema, files).file("fs")
    compile(text, "fs.py", "exec")
    assert "Apache License 2.0" in text
    assert (
        '''class AddParams(Request["AddResponse"]):
    """Params of ``fs/add``.

    Adds a thing.

    Attributes:
        dry_run: Do not. Default: ``True``.
    """

    method: ClassVar[str] = 'fs/add'
    dry_run: Optional[bool] = None'''
        in text
    )
    assert "@define(wire={'dry_run': 'dry_run'})" in text
    index = index_file(schema, files)
    compile(index, "_index.py", "exec")
    assert "'fs/add': ('AddParams', 'AddResponse', False)" in index


def test_drift_tells_of_every_difference(tmp_path: Path) -> None:
    texts = {FILES / "a.py": "one\n", FILES / "b.py": "two\n"}
    write(texts, tmp_path)
    assert list(drift(texts, tmp_path)) == []
    (tmp_path / FILES / "c.py").write_text("left over")
    (tmp_path / FILES / "b.py").unlink()
    (tmp_path / FILES / "a.py").write_text("changed\n")
    found = "\n".join(drift(texts, tmp_path))
    assert "c.py is not generated any more" in found
    assert "b.py is missing" in found
    assert "-changed\n+one" in found
    write(texts, tmp_path)
    assert list(drift(texts, tmp_path)) == []
    assert not (tmp_path / FILES / "c.py").exists()


def test_a_comparison_tells_what_another_cli_has(tmp_path: Path) -> None:
    def thing(**properties: object) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": ["id"]}

    words = {"type": "string", "enum": ["a"]}
    ours = a_schema(
        tmp_path / "ours",
        {"Thing": thing(id=True, old=True), "Words": words, "AddParams": ITEM, "AddResponse": ITEM},
        methods={"fs/add": ref("AddParams")},
    )
    theirs = a_schema(
        tmp_path / "theirs",
        {
            "Thing": {**thing(id={"type": "string"}, new=True), "required": []},
            "Words": {"type": "string", "enum": ["a", "b"]},
            "PutParams": ITEM,
            "PutResponse": ITEM,
        },
        methods={"fs/put": ref("PutParams")},
        version="2.0.0",
    )
    assert list(comparison(ours, theirs)) == [
        "Codex CLI 2.0.0, beside 1.0.0:",
        "  client methods added: fs/put",
        "  client methods dropped: fs/add",
        "  types added: PutParams, PutResponse",
        "  types dropped: AddParams, AddResponse",
        "  Thing: fields added: new",
        "  Thing: fields dropped: old",
        "  Thing: id is optional now",
        "  Thing: id was Any, is Optional[str]",
        "  Words: words added: b",
    ]


def test_the_page_of_coverage_refuses_methods_that_do_not_exist(tmp_path: Path) -> None:
    schema = a_schema(tmp_path, {"Thing": ITEM})
    with pytest.raises(SystemExit, match="names no methods of the protocol"):
        coverage_page(schema)


def test_a_plain_type_is_an_alias(tmp_path: Path) -> None:
    thing = read(tmp_path, {"type": "string", "description": "A path."})["Thing"]
    assert isinstance(thing, PlainType)
    assert (thing.annotation.text, thing.description) == ("str", "A path.")

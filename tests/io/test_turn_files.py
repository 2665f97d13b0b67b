"""The files that a turn needs: there when it runs, gone when it is over."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_sdk import CodexError
from codex_sdk._io.turn_files import turn_files


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a temporary folder of the test's own, which has to be empty in the end."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def image(path: Path) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x89PNG" + path.name.encode())
    return str(path)


def test_nothing_is_made_where_nothing_is_needed(tmp_path: Path, scratch: Path) -> None:
    with turn_files([image(tmp_path / "a.png")], None) as files:
        assert files.images == (str(tmp_path / "a.png"),)
        assert files.schema_file is None
        assert list(scratch.iterdir()) == []


def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ["-a.png", "b c.png", "ü.png"]:
        image(tmp_path / name)
        with turn_files([name], None) as files:
            assert files.images == (str(tmp_path / name),)


@pytest.mark.parametrize("name", ["a,b.png", "b.p,ng", "x,y/c.png", ",", "a,b,.jpeg"])
def test_a_comma_is_kept_from_the_cli(tmp_path: Path, name: str) -> None:
    paths = [image(tmp_path / "first.png"), image(tmp_path / name), image(tmp_path / "last.png")]
    with turn_files(paths, None) as files:
        assert (files.images[0], files.images[2]) == (paths[0], paths[2])
        assert "," not in files.images[1]
        assert Path(files.images[1]).read_bytes() == Path(paths[1]).read_bytes()
        if "," not in Path(name).suffix:
            assert Path(files.images[1]).suffix == Path(name).suffix


def test_two_images_of_one_name_stay_two(tmp_path: Path) -> None:
    paths = [image(tmp_path / "a,1" / "x.png"), image(tmp_path / "a,2" / "x.png")]
    Path(paths[1]).write_bytes(b"second")
    with turn_files(paths, None) as files:
        assert [Path(path).read_bytes() for path in files.images] == [b"\x89PNGx.png", b"second"]


def test_an_image_is_copied_where_links_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with turn_files([image(tmp_path / "a,b.png")], None) as files:
        assert not Path(files.images[0]).is_symlink()
        assert Path(files.images[0]).read_bytes() == b"\x89PNGa,b.png"


def test_a_temporary_folder_with_a_comma_is_avoided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with turn_files([image(tmp_path / "a,b.png")], None) as files:
        assert "," not in files.images[0]
        assert Path(files.images[0]).exists()
    assert not Path(files.images[0]).exists()


@pytest.mark.parametrize("name", ["missing.png", "", ".", "a\0b.png", "x" * 5000])
def test_an_image_that_cannot_be_read_is_an_error(name: str) -> None:
    with pytest.raises(CodexError, match="the image"), turn_files([name], None):
        pytest.fail("the block is entered")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_image_without_permission_is_an_error(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    Path(path).chmod(0)
    with pytest.raises(CodexError, match="cannot be read"), turn_files([path], None):
        pytest.fail("the block is entered")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=5) | st.dictionaries(st.text(), values, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_schema_is_written_as_json(schema: dict[str, Any]) -> None:
    with turn_files([], schema) as files:
        assert files.schema_file is not None
        assert json.loads(Path(files.schema_file).read_bytes()) == schema
        assert Path(files.schema_file).parent.stat().st_mode & 0o077 == 0
    assert not Path(files.schema_file).exists()


def test_any_mapping_is_a_schema() -> None:
    schema = MappingProxyType({"type": "object", "properties": MappingProxyType({"a": (1, 2)})})
    with turn_files([], schema) as files:
        written = json.loads(Path(files.schema_file or "").read_text())
    assert written == {"type": "object", "properties": {"a": [1, 2]}}


def deep() -> Mapping[str, Any]:
    schema: dict[str, Any] = {}
    schema["itself"] = schema
    return schema


@pytest.mark.parametrize(
    "schema", ["text", [1], 7, {"a": {1, 2}}, {"a": math.nan}, {(1, 2): 3}, {"a": object()}, deep()]
)
def test_what_has_no_form_as_json_is_an_error(schema: Any) -> None:
    with pytest.raises(CodexError, match="output_schema"), turn_files([], schema):
        pytest.fail("the block is entered")


def test_everything_is_removed_when_the_block_fails(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(LookupError):
        with turn_files([image(tmp_path / "a,b.png")], {"type": "object"}):
            assert len(list(scratch.iterdir())) == 1
            raise LookupError
    assert (tmp_path / "a,b.png").exists()


def test_a_temporary_folder_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(CodexError, match="TMPDIR"), turn_files([], {}):
        pytest.fail("the block is entered")

"""The files that one turn needs: its images, and the schema of its answer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import attrs

from ..exceptions import CodexError

__all__ = ["TurnFiles", "checked_image", "schema_as_json", "turn_files"]


@attrs.frozen
class TurnFiles:
    """Paths that the CLI can be given, absolute and without commas.

    Attributes:
        images: the images, in order.
        schema_file: the output schema as JSON; ``None`` if there is none.
    """

    images: tuple[str, ...]
    schema_file: str | None


@contextmanager
def turn_files(
    images: Sequence[str], output_schema: Mapping[str, Any] | None
) -> Generator[TurnFiles, None, None]:
    """Provide the files of a turn during the block, and remove what was made for it.

    An image whose path holds a comma, at which the CLI would split it, is linked (or, where links cannot be
    made, copied) under another name.

    Raises:
        CodexError: an image is not there or cannot be read, the schema is no mapping or has no JSON form,
            or the files cannot be made.
    """
    paths = [checked_image(image) for image in images]
    schema = None if output_schema is None else schema_as_json(output_schema)
    if schema is None and not any("," in path for path in paths):
        yield TurnFiles(tuple(paths), None)
        return
    with _private_folder() as folder:
        try:
            files = _made(paths, schema, folder)
        except OSError as error:
            raise CodexError(f"cannot write the files of a turn to {folder}: {error}") from error
        yield files


def checked_image(image: str) -> str:
    """Return the absolute path of an image that can be read.

    Raises:
        CodexError: it is not there, or cannot be read.
    """
    try:
        if not Path(image).is_file():
            what = "is not a file" if Path(image).exists() else "does not exist"
            raise CodexError(f"the image {image!r} {what}; its path is relative to {Path.cwd()}")
        with open(image, "rb"):  # noqa: PTH123
            return os.path.abspath(image)  # noqa: PTH100  (a path's links are the user's affair)
    except (OSError, ValueError) as error:
        raise CodexError(f"the image {image!r} cannot be read: {error}") from error


def schema_as_json(schema: object) -> str:
    """Return *schema* as JSON.

    Raises:
        CodexError: it is no mapping, or has no JSON form.
    """
    if not isinstance(schema, Mapping):
        raise CodexError(
            f"output_schema is a JSON Schema, as a mapping; {type(schema).__name__} is none"
        )
    try:
        return json.dumps(schema, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodexError(f"output_schema has no form as JSON: {error}") from error


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"{type(value).__name__} is no JSON type")


@contextmanager
def _private_folder() -> Generator[Path, None, None]:
    try:
        folder = TemporaryDirectory(
            prefix="codex-sdk-", dir=_parent_folder(), ignore_cleanup_errors=True
        )
    except OSError as error:
        raise CodexError(
            f"cannot make a temporary folder: {error}; name a writable one in the environment variable TMPDIR"
        ) from error
    with folder as path:
        yield Path(path)


def _parent_folder() -> str:
    """Return where to make temporary folders whose paths hold no comma, if there is such a place."""
    usual = gettempdir()
    others = ["/tmp", "/var/tmp", str(Path.home())]  # noqa: S108
    return next(
        (path for path in [usual, *others] if "," not in path and Path(path).is_dir()), usual
    )


def _made(images: Sequence[str], schema: str | None, folder: Path) -> TurnFiles:
    linked = tuple(
        _without_comma(Path(image), folder / f"image-{number}") if "," in image else image
        for number, image in enumerate(images, start=1)
    )
    if schema is None:
        return TurnFiles(linked, None)
    file = folder / "output-schema.json"
    file.write_text(schema, encoding="utf-8")
    return TurnFiles(linked, str(file))


def _without_comma(image: Path, name: Path) -> str:
    """Make *image* known under *name*, with its own suffix, which tells its format."""
    if "," not in image.suffix:
        name = name.with_suffix(image.suffix)
    if "," in str(name):
        raise CodexError(
            f"the Codex CLI splits paths at commas: name a temporary folder without one in the environment "
            f"variable TMPDIR, or rename the image {str(image)!r}"
        )
    try:
        name.symlink_to(image)
    except (OSError, NotImplementedError):  # Windows asks for a privilege
        shutil.copyfile(image, name)
    return str(name)

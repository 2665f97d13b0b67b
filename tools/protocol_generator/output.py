"""All generated files, as they are to be in the repository."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .coverage import coverage_page
from .index import PACKAGE_FILE, index_file, names_file
from .placing import place_types
from .reading import read_types
from .schema import Schema
from .writing import Writer

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src/codex_sdk/protocol")
FILES = PACKAGE / "_generated"
PAGE = Path("docs/protocol-coverage.md")


def generated_files(schema: Schema) -> dict[Path, str]:
    """Return the content of all generated files, by their paths from the root of the repository.

    Raises:
        UnknownSchema: the schema holds what this generator was not made for.
    """
    schema.check()
    files = place_types(read_types(schema), schema)
    writer = Writer(schema, files)
    texts = {
        PACKAGE / "_index.py": index_file(schema, files),
        PACKAGE / "_names.py": names_file(files),
        FILES / "__init__.py": PACKAGE_FILE,
        **{FILES / f"{file}.py": writer.file(file) for file in files},
    }
    return {**_neat(texts), PAGE: coverage_page(schema)}


def _neat(texts: Mapping[Path, str]) -> dict[Path, str]:
    """Return Python files as ruff would have them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        configuration = ("--config", str(ROOT / "pyproject.toml"), "--quiet", name)
        ruff = (sys.executable, "-m", "ruff")
        subprocess.run([*ruff, "check", "--select=I", "--fix", *configuration], check=True)
        subprocess.run([*ruff, "format", *configuration], check=True)
        return {path: (folder / path).read_text(encoding="utf-8") for path in texts}


def write(texts: Mapping[Path, str], root: Path) -> None:
    """Put the generated files below *root*, and remove those that are no longer generated."""
    for path in strays(texts, root):
        (root / path).unlink()
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def strays(texts: Mapping[Path, str], root: Path) -> list[Path]:
    """Return the files below *root* that lie among the generated ones, and are not."""
    present = {path.relative_to(root) for path in (root / FILES).glob("*.py")}
    return sorted(present - texts.keys())

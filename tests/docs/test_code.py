"""The code in the README, the guides and the docstrings runs, on the real CLI and an improvising model."""

from __future__ import annotations

import ast
import os
import re
from inspect import CO_COROUTINE
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from anyio import to_thread

import codex_sdk
import codex_sdk.testing

from ..examples.workplace import Workplace
from .blocks import PAGES, Block, Kind, all_blocks

BLOCKS = list(all_blocks())


def of_kind(*kinds: Kind) -> pytest.MarkDecorator:
    blocks = [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind in kinds]
    return pytest.mark.parametrize("block", blocks)


@of_kind("program")
def test_a_program_runs(workplace: Workplace, block: Block) -> None:
    if "pydantic_ai" in block.code:
        pytest.importorskip("pydantic_ai", reason="it needs Python 3.11")
    printed = workplace.run("-c", block.code)

    assert printed


def test_the_first_program_runs_on_trio_too(workplace: Workplace) -> None:
    [first, *_] = [block for block in BLOCKS if block.path.name == "README.md"]
    for_trio = first.code.replace("import asyncio", "import trio")
    for_trio = for_trio.replace("asyncio.run(main())", "trio.run(main)")
    assert "asyncio" not in for_trio

    printed = workplace.run("-c", for_trio)

    assert printed == "There are two files.\n"


@of_kind("test module")
def test_a_test_module_passes(workplace: Workplace, tmp_path: Path, block: Block) -> None:
    module = tmp_path / "test_block.py"
    module.write_text(block.code, encoding="utf-8")

    printed = workplace.run("-m", "pytest", "-q", "-p", "no:cacheprovider", module)

    assert re.search(r"^\d+ passed", printed, re.MULTILINE)


@of_kind("snippet")
async def test_a_snippet_runs(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, block: Block
) -> None:
    move_to(workplace, monkeypatch)
    names = prelude()

    code = compiled(block)
    if code.co_flags & CO_COROUTINE:
        await FunctionType(code, names)()
    else:
        await to_thread.run_sync(exec, code, names)  # away from the event loop


def move_to(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace.directory)
    for name in os.environ.keys() - workplace.environ.keys():
        monkeypatch.delenv(name)
    for name, value in workplace.environ.items():
        monkeypatch.setenv(name, value)


def prelude() -> dict[str, Any]:
    """Return the names that the guide promises to its snippets, and docstrings take for granted."""
    codex = codex_sdk.Codex()
    return {
        "__name__": "__main__",
        **{name: getattr(codex_sdk, name) for name in codex_sdk.__all__},
        **{name: getattr(codex_sdk.testing, name) for name in codex_sdk.testing.__all__},
        "codex": codex,
        "thread": codex.start_thread(),
    }


@of_kind("fragment")
def test_a_fragment_compiles(block: Block) -> None:
    compiled(block)


def compiled(block: Block) -> CodeType:
    """Compile *block* so that an await in it makes it the body of an async function."""
    code: CodeType = compile(
        "\n" * (block.line - 1) + block.code,
        str(block.path),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        dont_inherit=True,
    )
    return code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    dead = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not leads_somewhere(page, link)]

    assert dead == []


def leads_somewhere(page: Path, link: str) -> bool:
    if re.match(r"https?:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of *page*."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_has_code_but_the_tables() -> None:
    with_code = {block.path for block in BLOCKS}
    tables = {"README.md", "protocol-coverage.md"}

    assert {page.name for page in set(PAGES) - with_code} <= tables

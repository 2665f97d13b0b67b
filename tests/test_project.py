"""What must agree across the project's files, and what must not be in them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

import codex_sdk
from codex_sdk._core.versions import PINNED, VERIFIED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
TEST_LINE = "python3 -m venv .venv && .venv/bin/python -m pip install -q nox uv && .venv/bin/nox"


def tracked_files() -> list[Path]:
    result = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        pytest.skip("not a Git work tree")
    return [ROOT / name for name in result.stdout.split("\0") if name]


def texts() -> Iterator[tuple[str, int, str]]:
    """Yield the lines of all tracked text files but this one, with file name and number."""
    for path in tracked_files():
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT).as_posix()
        yield from ((name, number, line) for number, line in enumerate(lines, 1))


def noxfile_constant(name: str) -> Any:
    for node in NOXFILE.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise LookupError(name)


def nox_sessions() -> set[str]:
    functions = (node for node in NOXFILE.body if isinstance(node, ast.FunctionDef))
    return {
        function.name
        for function in functions
        if any("nox.session" in ast.unparse(decorator) for decorator in function.decorator_list)
    }


def test_the_readme_has_one_test_line_and_ci_runs_that_one() -> None:
    assert [line for line in README.splitlines() if line.endswith("/nox")] == [f"$ {TEST_LINE}"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert "pip install" not in script  # it has no line of its own that could differ


def test_ci_runs_the_line_of_the_readme_and_fails_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    readme = tmp_path / "README.md"

    def ci() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    readme.write_text("$ echo a line && echo of the readme/nox\n")
    assert ci().stdout == ("$ echo a line && echo of the readme/nox\na line\nof the readme/nox\n")
    readme.write_text("$ false && echo unreached/nox\n")
    assert ci().returncode != 0
    readme.write_text("nothing to run\n")
    assert ci().returncode != 0
    assert "no test line" in ci().stderr


def test_the_sessions_that_the_documents_name_exist() -> None:
    sessions = nox_sessions()
    assert sessions >= {"lint", "typing", "tests", "real_cli", "docs", "bench", "demo"}
    named = {
        match[1]
        for _, _, line in texts()
        for match in re.finditer(r"nox (?:-s|--session) ([a-z_]+)", line)
    }
    assert named <= sessions


def test_the_versions_of_the_cli_agree() -> None:
    pinned = str(PINNED)
    assert PROJECT["project"]["optional-dependencies"]["cli"] == [f"openai-codex-cli-bin=={pinned}"]
    assert noxfile_constant("CLI_IN_PYPI") == pinned
    assert noxfile_constant("VERIFIED_CLIS") == tuple(str(version) for version in VERIFIED)
    assert f'PINNED_VERSION = "{pinned}"' in (ROOT / "tools" / "setup_binary.py").read_text()
    assert all(str(version) in README for version in VERIFIED)


def test_the_versions_of_python_agree() -> None:
    project = PROJECT["project"]
    classifiers = [line.rpartition(" :: ")[2] for line in project["classifiers"]]
    pythons = [text for text in classifiers if re.fullmatch(r"3\.\d+", text)]
    oldest, newest = pythons[0], pythons[-1]
    assert project["requires-python"] == f">={oldest}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PROJECT["tool"]["pyright"]["pythonVersion"] == oldest
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"Python {oldest}" in README
    assert f"from {oldest} to {newest}" in README


def test_the_tools_of_nox_and_of_pre_commit_agree() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    hooks = set(re.findall(r"additional_dependencies: \[([^\]]+)\]", text))
    lint = {line for line in PROJECT["dependency-groups"]["lint"] if isinstance(line, str)}
    names = {line.partition("==")[0] for line in lint}
    assert {hook for hook in hooks if hook.partition("==")[0] in names} <= lint
    flake8_async = re.search(r"entry: (flake8-async .*)", text)
    assert flake8_async
    session = next(node for node in ast.walk(NOXFILE) if getattr(node, "name", "") == "lint")
    used = {node.value for node in ast.walk(session) if isinstance(node, ast.Constant)}
    assert set(flake8_async[1].split()) <= used


def test_the_installed_version_is_the_one_of_the_project() -> None:
    assert codex_sdk.__version__ == PROJECT["project"]["version"], "install the package again"


def imported_packages(folder: Path) -> dict[str, set[str]]:
    """Return what the modules below *folder* import from elsewhere, by module."""
    packages: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = packages.setdefault(path.relative_to(folder).as_posix(), set())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
    return packages


OPTIONAL = {
    "typing_extensions": "",  # for checkers alone
    "trio": "_host.py",
    "opentelemetry": "telemetry.py",
    "pydantic": "",
    "h11": "testing/",
    "wsproto": "_io/websocket_protocol.py",
    "pytest": "testing/",
    "pydantic_ai": "integrations/",
    "rich": "",
}
"""Packages that users may lack, and where alone they are named."""


def test_what_the_package_imports_is_declared() -> None:
    declared = {
        re.split(r"[^\w-]", requirement)[0] for requirement in PROJECT["project"]["dependencies"]
    }
    distributions = packages_distributions()
    undeclared = {
        f"{module}: {package}"
        for module, packages in imported_packages(ROOT / "src" / "codex_sdk").items()
        for package in packages - sys.stdlib_module_names - {"codex_sdk", "tomllib"}
        if not set(distributions.get(package, [package])) & declared
        and not (package in OPTIONAL and module.startswith(OPTIONAL[package]))
    }
    assert undeclared == set()


def test_each_change_note_has_an_issue_and_a_kind() -> None:
    kinds = "|".join(kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"])
    notes = [path for path in (ROOT / "changelog.d").iterdir() if path.name[0] != "."]
    assert [
        path.name
        for path in notes
        if not re.fullmatch(rf"(\d+|\+[\w-]+)\.({kinds})(\.\d+)?\.md", path.name)
        or not path.read_text(encoding="utf-8").strip()
    ] == []


FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~$}])/(home/(?!me\b)\w|(root|Users)/\w|work/(main|shared))",
    "the host of a package registry": r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|yarnpkg\.com",
    "a key": r"sk-[A-Za-z0-9]{20}|ghp_[A-Za-z0-9]{20}",
    "a merge conflict": r"^(<{7}|>{7}) ",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    assert [
        f"{name}:{number}: {line}" for name, number, line in texts() if pattern.search(line)
    ] == []

"""The checks of the project. ``nox`` runs all that CI runs, ``nox --list`` tells what there is.

Sessions run side by side, one more than there are processors; ``-j 1`` runs one after the other, and shows
their output as it comes. Arguments after ``--`` go to pytest: ``nox -j 1 -s tests-3.12 -- -k framing``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import nox
from nox import registry
from nox.command import CommandFailed
from python_discovery import get_interpreter

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
VERIFIED_CLIS = ("0.80.0", "0.163.0", "0.169.0")
CLI_IN_PYPI = "0.163.0"
"""The one verified CLI that can be had without npm."""


def _show_pyenv_pythons() -> None:
    """Add to the end of PATH what pyenv has installed: its own commands show the activated ones only."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [str(path) for version in PYTHONS for path in root.glob(f"versions/{version}.*/bin")]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])


_show_pyenv_pythons()
nox.needs_version = ">=2026.10"
nox.options.allow_parallel = True
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# The tests wait for processes a third of their time.
nox.options.parallel = (os.cpu_count() or 1) + 1
nox.options.reuse_venv = "yes"
# A Python that is not installed is skipped, with a warning; that none is must not pass for success.
nox.options.error_on_missing_interpreters = not any(get_interpreter(version) for version in PYTHONS)


def _install(session: nox.Session, extras: str, *groups: str) -> None:
    """Install the package, from where it lies, with extras and dependency groups."""
    session.install("-e", f".[{extras}]", *nox.project.dependency_groups(PROJECT, *groups))


def _run_all(session: nox.Session, *commands: Sequence[str]) -> None:
    """Run commands that do not build on one another: each tells what it has found."""
    failed: list[str] = []
    for command in commands:
        try:
            session.run(*command)
        except CommandFailed:
            failed.append(command[0])
    if failed:
        session.error(f"{', '.join(failed)} failed")


def _cli(session: nox.Session, version: str) -> Path:
    """Return the path of a CLI, which is downloaded once."""
    cache = os.environ.get("CODEX_SDK_CLI_CACHE") or ROOT / ".cache" / "codex-cli"
    folder = Path(cache) / version
    if not (programs := _programs(folder)):
        if shutil.which("npm") is None and version != CLI_IN_PYPI:
            session.skip(f"Codex CLI {version} comes by npm alone, which is not installed")
        download = ("tools/setup_binary.py", "--version", version, "--into", str(folder))
        session.run(sys.executable, *download, external=True)
        programs = _programs(folder)
    return programs[0]


def _programs(folder: Path) -> list[Path]:
    """Return the CLIs that setup_binary.py has put into *folder*; it puts whole ones there only."""
    return [*folder.glob("[!.]*/codex/codex"), *folder.glob("[!.]*/bin/codex")]


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style, cancellation hygiene and the layers."""
    _install(session, "testing", "lint")
    written = (path for path in (ROOT / "src").rglob("*.py") if "_generated" not in path.parts)
    files = [str(path.relative_to(ROOT)) for path in sorted(written)]
    flake8_async = (
        "flake8-async",
        "--anyio",
        "--enable=ASYNC1,ASYNC900",
        "--disable=ASYNC106,ASYNC109",
    )
    _run_all(
        session,
        ("ruff", "format", "--check"),
        ("ruff", "check"),
        (*flake8_async, *files),
        ("lint-imports",),
    )


@nox.session
def typing(session: nox.Session) -> None:
    """Check types by mypy and pyright, both strict, and that all public names have them."""
    _install(session, "testing", "typing")
    _run_all(
        session,
        ("mypy",),
        ("pyright",),
        ("pyright", "--verifytypes", "codex_sdk", "--ignoreexternal"),
    )


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests that need no CLI, on both event loops."""
    _install(session, "testing", "test")
    # The oldest Python looks for odd data thoroughly. The others are to show that they do not differ.
    examples = () if session.python == PYTHONS[0] else ("--hypothesis-profile=few",)
    arguments = ("-m", "not real_cli", "--ignore=tests/docs", *examples, *session.posargs)
    session.run("pytest", *arguments)


@nox.session(python=PYTHONS[0], venv_backend="uv", default=False)
def lowest(session: nox.Session) -> None:
    """Run the tests that need no CLI with the oldest versions that pyproject.toml allows."""
    session.env["UV_RESOLUTION"] = "lowest-direct"
    _install(session, "testing", "test")
    session.run("pytest", "-m", "not real_cli", "--ignore=tests/docs", *session.posargs)


@nox.session
@nox.parametrize("cli", [nox.param(version, id=version) for version in VERIFIED_CLIS])
def real_cli(session: nox.Session, cli: str) -> None:
    """Run the tests that drive the real Codex CLI, with each of the verified ones."""
    path = _cli(session, cli)
    _install(session, "testing", "test")
    arguments = ("-m", "real_cli", "--ignore=tests/docs", *session.posargs)
    session.run("pytest", *arguments, env={"CODEX_PATH": str(path)})


@nox.session
def docs(session: nox.Session) -> None:
    """Run the code of the README, of the guides and of the docstrings."""
    _install(session, "cli,testing", "test")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session(allow_parallel=False)
def protocol(session: nox.Session) -> None:
    """Compare the generated protocol with the pinned CLI's, and tell what the newest one has otherwise."""
    _install(session, "testing", "lint")
    generator = ("python", "tools/generate_protocol.py", "--codex", str(_cli(session, CLI_IN_PYPI)))
    session.run(*generator, "--check")
    session.run(*generator, "--compare", str(_cli(session, VERIFIED_CLIS[-1])))


@nox.session(reuse_venv=False)
def package(session: nox.Session) -> None:
    """Build the package, and use what was built, without the extras."""
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build[uv]")
    session.run("python", "-m", "build", "--installer=uv", "--outdir", str(dist), silent=True)
    [wheel] = dist.glob("*.whl")
    session.install(str(wheel))
    session.run("python", "-I", "tools/try_package.py", str(wheel))


@nox.session
def demo(session: nox.Session) -> None:
    """Run a turn of the real CLI, in a temporary project, and show it."""
    _install(session, "cli,testing")
    session.run("python", "-m", "codex_sdk", "demo", *session.posargs)


@nox.session(default=False, allow_parallel=False)
def bench(session: nox.Session) -> None:
    """Measure."""
    _install(session, "cli,testing", "test")
    session.run("python", "-m", "benchmarks", *session.posargs)


def _in_order() -> Iterator[str]:
    """Yield the sessions as they are to start.

    The real CLI keeps the processors busy, and the other tests often wait. So the sessions with the one are
    spread between those with the other; what is short comes last, so that all end together.
    """
    pythons = iter(PYTHONS)
    for version in reversed(VERIFIED_CLIS):
        yield f"real_cli({version})"
        yield from (f"tests-{python}" for python in islice(pythons, 2))
    yield from (f"tests-{python}" for python in pythons)
    others = {name for name, session in registry.get().items() if session.default}
    yield from sorted(others - {"real_cli", "tests"})


nox.options.sessions = list(_in_order())

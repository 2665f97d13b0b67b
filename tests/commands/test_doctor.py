"""``python -m codex_sdk doctor``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import codex_sdk

from .conftest import TIME_LIMIT, Commands

SANDBOX_FAILURE = """
if arguments[0] == "sandbox":
    print("WARNING: proceeding, even though something else", file=sys.stderr)
    print("bwrap: No permissions to create new namespace", file=sys.stderr)
    sys.exit(1)
"""
HANG = """
if arguments == ["--version"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "600"], start_new_session=True)
    open(os.path.join(os.environ["TMPDIR"], "hanging"), "w").close()
    time.sleep(600)
"""


def checks_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in report["checks"]}


def examine(commands: Commands, *, healthy: bool) -> dict[str, dict[str, Any]]:
    """Run the doctor, check that its three ways of telling the result agree, and return the checks."""
    result = commands.run("doctor", "--json")
    report = json.loads(result.output)

    assert result.errors == ""
    assert report["ok"] is healthy
    assert result.status == (0 if healthy else 1)
    assert healthy is all(check["status"] != "fail" for check in report["checks"])
    return checks_of(report)


def test_without_a_cli_it_lists_each_place_that_it_looked_at(commands: Commands) -> None:
    if (Path(codex_sdk.__file__).parent / "vendor").exists():
        pytest.skip("there is a vendored CLI")
    commands.hide_module("codex_cli_bin")
    commands.environ["PATH"] = "/usr/bin/nothing:/usr/sbin/nothing"

    result = commands.run("doctor")

    assert result.status == 1
    assert re.search(r"^FAIL +cli +no Codex CLI found$", result.output, re.MULTILINE)
    for place in (
        "vendored: no file ",
        "openai-codex-cli-bin: No module",
        "PATH: no codex in /usr",
    ):
        assert f"{place}" in result.output
    assert "→ pip install 'codex-sdk-python[cli]', or set CODEX_PATH" in result.output
    assert result.lines[-1] == "No turn can run: 1 problem."
    assert result.errors == ""


def test_without_a_cli_there_is_json_too(commands: Commands) -> None:
    commands.environ["CODEX_PATH"] = "/nowhere/codex"

    checks = examine(commands, healthy=False)

    assert list(checks) == ["cli"]
    assert checks["cli"]["details"] == ["CODEX_PATH: no file /nowhere/codex"]
    assert checks["cli"]["remedy"] == "correct CODEX_PATH, or unset it"


@pytest.mark.real_cli
def test_a_verified_cli_with_a_key_is_fine(real: Commands, codex_cli: str) -> None:
    real.environ["CODEX_API_KEY"] = "sk-proj-veryverysecret"

    result = real.run("doctor")

    assert result.errors == ""
    assert [
        line.split()[:2] for line in result.lines if line.startswith(("ok", "warn", "FAIL"))
    ] == [
        ["ok", "cli"],
        ["ok", "version"],
        ["ok", "codex_home"],
        ["ok", "login"],
        ["ok", "sandbox"],
    ]
    assert f"{codex_cli}, found by CODEX_PATH" in result.output
    assert result.lines[-1] == "A turn can run."
    assert "secret" not in result.output
    assert result.status == 0


@pytest.mark.real_cli
def test_the_fields_of_the_json_are_stable(real: Commands, codex_cli: str) -> None:
    real.environ["CODEX_API_KEY"] = "sk-proj-veryverysecret"
    version = subprocess.run([codex_cli, "--version"], capture_output=True, text=True, check=True)

    report = json.loads(real.run("doctor", "--json").output)

    assert list(report) == ["ok", "codex_sdk", "python", "platform", "cli", "checks"]
    assert report["codex_sdk"] == codex_sdk.__version__
    assert report["cli"] == {
        "path": codex_cli,
        "source": "CODEX_PATH",
        "version": version.stdout.split()[1],
        "verified": True,
    }
    fields = ["name", "status", "summary", "remedy", "details"]
    assert [list(check) for check in report["checks"]] == [fields] * 5


@pytest.mark.real_cli
def test_without_a_login_no_turn_can_run(real: Commands, codex_cli: str) -> None:
    login = examine(real, healthy=False)["login"]

    assert login["summary"] == "CODEX_API_KEY is not set, and the CLI is not logged in"
    assert login["remedy"] == f"set CODEX_API_KEY, or log in: {codex_cli} login"


@pytest.mark.real_cli
def test_a_key_that_codex_does_not_use_is_pointed_out(real: Commands) -> None:
    real.environ["OPENAI_API_KEY"] = "sk-proj-veryverysecret"

    login = examine(real, healthy=False)["login"]

    assert "OPENAI_API_KEY is set, but Codex does not use it" in login["summary"]
    assert 'export CODEX_API_KEY="$OPENAI_API_KEY"' in login["remedy"]


@pytest.mark.real_cli
def test_a_login_is_told_without_any_part_of_its_key(real: Commands, codex_cli: str) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    (real.home / ".codex").mkdir()
    subprocess.run(
        [codex_cli, "login", "--with-api-key"],
        input=key.encode(),
        env=real.environ,
        capture_output=True,
        check=True,
        timeout=TIME_LIMIT,
    )

    login = examine(real, healthy=True)["login"]

    assert login["status"] == "ok"
    assert "API key" in login["summary"]
    assert "sk-" not in login["summary"]
    assert "*" not in login["summary"]
    assert key[-5:] not in login["summary"]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Logged in using an API key - abcdefgh", "Logged in using an API key"),
        ("API key sk-proj-abcdefgh is in use", "API key … is in use"),
        ("API key abc***fgh is in use", "API key … is in use"),
    ],
)
def test_no_form_of_a_key_is_shown(commands: Commands, told: str, shown: str) -> None:
    commands.use_codex_like(
        f'if arguments[0] == "login": sys.exit(print({told!r}, file=sys.stderr))'
    )

    assert examine(commands, healthy=True)["login"]["summary"] == shown


@pytest.mark.real_cli
def test_a_configuration_that_cannot_be_read_prevents_a_turn(real: Commands) -> None:
    home = real.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text('experimental_bearer_token = = "sk-secret"\n')
    real.environ["CODEX_API_KEY"] = "key"

    check = examine(real, healthy=False)["codex_home"]

    assert f"{home / 'config.toml'}" in check["summary"]
    assert "secret" not in check["summary"]
    assert check["remedy"] == "put the configuration right"


@pytest.mark.real_cli
def test_a_missing_codex_home_prevents_a_turn(real: Commands) -> None:
    home = str(real.home / "missing")
    real.environ["CODEX_HOME"] = home

    check = examine(real, healthy=False)["codex_home"]

    assert check["summary"].startswith(f"{home}: ")
    assert check["remedy"] == f"mkdir -p {home}, or unset CODEX_HOME"


@pytest.mark.real_cli
def test_a_codex_home_that_is_made_when_needed_is_fine(real: Commands) -> None:
    check = examine(real, healthy=False)["codex_home"]

    assert check["status"] == "ok"
    home = f"{real.home / '.codex'}"  # newer CLIs make it as soon as they are asked anything
    assert check["summary"] in {home, f"{home}, made when needed"}


@pytest.mark.real_cli
@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_codex_home_that_is_read_only_prevents_a_turn(real: Commands) -> None:
    home = real.home / ".codex"
    home.mkdir(mode=0o555)
    real.environ["CODEX_API_KEY"] = "key"

    assert "is not writable" in examine(real, healthy=False)["codex_home"]["summary"]


@pytest.mark.real_cli
def test_another_model_provider_may_need_no_login(real: Commands) -> None:
    home = real.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text(
        'model_provider = "mine"\n[model_providers.mine]\nname = "mine"\n'
        'base_url = "http://127.0.0.1:9/v1"\nwire_api = "responses"\n'
    )

    login = examine(real, healthy=True)["login"]

    assert login["status"] == "warning"
    assert "'mine'" in login["summary"]


@pytest.mark.real_cli
def test_a_sandbox_that_the_kernel_refuses_is_a_warning(sandboxless: Commands) -> None:
    sandboxless.environ["CODEX_API_KEY"] = "key"

    sandbox = examine(sandboxless, healthy=True)["sandbox"]

    assert sandbox["status"] == "warning"
    assert "bwrap: Creating new namespace failed" in sandbox["summary"]
    assert "danger-full-access" in sandbox["remedy"]


def test_the_reason_is_told_where_the_sandbox_does_not_work(commands: Commands) -> None:
    commands.use_codex_like(SANDBOX_FAILURE)

    result = commands.run("doctor")

    assert "exit status 1: bwrap: No permissions to create new namespace\n" in result.output
    assert result.lines[-1] == "A turn can run, with 1 warning."
    assert result.status == 0


@pytest.mark.parametrize(
    ("version", "kind"),
    [("0.80.0", ["linux"]), ("0.163.0", []), ("0.169.0", []), ("4.2.0", []), ("of its own", [])],
)
@pytest.mark.skipif(os.uname().sysname != "Linux", reason="each system has a sandbox of its own")
def test_the_sandbox_is_tried_as_the_version_spells_it(
    commands: Commands, version: str, kind: list[str]
) -> None:
    commands.use_codex_like(
        f"""
        version = "codex-cli {version}"
        if arguments[0] == "sandbox" and arguments != ["sandbox", *{kind}, "--", "true"]:
            sys.exit(2)
        """
    )

    assert examine(commands, healthy=True)["sandbox"]["status"] == "ok"


def test_a_version_that_is_not_verified_is_a_warning(commands: Commands) -> None:
    commands.use_codex_like('version = "codex-cli 0.170.0-alpha.3"')

    result = commands.run("doctor")

    assert "0.170.0-alpha.3, with which this codex_sdk is not verified" in result.output
    assert "use one of 0.80.0, 0.163.0, 0.169.0" in result.output
    assert result.lines[-1] == "A turn can run, with 1 warning."
    assert result.status == 0


def test_something_else_that_is_called_codex_is_a_warning(commands: Commands) -> None:
    commands.use_codex_like('version = "Codex, the literature manager"')

    result = commands.run("doctor", "--json")

    report = json.loads(result.output)
    assert report["cli"]["version"] is None
    assert report["cli"]["verified"] is False
    summary = checks_of(report)["version"]["summary"]
    assert summary.startswith("'Codex, the literature manager' is no version of a Codex CLI")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('if arguments == ["--version"]: sys.exit("no libc")', "exit status 1: no libc"),
        ('if arguments == ["--version"]: sys.exit(3)', "exit status 3: no reason given"),
        ('version = ""', "printed nothing"),
    ],
)
def test_a_cli_that_does_not_tell_its_version_prevents_a_turn(
    commands: Commands, script: str, reason: str
) -> None:
    commands.use_codex_like(script)

    checks = examine(commands, healthy=False)

    assert reason in checks["version"]["summary"]
    assert list(checks) == ["cli", "version"]


def test_a_program_for_another_machine_prevents_a_turn(commands: Commands) -> None:
    program = commands.home / "codex"
    program.write_bytes(b"\x7fELF of another processor")
    program.chmod(0o755)
    commands.environ["CODEX_PATH"] = str(program)

    assert "cannot be run" in examine(commands, healthy=False)["version"]["summary"]


def test_a_cli_that_hangs_is_given_up_and_ended(commands: Commands) -> None:
    commands.use_codex_like(HANG)

    result = commands.run("doctor", "--timeout", "1")

    assert "`codex --version` did not end within 1 seconds" in result.output
    assert result.status == 1


def test_a_cli_that_hangs_at_its_login_is_given_up(commands: Commands) -> None:
    commands.use_codex_like('if arguments[0] == "login": time.sleep(600)')

    result = commands.run("doctor", "--timeout", "5")  # which counts for what it can do as well

    assert "`codex login status` did not end within 5 seconds" in result.output
    assert result.status == 1


def test_a_cli_that_talks_without_end_is_given_up(commands: Commands) -> None:
    commands.use_codex_like('while arguments == ["--version"]: print("codex-cli 0.163.0")')

    assert "did not end" in commands.run("doctor", "--timeout", "1").output


def test_nothing_waits_for_input(commands: Commands) -> None:
    commands.use_codex_like("assert sys.stdin.read() == ''")

    assert examine(commands, healthy=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_quietly_and_leaves_nothing(
    commands: Commands, number: signal.Signals
) -> None:
    commands.use_codex_like(HANG)
    with commands.start("doctor", "--timeout", "600") as process:
        commands.wait_for_file("hanging")
        process.send_signal(number)
        output, errors = process.communicate(timeout=TIME_LIMIT)

    assert (process.returncode, output, errors) == (128 + number, b"", b"")


def test_a_terminal_gets_symbols_colours_and_lines_that_fit(commands: Commands) -> None:
    commands.use_codex_like(SANDBOX_FAILURE + 'version = "codex-cli 0.80.0"')

    result = commands.run_in_terminal("doctor", columns=70)

    assert "\x1b[32m✓ \x1b[0m" in result.output
    assert "\x1b[33m! \x1b[0m" in result.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
    assert "\x1b" not in plain
    texts = [line[14:] for line in plain.splitlines() if len(line) > 70]
    assert [text for text in texts if " " in text] == []  # but for paths, which stay whole
    assert result.status == 0


def test_no_color_is_respected(commands: Commands) -> None:
    commands.use_codex_like()
    commands.environ["NO_COLOR"] = "1"

    result = commands.run_in_terminal("doctor")

    assert "✓ cli" in result.output
    assert "\x1b" not in result.output


def test_a_pipe_gets_words_that_any_encoding_has(commands: Commands) -> None:
    commands.use_codex_like('version = "codex-cli 9.9.9"')
    commands.environ["PYTHONIOENCODING"] = "ascii"

    result = commands.run("doctor")

    assert re.search(r"^warning version +9\.9\.9", result.output, re.MULTILINE)
    assert "-> should something not work" in result.output


def test_a_reader_that_goes_away_is_no_error(commands: Commands) -> None:
    commands.use_codex_like()
    reading, writing = os.pipe()
    os.close(reading)
    with commands.start("doctor", stdout=writing) as process:
        os.close(writing)
        errors = process.communicate(timeout=TIME_LIMIT)[1]

    assert (process.returncode, errors) == (128 + signal.SIGPIPE, b"")

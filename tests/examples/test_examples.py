"""Each example, as it stands, on the real CLI and a scripted model."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from codex_sdk import Usage
from codex_sdk.testing import (
    FunctionCall,
    HttpReply,
    Message,
    ModelRequest,
    Reasoning,
    Reply,
    RunCommand,
)

from .workplace import EXAMPLES, Workplace


def test_every_example_has_a_test_here() -> None:
    tested = {
        node.args[0].value
        for module in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("run_example")
        if node.args and isinstance(node.args[0], ast.Constant)
    }

    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested


def test_basic_usage_holds_a_conversation(workplace: Workplace) -> None:
    workplace.model.will_reply(
        Reply(RunCommand("ls"), usage=Usage(100, 0, 10)),
        Reply("It says hello.", usage=Usage(200, 0, 20)),
        Reply("README.md: it is short.", usage=Usage(300, 0, 30)),
    )

    printed = workplace.run_example("basic_usage")

    assert re.search(r"^\$ .*\bls\b", printed, re.MULTILINE)
    assert "It says hello.\n(300 tokens in, 30 tokens out)" in printed
    assert "README.md: it is short.\n(300 tokens in, 30 tokens out)" in printed
    assert re.search(r"CODEX_THREAD_ID=[0-9a-f-]{36} ", printed)
    _, after_command, second_turn = workplace.model.requests
    assert "hello.py" in after_command.function_outputs()[0].text
    assert second_turn.assistant_texts() == ("It says hello.",)


def test_streaming_example_shows_the_work_in_progress(workplace: Workplace) -> None:
    workplace.model.will_reply(
        Reply(Reasoning("**Looking around**"), RunCommand("cat README.md")),
        Reply(Message("It ", "says ", "hello.")),
    )

    printed = workplace.run_example("streaming_example", "What", "is", "it?")

    steps = [
        r"^Thread [0-9a-f-]{36}$",
        r"^~ \*\*Looking around\*\*$",
        r"^\$ .*cat README\.md",
        r"^  exit code 0, 25 characters of output$",
        r"^It says hello\.$",
        r"^Tokens: Usage\(",
    ]
    assert re.search(".*".join(steps), printed, re.MULTILINE | re.DOTALL), printed
    assert workplace.model.requests[0].prompt == "What is it?"


def test_streaming_example_reports_a_turn_that_fails(workplace: Workplace) -> None:
    workplace.model.will_reply(HttpReply(400, "no such model"))

    result = workplace.try_to_run(EXAMPLES / "streaming_example.py")

    assert result.returncode == 1
    assert re.search(r"^The turn failed: .*no such model", result.stderr)
    assert "(" in result.stdout  # the `error` event that announces the failure


def test_structured_output_prints_fields_of_the_answers(workplace: Workplace) -> None:
    findings = [{"file": "hello.py", "severity": "low", "advice": "Greet the world."}]
    answers = [{"summary": "Says hello.", "languages": ["Python", "Markdown"]}, findings]

    def answer(request: ModelRequest) -> str:
        value = answers.pop(0)
        [wrapper] = request.output_schema["properties"] if value is findings else [None]
        return json.dumps(value if wrapper is None else {wrapper: value})

    workplace.model.will_reply(answer, answer)

    printed = workplace.run_example("structured_output")

    assert printed.splitlines() == [
        "Summary: Says hello.",
        "Languages: Python, Markdown",
        "low: hello.py: Greet the world.",
    ]
    first, second = workplace.model.requests
    assert first.output_schema["required"] == ["summary", "languages"]
    assert '"severity"' in json.dumps(second.output_schema)


def test_structured_output_refuses_an_answer_of_another_shape(workplace: Workplace) -> None:
    workplace.model.will_reply('{"summary": 1, "languages": []}')

    result = workplace.try_to_run(EXAMPLES / "structured_output.py")

    assert result.returncode == 1
    assert "The answer is not what was asked for" in result.stderr
    assert "summary" in result.stderr


def test_thread_resume_continues_the_last_thread_or_the_one_that_is_named(
    workplace: Workplace,
) -> None:
    workplace.model.will_reply("One.", "Two.")
    older = started_thread(workplace.run_example("basic_usage"))
    workplace.model.will_reply("Three.", "Four.")
    newer = started_thread(workplace.run_example("basic_usage"))
    workplace.model.will_reply("We had got to four.", "We had got to two.")

    last = workplace.run_example("thread_resume")
    named = workplace.run_example("thread_resume", CODEX_THREAD_ID=older)

    assert last == f"Thread {newer}\nWe had got to four.\n"
    assert named == f"Thread {older}\nWe had got to two.\n"
    *_, of_newer, of_older = workplace.model.requests
    assert of_newer.assistant_texts() == ("Three.", "Four.")
    assert of_older.assistant_texts() == ("One.", "Two.")


def started_thread(printed: str) -> str:
    found = re.search(r"CODEX_THREAD_ID=(\S+)", printed)
    assert found
    return found[1]


@pytest.mark.parametrize("thread_id", ["", "00000000-0000-0000-0000-000000000000"])
def test_thread_resume_says_that_there_is_no_such_thread(
    workplace: Workplace, thread_id: str
) -> None:
    workplace.model.will_reply("Who are you?")

    result = workplace.try_to_run(EXAMPLES / "thread_resume.py", CODEX_THREAD_ID=thread_id)

    assert result.returncode == 1
    assert re.match(r"(CodexError|CodexCLIError|ThreadMismatchError): ", result.stderr)
    assert "Traceback" not in result.stderr


def test_permission_levels_decide_what_is_written(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> Reply:
        if not request.function_outputs():
            return Reply(RunCommand("echo hello > hello.txt"))
        return Reply("I tried.")

    workplace.model.will_reply(*[reply] * 6)  # two for each level
    levels = ("read-only", "workspace-write", "danger-full-access")

    printed = workplace.run_example("permission_levels_example", *levels)

    refused, allowed, unrestricted = re.split(r"^(?=\S)", printed, flags=re.MULTILINE)[1:]
    assert "hello.txt is not there" in refused
    assert "hello.txt -> completed, exit code 0" in allowed.replace("'", "")
    assert "hello.txt is there" in allowed
    assert "hello.txt is there" in unrestricted
    assert printed.count("Codex says: I tried.") == 3


def test_model_configuration_example_sets_model_effort_and_endpoint(
    workplace: Workplace,
) -> None:
    workplace.model.will_reply(
        Reply("97", usage=Usage(10, 0, 5, reasoning_output_tokens=1)),
        Reply("97", usage=Usage(10, 0, 5, reasoning_output_tokens=9)),
    )
    without_configuration(workplace)

    printed = workplace.run_example(
        "model_configuration_example",
        CODEX_MODEL="gpt-5.5",
        OPENAI_BASE_URL=workplace.model.url,
    )

    assert re.match(r"low effort: 97\n.*\nhigh effort: 97\n", printed)
    requests = workplace.model.requests
    assert [request.model for request in requests] == ["gpt-5.5", "gpt-5.5"]
    assert [request.headers["authorization"] for request in requests] == ["Bearer test-key"] * 2
    assert not any("web_search" in request.tool_names() for request in requests)


def without_configuration(workplace: Workplace) -> None:
    """Take the provider out of the CLI's configuration: now the program itself has to name it."""
    Path(workplace.environ["CODEX_HOME"], "config.toml").unlink()


def test_config_overrides_reach_the_model_and_the_commands(workplace: Workplace) -> None:
    workplace.model.will_reply(RunCommand('echo "$GREETING"'), "Bonjour.")

    printed = workplace.run_example("config_overrides")

    assert "\nhello from Python\nBonjour.\n" in printed
    instructions = "\n".join(workplace.model.requests[0].developer_texts())
    assert "Answer in one sentence, in French." in instructions
    assert "Answer in one sentence.\n" not in instructions + "\n"


def test_hooks_streaming_calls_its_hooks_in_order(workplace: Workplace) -> None:
    workplace.model.will_reply(RunCommand("ls"), Reply("Two.", usage=Usage(10, 0, 7)))

    printed = workplace.run_example("hooks_streaming")

    steps = [
        r"Thread [0-9a-f-]{36}\n",
        r"\[in_progress\] \$ .*ls.*\n",
        r"\[completed\] \$ .*ls.*\n",
        r"Two\.\n",
        r"12 tokens of output\n",
        r"\d+ events, \d+ items\n$",
    ]
    assert re.search(".*".join(steps), printed, re.DOTALL), printed


def test_notify_hook_is_called_with_the_end_of_the_turn(workplace: Workplace) -> None:
    workplace.model.will_reply("Hello!")

    printed = workplace.run_example("notify_hook")

    assert printed == "agent-turn-complete: Hello!\n"
    log = (workplace.directory / "codex-notifications.jsonl").read_text(encoding="utf-8")
    assert json.loads(log)["input-messages"] == ["Say hello."]


def test_trio_example_asks_side_by_side(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> RunCommand | str:
        if not request.function_outputs():
            return RunCommand("ls")
        return "Two files." if "Which files" in request.prompt else "To say hello."

    workplace.model.will_reply(*[reply] * 4)

    printed = workplace.run_example("trio_example")

    assert (
        sorted(line.split(" ")[0] for line in printed.splitlines())
        == ["files:"] * 2 + ["purpose:"] * 2
    )
    assert "files: Two files.\n" in printed
    assert "purpose: To say hello.\n" in printed


def test_cancel_and_resume_stops_the_command_and_goes_on(workplace: Workplace) -> None:
    workplace.model.will_reply(RunCommand("sleep 600", timeout=600), "To run a command.")

    printed = workplace.run_example("cancel_and_resume")

    command, stopped, answer = printed.splitlines()
    assert re.match(r"\$ .*sleep 600", command)
    assert stopped == "Stopped: it takes too long"
    assert answer == "To run a command."
    first, second = workplace.model.requests
    assert first.prompt in second.user_texts()
    assert sorted(path.name for path in workplace.directory.iterdir()) == [
        ".git",
        "README.md",
        "hello.py",
    ]


def test_python_tools_lets_the_model_call_functions(workplace: Workplace) -> None:
    orders = [FunctionCall("find_order", {"number": number}) for number in ("A-17", "A-18")]
    ship = FunctionCall("ship_order", {"number": "A-17", "express": True})
    workplace.model.will_reply(Reply(*orders), ship, "Shipped one.")

    if is_legacy(workplace):
        result = workplace.try_to_run(EXAMPLES / "python_tools.py")
        assert re.match("CodexError: .*0.80.0, cannot call functions", result.stderr)
        return
    assert workplace.run_example("python_tools") == ("Shipping A-17 by express.\nShipped one.\n")
    outputs = workplace.model.requests[-1].function_outputs()
    assert [output.text for output in outputs] == [
        '{"item":"kettle","shipped":false}',
        '{"item":"lamp","shipped":true}',
        "shipped",
    ]


def is_legacy(workplace: Workplace) -> bool:
    """Say whether the CLI is of the generation of 0.80."""
    command = [workplace.environ["CODEX_PATH"], "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1].startswith("0.80.")


def test_steer_and_interrupt_changes_the_course_of_a_turn(workplace: Workplace) -> None:
    workplace.model.will_reply(
        RunCommand("sleep 0.3"),
        Message("A ", "cat."),
        RunCommand("sleep 600", timeout=600),
        "To name an animal.",
    )

    if is_legacy(workplace):
        result = workplace.try_to_run(EXAMPLES / "steer_and_interrupt.py")
        assert "turn/steer" in result.stderr
        assert "does not have this method" in result.stderr
        return
    printed = workplace.run_example("steer_and_interrupt")

    command, answer, other_command, ended, recalled = printed.splitlines()
    assert re.match(r"\$ .*sleep 0\.3", command)
    assert answer == "A cat."
    assert re.match(r"\$ .*sleep 600", other_command)
    assert ended == "The turn has ended: the turn was interrupted"
    assert recalled == "To name an animal."
    steered, _, last = workplace.model.requests[1:]
    assert "Name an animal instead." in steered.user_texts()
    assert last.prompt == "What did I ask you to do?"


def test_app_server_approvals_decides_about_each_command(workplace: Workplace) -> None:
    workplace.model.will_reply(
        RunCommand("touch a.txt"), RunCommand("rm README.md"), Message("One ", "of two.")
    )

    printed = workplace.run_example("app_server_approvals")

    assert (workplace.directory / "README.md").exists()
    assert printed.endswith("One of two.\ncompleted\n")
    if not is_legacy(workplace):
        assert re.match(r"accept: .*touch a\.txt.*\ndecline: .*rm README\.md", printed)
        assert (workplace.directory / "a.txt").exists()


def test_app_server_turn_session_follows_two_turns(workplace: Workplace) -> None:
    def reply(request: ModelRequest) -> Message:
        return Message("three ", "small ", "pieces") if "here" in request.prompt else Message("one")

    workplace.model.will_reply(reply, reply)

    printed = workplace.run_example("app_server_turn_session")

    assert "What is here? completed, in 3 pieces\n" in printed
    assert "Who are you? completed, in 1 pieces\n" in printed
    assert "What is here? agentMessage\n" in printed


def test_app_server_basic_shows_the_text_as_it_is_written(workplace: Workplace) -> None:
    workplace.model.will_reply(Message("Two ", "files."))

    printed = workplace.run_example("app_server_basic", "What", "is", "here?")

    version, thread, text, end = printed.splitlines()
    assert re.fullmatch(r"Codex \d+\.\d+\.\d+\S*", version)
    assert re.fullmatch(r"Thread [0-9a-f-]{36}, model \S+", thread)
    assert (text, end) == ("Two files.", "The turn is completed.")
    assert workplace.model.requests[0].prompt == "What is here?"


def test_app_server_fork_goes_on_in_two_ways(workplace: Workplace) -> None:
    workplace.model.will_reply("Seven.", "Fourteen.", "Forty-nine.")

    printed = workplace.run_example("app_server_fork")

    assert printed.splitlines() == [
        "Seven.",
        "Original: Fourteen.",
        "Fork:     Forty-nine.",
        "Stored: True",
    ]
    _, original, fork = workplace.model.requests
    assert (original.assistant_texts(), original.prompt) == (("Seven.",), "Double it.")
    assert (fork.assistant_texts(), fork.prompt) == (("Seven.",), "Square it.")


def test_app_server_requirements_prints_what_is_in_effect(workplace: Workplace) -> None:
    printed = workplace.run_example("app_server_requirements").splitlines()

    assert printed[:5] == [
        "Required: nothing",
        "model_provider: codex_sdk",
        "approval_policy: default",
        "sandbox_mode: default",
        "Account: " + ("none" if is_legacy(workplace) else "apiKey"),
    ]
    assert re.fullmatch(r"Models: \S+, .*, …", printed[5])


def test_app_server_skill_input_gives_the_model_the_skill(workplace: Workplace) -> None:
    workplace.model.will_reply("Salve!")

    arguments = [".codex/skills/greet/SKILL.md"] if is_legacy(workplace) else []

    printed = workplace.run_example("app_server_skill_input", *arguments)

    assert "'greet'" in printed
    assert printed.endswith("Salve!\n")
    given = workplace.model.requests[0].user_texts()
    assert "Use $greet with me." in given
    assert any("Greet the user in Latin." in text for text in given)

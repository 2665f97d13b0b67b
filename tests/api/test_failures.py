"""What a caller sees when the CLI fails, lies or floods."""

from __future__ import annotations

import pickle
import resource
import warnings
from pathlib import Path

import anyio
import pytest

from codex_sdk import (
    Codex,
    CodexCLIError,
    CodexError,
    CodexNotFoundError,
    CodexOptions,
    CodexParseError,
    CodexWarning,
    ThreadMismatchError,
    ThreadOptions,
    UnknownEvent,
    UnknownItem,
)
from codex_sdk._runtime import exec_turn

from .conftest import MakeCodex


async def test_an_exit_status_comes_with_the_tail_of_stderr(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "print('noise ' * 100_000 + 'Error: no such model', file=sys.stderr); sys.exit(3)"
    ).start_thread()
    with pytest.raises(CodexCLIError, match=r"exited with code 3.*Error: no such model$") as caught:
        await thread.run("hi")
    assert caught.value.exit_code == 3
    assert len(caught.value.stderr) < 100_000
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


async def test_what_clis_always_write_is_not_in_the_message(codex_like: MakeCodex) -> None:
    thread = codex_like(
        """
        print("Reading prompt from stdin...", file=sys.stderr)
        print("\\x1b[31mError:\\x1b[0m the cause", file=sys.stderr)
        print("", "Stack backtrace:", "   0: <unknown>", sep="\\n", file=sys.stderr)
        sys.exit(1)
        """
    ).start_thread()
    with pytest.raises(CodexCLIError, match=r"the turn was over\): Error: the cause$") as caught:
        await thread.run("hi")
    assert "Stack backtrace" in caught.value.stderr


async def test_a_cli_that_dies_before_it_reads_the_prompt_is_a_cli_error(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like("os.close(0); print('bad flag', file=sys.stderr); sys.exit(2)")
    with pytest.raises(CodexCLIError, match="bad flag") as caught:
        await thread.start_thread().run("x" * 5_000_000)
    assert caught.value.exit_code == 2


async def test_a_cli_killed_by_a_signal_has_a_negative_exit_code(codex_like: MakeCodex) -> None:
    thread = codex_like("started(); os.kill(os.getpid(), signal.SIGKILL)").start_thread()
    with pytest.raises(CodexCLIError) as caught:
        await thread.run("hi")
    assert caught.value.exit_code == -9


@pytest.mark.parametrize("script", ["", "started()", "started(); message('almost')"])
async def test_a_stream_that_just_ends_is_an_error(codex_like: MakeCodex, script: str) -> None:
    thread = codex_like(f"sys.stdin.read()\n{script}").start_thread()
    with pytest.raises(CodexCLIError, match="before the turn was over") as caught:
        await thread.run("hi")
    assert caught.value.exit_code == 0


async def test_a_failure_after_the_turn_completed_is_not_swallowed(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "started(); completed(); print('disk full', file=sys.stderr); sys.exit(1)"
    ).start_thread()
    with pytest.raises(CodexCLIError, match=r"completed the turn.*disk full"):
        await thread.run("hi")


@pytest.mark.parametrize(
    "line", [b"Welcome to Codex!", b"[1, 2]", b'{"type": "turn.completed"}', b'{"type": "\xff"}']
)
async def test_a_malformed_line_is_a_parse_error_that_names_line_and_cli(
    codex_like: MakeCodex, line: bytes
) -> None:
    thread = codex_like(
        f"started(); sys.stdout.buffer.write({line!r} + b'\\n'); sys.stdout.flush(); time.sleep(60)"
    ).start_thread()
    types: list[str] = []
    with pytest.raises(CodexParseError, match=r"codex-cli 0\.163\.0") as caught:
        async with thread.stream("hi") as stream:
            while batch := await stream.receive_batch():
                types += [event.type for event in batch]
    assert types == ["thread.started", "turn.started"]
    assert line[:8].decode(errors="replace") in str(caught.value)


UNKNOWN = """
started()
emit({"type": "thread.moved", "to": "there"})
emit({"type": "item.completed", "item": {"id": "item_0", "type": "hologram", "light": [1, 2]}})
message("hi", 1)
completed()
"""


async def test_unknown_events_and_items_are_errors_by_default(codex_like: MakeCodex) -> None:
    with pytest.raises(CodexParseError, match=r"thread\.moved"):
        await codex_like(UNKNOWN).start_thread().run("hi")


async def test_unknown_events_and_items_can_be_kept(codex_like: MakeCodex) -> None:
    thread = codex_like(UNKNOWN, unknown_events="keep").start_thread()
    async with thread.stream("hi") as stream:
        events = [event async for event in stream]
        turn = await stream.turn()
    unknown = [event for event in events if isinstance(event, UnknownEvent)]
    assert [(e.wire_type, e.raw["to"]) for e in unknown] == [("thread.moved", "there")]
    item = turn.items[0]
    assert isinstance(item, UnknownItem)
    assert (item.wire_type, item.id, item.raw["light"]) == ("hologram", "item_0", [1, 2])


async def test_a_line_of_64_mib_arrives_whole(codex_like: MakeCodex) -> None:
    size = 64 * 1024 * 1024 - 200
    thread = codex_like(f"started(); message('x' * {size}); completed()").start_thread()
    assert len((await thread.run("hi")).final_response) == size


async def test_a_longer_line_than_allowed_is_a_parse_error(codex_like: MakeCodex) -> None:
    codex = codex_like("started(); message('x' * 5000); completed()", max_line_bytes=4096)
    with pytest.raises(CodexParseError, match=r"4096.*max_line_bytes"):
        await codex.start_thread().run("hi")


async def test_a_flood_of_stderr_and_invalid_bytes_on_it_hang_nothing(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like(
        """
        sys.stderr.buffer.write(b"\\xff\\xfe" * 2_000_000 + b"the end")
        sys.stderr.flush()
        started()
        sys.exit(5)
        """
    ).start_thread()
    with pytest.raises(CodexCLIError, match="\ufffdthe end") as caught:
        await thread.run("hi")
    assert caught.value.exit_code == 5


async def test_memory_stays_flat_when_the_reader_stops_reading(codex_like: MakeCodex) -> None:
    thread = codex_like(
        """
        started()
        line = json.dumps({"type": "error", "message": "x" * 4000}) + "\\n"
        for _ in range(100_000):
            sys.stdout.write(line)
        """
    ).start_thread()
    async with thread.stream("hi") as stream:
        for _ in range(100):
            await anext(stream)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await anyio.sleep(1)  # time for 400 MB, if anything took them
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 20 * 1024  # KiB


async def test_a_grandchild_that_holds_stdout_open_delays_nothing(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "subprocess.Popen(['sleep', '600'], start_new_session=True); started(); os._exit(4)"
    ).start_thread()
    with pytest.raises(CodexCLIError) as caught:
        await thread.run("hi")
    assert caught.value.exit_code == 4


async def test_a_grandchild_of_a_completed_turn_is_ended(codex_like: MakeCodex) -> None:
    thread = codex_like(
        "subprocess.Popen(['sleep', '600'], start_new_session=True); started(); completed()"
    ).start_thread()
    await thread.run("hi")  # the fixture looks for survivors


async def test_a_cli_that_closes_its_output_and_stays_is_stopped(
    codex_like: MakeCodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_turn, "_EXIT_GRACE", 0.2)
    thread = codex_like("started(); os.close(1); time.sleep(600)").start_thread()
    with pytest.raises(CodexError, match="closed its output before the turn was over"):
        await thread.run("hi")


async def test_a_cli_that_stays_after_a_completed_turn_is_stopped_without_complaint(
    codex_like: MakeCodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exec_turn, "_EXIT_GRACE", 0.2)
    thread = codex_like("started(); message('ok'); completed(); time.sleep(600)").start_thread()
    assert (await thread.run("hi")).final_response == "ok"


async def test_half_a_line_before_a_crash_is_the_crash_not_a_parse_error(
    codex_like: MakeCodex,
) -> None:
    thread = codex_like(
        'started(); sys.stdout.write(\'{"type": "item.comp\'); sys.stdout.flush(); os._exit(101)'
    ).start_thread()
    with pytest.raises(CodexCLIError) as caught:
        await thread.run("hi")
    assert caught.value.exit_code == 101


async def test_another_thread_than_the_one_asked_for_is_an_error(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    codex = codex_like(
        f"started(); time.sleep(10); message('new'); open({str(tmp_path)!r} + '/acted', 'w')"
    )
    thread = codex.resume_thread("01a2b3c4-0000-7000-8000-00000000ffff")
    with pytest.raises(ThreadMismatchError) as caught:
        await thread.run("hi")
    assert caught.value.requested.endswith("ffff")
    assert caught.value.actual.endswith("0001")
    assert thread.id == "01a2b3c4-0000-7000-8000-00000000ffff"
    assert not (tmp_path / "acted").exists()


async def test_the_same_id_in_other_letters_is_the_same_thread(codex_like: MakeCodex) -> None:
    codex = codex_like("started(); message('same'); completed()")
    thread = codex.resume_thread("01A2B3C4-0000-7000-8000-000000000001")
    assert (await thread.run("hi")).final_response == "same"


@pytest.mark.parametrize("thread_id", ["", "-x", "--last", "a\0b"])
def test_a_thread_id_that_is_none_is_refused_at_once(codex_like: MakeCodex, thread_id: str) -> None:
    with pytest.raises(CodexError, match="thread id"):
        codex_like("").resume_thread(thread_id)


async def test_a_missing_image_is_an_error_before_anything_is_spawned(
    codex_like: MakeCodex, tmp_path: Path
) -> None:
    spawned = tmp_path / "spawned"
    thread = codex_like(f"open({str(spawned)!r}, 'w')").start_thread()
    with pytest.raises(CodexError, match=r"no-such\.png"):
        await thread.run(
            [
                {"type": "text", "text": "look"},
                {"type": "local_image", "path": tmp_path / "no-such.png"},
            ]
        )
    assert not spawned.exists()


async def test_the_api_key_is_in_the_environment_and_nowhere_else(codex_like: MakeCodex) -> None:
    codex = codex_like(
        """
        assert not any("sk-very-secret" in argument for argument in sys.argv)
        print("key:", os.environ["CODEX_API_KEY"], file=sys.stderr)
        started()
        print(os.environ["CODEX_API_KEY"])
        """,
        api_key="sk-very-secret",
    )
    assert "sk-very-secret" not in repr(codex)
    with pytest.raises(CodexParseError) as caught:
        await codex.start_thread().run("hi")
    assert "sk-very-secret" not in str(caught.value)


async def test_stderr_with_the_api_key_in_it_is_blanked_out(codex_like: MakeCodex) -> None:
    codex = codex_like(
        "print('bad key', os.environ['CODEX_API_KEY'], file=sys.stderr); sys.exit(1)",
        api_key="sk-very-secret",
    )
    with pytest.raises(CodexCLIError, match="bad key <CODEX_API_KEY>") as caught:
        await codex.start_thread().run("hi")
    assert "sk-very-secret" not in caught.value.stderr


async def test_a_cli_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no-codex"
    codex = Codex(CodexOptions(codex_path_override=str(missing)))
    with pytest.raises(CodexNotFoundError, match="no-codex"):
        await codex.start_thread().run("hi")


async def test_a_cli_that_cannot_be_executed_is_a_codex_error(tmp_path: Path) -> None:
    broken = tmp_path / "codex"
    broken.write_text("not a program")
    broken.chmod(0o755)
    with pytest.raises(CodexError, match=str(broken)):
        await Codex(CodexOptions(codex_path_override=str(broken))).start_thread().run("hi")


async def test_options_without_effect_are_warned_of(codex_like: MakeCodex) -> None:
    codex = codex_like("started(); message(' '.join(sys.argv)); completed()")
    thread = codex.start_thread(ThreadOptions(approval_policy="untrusted"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        turn = await thread.run("hi")
    (warning,) = caught
    assert warning.category is CodexWarning
    assert "approval_policy='untrusted' has no effect" in str(warning.message)
    assert "untrusted" not in turn.final_response

"""The client: which thread was the last one, where loose turns live, and what is shown of it all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from codex_sdk import Codex, CodexError, CodexOptions, Thread, ThreadOptions
from codex_sdk.thread import StreamedTurn

from .conftest import MakeCodex

FIRST = "01a2b3c4-0000-7000-8000-000000000001"
SECOND = "01a2b3c4-0000-7000-8000-000000000002"
THIRD = "01a2b3c4-0000-7000-8000-000000000003"

SLEEPER = "started(); time.sleep(600)"

Survivors = Callable[[], list[str]]


def session(
    home: Path, thread_id: str, *, day: str = "2026/01/31", mtime: float = 1e9, text: str = ""
) -> Path:
    """Write the file of a session, named as the CLI names it."""
    path = home / "sessions" / day / f"rollout-{day.replace('/', '-')}T10-00-00-{thread_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or '{"type": "session_meta", "payload": {}}\n', encoding="utf-8")
    os.utime(path, (mtime, mtime))
    return path


def last_thread(home: Path) -> str | None:
    return Codex().resume_last_thread(codex_home=home).id


class TestTheLastThread:
    def test_it_is_the_one_whose_file_was_written_last(self, tmp_path: Path) -> None:
        session(tmp_path, FIRST, day="2026/02/01", mtime=1e9)
        session(tmp_path, SECOND, day="2026/01/31", mtime=1e9 + 1)
        session(tmp_path, THIRD, day="2025/12/31", mtime=1e9 - 1)
        assert last_thread(tmp_path) == SECOND

    async def test_it_is_resumed_with_the_options_given(
        self, codex_like: MakeCodex, tmp_path: Path
    ) -> None:
        session(tmp_path, FIRST)
        codex = codex_like(
            "started(sys.argv[-1]); message(json.dumps(sys.argv)); completed()",
            env={"CODEX_HOME": str(tmp_path)},
        )
        thread = codex.resume_last_thread(ThreadOptions(model="gpt-5-codex"))
        arguments = json.loads((await thread.run("go on")).final_response)
        assert "--model=gpt-5-codex" in arguments
        assert arguments[-3:] == ["resume", "--", FIRST]

    def test_a_first_line_that_starts_the_thread_names_it(self, tmp_path: Path) -> None:
        event = json.dumps({"type": "thread.started", "thread_id": SECOND})
        session(tmp_path, FIRST, text=f"\n{event}\n{{}}\n")
        assert last_thread(tmp_path) == SECOND

    @pytest.mark.parametrize(
        "text",
        [
            "not JSON\n",
            "null\n",
            "\n\n",
            '["thread.started"]\n',
            '{"type": "thread.started"}\n',
            '{"type": "thread.started", "thread_id": 7}\n',
            '{"type": "thread.started", "thread_id": ""}\n',
            '{"type": "session_meta", "thread_id": "other"}\n',
            "{}\n" + json.dumps({"type": "thread.started", "thread_id": SECOND}),
            "[" * 100_000,
        ],
    )
    def test_with_any_other_first_line_the_files_name_does(self, tmp_path: Path, text: str) -> None:
        session(tmp_path, FIRST, text=text)
        assert last_thread(tmp_path) == FIRST

    def test_a_file_that_is_no_text_is_known_by_its_name(self, tmp_path: Path) -> None:
        session(tmp_path, FIRST).write_bytes(b"\xff\xfe\x00{\n")
        assert last_thread(tmp_path) == FIRST

    def test_a_file_that_cannot_be_read_is_known_by_its_name(self, tmp_path: Path) -> None:
        path = session(tmp_path, FIRST)
        path.unlink()
        path.mkdir()  # cannot be read by anybody, root included
        assert last_thread(tmp_path) == FIRST

    def test_a_file_that_is_gone_is_passed_over(self, tmp_path: Path) -> None:
        gone = session(tmp_path, FIRST, mtime=1e9 + 1)
        gone.unlink()
        gone.symlink_to(tmp_path / "nowhere")
        session(tmp_path, SECOND)
        assert last_thread(tmp_path) == SECOND

    def test_a_name_without_an_id_is_an_error_that_names_the_file(self, tmp_path: Path) -> None:
        path = session(tmp_path, "no-id")
        with pytest.raises(CodexError, match="Failed to determine thread id") as caught:
            last_thread(tmp_path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("thread_id", ["--last", "a\0b"])
    def test_a_declared_id_that_no_cli_would_take_is_refused(
        self, tmp_path: Path, thread_id: str
    ) -> None:
        event = json.dumps({"type": "thread.started", "thread_id": thread_id})
        session(tmp_path, FIRST, text=event)
        with pytest.raises(CodexError, match="thread id"):
            last_thread(tmp_path)

    def test_without_sessions_it_is_an_error_that_names_the_place(self, tmp_path: Path) -> None:
        (tmp_path / "sessions").mkdir()
        (tmp_path / "sessions" / f"notes-{FIRST}.jsonl").touch()
        for home in (tmp_path, tmp_path / "missing"):
            with pytest.raises(CodexError, match="No Codex sessions found") as caught:
                last_thread(home)
            assert str(home / "sessions") in str(caught.value)


class TestTheHomeOfTheSessions:
    @pytest.fixture
    def homes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a directory with four homes in it; this process's environment names two of them."""
        session(tmp_path / "argument", "00000000-0000-7000-8000-00000000000a")
        session(tmp_path / "of the child", "00000000-0000-7000-8000-00000000000b")
        session(tmp_path / "inherited", "00000000-0000-7000-8000-00000000000c")
        session(tmp_path / "user" / ".codex", "00000000-0000-7000-8000-00000000000d")
        session(tmp_path / "child's user" / ".codex", "00000000-0000-7000-8000-00000000000e")
        monkeypatch.setenv("CODEX_HOME", str(tmp_path / "inherited"))
        for name in ("HOME", "USERPROFILE"):
            monkeypatch.setenv(name, str(tmp_path / "user"))
        return tmp_path

    def last(self, env: dict[str, str] | None, codex_home: Any = None) -> str:
        codex = Codex(CodexOptions(env=env))
        return str(codex.resume_last_thread(codex_home=codex_home).id)[-1]

    def test_it_is_the_argument(self, homes: Path) -> None:
        env = {"CODEX_HOME": str(homes / "of the child")}
        assert self.last(env, homes / "argument") == "a"
        assert self.last(env, str(homes / "argument")) == "a"
        assert self.last(env, "~/.codex") == "d"

    def test_else_the_one_that_the_options_give_the_cli(self, homes: Path) -> None:
        assert self.last({"CODEX_HOME": str(homes / "of the child")}) == "b"

    def test_else_the_one_that_the_cli_inherits(self, homes: Path) -> None:
        assert self.last(None) == "c"

    @pytest.mark.parametrize("named", ["", None])
    def test_else_the_one_in_the_users_home(
        self, homes: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
    ) -> None:
        monkeypatch.delenv("CODEX_HOME")
        if named is not None:
            monkeypatch.setenv("CODEX_HOME", named)
        assert self.last(None) == "d"
        assert self.last({}) == "d"

    @pytest.mark.skipif(
        os.name != "posix", reason="Windows has one home for all programs of a user"
    )
    def test_the_users_home_is_the_one_that_the_cli_is_given(self, homes: Path) -> None:
        assert self.last({"HOME": str(homes / "child's user")}) == "e"


class TestTheClientAsAContextManager:
    async def test_it_can_be_entered_again(
        self, codex_like: MakeCodex, no_process_left: Survivors
    ) -> None:
        codex = codex_like(SLEEPER)
        for _ in range(2):
            async with codex as entered:
                assert entered is codex
                events = codex.start_thread().run_streamed_events("hi")
                await anext(events)
            assert no_process_left() == []
            await assert_closed(events)

    async def test_turns_of_a_closed_client_run_in_the_loop(
        self, codex_like: MakeCodex, no_process_left: Survivors
    ) -> None:
        codex = codex_like(SLEEPER)
        async with codex:
            pass
        events = codex.start_thread().run_streamed_events("hi")
        await anext(events)
        assert no_process_left()
        await events.aclose()

    async def test_it_cannot_be_entered_while_it_is_open(
        self, codex_like: MakeCodex, no_process_left: Survivors
    ) -> None:
        codex = codex_like(SLEEPER)
        async with codex:
            with pytest.raises(RuntimeError, match="Codex has already been entered"):
                async with codex:
                    pass
            events = codex.start_thread().run_streamed_events("hi")
            await anext(events)
            assert len(no_process_left()) == 1
        assert no_process_left() == []
        await assert_closed(events)

    async def test_turns_of_another_loop_are_none_of_its_own(
        self, codex_like: MakeCodex, anyio_backend_name: str
    ) -> None:
        codex = codex_like(SLEEPER)

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="Codex has already been entered"):
                async with codex:
                    pass
            async with aclosing(codex.start_thread().run_streamed_events("hi")) as events:
                await anext(events)

        async with codex:
            before = codex.start_thread().run_streamed_events("hi")
            await anext(before)
            run = partial(anyio.run, elsewhere, backend=anyio_backend_name)
            await anyio.to_thread.run_sync(run)
            after = codex.start_thread().run_streamed_events("hi")
            await anext(after)
        await assert_closed(before)
        await assert_closed(after)

    def test_it_serves_one_loop_after_the_other(
        self, codex_like: MakeCodex, anyio_backend_name: str, no_process_left: Survivors
    ) -> None:
        codex = codex_like(SLEEPER)

        async def main() -> None:
            async with codex:
                await anext(codex.start_thread().run_streamed_events("hi"))

        for _ in range(2):
            anyio.run(main, backend=anyio_backend_name)
            assert no_process_left() == []

    async def test_an_exception_leaves_the_block_as_itself(
        self, codex_like: MakeCodex, no_process_left: Survivors
    ) -> None:
        with pytest.raises(LookupError, match="mine"):
            async with codex_like(SLEEPER) as codex:
                events = codex.start_thread().run_streamed_events("hi")
                await anext(events)
                raise LookupError("mine")
        assert no_process_left() == []


async def assert_closed(events: Any) -> None:
    """Read what had arrived; then the reader is told why there is no more."""
    with pytest.raises(CodexError, match="client that ran the turn was closed"):
        async for _ in events:
            pass


class TestWhatIsShown:
    SECRET = "sk-do-not-show-this"

    async def test_neither_client_nor_thread_nor_turn_shows_a_secret(
        self, codex_like: MakeCodex
    ) -> None:
        settings = {"model_providers.mine.experimental_bearer_token": self.SECRET}
        codex = codex_like(
            "started(); message('hi'); completed()",
            api_key=self.SECRET,
            env={"MY_TOKEN": self.SECRET},
            config_overrides=settings,
        )
        thread = codex.start_thread(ThreadOptions(config_overrides=settings))
        async with thread.stream(self.SECRET) as stream:
            shown = [codex, thread, stream, thread.run_streamed_events(self.SECRET)]
            assert self.SECRET not in f"{shown!r}" + "".join(map(str, shown))
            await stream.turn()
        shown = [codex, thread, StreamedTurn(thread.run_streamed_events(self.SECRET))]
        assert self.SECRET not in f"{shown!r}" + "".join(map(str, shown))
        assert "MY_TOKEN" in repr(codex)

    async def test_a_thread_shows_its_id(self, codex_like: MakeCodex) -> None:
        thread: Thread = codex_like("started(); message('hi'); completed()").start_thread()
        assert repr(thread) == "<Thread (not started)>"
        await thread.run("hi")
        assert repr(thread) == f"<Thread {FIRST}>"

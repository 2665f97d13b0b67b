"""Turns and requests on one connection, in any order and in any pieces: each gets what is its own."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import hypothesis
from hypothesis import strategies as st

from codex_sdk._core.jsonrpc import Notification
from codex_sdk._runtime.peer import Peer, TurnSubscription, connected_peer
from codex_sdk.exceptions import CodexAppServerError

from .conftest import LIMIT, Wire, outcome, refuse

TURNS = 3
REQUESTS = 3

steps = st.one_of(
    st.tuples(st.just("piece"), st.integers(0, TURNS - 1), st.text(min_size=1, max_size=3)),
    st.tuples(st.just("item"), st.integers(0, TURNS - 1), st.text(max_size=3)),
    st.tuples(st.just("stranger"), st.integers(0, TURNS - 1), st.text(max_size=3)),
    st.tuples(st.just("answer"), st.integers(0, REQUESTS - 1), st.text(max_size=3)),
    st.tuples(st.just("refusal"), st.integers(0, REQUESTS - 1), st.text(max_size=3)),
    st.tuples(
        st.just("rubbish"), st.just(0), st.sampled_from(["{", "[]", "{}", '{"id":"x","result":1}'])
    ),
    st.tuples(st.just("end"), st.integers(0, TURNS - 1), st.just("")),
)
Step = tuple[str, int, str]


def message(step: Step, turns: list[str], ids: list[int]) -> bytes:
    kind, number, text = step
    if kind == "rubbish":
        return text.encode() + b"\n"
    if kind == "answer":
        said: dict[str, Any] = {"id": ids[number], "result": text}
    elif kind == "refusal":
        said = {"id": ids[number], "error": {"code": 1, "message": text}}
    else:
        params: dict[str, Any] = {"threadId": f"T{number}", "turnId": turns[number]}
        if kind == "stranger":
            params["turnId"] = "another"
        if kind == "end":
            params["turn"] = {"id": turns[number]}
        if kind == "piece":
            params |= {"itemId": "i", "delta": text}
        methods = {"piece": "x/delta", "item": "item/started", "stranger": "item/started"}
        said = {"method": methods.get(kind, "turn/completed"), "params": {**params, "text": text}}
        if kind == "piece":
            del said["params"]["text"]
    return json.dumps(said).encode() + b"\n"


def expected_of_turn(script: list[Step], number: int) -> list[Any]:
    seen: list[Any] = []
    for kind, of, text in script:
        if of == number and kind in ("piece", "item", "end"):
            seen.append((kind, text))
            if kind == "end":
                break
    return joined(seen)


def joined(seen: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join the pieces that follow each other, as a reader may get them joined."""
    result: list[tuple[str, str]] = []
    for kind, text in seen:
        if kind == "piece" and result and result[-1][0] == "piece":
            result[-1] = ("piece", result[-1][1] + text)
        else:
            result.append((kind, text))
    return result


def told(notifications: list[Notification]) -> list[tuple[str, str]]:
    kinds = {"x/delta": "piece", "item/started": "item", "turn/completed": "end"}
    return joined(
        [
            (kinds[it.method], it.params.get("delta") or it.params.get("text", ""))
            for it in notifications
        ]
    )


def expected_answers(script: list[Step]) -> dict[int, Any]:
    answers: dict[int, Any] = {}
    for kind, number, text in script:
        if kind in ("answer", "refusal"):
            answers.setdefault(number, (kind, text))  # a second answer is nobody's
    return answers


async def ask(peer: Peer, answers: dict[int, Any], number: int) -> None:
    answer = await outcome(peer.request(f"r{number}"))
    if isinstance(answer, CodexAppServerError):
        answers[number] = ("refusal", answer.message)
    elif isinstance(answer, str):
        answers[number] = ("answer", answer)


async def collect(subscription: TurnSubscription, into: list[Notification], *, read: bool) -> None:
    if not read:
        await subscription.wait_over()
    while True:
        batch = await outcome(subscription.receive_batch())
        if isinstance(batch, Exception):
            return
        into += batch


async def start(peer: Peer, wire: Wire, subscription: TurnSubscription, turn_id: str) -> None:
    async with anyio.create_task_group() as task_group:
        bind = partial(peer.bind, subscription)
        task_group.start_soon(
            partial(peer.request, "turn/start", {}, on_result=lambda result: bind(result))
        )
        await wire.say(id=(await wire.heard())["id"], result=turn_id)


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    st.lists(steps, max_size=40),
    st.lists(st.integers(0, 10_000), max_size=10),
    st.lists(st.booleans(), min_size=TURNS, max_size=TURNS),
)
async def test_everybody_gets_what_is_its_own_and_nothing_else(
    script: list[Step], cuts: list[int], read: list[bool]
) -> None:
    wire = Wire()
    turns = ["0", "0", "1"]
    answers: dict[int, Any] = {}
    collected: defaultdict[int, list[Notification]] = defaultdict(list)
    async with anyio.create_task_group() as task_group:
        async with connected_peer(wire, on_request=refuse, max_line_bytes=LIMIT) as peer:
            with ExitStack() as stack:
                for number in range(TURNS):
                    subscription = stack.enter_context(peer.following(f"T{number}"))
                    await start(peer, wire, subscription, turns[number])
                    task_group.start_soon(
                        partial(collect, subscription, collected[number], read=read[number])
                    )
                for number in range(REQUESTS):
                    task_group.start_soon(ask, peer, answers, number)
                heard = [await wire.heard() for _ in range(REQUESTS)]
                ids = [it["id"] for it in sorted(heard, key=lambda it: it["method"])]
                data = b"".join(message(step, turns, ids) for step in script)
                bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
                for begin, end in pairwise(bounds):
                    if data[begin:end]:
                        await wire.say_bytes(data[begin:end])
                wire.hang_up()
                with anyio.fail_after(10):
                    await peer.wait_closed()
    assert answers == expected_answers(script)
    for number in range(TURNS):
        assert told(collected[number]) == expected_of_turn(script, number)

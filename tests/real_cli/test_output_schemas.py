"""What the real CLI makes of the schemas of output types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Optional, Union

import attrs
import pydantic
import pytest
from typing_extensions import NotRequired, TypedDict

from codex_sdk import Codex, ThreadOptions
from codex_sdk._core.output_schema import typed_output
from codex_sdk.testing import ModelServer

from ..core.strict_rules import violations

MakeCodex = Callable[..., Codex]


@attrs.frozen
class Finding:
    """Something in the code that asks for attention."""

    file: str
    severity: int = 1
    related: list[Finding] = attrs.field(factory=list)


@dataclasses.dataclass
class Review:
    findings: list[Finding]
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    verdict: Optional[str] = None


class Options(TypedDict):
    depth: int
    label: NotRequired[str]


class Node(pydantic.BaseModel):
    name: str = "root"
    span: tuple[int, str] = (0, "")
    children: list[Node] = []


CASES = [
    (
        Review,
        '{"findings": [], "scores": [{"key": "style", "value": 0.5}], "verdict": null}',
        Review([], {"style": 0.5}),
    ),
    (Finding, '{"file": "a.py", "severity": 1, "related": []}', Finding("a.py")),
    (Options, '{"depth": 3, "label": null}', {"depth": 3}),
    (
        Node,
        '{"name": "a", "span": {"item_0": 1, "item_1": "x"}, "children": []}',
        Node(name="a", span=(1, "x")),
    ),
    (Union[int, list[Node], None], '{"value": null}', None),
]


@pytest.mark.parametrize(("output_type", "answer", "value"), CASES)
async def test_the_model_is_sent_the_schema_of_the_type_and_its_answer_is_read(
    make_codex: MakeCodex, options: ThreadOptions, output_type: Any, answer: str, value: Any
) -> None:
    async with ModelServer([answer]) as server:
        thread = make_codex(server).start_thread(options)
        result = await thread.run_typed("hi", output_type=output_type)
    assert server.requests[-1].output_schema == typed_output(output_type).schema
    assert violations(server.requests[-1].output_schema) == []
    assert result.output == value

"""What is approved is what was shown, and nothing else."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, DeferredToolRequests, RunContext
from pydantic_ai.capabilities import HandleDeferredToolCalls
from pydantic_ai.exceptions import UserError
from pydantic_ai.tools import DeferredToolResults, ToolApproved

from codex_sdk import CodexWarning, ThreadOptions
from codex_sdk.integrations.pydantic_ai import CodexToolset
from codex_sdk.testing import FunctionCall, ModelServer, RunCommand

from ..real_cli.conftest import MakeCodex
from .conftest import Survivors, asyncio_only
from .models import tool_returns
from .toolsets import ASKING, MakeToolset, approvals, deferring, delegating, go_on, stored


@asyncio_only
@pytest.mark.parametrize("second", ["echo 1 >> made", "echo 2 >> made"])
async def test_an_approval_that_is_given_twice_accepts_nothing_else(
    make_toolset: MakeToolset, workspace: Path, second: str
) -> None:
    script = [RunCommand("echo 1 >> made"), RunCommand(second), "Done."]
    async with ModelServer(script) as server:
        toolset = make_toolset(server, options=ASKING)
        agent = deferring(toolset)
        state = stored(await agent.run("Go"))
        results = {"approve_all": True, "metadata": state[1].metadata}
        later = stored(await go_on(agent, state, **results))
        again = stored(await go_on(agent, state, **results))
        assert approvals(again) == approvals(later)
        assert (workspace / "made").read_text() == "1\n"
        await go_on(agent, again, approve_all=True, metadata=again[1].metadata)
    assert (workspace / "made").read_text() == f"1\n{second.split()[1]}\n"


@asyncio_only
async def test_an_approval_of_another_command_is_an_error(
    make_toolset: MakeToolset, workspace: Path, processes: Survivors
) -> None:
    async def decide(ctx: RunContext[None], requests: DeferredToolRequests) -> DeferredToolResults:
        other = ToolApproved(override_args={"command": "true"})
        return DeferredToolResults(approvals={requests.approvals[0].tool_call_id: other})

    async with ModelServer([RunCommand("touch made"), "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        capabilities = [HandleDeferredToolCalls(decide)]
        agent = Agent(delegating("Go"), toolsets=[toolset], capabilities=capabilities)
        with pytest.raises(UserError, match="other arguments"):
            await agent.run("Go")
        assert processes() == []
    assert not (workspace / "made").exists()


@asyncio_only
async def test_permissions_that_a_command_asks_for_are_shown(
    make_codex: MakeCodex, workspace: Path, legacy: bool
) -> None:
    if legacy:
        pytest.skip("this CLI cannot be given tools")
    asked: list[Any] = []

    async def see(ctx: RunContext[None], requests: DeferredToolRequests) -> None:
        asked.extend(requests.approvals)

    permissions = {
        "sandbox_permissions": "with_additional_permissions",
        "additional_permissions": {"network": {"enabled": True}},
    }
    allowing = {"features": {"exec_permission_approvals": True}}
    async with ModelServer(
        [FunctionCall("exec_command", {"cmd": "true", **permissions})]
    ) as server:
        toolset = CodexToolset(
            codex_options=make_codex(server, config_overrides=allowing).options,
            thread_options=ThreadOptions(
                model="gpt-5-codex",
                working_directory=workspace,
                skip_git_repo_check=True,
                sandbox_mode="workspace-write",
                approval_policy="on-request",
            ),
        )
        agent = deferring(toolset)
        state = stored(await agent.run("Go", capabilities=[HandleDeferredToolCalls(see)]))
        await toolset.close()
    [approval], call = approvals(state), asked[0]
    assert approval["additionalPermissions"]["network"] == {"enabled": True}
    assert call.args["additionalPermissions"] == approval["additionalPermissions"]


@asyncio_only
async def test_an_approval_is_of_no_use_again_when_the_job_is_done(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    echo = RunCommand("echo once >> made")
    async with ModelServer([echo, "Done.", echo]) as server:
        toolset = make_toolset(server, options=ASKING)
        agent = deferring(toolset)
        state = stored(await agent.run("Go"))
        for _ in range(2):
            result = await go_on(agent, state, approve_all=True, metadata=state[1].metadata)
        assert len(approvals(stored(result))) == 1
        await toolset.close()
    assert (workspace / "made").read_text() == "once\n"


@asyncio_only
async def test_an_approval_may_come_in_another_event_loop(
    make_toolset: MakeToolset, workspace: Path
) -> None:
    echo = RunCommand("echo once >> made")
    async with ModelServer([echo, echo, "Done."]) as server:
        toolset = make_toolset(server, options=ASKING)
        agent = deferring(toolset)
        state = stored(await agent.run("Go"))

        def elsewhere() -> Any:
            decided = partial(go_on, approve_all=True, metadata=state[1].metadata)
            return asyncio.run(decided(agent, state))

        with pytest.warns(CodexWarning, match="of another event loop"):
            result = await anyio.to_thread.run_sync(elsewhere)
        await toolset.close()
    assert result.output == "Reported."
    assert tool_returns(result.all_messages())[-1].content == "Done."
    assert (workspace / "made").read_text() == "once\n"

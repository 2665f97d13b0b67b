"""Who is asked before Codex acts. ``codex exec`` has nobody to ask but, in newer CLIs, a model."""

from __future__ import annotations

from ..options import ApprovalMode, ApprovalsReviewer
from .command_line import CommandLine
from .versions import CliVersion

__all__ = ["REVIEWERS", "REVIEWS_APPROVALS", "add_approvals"]

REVIEWS_APPROVALS = CliVersion(0, 163, 0)
"""The first version seen whose ``exec`` has a reviewer asked, instead of forcing "never"."""

REVIEWERS = ("guardian_subagent", "auto_review")
"""The model that reviews, by its older and its newer name."""

_REVIEWED = ("on-request", "on-failure")


def add_approvals(line: CommandLine) -> None:
    """Set the policy and the reviewer, so far as they have an effect."""
    reviewed = _add_reviewer(line)
    if line.thread.approval_policy is None:
        return
    policy = line.choice("approval_policy", ApprovalMode)
    if policy == "never" or (reviewed and policy in _REVIEWED):
        line.set("approval_policy", policy)
    else:
        line.warn_of("approval_policy", _why_not(line, policy) if reviewed else _why_never(line))


def _add_reviewer(line: CommandLine) -> bool:
    """Set who reviews approvals; true: somebody does."""
    reviews = line.version.reaches(REVIEWS_APPROVALS)
    if line.thread.approvals_reviewer is None:
        return reviews and line.overrides.get("approvals_reviewer") in REVIEWERS
    reviewer = line.choice("approvals_reviewer", ApprovalsReviewer)
    if reviews:
        line.set("approvals_reviewer", reviewer)
    elif reviewer != "user":
        line.warn_of(
            "approvals_reviewer", "what needs an approval is refused; a newer CLI reviews it"
        )
    return reviews and reviewer in REVIEWERS


def _why_not(line: CommandLine, policy: str) -> str:
    if policy == "granular":
        details = "config_overrides={'approval_policy': {'granular': {...}}}"
        return f"this policy consists of its details; give them as {details}"
    return 'it no longer knows this policy; use "on-request"'


def _why_never(line: CommandLine) -> str:
    instead = "the app-server asks its client"
    if line.version.reaches(REVIEWS_APPROVALS):
        instead += (
            ', and with approvals_reviewer="guardian_subagent" a model reviews what is "on-request"'
        )
    return f'codex exec has nobody to ask, and runs with "never"; {instead}'

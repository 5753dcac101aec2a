"""Checks in words, a line each."""

from __future__ import annotations

from collections.abc import Mapping

from ..protocol.checks import CheckStatus, CheckView


def check_line(check: CheckView, *, of_worker: bool = False) -> str:
    """What was checked, by whom, why, and what was found."""
    where = "all of it" if check.kind == "replica" else f"its part {check.region}"
    whose = f"job {check.job_id} frame {check.frame}" if of_worker else f"frame {check.frame} of {check.worker_name}"
    by = f" by {check.checker_name}" if check.checker_name else ""
    what = "settled" if check.dispute else "checked"
    if check.status is CheckStatus.OPEN:
        return f"  {whose}: {where} is being {what} ({check.reason})"
    if check.status is CheckStatus.DROPPED:
        return f"  {whose}: {where} was not {what}: {check.sentence} ({check.reason})"
    return f"  {whose}: {where} {what}{by}: {check.verdict}, {check.sentence} ({check.reason})"


def check_counts(counts: Mapping[str, int]) -> str:
    """Such as ``12 match, 1 mismatch, 2 open``."""
    order = ("match", "mismatch", "inconclusive", "open")
    return ", ".join(f"{counts[name]} {name}" for name in order if counts.get(name))

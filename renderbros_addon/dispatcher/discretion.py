"""What a submitter is told of workers: enough to follow a job, and nothing that says whose machine it is.

In place of a worker's id and name stands a word that is the same for one worker all through a job, and another one in
every other job.
"""

from __future__ import annotations

from ..protocol.checks import CheckView
from ..protocol.jobs import JobView, LogEntry
from . import tokens
from .callers import Caller

_WITHHELD = frozenset({"name", "owner", "account", "checker", "checker_id", "lease_id", "log_tail"})
"""Of a log entry that is about a worker. The end of a renderer's log has the paths of its machine in it."""


def alias(job_id: str, worker_id: str) -> str:
    """Ids of workers are random and long: nobody can try them all."""
    return f"worker-{tokens.digest(f'{job_id} {worker_id}')[:8]}"


def job(view: JobView, caller: Caller) -> JobView:
    if caller.account is None or not view.running:
        return view
    running = tuple(
        task.model_copy(update=dict.fromkeys(("worker_id", "worker_name"), alias(view.id, task.worker_id)))
        for task in view.running
    )
    return view.model_copy(update={"running": running})


def check(view: CheckView, caller: Caller) -> CheckView:
    if caller.account is None:
        return view
    names: dict[str, object] = dict.fromkeys(("worker_id", "worker_name"), alias(view.job_id, view.worker_id))
    if view.checker_id is not None:
        names |= dict.fromkeys(("checker_id", "checker_name"), alias(view.job_id, view.checker_id))
    return view.model_copy(update=names)


def entry(log: LogEntry, caller: Caller) -> LogEntry:
    return log if caller.account is None else of_job(log)


def of_job(log: LogEntry) -> LogEntry:
    """An entry of a job's log as its submitter gets it."""
    if log.worker_id is None or log.job_id is None:
        return log
    detail = {name: value for name, value in log.detail.items() if name not in _WITHHELD}
    return log.model_copy(update={"worker_id": alias(log.job_id, log.worker_id), "detail": detail})

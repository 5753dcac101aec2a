"""Watching a job to its end, and bringing its frames home on the way."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..client.http import DispatcherClient
from ..protocol.jobs import JobView
from ..protocol.states import JobStatus
from .errors import CommandError
from .fetching import Fetcher
from .job_news import JobNews
from .progress import Display


def follow(
    client: DispatcherClient,
    job_id: str,
    display: Display,
    *,
    fetcher: Fetcher | None = None,
    check: Callable[[JobView], None] | None = None,
) -> JobView:
    """Watch until the job has ended; its last state. ``check`` is called at every look and may raise.

    CommandError if it failed or was cancelled, after its finished frames were brought.
    """
    with JobNews(client, job_id) as news:
        at_job = True
        while True:
            done = news.frames()
            if at_job:
                job = client.job(job_id)
                display.show(job)
            # At the end all of them once more: a frame may have been replaced by one that somebody else rendered.
            if fetcher:
                for file in fetcher.fetch(None if job.status.ended else done):
                    display.finished(file, job)
            if job.status.ended:
                break
            if at_job and check:
                check(job)
            at_job = news.wait()
    if job.status is not JobStatus.COMPLETED:
        why = f": {job.reason.message}" if job.reason else ""
        code = job.reason.code.value if job.reason else None
        verb = "was cancelled" if job.status is JobStatus.CANCELLED else "failed"
        raise CommandError(f"job {job.id} {verb}{why}", status=job.status.value, job=job.id, code=code)
    return job


class Patience:
    """Ends a wait that can't end: work is queued, every worker of our own farm is there, and none can take it."""

    SECONDS = 10.0

    def __init__(self, client: DispatcherClient, workers: int) -> None:
        self._client = client
        self._workers = workers
        self._since: float | None = None

    def check(self, job: JobView) -> None:
        """CommandError with the dispatcher's reason once it has stood for a while."""
        if job.waiting is None or not self._all_online():
            self._since = None
            return
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > self.SECONDS:
            raise CommandError(f"this machine's farm can't render the job: {job.waiting}", job=job.id, code="no_worker")

    def _all_online(self) -> bool:
        online = [w for w in self._client.workers() if w.status.value in ("online", "enrolled")]
        return len(online) >= self._workers

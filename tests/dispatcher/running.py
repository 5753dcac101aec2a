"""A real dispatcher on a real socket, in a thread of the test's process, and a worker that renders by numpy."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dispatcher.pictures import BLEND, BLEND_SHA, enrolment, render

from renderbros_addon.client.errors import Conflict
from renderbros_addon.client.http import DispatcherClient, new_key
from renderbros_addon.dispatcher.config import DispatcherConfig
from renderbros_addon.dispatcher.server import serve
from renderbros_addon.dispatcher.service import Dispatcher
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.jobs import JobSpec, JobView
from renderbros_addon.protocol.leases import Lease, LeaseRequest
from renderbros_addon.protocol.results import TaskResult
from renderbros_addon.protocol.workers import Enrolled, Enrolment

OPERATOR = f"rbo_{'0123456789abcdef' * 4}"
"""The token of the operator of each of these dispatchers."""

CHECKER = [sys.executable, "-c", "from renderbros_addon.imaging.checker import run_checker; run_checker()"]


def config(data: Path, **changes: Any) -> DispatcherConfig:
    usual = {"checker_command": CHECKER, "port": 0, "intake_threads": 1, "operator_token": OPERATOR}
    return DispatcherConfig(**usual | {"data": data} | changes)


@contextmanager
def running(data: Path, **changes: Any) -> Iterator[str]:
    """A dispatcher's URL; it is stopped on leaving, and has to stop in time."""
    ready = threading.Event()
    urls: list[str] = []
    problems: list[BaseException] = []
    stop = threading.Event()

    def run() -> None:
        try:
            serve(config(data, **changes), on_ready=lambda url: (urls.append(url), ready.set()), stop=stop)
        except BaseException as error:
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(30)
    if problems:
        thread.join()
        raise problems[0]
    try:
        yield urls[0]
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive(), "the dispatcher did not stop"
        assert not problems, problems


@contextmanager
def serve_with_pages(data: Path) -> Iterator[tuple[str, Dispatcher]]:
    """A dispatcher with the web pages: its URL, and itself."""
    from renderbros_addon.dashboard.pages import mount

    ready, stop = threading.Event(), threading.Event()
    found: list[Any] = []

    def extend(app: Any, dispatcher: Dispatcher) -> None:
        found.append(dispatcher)
        mount(app, dispatcher)

    told = {"on_ready": lambda url: (found.append(url), ready.set()), "stop": stop, "extend": extend}
    thread = threading.Thread(target=serve, args=(config(data),), kwargs=told)
    thread.start()
    assert ready.wait(60)
    try:
        yield found[1], found[0]
    finally:
        stop.set()
        thread.join(15)


def until(what: str, true: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait for ``true()`` and return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"in {seconds} s never came true: {what}"
        time.sleep(0.02)
    return found


def invited(url: str, told: Enrolment) -> Enrolment:
    """``told``, with an invite of the operator's."""
    with DispatcherClient(url, OPERATOR) as operator:
        return told.model_copy(update={"invite": operator.invite(Role.WORKER).code})


def enrolled(url: str, told: Enrolment) -> Enrolled:
    """Enrol a worker, new or known."""
    with DispatcherClient(url) as anyone:
        return anyone.enrol(invited(url, told))


class Worker:
    """Leases, makes images with numpy, uploads: a worker as the dispatcher sees it."""

    wrong = 0.0
    """Added to every value of what it renders."""

    def __init__(
        self,
        url: str,
        folder: Path,
        name: str = "worker",
        *,
        retry_for: float = 5,
        owner: str | None = "all of them are of one owner",
        **able: Any,
    ) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.enrolled = enrolled(url, enrolment(name, owner, **able))
        self._hands: list[Lease] = []
        self._rendered: dict[str, tuple[Path, TaskResult]] = {}
        self._key = new_key()
        self.client = DispatcherClient(url, self.enrolled.token, retry_for=retry_for)
        self.operator = DispatcherClient(url, OPERATOR, retry_for=retry_for)

    def lease(self, count: int = 1, wait: float = 0.0, key: str | None = None) -> tuple[Lease, ...]:
        return self.client.lease(LeaseRequest(count=count), wait=wait, key=key).leases

    def deliver(self, lease: Lease) -> Any:
        if lease.id not in self._rendered:
            size = (lease.scene.width, lease.scene.height)
            self._rendered[lease.id] = render(lease.task, self.folder, lease.scene.format, size, self.wrong)
        path, result = self._rendered[lease.id]
        for _ in range(20):
            self.client.upload(path, result.output.sha256, result.output.size)
            try:
                return self.client.result(lease.id, result)
            except Conflict as error:
                # Others make the same bytes, and the dispatcher deletes what has served it.
                if error.problem.word != "missing_blob":
                    raise
        raise AssertionError("its file never stays")

    def work(self, job_id: str, seconds: float = 30) -> JobView:
        """Render whatever there is until the job has ended.

        If the dispatcher goes away, raises, and goes on when called again: with the tasks that are in hand, and with
        the same key for a request whose answer got lost.
        """
        deadline = time.monotonic() + seconds
        while not (job := self.operator.job(job_id)).status.ended:
            assert time.monotonic() < deadline, job
            if not self._hands:
                self._hands = list(self.lease(count=4, wait=0.3, key=self._key))
                self._key = new_key()
            while self._hands:
                self.deliver(self._hands[0])
                self._hands.pop(0)
        return job


def submit(client: DispatcherClient, spec: JobSpec, folder: Path) -> str:
    """Create a job and upload its one file; returns its id."""
    job = client.create_job(spec)
    if job.missing_blobs:
        path = folder / "scene.blend"
        path.write_bytes(BLEND)
        client.upload(path, BLEND_SHA, len(BLEND))
    return job.id

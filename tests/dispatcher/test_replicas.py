"""Two dispatchers on one PostgreSQL database and one blob folder are one farm."""

from __future__ import annotations

import threading
from pathlib import Path

from dispatcher import invariants
from dispatcher.pictures import job_spec
from dispatcher.running import OPERATOR, Worker, running, submit, until

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.protocol.states import JobStatus


def test_jobs_submitted_at_one_are_rendered_through_both(postgresql_database: str, tmp_path: Path) -> None:
    shared = {"database": postgresql_database, "storage": (tmp_path / "blobs").as_uri()}
    with (
        running(tmp_path / "a", **shared) as first,
        running(tmp_path / "b", **shared) as second,
        DispatcherClient(first, OPERATOR) as client,
    ):
        owner = "the same for all of them"  # who therefore check nothing
        workers = [
            Worker(url, tmp_path, f"worker {i}", owner=owner) for i, url in enumerate((first, second, first, second))
        ]
        whole = submit(client, job_spec(frames=tuple(range(12))), tmp_path)
        tiled = submit(client, job_spec(frames=(31, 32, 33), tiles=(2, 2)), tmp_path)
        ended: list[JobStatus] = []

        def work(worker: Worker) -> None:
            ended.extend(worker.work(job_id, 60).status for job_id in (whole, tiled))

        threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ended == [JobStatus.COMPLETED] * 8
        blobs = tmp_path / "blobs"
        until("the scene and the frames are left", lambda: sum(path.is_file() for path in blobs.rglob("*")) == 16)
        assert {view.name: view.tasks_accepted for view in client.workers()}.keys() == {f"worker {i}" for i in range(4)}
        assert sum(view.tasks_accepted for view in client.workers()) == 12 + 12 + 3
    store = Store(postgresql_database)
    with store.read() as conn:
        invariants.check(conn)
    store.close()


def test_a_worker_waiting_at_one_gets_what_is_submitted_at_the_other(postgresql_database: str, tmp_path: Path) -> None:
    shared = {"database": postgresql_database, "storage": (tmp_path / "blobs").as_uri()}
    with (
        running(tmp_path / "a", **shared) as first,
        running(tmp_path / "b", **shared) as second,
        DispatcherClient(first, OPERATOR) as client,
    ):
        worker = Worker(second, tmp_path)
        worker.lease()
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(len(worker.lease(wait=15))))
        thread.start()
        submit(client, job_spec(), tmp_path)
        thread.join(5)
        assert found == [1]

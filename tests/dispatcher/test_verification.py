"""A dispatcher on a real socket, workers of several owners that really make images, and some that cheat."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dispatcher import invariants
from dispatcher.pictures import WIDTH, job_spec, render, result_of, whole_picture, write_channels
from dispatcher.running import OPERATOR, Worker, config, running, submit, until
from sqlalchemy import select

from renderbros_addon.client.errors import DispatcherError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.dispatcher.tables import checks, trust
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.checks import CheckStatus
from renderbros_addon.protocol.jobs import JobSpec
from renderbros_addon.protocol.leases import Lease, Task
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.states import JobStatus, TaskKind, WorkerStatus

SIZE = (160, 96)


def spec(frames: int, **changes: Any) -> JobSpec:
    scene = {"width": SIZE[0], "height": SIZE[1]}
    return job_spec(frames=tuple(range(1, frames + 1)), scene=scene, **changes)


def stranger(url: str, folder: Path, name: str, **able: Any) -> Worker:
    """A worker that is its own owner."""
    return Worker(url, folder, name, owner=None, **able)


def honest_digest(frame: int, folder: Path) -> str:
    task = Task(id="x", job_id="x", kind=TaskKind.RENDER, frame=frame, region=Region.full(*SIZE), linear=False)
    return render(task, folder, "PNG", SIZE)[1].output.pixel_digest


def work(workers: list[Worker], job_id: str) -> None:
    """All of them at once, until the job has ended."""

    def one(worker: Worker) -> None:
        worker.work(job_id, 60)

    threads = [threading.Thread(target=one, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check_delivered(client: DispatcherClient, job_id: str, folder: Path, frames: int) -> None:
    job = client.job(job_id)
    assert job.status is JobStatus.COMPLETED
    views = client.frames(job_id).frames
    assert len(views) == frames
    for view in views:
        assert view.files[0].output.pixel_digest == honest_digest(view.frame, folder), f"frame {view.frame} is wrong"


def check_database(folder: Path) -> None:
    store = Store(config(folder).database_url)
    with store.read() as conn:
        invariants.check(conn)
        assert not conn.execute(select(checks.c.id).where(checks.c.status == CheckStatus.OPEN)).all()
        assert not conn.execute(select(trust.c.worker_id).where(trust.c.recall_after.is_not(None))).all()
    store.close()


def left(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "blobs").rglob("*"))


def test_a_cheat_among_three_owners_is_caught_and_every_delivered_frame_is_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, name) for name in ("good", "better", "cheat")]
        workers[2].wrong = 0.02
        job_id = submit(client, spec(14, local=True), tmp_path)
        work(workers, job_id)
        check_delivered(client, job_id, tmp_path, 14)
        by_name = {view.name: view for view in client.workers()}
        assert by_name["cheat"].status in (WorkerStatus.QUARANTINED, WorkerStatus.BANNED)
        assert by_name["good"].standing
        assert by_name["good"].standing.faults == by_name["better"].standing.faults == 0  # type: ignore[union-attr]
        assert by_name["good"].standing.passed > 0
        found = client.job_checks(job_id)
        parts = [check for check in found if check.kind is TaskKind.CHECK]
        assert parts
        assert all(check.region.width < SIZE[0] for check in parts)
        cheats = client.worker_checks(by_name["cheat"].id)
        assert {check.verdict for check in cheats} <= {"mismatch", None}
        told = next(check for check in cheats if check.comparison)
        assert told.comparison
        assert told.comparison.tolerance.origin == "exact"
        until("nothing is left but the scene and the frames", lambda: left(data) == 15)
    check_database(data)


@pytest.mark.parametrize("local", [False, True])
def test_two_who_agree_are_proof_enough_by_what_they_made_of_the_frame_itself(tmp_path: Path, local: bool) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, name) for name in ("cheat", "good", "better")]
        workers[0].wrong = 0.02
        job_id = submit(client, spec(1, local=local), tmp_path)
        [lease] = workers[0].lease()
        for other in workers[1:]:
            assert not other.lease(), "they are there, and can be asked"
        workers[0].deliver(lease)  # nothing of this job has been rendered alike yet
        work(workers[1:], job_id)
        check_delivered(client, job_id, tmp_path, 1)
        faults = {view.name: view.standing.faults for view in client.workers() if view.standing}
        assert faults["good"] == faults["better"] == 0
        # Of a frame of which parts can be checked, each of the two may have been asked for another part.
        assert local or faults["cheat"] == 1


def test_tiles_and_finished_frames_are_checked_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, name) for name in ("good", "better", "cheat")]
        workers[2].wrong = 0.02
        job_id = submit(client, spec(4, tiles=(2, 1)), tmp_path)
        work(workers, job_id)
        check_delivered(client, job_id, tmp_path, 4)
        cheat = next(view for view in client.workers() if view.name == "cheat")
        assert cheat.status in (WorkerStatus.QUARANTINED, WorkerStatus.BANNED)
        until("nothing is left but the scene and the frames", lambda: left(data) == 5)
    check_database(data)


def test_workers_of_one_owner_do_not_check_each_other(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [Worker(url, tmp_path, f"mine {i}", owner="a secret that both share") for i in range(2)]
        job_id = submit(client, job_spec(frames=(1, 2, 3)), tmp_path)
        work(workers, job_id)
        assert client.job(job_id).status is JobStatus.COMPLETED
        assert not client.job_checks(job_id)
        assert len({view.owner for view in client.workers()}) == 1


def test_what_cannot_be_rendered_alike_is_not_checked(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, f"w{i}") for i in range(2)]
        workers[0].wrong = 0.02
        job_id = submit(client, job_spec(frames=(1, 2, 3), repeatable=False), tmp_path)
        work(workers, job_id)
        assert client.job(job_id).status is JobStatus.COMPLETED
        assert all(view.status is WorkerStatus.ONLINE for view in client.workers())


def test_another_build_that_differs_honestly_is_not_punished(tmp_path: Path) -> None:
    """Two owners of one class agree, the third's build makes other pixels: nobody of its class can confirm a fault."""
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, name) for name in ("one", "other")]
        workers.append(stranger(url, tmp_path, "elsewhere", instruction_set="SSE42"))
        workers[2].wrong = 0.3
        job_id = submit(client, job_spec(frames=tuple(range(6))), tmp_path)
        work(workers, job_id)
        assert client.job(job_id).status is JobStatus.COMPLETED
        standings = [view.standing for view in client.workers()]
        assert [standing.faults for standing in standings if standing] == [0, 0, 0]
        assert any(check.verdict == "mismatch" for check in client.job_checks(job_id))


def test_a_cheat_gets_nothing_until_its_quarantine_ends(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [stranger(url, tmp_path, name) for name in ("good", "better", "cheat")]
        workers[2].wrong = 0.02
        work(workers, submit(client, job_spec(frames=tuple(range(10))), tmp_path))
        cheat = next(view for view in client.workers() if view.name == "cheat")
        assert cheat.status is WorkerStatus.QUARANTINED
        assert cheat.standing
        assert cheat.standing.until
        submit(client, job_spec(frames=(50,)), tmp_path)
        assert not workers[2].lease()
        assert client.pardon_worker(cheat.id).standing.faults == 1  # type: ignore[union-attr]
        until("the pardoned one gets work", lambda: bool(_try_lease(workers[2])))


class Sparing(Worker):
    """Leaves out a pass that the scene has."""

    spares = False

    def deliver(self, lease: Lease) -> Any:
        pixels = whole_picture(lease.task.frame, SIZE)
        names = [f"ViewLayer.Combined.{channel}" for channel in "RGBA"]
        if not self.spares:
            pixels, names = np.concatenate([pixels, pixels[..., :1]], axis=-1), [*names, "ViewLayer.Depth.Z"]
        path = self.folder / f"{lease.id}.exr"
        write_channels(path, pixels, "float", tuple(names))
        self._rendered[lease.id] = path, result_of(inspect_image(path))
        return super().deliver(lease)


def test_a_pass_that_is_left_out_is_missed(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers = [Sparing(url, tmp_path, name, owner=None) for name in ("good", "better", "sparing")]
        workers[2].spares = True
        scene = {"width": SIZE[0], "height": SIZE[1], "format": "OPEN_EXR_MULTILAYER"}
        job_id = submit(client, job_spec(frames=(1, 2, 3, 4), scene=scene), tmp_path)
        workers[2].deliver(workers[2].lease()[0])
        work(workers, job_id)
        assert client.job(job_id).status is JobStatus.COMPLETED
        for view in client.frames(job_id).frames:
            assert "ViewLayer.Depth.Z" in view.files[0].output.channels


def _try_lease(worker: Worker) -> Any:
    try:
        return worker.lease()
    except DispatcherError:
        return None


assert SIZE[0] > WIDTH, "parts are only drawn of what is larger than they are"


class Remembering(Worker):
    """Honest, but of a scene whose pixels depend on whether the frame before was rendered just before."""

    before = -9

    def deliver(self, lease: Lease) -> Any:
        self.wrong = 0.3 if self.before == lease.task.frame - 1 else 0.0
        self.before = lease.task.frame
        return super().deliver(lease)


def test_a_scene_that_remembers_convicts_nobody(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        workers: list[Worker] = [Remembering(url, tmp_path, f"w{i}", owner=None) for i in range(4)]
        job_id = submit(client, job_spec(frames=tuple(range(1, 15))), tmp_path)
        work(workers, job_id)
        assert client.job(job_id).status is JobStatus.COMPLETED
        assert [view.standing.faults for view in client.workers() if view.standing] == [0, 0, 0, 0]
        assert "mismatch" in {check.verdict for check in client.job_checks(job_id)}

"""A dispatcher killed between any two steps goes on where it was: no task, no frame, no blob is lost or left over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dispatcher import invariants
from dispatcher.crashing import STEPS, armed
from dispatcher.pictures import job_spec, whole_picture, write_png
from dispatcher.running import OPERATOR, Worker, submit, until

from renderbros_addon.client.errors import DispatcherUnreachable
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.states import JobStatus

ROOT = Path(__file__).resolve().parents[2]


class Crashing:
    """Starts the program again and again on the same data and port."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self, step: str) -> str:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        command = [sys.executable, "-m", "dispatcher.crashing", str(self.data), str(self.port), step]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | {"PYTHONPATH": path}
            )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        assert url, self.log.read_text()
        self.port = int(url.rsplit(":", 1)[1])
        return url

    def died(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture
def crashing(tmp_path: Path) -> Crashing:
    return Crashing(tmp_path)


def test_killed_at_every_step(crashing: Crashing, tmp_path: Path) -> None:
    jobs: list[str] = []
    trigger = armed(crashing.data)
    worker: Worker | None = None
    try:
        for number, step in enumerate(STEPS):
            url = crashing.start(step)
            worker = worker or Worker(url, tmp_path, retry_for=0.2)
            finish(worker, jobs)
            trigger.touch()
            try:
                with DispatcherClient(url, OPERATOR, retry_for=0.2) as client:
                    jobs.append(submit(client, job_spec(frames=(number,), tiles=(2, 1)), tmp_path))
                worker.work(jobs[-1])
                until("it is killed", crashing.died)
            except DispatcherUnreachable:
                until("it is killed", crashing.died)
            trigger.unlink()
            crashing.stop()
        assert worker is not None
        crashing.start(next(iter(STEPS)))
        finish(worker, jobs)
        assert len(jobs) >= len(STEPS) - 2, "all but those killed before their job was taken"
        for number, job_id in enumerate(jobs):
            [frame] = worker.operator.frames(job_id).frames
            assert frame.files[0].output.pixel_digest == undisturbed(tmp_path, frame.frame), number
        until("only the scene and the frames are left", lambda: len(blobs(crashing.data)) == 1 + len(jobs))
        until("scratch is empty", lambda: not list((crashing.data / "scratch").iterdir()))
    finally:
        crashing.stop()
    store = Store(f"sqlite:///{(crashing.data / 'dispatcher.sqlite3').as_posix()}")
    with store.read() as conn:
        invariants.check(conn)
    store.close()


def finish(worker: Worker, jobs: list[str]) -> None:
    for job_id in jobs:
        assert worker.work(job_id).status is JobStatus.COMPLETED


def undisturbed(folder: Path, frame: int) -> str:
    """Digest of the frame's pixels, as the finish task renders them."""
    return inspect_image(write_png(folder / f"whole{frame}.png", whole_picture(frame))).pixel_digest


def blobs(data: Path) -> list[Path]:
    return [path for path in (data / "blobs").rglob("*") if path.is_file()]


def test_a_disk_that_is_full_while_a_frame_is_finished(tmp_path: Path) -> None:
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user", "--user"]), "--"]
    try:
        able = subprocess.run(
            [*alone, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True, check=False
        )
    except OSError:
        pytest.skip("no unshare here")
    if able.returncode:
        pytest.skip(f"no disk can be mounted here: {able.stderr.decode()}")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [*alone, sys.executable, "-m", "dispatcher.full_disk", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90, check=False, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "completed"
    assert told["found"] == told["expected"]
    assert not {"failed", "cancelled"} & set(told["while full"]), "no job is given up for a full disk"
    assert told["refused"] == 507
    assert told["left"] == []
    assert any("of the intake failed" in text for text in told["log"]), "the log tells of it"

"""The client and the dispatcher, as they are, over a socket."""

from __future__ import annotations

import hashlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from faults import FaultyProxy, free_port

from renderbros_addon.client import retry
from renderbros_addon.client.errors import Conflict, DispatcherError, NotFound, Refused
from renderbros_addon.client.events import AnyEvent, EventStream
from renderbros_addon.client.http import DispatcherClient, new_key
from renderbros_addon.dispatcher.config import DispatcherConfig
from renderbros_addon.dispatcher.server import serve
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.events import CancelLease, PauseWorker, StateChange, TaskProgress, WorkAvailable
from renderbros_addon.protocol.jobs import JobFile, JobSpec, JobView, SceneSpec
from renderbros_addon.protocol.leases import LeaseRequest, Progress
from renderbros_addon.protocol.results import Failure, RenderStats, TaskResult
from renderbros_addon.protocol.states import FailureCode, FailureKind, FrameStatus, JobStatus, WorkerStatus
from renderbros_addon.protocol.workers import Capabilities, Device, Enrolment

ROOT = Path(__file__).resolve().parents[2]
BLEND = b"BLENDER-v405 not really" * 10_000
SHA = hashlib.sha256(BLEND).hexdigest()
WIDTH, HEIGHT = 16, 12
OPERATOR = f"rbo_{'0123456789abcdef' * 4}"


class Farm:
    """A dispatcher in ``folder`` that can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        up = threading.Event()
        self._stop = threading.Event()
        config = DispatcherConfig(
            data=self.folder,
            checker_command=[sys.executable, str(ROOT / "bootstrap" / "start.py"), "check-images"],
            port=self.port,
            operator_token=OPERATOR,
        )
        self._thread = threading.Thread(
            target=serve, args=(config,), kwargs={"on_ready": lambda url: up.set(), "stop": self._stop}, daemon=True
        )
        self._thread.start()
        assert up.wait(30), "the dispatcher did not start"

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
            assert not self._thread.is_alive(), "the dispatcher did not stop"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("farm"))
    farm.start()
    yield farm
    farm.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.02)


@pytest.fixture
def submitter(farm: Farm) -> Iterator[DispatcherClient]:
    """A submitter, at a dispatcher on which no other test's job is left to be done."""
    with DispatcherClient(farm.url, OPERATOR, retry_for=20.0) as client:
        for job in client.jobs():
            if not job.status.ended:
                client.cancel_job(job.id)
        yield client


@pytest.fixture
def worker(farm: Farm, submitter: DispatcherClient) -> Iterator[DispatcherClient]:
    with DispatcherClient(farm.url, enrolled(submitter)[1], retry_for=20.0) as client:
        yield client


def enrolled(client: DispatcherClient, name: str = "") -> tuple[str, str]:
    """Id and token of a new worker."""
    made = client.enrol(
        Enrolment(
            name=name or f"worker-{new_key()[:6]}",
            invite=client.invite(Role.WORKER).code,
            secret=new_key(),
            capabilities=Capabilities(
                blender="4.5.15",
                series="4.5",
                build="abcdef",
                engines=("CYCLES",),
                devices=(Device(kind="CPU", backend="CPU", name="some processor"),),
                platform="Linux x86_64",
                instruction_set="AVX2",
                threads=2,
                memory=1 << 30,
            ),
        )
    )
    return made.id, made.token


def job_of(frames: tuple[int, ...] = (1,), content: bytes = BLEND) -> JobSpec:
    return JobSpec(
        name="a job",
        frames=frames,
        frame_name="shot_####.png",
        scene=SceneSpec(
            blend="scene.blend",
            files=(JobFile(path="scene.blend", sha256=hashlib.sha256(content).hexdigest(), size=len(content)),),
            width=WIDTH,
            height=HEIGHT,
            format="PNG",
            series=("4.5",),
            engine="CYCLES",
        ),
    )


def queued_job(client: DispatcherClient, folder: Path, frames: tuple[int, ...] = (1,)) -> JobView:
    job = client.create_job(job_of(frames))
    blend = folder / "scene.blend"
    blend.write_bytes(BLEND)
    client.upload(blend, SHA, len(BLEND))
    job = client.job(job.id)
    # Active already if a worker waits for it.
    assert job.status in (JobStatus.QUEUED, JobStatus.ACTIVE)
    return job


def painted(path: Path, shade: int) -> TaskResult:
    """A real PNG at ``path``, and what a worker tells about it."""
    pixels = np.full((HEIGHT, WIDTH, 4), shade, np.uint8)
    pixels[::2, ::3, :3] = 255 - shade
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), oiio.ImageSpec(WIDTH, HEIGHT, 4, "uint8"))
    assert out.write_image(pixels)
    out.close()
    return TaskResult(
        output=inspect_image(path),
        stats=RenderStats(render_seconds=0.1, total_seconds=0.2, blender="4.5.15 (abcdef)", device="CPU"),
    )


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def test_from_a_job_to_its_frames(submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path) -> None:
    submitter.health()
    job = queued_job(submitter, tmp_path, (1, 2))
    assert job.missing_blobs == ()
    assert job.id in [one.id for one in submitter.jobs()]
    for shade in (10, 20):
        (lease,) = worker.lease(LeaseRequest(), wait=5.0).leases
        assert lease.task.job_id == job.id
        worker.download(SHA, len(BLEND), tmp_path / "got.blend")
        assert (tmp_path / "got.blend").read_bytes() == BLEND
        renewal = worker.renew(lease.id, Progress(sample=3, samples=8, seconds_left=1.5))
        assert not renewal.cancel
        (running,) = submitter.job(job.id).running
        assert (running.task_id, running.sample) == (lease.task.id, 3)
        image = tmp_path / f"{shade}.png"
        result = painted(image, shade)
        worker.upload(image, result.output.sha256, result.output.size)
        assert worker.blob_size(result.output.sha256) == result.output.size
        key = new_key()
        first = worker.result(lease.id, result, key=key)
        assert first.wanted
        assert worker.result(lease.id, result, key=key) == first
    until(lambda: submitter.job(job.id).status == JobStatus.COMPLETED)
    frames = submitter.frames(job.id).frames
    assert [(frame.frame, frame.status) for frame in frames] == [(1, FrameStatus.DONE), (2, FrameStatus.DONE)]
    assert submitter.frame(job.id, 2) == frames[1]
    for frame in frames:
        (file,) = frame.files
        assert file.name == f"shot_{frame.frame:04d}.png"
        submitter.download(file.output.sha256, file.output.size, tmp_path / file.name)
        assert inspect_image(tmp_path / file.name) == file.output
    entries = submitter.log(job.id).entries
    assert entries
    assert submitter.log(job.id, entries[-1].id).entries == ()


def test_what_can_be_done_to_a_job(submitter: DispatcherClient, tmp_path: Path) -> None:
    job = queued_job(submitter, tmp_path)
    assert submitter.set_priority(job.id, 80).priority == 80
    assert submitter.pause_job(job.id).status == JobStatus.PAUSED
    assert submitter.resume_job(job.id).status in (JobStatus.QUEUED, JobStatus.ACTIVE)
    assert submitter.cancel_job(job.id).status == JobStatus.CANCELLED
    with pytest.raises(Conflict):
        submitter.pause_job(job.id)
    assert not submitter.retry_job(job.id).status.ended
    with pytest.raises(NotFound) as told:
        submitter.job("no-such-job")
    assert told.value.word == "unknown_job"
    with pytest.raises(NotFound):
        submitter.frame(job.id, 999)


def test_what_can_be_done_to_a_worker(farm: Farm, submitter: DispatcherClient) -> None:
    worker_id, token = enrolled(submitter)
    worker = DispatcherClient(farm.url, token, retry_for=5.0)
    worker.lease(LeaseRequest())
    assert worker_id in [one.id for one in submitter.workers()]
    paused = submitter.pause_worker(worker_id)
    assert paused.pause_requested or paused.status == WorkerStatus.PAUSED
    resumed = submitter.resume_worker(worker_id)
    assert not resumed.pause_requested
    assert submitter.ban_worker(worker_id).status == WorkerStatus.BANNED
    with pytest.raises(Refused):
        worker.lease(LeaseRequest())
    assert submitter.pardon_worker(worker_id).status != WorkerStatus.BANNED
    worker.lease(LeaseRequest())


def test_without_a_token_there_are_no_leases(farm: Farm, submitter: DispatcherClient) -> None:
    for token in (None, "wrong"):
        with pytest.raises(Refused):
            DispatcherClient(farm.url, token).lease(LeaseRequest())


def test_leases_given_back(farm: Farm, submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path) -> None:
    job = queued_job(submitter, tmp_path)
    (lease,) = worker.lease(LeaseRequest(), wait=5.0).leases
    worker.release(lease.id)
    worker.release(lease.id)
    worker.release("no-such-lease")
    assert worker.renew(lease.id).cancel
    told = Failure(kind=FailureKind.SCENE, code=FailureCode.MISSING_FILE, message="brick.png is missing")
    with DispatcherClient(farm.url, enrolled(submitter)[1], retry_for=20.0) as another:
        for one in (worker, another):  # two owners have to say so
            (lease,) = one.lease(LeaseRequest(), wait=5.0).leases
            key = new_key()
            one.fail(lease.id, told, key=key)
            one.fail(lease.id, told, key=key)
    failed = submitter.job(job.id)
    assert failed.status == JobStatus.FAILED
    assert failed.reason is not None
    assert "brick.png" in failed.reason.message


def test_a_long_poll_ends_with_work_or_without(
    submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path
) -> None:
    began = time.monotonic()
    assert worker.lease(LeaseRequest(), wait=0.5).leases == ()
    assert time.monotonic() - began >= 0.4
    maker = threading.Timer(0.5, queued_job, (submitter, tmp_path))
    maker.start()
    began = time.monotonic()
    assert len(worker.lease(LeaseRequest(), wait=20.0).leases) == 1
    assert time.monotonic() - began < 10
    maker.join()


def test_lost_answers_make_nothing_twice(
    farm: Farm, submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path
) -> None:
    before = len(submitter.jobs())
    with FaultyProxy(("127.0.0.1", farm.port)) as proxy:
        far = DispatcherClient(proxy.url, OPERATOR, retry_for=20.0)
        proxy.cut_after(5, "down", times=3)
        job = far.create_job(job_of((1, 2, 3)))
        assert proxy.connections >= 4
        assert len(submitter.jobs()) == before + 1
        (tmp_path / "scene.blend").write_bytes(BLEND)
        far.upload(tmp_path / "scene.blend", SHA, len(BLEND))
        distant_worker = DispatcherClient(proxy.url, worker.token, retry_for=20.0)
        proxy.cut_after(5, "down", times=2)
        batch = distant_worker.lease(LeaseRequest(), wait=5.0)
    assert len(batch.leases) == 1
    assert len(submitter.job(job.id).running) == 1, "the other tasks are still to be had"


def test_the_same_key_gives_the_same_leases(
    submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path
) -> None:
    queued_job(submitter, tmp_path, (1, 2, 3))
    key = new_key()
    assert worker.lease(LeaseRequest(count=2), 5.0, key) == worker.lease(LeaseRequest(count=2), 5.0, key)


def test_nothing_is_lost_over_a_restart(
    farm: Farm, submitter: DispatcherClient, worker: DispatcherClient, tmp_path: Path
) -> None:
    job = submitter.create_job(job_of(content=BLEND + b"another"))
    answers: list[object] = []
    poll = threading.Thread(target=lambda: answers.append(worker.lease(LeaseRequest(), wait=20.0)))
    poll.start()
    time.sleep(0.5)  # The poll is under way.
    farm.stop()
    farm.start()
    assert submitter.job(job.id).status == JobStatus.UPLOADING
    (tmp_path / "scene.blend").write_bytes(BLEND + b"another")
    submitter.upload(tmp_path / "scene.blend", job.missing_blobs[0], len(BLEND) + 7)
    poll.join(40)
    assert not poll.is_alive()
    until(lambda: submitter.job(job.id).status != JobStatus.UPLOADING)


def test_wrong_answers_are_told_by_their_word(submitter: DispatcherClient) -> None:
    with pytest.raises(DispatcherError) as told:
        submitter.call("PATCH", "/jobs/some-job", JobView, body=LeaseRequest())
    assert told.value.problem.status == 422
    assert told.value.word == "bad_request"


class Ear:
    """What an event stream heard."""

    def __init__(self, url: str, token: str | None, job: str | None = None) -> None:
        self.heard: queue.Queue[AnyEvent] = queue.Queue()
        self.stop = threading.Event()
        self.stream = EventStream(url, token, self.heard.put, self.stop, job=job)
        self.stream.start()
        until(lambda: self.stream.connected)

    def until(self, wanted: Callable[[AnyEvent], bool]) -> AnyEvent:
        while True:
            event = self.heard.get(timeout=15)
            if wanted(event):
                return event

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.stream.join(10)


def test_events_reach_whom_they_concern(farm: Farm, submitter: DispatcherClient, tmp_path: Path) -> None:
    worker_id, token = enrolled(submitter)
    worker = DispatcherClient(farm.url, token)
    with Ear(farm.url, token) as agent:
        job = queued_job(submitter, tmp_path)
        agent.until(lambda event: isinstance(event, WorkAvailable))
        (lease,) = worker.lease(LeaseRequest(), wait=5.0).leases
        with Ear(farm.url, OPERATOR, job.id) as viewer:
            progress = Progress(sample=2, samples=4, seconds_left=1.0)
            agent.stream.send(TaskProgress(lease_id=lease.id, progress=progress))
            told = viewer.until(lambda event: isinstance(event, TaskProgress))
            assert isinstance(told, TaskProgress)
            assert (told.job_id, told.task_id, told.progress) == (job.id, lease.task.id, progress)
            submitter.pause_worker(worker_id)
            agent.until(lambda event: event == PauseWorker(paused=True))
            submitter.cancel_job(job.id)
            agent.until(lambda event: event == CancelLease(lease_id=lease.id))
            change = viewer.until(lambda event: isinstance(event, StateChange) and event.entry.event == "job.cancelled")
            assert isinstance(change, StateChange)
            assert change.entry.job_id == job.id

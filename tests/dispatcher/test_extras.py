"""Files beside a frame: taken in with it, checked, told, kept; and nothing of what a worker makes up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dispatcher.pictures import job_spec, render, whole_picture, write_channels
from dispatcher.running import OPERATOR, Worker, running, submit, until

from renderbros_addon.client.errors import DispatcherError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.leases import Lease
from renderbros_addon.protocol.results import ExtraFile, TaskResult
from renderbros_addon.protocol.states import JobStatus

DEPTH, MASK = "passes/depth_####.exr", "mask_####.png"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with running(tmp_path / "data") as url:
        yield url


class Compositing(Worker):
    """A worker whose scene writes files; ``beside`` says which, by name."""

    beside: dict[str, Path]

    def deliver(self, lease: Lease) -> object:
        path, result = render(lease.task, self.folder)
        extras = []
        for name in lease.task.extras and self.beside:
            source = self.beside[name]
            output = inspect_image(source, finite=False)
            self.client.upload(source, output.sha256, output.size)
            extras.append(ExtraFile(name=name, output=output))
        self.client.upload(path, result.output.sha256, result.output.size)
        return self.client.result(lease.id, result.model_copy(update={"extras": tuple(extras)}))


def sky_depth(folder: Path, scale: int = 1) -> Path:
    """Half floats with infinity in them, as Blender writes the depth of the sky."""
    pixels = np.repeat(whole_picture(1)[:, :, :1], scale, axis=0)
    pixels[0, 0] = np.inf
    write_channels(folder / f"depth{scale}.exr", pixels, "half", ("V",))
    return folder / f"depth{scale}.exr"


def huge(folder: Path) -> Path:
    write_channels(folder / "huge.exr", np.zeros((8193, 8193, 1), np.float16), "half", ("V",))
    return folder / "huge.exr"


def picture(folder: Path) -> Path:
    write_channels(folder / "mask.png", whole_picture(7), "uint8", ("R", "G", "B", "A"))
    return folder / "mask.png"


def test_they_come_with_the_frame_tiled_or_whole(url: str, tmp_path: Path) -> None:
    with DispatcherClient(url, OPERATOR) as client:
        worker = Compositing(url, tmp_path)
        depth = sky_depth(tmp_path)
        worker.beside = {"passes/depth_0003.exr": depth}
        for tiles in (None, (2, 1)):
            job_id = submit(client, job_spec(frames=(3,), tiles=tiles, extras=(DEPTH, MASK)), tmp_path)
            assert worker.work(job_id).status is JobStatus.COMPLETED
            [frame] = client.frames(job_id).frames
            assert [file.name for file in frame.files] == ["shot_0003.png", "passes/depth_0003.exr"]
            output = frame.files[1].output
            client.download(output.sha256, output.size, tmp_path / "back.exr")
            assert (tmp_path / "back.exr").read_bytes() == depth.read_bytes()
        blobs = tmp_path / "data" / "blobs"
        # The scene, the frame (the same whole and tiled) and its depth.
        until("only what is finished is left", lambda: sum(path.is_file() for path in blobs.rglob("*")) == 3)


@pytest.mark.parametrize("name", ["passes/depth_0004.exr", "../depth_0003.exr", "shot_0003.png", "other_0003.png"])
def test_a_name_that_the_job_does_not_tell_is_refused(url: str, tmp_path: Path, name: str) -> None:
    with DispatcherClient(url, OPERATOR) as client:
        submit(client, job_spec(frames=(3,), extras=(DEPTH,)), tmp_path)
        worker = Worker(url, tmp_path)
        [lease] = worker.lease()
        assert lease.task.extras == ("passes/depth_0003.exr",)
        path, result = render(lease.task, worker.folder)
        worker.client.upload(path, result.output.sha256, result.output.size)
        # Built around the model's own check, as a hostile worker would.
        extra = ExtraFile.model_construct(name=name, output=result.output)
        sent = TaskResult.model_construct(output=result.output, stats=result.stats, extras=(extra,))
        with pytest.raises(DispatcherError) as refusal:
            worker.client.result(lease.id, sent)
        assert refusal.value.problem.status == 422


def test_one_that_is_not_there_is_asked_for(url: str, tmp_path: Path) -> None:
    with DispatcherClient(url, OPERATOR) as client:
        submit(client, job_spec(frames=(3,), extras=(MASK,)), tmp_path)
        worker = Worker(url, tmp_path)
        [lease] = worker.lease()
        path, result = render(lease.task, worker.folder)
        worker.client.upload(path, result.output.sha256, result.output.size)
        extra = ExtraFile(name="mask_0003.png", output=inspect_image(picture(tmp_path)))
        with pytest.raises(DispatcherError, match=extra.output.sha256):
            worker.client.result(lease.id, result.model_copy(update={"extras": (extra,)}))


@pytest.mark.parametrize("case", ["another format", "far too large"])
def test_a_bad_one_is_the_workers_failure_and_leaves_nothing(url: str, tmp_path: Path, case: str) -> None:
    with DispatcherClient(url, OPERATOR) as client:
        worker = Compositing(url, tmp_path)
        wrong = picture(tmp_path) if case == "another format" else huge(tmp_path)
        worker.beside = {"passes/depth_0003.exr": wrong}
        job_id = submit(client, job_spec(frames=(3,), extras=(DEPTH,)), tmp_path)
        job = worker.work(job_id)
        assert job.status is JobStatus.FAILED
        assert job.reason is not None
        assert "passes/depth_0003.exr" in job.reason.message
        blobs = tmp_path / "data" / "blobs"
        until("only the scene is left", lambda: sum(path.is_file() for path in blobs.rglob("*")) == 1)

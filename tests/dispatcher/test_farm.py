"""Whole jobs through a real dispatcher over real sockets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from dispatcher.pictures import job_spec, whole_picture
from dispatcher.running import OPERATOR, Worker, running, submit, until

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.states import FrameStatus, JobStatus, TaskStatus


def test_whole_frames(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        job_id = submit(client, job_spec(frames=(1, 2, 5)), tmp_path)
        job = worker.work(job_id)
        assert job.status is JobStatus.COMPLETED, job
        assert job.frames_done == 3
        assert job.progress == 1.0
        assert job.tasks == {TaskStatus.ACCEPTED: 3}
        frames = client.frames(job_id).frames
        assert [(frame.frame, frame.status) for frame in frames] == [(n, FrameStatus.DONE) for n in (1, 2, 5)]
        file = frames[2].files[0]
        assert file.name == "shot_0005.png"
        client.download(file.output.sha256, file.output.size, tmp_path / file.name)
        assert oiio.ImageBuf(str(tmp_path / file.name)).spec().width == 32


@pytest.mark.parametrize("format", ["PNG", "OPEN_EXR_MULTILAYER"])
def test_tiles_become_frames_and_leave_nothing(tmp_path: Path, format: str) -> None:
    data = tmp_path / "data"
    with running(data) as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        name = "shot_####.png" if format == "PNG" else "shot_####.exr"
        spec = job_spec(frames=(1, 2), tiles=(2, 2), scene={"format": format}, frame_name=name)
        job_id = submit(client, spec, tmp_path)
        job = worker.work(job_id)
        assert job.status is JobStatus.COMPLETED, job
        assert job.tasks == {TaskStatus.ACCEPTED: 10}
        outputs = [frame.files[0].output for frame in client.frames(job_id).frames]
        if format == "OPEN_EXR_MULTILAYER":
            client.download(outputs[0].sha256, outputs[0].size, tmp_path / "frame.exr")
            pixels = oiio.ImageBuf(str(tmp_path / "frame.exr")).get_pixels(oiio.FLOAT)
            assert np.array_equal(pixels, whole_picture(1))
        # The scene and two frames; tiles and assembled frames are gone.
        blobs = data / "blobs"
        until("only frames are left", lambda: sum(path.is_file() for path in blobs.rglob("*")) == 3)
        assert not list((data / "scratch").iterdir())

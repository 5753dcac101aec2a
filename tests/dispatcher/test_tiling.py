"""Jobs by cost: how many tiles, decided when, kept how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from dispatcher.bench import Bench
from dispatcher.pictures import BLEND_SHA, job_spec, whole_picture
from dispatcher.running import OPERATOR, Worker, running, submit
from hypothesis import given
from hypothesis import strategies as st

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher import jobs, tiling, views
from renderbros_addon.dispatcher.progress import ProgressBoard
from renderbros_addon.protocol.jobs import JobView
from renderbros_addon.protocol.states import JobStatus

COST: dict[str, Any] = {"columns": 2, "rows": 1, "cells": [10.0, 30.0], "overhead": 0.01}
LARGE = {"width": 640, "height": 360}


@given(st.integers(1, 500), st.floats(0, 1e6), st.floats(0, 1e4), st.integers(1, 1000))
def test_the_number_of_tiles_stays_within_reason(workers: int, seconds: float, overhead: float, frames: int) -> None:
    number = tiling.tile_count(workers, seconds=seconds, overhead=overhead, frames=frames)
    assert 1 <= number <= 4 * workers
    if number > workers:
        assert overhead <= 0.1 * seconds / number * (1 + 1e-9)
    elif number > 1:
        assert overhead <= seconds / number * (1 + 1e-9)


@pytest.mark.parametrize(
    ("facts", "number"),
    [
        ({"workers": 3, "seconds": 60, "overhead": 0.1, "frames": 1}, 12),
        ({"workers": 3, "seconds": 60, "overhead": 1.0, "frames": 1}, 6),
        ({"workers": 3, "seconds": 60, "overhead": 9.0, "frames": 1}, 3),
        ({"workers": 3, "seconds": 60, "overhead": 40.0, "frames": 1}, 1),
        ({"workers": 3, "seconds": 60, "overhead": 0.1, "frames": 2}, 6),
        ({"workers": 3, "seconds": 60, "overhead": 0.1, "frames": 100}, 3),
    ],
)
def test_tiles_by_workers_overhead_and_frames(facts: dict[str, Any], number: int) -> None:
    assert tiling.tile_count(facts.pop("workers"), **facts) == number


def view(bench: Bench, job_id: str) -> JobView:
    with bench.store.read() as conn:
        return views.job_view(conn, job_id, ProgressBoard(), bench.clock())


def test_the_workers_that_fit_count(bench: Bench) -> None:
    nobody = bench.job(cost=COST, scene=LARGE)
    assert view(bench, nobody).tile_count == 4 * tiling.WORKERS_UNKNOWN
    bench.worker("one")
    bench.worker("other", series="5.2")
    found = view(bench, bench.job(cost=COST, scene=LARGE))
    assert (found.tile_count, found.tasks, found.cut) == (4, {"queued": 4}, "4 tiles by cost")
    assert view(bench, bench.job()).cut is None
    assert view(bench, bench.job(tiles=(2, 1))).cut == "2x1 tiles"
    assert view(bench, bench.job(tiles=(2, 1))).tile_count == 2


def test_it_is_decided_when_the_files_are_there_and_kept_ever_after(bench: Bench) -> None:
    spec = job_spec(cost=COST, scene=LARGE)
    job_id = bench.change(lambda tx: jobs.create(tx, spec, {}))
    assert view(bench, job_id).tile_count == 1
    bench.worker("one")
    bench.change(lambda tx: jobs.blob_arrived(tx, BLEND_SHA, spec.scene.files[0].size))
    cuts = bench.job_row(job_id).cuts
    assert len(tiling.parse_cuts(cuts)) == 4
    bench.worker("two")
    bench.change(lambda tx: jobs.cancel(tx, job_id))
    bench.change(lambda tx: jobs.retry(tx, job_id))
    assert bench.job_row(job_id).cuts == cuts
    assert view(bench, job_id).tasks == {"queued": 4}


def test_the_overhead_that_was_seen_counts(bench: Bench) -> None:
    worker = bench.worker()
    with bench.store.read() as conn:
        assert tiling.measured_overhead(conn) is None
    bench.job(tiles=(8, 2))
    for _ in range(8):
        for lease in bench.lease(worker, count=4):
            bench.clock.forward(1.1)  # 0.1 s of it in Blender, as the results say
            bench.submit(lease)
        bench.clock.forward(3600)  # nothing to do for an hour
    with bench.store.read() as conn:
        assert tiling.measured_overhead(conn) == pytest.approx(1.0, abs=0.01)
    assert view(bench, bench.job(cost=COST, scene=LARGE)).tile_count == 3


def test_a_job_by_cost_becomes_whole_frames(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        spec = job_spec(cost=COST, scene={"format": "OPEN_EXR_MULTILAYER"}, frame_name="shot_####.exr")
        job = worker.work(submit(client, spec, tmp_path))
        assert (job.status, job.tile_count) == (JobStatus.COMPLETED, 2)
        output = client.frames(job.id).frames[0].files[0].output
        client.download(output.sha256, output.size, tmp_path / "frame.exr")
        pixels = oiio.ImageBuf(str(tmp_path / "frame.exr")).get_pixels(oiio.FLOAT)
        assert np.array_equal(pixels, whole_picture(1))

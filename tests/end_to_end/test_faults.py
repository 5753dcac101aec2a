"""Renderer, agent and dispatcher are killed in the middle of a job; the frames don't tell."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from farm_processes import ROOT, Farm, alive, run, run_json, until

from renderbros_addon.imaging.fingerprint import inspect_image


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: inspect_image(p).pixel_digest for p in sorted(folder.iterdir())}


def _submit(farm: Farm, blend: Path, *options: str) -> str:
    return str(run_json("submit", blend, "--expect", "0", "--dispatcher", farm.url, *options)["job"])


def _fetch(farm: Farm, job: str, out: Path) -> dict[str, str]:
    run("fetch", job, "--out", out, "--dispatcher", farm.url)
    return _digests(out)


def test_kill_9_of_each_process_in_turn_loses_no_frame(farm: Farm, scene: Path, tmp_path: Path) -> None:
    options = ("--frames", "1-6", "--tiles", "2x2", "--samples", "16")
    for name in ("one", "two"):
        farm.start_worker(name, "--threads", "1")
    undisturbed = _submit(farm, scene, *options)
    until("the first job done", lambda: farm.job(undisturbed)["status"] == "completed", 180)
    expected = _fetch(farm, undisturbed, tmp_path / "expected")
    assert len(expected) == 6

    disturbed = _submit(farm, scene, *options)

    def accepted(count: int) -> bool:
        view = farm.job(disturbed)
        assert view["status"] not in ("failed", "cancelled"), view
        return bool(view["tasks"].get("accepted", 0) >= count)

    until("some tasks done", lambda: accepted(3))
    [renderer] = farm.renderers("one")
    renderer.kill()

    until("some more tasks done", lambda: accepted(6))
    orphan = farm.renderers("two")
    farm.workers["two"].kill()
    farm.workers["two"].wait()
    until("the dead agent's renderer gone", lambda: not any(map(alive, orphan)), 10)
    farm.start_worker("two", "--threads", "1")

    until("yet more tasks done", lambda: accepted(10))
    assert farm.dispatcher
    farm.dispatcher.kill()
    farm.dispatcher.wait()
    time.sleep(2)
    farm.start_dispatcher()

    until("the disturbed job done", lambda: farm.job(disturbed)["status"] == "completed", 240)
    assert _fetch(farm, disturbed, tmp_path / "disturbed") == expected


def test_cancel_takes_effect_within_two_seconds_and_frees_the_worker(farm: Farm, scene: Path, tmp_path: Path) -> None:
    farm.start_worker("one")
    job = _submit(farm, scene, "--frames", "1", "--samples", "100000")
    until("a renderer at work", lambda: any(p.cpu_times().user > 3 for p in farm.renderers("one")), 60)
    busy = farm.renderers("one")
    start = time.monotonic()
    farm.operator.cancel_job(job)
    until("the renderer stopped", lambda: not any(map(alive, busy)), 10)
    assert time.monotonic() - start < 2.0
    after = _submit(farm, scene, "--frames", "1", "--samples", "4")
    until("the next job done", lambda: farm.job(after)["status"] == "completed", 60)
    assert farm.job(job)["status"] == "cancelled"


def test_a_stopped_worker_hands_back_its_lease_and_leaves_nothing(farm: Farm, scene: Path, tmp_path: Path) -> None:
    farm.start_worker("one")
    job = _submit(farm, scene, "--frames", "1", "--samples", "100000")
    until("a renderer at work", lambda: any(p.cpu_times().user > 2 for p in farm.renderers("one")), 60)
    family = psutil.Process(farm.workers["one"].pid).children(recursive=True)
    farm.workers["one"].send_signal(signal.SIGTERM)
    assert farm.workers["one"].wait(10) in (0, 130, 143)
    assert not any(map(alive, family))
    view = farm.job(job)
    assert view["tasks"].get("queued") == 1, "the lease was not handed back"
    left = [p for p in (farm.folder / "one").rglob("*") if p.is_file() and p.suffix in (".exr", ".png", ".blend")]
    assert not left


def test_a_few_seeded_faults_change_no_pixel(scene: Path, tmp_path: Path) -> None:
    """The fault bench's own machines, in small: links that cut and corrupt, a renderer and the dispatcher killed."""
    program = ROOT / "tests" / "bench" / "fault_injection" / "short_run.py"
    command = [sys.executable, program, scene, tmp_path / "farm", "6"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["found"] == told["expected"]
    assert len(set(told["expected"].values())) == 4, "the frames differ"
    kinds = {fault["kind"] for fault in told["faults"] if "no frame" not in fault["note"]}
    assert len(kinds) >= 4, told["faults"]
    assert "killed in finishing" in kinds, told["faults"]

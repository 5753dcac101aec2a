"""A worker that saves itself half of the samples is found out, and no frame of it is delivered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from end_to_end.cheating import cheating_blender
from farm_processes import Farm, run, run_json, until

from renderbros_addon.imaging.fingerprint import inspect_image

FRAMES = "1-8"
OPTIONS = ("--frames", FRAMES, "--samples", "32", "--percentage", "40", "--chunk", "1")


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: inspect_image(path).pixel_digest for path in sorted(folder.iterdir())}


def _workers(farm: Farm) -> dict[str, dict[str, Any]]:
    found = run_json("workers", "--dispatcher", farm.url)["workers"]
    return {worker["name"]: worker for worker in found}


@pytest.mark.skipif(os.name != "posix", reason="the cheat's Blender is a shell script")
def test_a_cheat_is_quarantined_and_its_frames_are_rendered_again(farm: Farm, scene: Path, tmp_path: Path) -> None:
    run("render", scene, *OPTIONS, "--workers", "1", "--out", tmp_path / "honest")
    expected = _digests(tmp_path / "honest")
    assert len(set(expected.values())) >= 4

    fake = cheating_blender(tmp_path / "fake", 0.5)
    for name, options in (("one", ()), ("two", ()), ("cheat", ("--blender", fake))):
        farm.start_worker(name, "--threads", "1", *options, owner=f"the secret of the owner of {name}")
    until("three workers there", lambda: len(_workers(farm)) == 3, 60)
    job = str(run_json("submit", scene, *OPTIONS, "--dispatcher", farm.url)["job"])

    until("the cheat in quarantine", lambda: _workers(farm)["cheat"]["status"] in ("quarantined", "banned"), 180)

    def settled() -> bool:
        view = farm.job(job)
        assert view["status"] not in ("failed", "cancelled"), view
        return bool(view["status"] == "completed" and not view["checks"].get("open"))

    until("the job done, every check decided", settled, 240)
    standing = {name: worker["standing"] for name, worker in _workers(farm).items()}
    assert standing["cheat"]["faults"] == 1
    assert standing["one"]["faults"] == standing["two"]["faults"] == 0

    run("fetch", job, "--out", tmp_path / "delivered", "--dispatcher", farm.url)
    assert _digests(tmp_path / "delivered") == expected

    # Something was at stake: it had sent frames, and whoever rendered what was delivered is honest. (A check's task has
    # an id of its own.)
    with farm.operator as client:
        entries = [entry for entry in client.log(job).entries if "-c" not in (entry.task_id or "")]
    cheat = _workers(farm)["cheat"]["id"]
    assert cheat in {entry.worker_id for entry in entries if entry.event == "task.submitted"}
    accepted = {entry.task_id: entry.worker_id for entry in entries if entry.event == "task.accepted"}
    assert len(accepted) == len(expected)
    assert cheat not in accepted.values()

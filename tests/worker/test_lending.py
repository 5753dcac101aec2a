"""A worker on its owner's terms: it yields without losing a task, says what it does, and does what it is told."""

from __future__ import annotations

import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest
from worker.farm import LONG, Dispatcher, Submit, Work, until
from worker.test_agent import failures_of, renderers, sampling

from renderbros_addon.cli.own_process import START
from renderbros_addon.protocol.lending import LendingState, WorkerReport
from renderbros_addon.protocol.states import JobStatus
from renderbros_addon.worker import throttle
from renderbros_addon.worker.terms import Terms, parse_hours


def read(status: Path) -> WorkerReport:
    return WorkerReport.model_validate_json(status.read_bytes())


def test_its_owner_pauses_it_and_gets_the_machine(
    dispatcher: Dispatcher, submit: Submit, work: Work, tmp_path: Path
) -> None:
    status, control = tmp_path / "lend" / "status.json", tmp_path / "control"
    job = submit(frames=2, samples=LONG)
    control.write_text("pause\nthis Blender renders\n")
    agent = work(status=status, control=control)
    until("paused", lambda: status.exists() and read(status).state is LendingState.PAUSED)
    assert read(status).reason == "this Blender renders"
    assert not renderers(), "nothing is left in the owner's memory"
    assert dispatcher.client.job(job.id).status is JobStatus.QUEUED

    control.write_text("run\n")
    until("sampling", lambda: sampling(dispatcher, job.id))
    until("told", lambda: read(status).task and read(status).task.progress)
    told = read(status)
    assert told.state is LendingState.RENDERING
    assert told.task
    assert (told.task.scene, told.task.frame, told.task.job_id) == ("sample.blend", 1, job.id)

    control.write_text("pause\n")
    until("given up", lambda: not renderers(), 5)
    until("handed back", lambda: not dispatcher.client.job(job.id).running, 5)
    dispatcher.client.cancel_job(job.id)
    assert not failures_of(dispatcher, job.id), "it is nobody's failure"

    short = submit(frames=3)
    control.write_text("run\n")
    until("done", lambda: dispatcher.client.job(short.id).status is JobStatus.COMPLETED)
    until("counted", lambda: read(status).earned.tasks == 3, 5)
    earned = read(status).earned
    assert earned.pixels == 3 * 48 * 32
    assert 0 < earned.seconds < 60
    control.write_text("stop\n")
    agent.thread.join(10)
    assert agent.code == [0]
    assert read(status).state is LendingState.STOPPED

    control.write_text("pause\n")
    work(status=status, control=control)
    until("another", lambda: read(status).state is LendingState.PAUSED)
    assert (read(status).earned.tasks, read(status).earned_ever.tasks) == (0, 3)


def test_when_its_hours_end_it_finishes_what_it_renders(
    dispatcher: Dispatcher, submit: Submit, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status.json"
    clock = [time(21, 0)]
    monkeypatch.setattr(throttle, "_time_of_day", lambda: clock[0])
    job = submit(frames=3, samples=2000)
    work(status=status, terms=Terms(parse_hours("20:00-08:00")))
    until("sampling", lambda: sampling(dispatcher, job.id))
    clock[0] = time(8, 0)
    until("paused", lambda: read(status).state is LendingState.PAUSED and not read(status).held)
    assert "lent only at 20:00-08:00" in read(status).reason
    assert read(status).earned.tasks == 1
    assert not dispatcher.client.job(job.id).running, "the second frame, which it had at hand, went back"
    assert not renderers()
    clock[0] = time(20, 0)
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)


def test_it_ends_with_whoever_started_it(dispatcher: Dispatcher, tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    words = [
        sys.executable, str(START), "worker", "--dispatcher", dispatcher.url, "--invite", dispatcher.invite(),
        "--data", str(tmp_path / "data"), "--hours", "0-24", "--status", str(status), "--stop-with-parent",
    ]  # fmt: skip
    # The parent dies without a word; only the pipe, which the system closes, tells.
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE); input()"
    with subprocess.Popen([sys.executable, "-c", parent, *words], stdin=subprocess.PIPE) as started:
        until("up", lambda: status.exists() and read(status).state is LendingState.WAITING)
        started.kill()
    until("gone", lambda: read(status).state is LendingState.STOPPED, 10)

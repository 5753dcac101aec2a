"""The agent from lease to result: real dispatcher, real sockets, real renders, real faults."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from distant import DistantLink
from worker.farm import LONG, Dispatcher, Submit, Work, speaking_child, until

from renderbros_addon.protocol.states import JobStatus
from renderbros_addon.worker import render_loop, supervisor
from renderbros_addon.worker.agent import Agent
from renderbros_addon.worker.config import WorkerConfig

posix = pytest.mark.skipif(os.name != "posix", reason="signals")


def renderers() -> list[psutil.Process]:
    """Renderer processes below this one, without the sandbox's."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "renderer" in words and "bwrap" not in words[0]:
            found.append(process)
    return found


def sampling(dispatcher: Dispatcher, job_id: str) -> bool:
    return any(task.sample for task in dispatcher.client.job(job_id).running)


def failures_of(dispatcher: Dispatcher, job_id: str) -> list[str]:
    return [str(e.detail) for e in dispatcher.client.log(job_id).entries if e.event == "task.failure"]


def test_a_job_is_rendered_and_once_ends(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    whole = submit(frames=3)
    tiled = submit(frames=1, tiles="2x2")
    agent = work(once=True, poll_seconds=2.0)
    agent.thread.join(60)
    assert agent.code == [0]
    for job in (whole, tiled):
        assert dispatcher.client.job(job.id).status is JobStatus.COMPLETED
    assert not psutil.Process().children(recursive=True) or not renderers()
    # The next task was in hand before the one before was delivered.
    order = [(e.event, e.task_id) for e in dispatcher.events(whole, "task.leased", "task.submitted")]
    second = [task for event, task in order if event == "task.leased"][1]
    assert order.index(("task.leased", second)) < [event for event, _ in order].index("task.submitted")


def test_short_tasks_come_in_batches(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(frames=24)
    work()
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED, 60)
    held = most = 0
    for entry in dispatcher.events(job, "task.leased", "task.submitted"):
        held += 1 if entry.event == "task.leased" else -1
        most = max(most, held)
    assert most >= 4


def test_a_long_way_to_the_dispatcher_is_gone_by_several_at_once(
    dispatcher: Dispatcher, submit: Submit, work: Work
) -> None:
    job = submit(frames=12)
    delay = 0.2
    with DistantLink(("127.0.0.1", int(dispatcher.url.rsplit(":", 1)[1])), delay) as link:
        agent = work(url=link.url)
        until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED, 60)
        agent.end()
    times = [event.at for event in dispatcher.events(job, "task.submitted")]
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(times)]
    # One after the other, each would take a round trip for its file and one for its result.
    assert len([gap for gap in gaps if gap < 3 * delay]) >= 3
    frames = [int(str(event.task_id).rpartition("-")[2]) for event in dispatcher.events(job, "task.submitted")]
    assert frames == sorted(frames), "in the order in which they were rendered"


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_job_finds_a_renderer_started_that_no_other_job_had(
    dispatcher: Dispatcher, submit: Submit, work: Work, sandbox: bool
) -> None:
    work(sandbox=sandbox)
    until("up", lambda: dispatcher.client.workers())
    first = {renderer.pid for renderer in renderers()}
    job = submit(frames=2)
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)
    until("a spare one", lambda: len(renderers()) == 2)
    assert first < {renderer.pid for renderer in renderers()}
    spare = {renderer.pid for renderer in renderers()} - first
    job = submit(frames=2)
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)
    assert spare <= {renderer.pid for renderer in renderers()}
    assert not first & {renderer.pid for renderer in renderers()}


def test_a_worker_without_work_closes_the_last_scene(
    dispatcher: Dispatcher, submit: Submit, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_loop, "_REST_SECONDS", 0.0)
    work()
    until("up", lambda: dispatcher.client.workers())
    first = {renderer.pid for renderer in renderers()}
    job = submit()
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)
    until("a blank one alone", lambda: len(renderers()) == 1 and not first & {one.pid for one in renderers()})
    job = submit()
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)


@posix
def test_a_cancel_ends_the_render_within_two_seconds(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(samples=LONG)
    work()
    until("sampling", lambda: sampling(dispatcher, job.id))
    victims = renderers()
    assert len(victims) == 1
    began = time.monotonic()
    dispatcher.client.cancel_job(job.id)
    until("killed", lambda: not victims[0].is_running(), 5)
    assert time.monotonic() - began < 2
    after = submit()
    until("the next job done", lambda: dispatcher.client.job(after.id).status is JobStatus.COMPLETED)


@posix
def test_a_killed_renderer_is_named_and_replaced(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(frames=2, samples=LONG)
    work()
    until("sampling", lambda: sampling(dispatcher, job.id))
    time.sleep(1)  # until the renderer has the second frame at hand
    renderers()[0].send_signal(signal.SIGSEGV)
    until("reported", lambda: failures_of(dispatcher, job.id))
    assert "crashed" in failures_of(dispatcher, job.id)[0]
    assert "SIGSEGV" in failures_of(dispatcher, job.id)[0]
    # What it had at hand is no frame's fault, and is rendered next.
    until("the second frame", lambda: sampling(dispatcher, job.id))
    assert len(failures_of(dispatcher, job.id)) == 1
    dispatcher.client.cancel_job(job.id)
    after = submit()
    until("the next job done", lambda: dispatcher.client.job(after.id).status is JobStatus.COMPLETED)


@posix
def test_tiles_at_once_share_no_failure(
    dispatcher: Dispatcher, submit: Submit, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    job = submit(tiles="8x8", samples=500)
    work()
    until("two at once", lambda: sum(task.sample is not None for task in dispatcher.client.job(job.id).running) > 1)
    renderers()[0].send_signal(signal.SIGSEGV)
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED, 90)
    assert "tiles at once failed (crashed)" in caplog.text
    assert failures_of(dispatcher, job.id) == [], "none of them did it again when it was alone"


@posix
def test_a_stopped_renderer_is_hung(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(samples=LONG)
    work(heartbeat_timeout=3.0)
    until("sampling", lambda: sampling(dispatcher, job.id))
    for process in renderers():
        process.suspend()
    until("reported", lambda: failures_of(dispatcher, job.id))
    assert "hung" in failures_of(dispatcher, job.id)[0]


def test_the_dispatcher_away_costs_nothing(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(frames=2, samples=300)
    work()
    until("rendering", lambda: renderers() and sampling(dispatcher, job.id))
    dispatcher.stop()
    time.sleep(3)
    dispatcher.start()
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED, 60)
    # Each frame was rendered once: what was under way or finished meanwhile was delivered.
    assert len(dispatcher.events(job, "task.leased")) == 2


def test_stopping_hands_back_at_once(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit(frames=2, samples=LONG)
    agent = work()
    until("sampling", lambda: sampling(dispatcher, job.id))
    began = time.monotonic()
    assert agent.end() == 0
    assert time.monotonic() - began < 5
    assert not renderers()
    assert not dispatcher.client.job(job.id).running
    # Well before its leases would have run out, and without a failure.
    assert not failures_of(dispatcher, job.id)


def test_pause_and_resume(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    work()
    until("online", lambda: dispatcher.client.workers())
    worker = dispatcher.client.workers()[0]
    dispatcher.client.pause_worker(worker.id)
    job = submit()
    time.sleep(1.5)
    assert dispatcher.client.job(job.id).status is JobStatus.QUEUED
    dispatcher.client.resume_worker(worker.id)
    until("done", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)


def test_it_is_the_same_worker_after_a_restart(dispatcher: Dispatcher, work: Work) -> None:
    first = work()
    until("enrolled", lambda: dispatcher.client.workers())
    first.end()
    work()
    time.sleep(2)
    assert len(dispatcher.client.workers()) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong-size", "3x3"), ("no-image", "no image"), ("outside", "no image"), ("broken", "image"),
        ("nul", "no image"), ("long-path", "no image"), ("etc", "no image"), ("extras", "does not tell of"),
    ],
)  # fmt: skip
def test_a_bad_image_is_reported_and_never_uploaded(
    dispatcher: Dispatcher, submit: Submit, work: Work, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    monkeypatch.setattr(supervisor, "renderer_command", lambda _: speaking_child(fault))
    job = submit(series=("4.5",))  # which the child claims to be
    work(sandbox=False)
    until("reported", lambda: failures_of(dispatcher, job.id))
    assert "bad_output" in failures_of(dispatcher, job.id)[0]
    assert words in failures_of(dispatcher, job.id)[0]
    assert not dispatcher.events(job, "task.submitted")


def test_files_that_do_not_fit_the_cache_are_a_full_disk(dispatcher: Dispatcher, submit: Submit, work: Work) -> None:
    job = submit()
    work(cache_bytes=1000)
    until("reported", lambda: failures_of(dispatcher, job.id))
    assert "disk_full" in failures_of(dispatcher, job.id)[0]


def test_a_renderer_that_never_starts_ends_the_worker(
    work: Work, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "renderer_command", lambda _: speaking_child("start-exit"))
    agent = work(sandbox=False)
    agent.thread.join(20)
    assert agent.code == [1]
    assert "exit code 7" in caplog.text
    assert "no Blender here" in caplog.text


def test_no_dispatcher_and_once_ends_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("renderbros_addon.worker.agent._ENROL_ONCE_SECONDS", 1.0)
    monkeypatch.setattr(supervisor, "renderer_command", lambda _: speaking_child("none"))
    config = WorkerConfig("http://127.0.0.1:1", tmp_path, once=True, sandbox=False)
    assert Agent(config).run(threading.Event()) == 1
    assert "127.0.0.1:1" in caplog.text


@posix
def test_after_kill_9_the_next_start_cleans_up(dispatcher: Dispatcher, submit: Submit, tmp_path: Path) -> None:
    job = submit(samples=LONG)
    data, invite = tmp_path / "killed", dispatcher.invite()
    script = (
        "import sys, threading, signal\nfrom pathlib import Path\n"
        "from renderbros_addon.worker.agent import Agent\nfrom renderbros_addon.worker.config import WorkerConfig\n"
        "stop = threading.Event()\nsignal.signal(signal.SIGTERM, lambda *_: stop.set())\n"
        f"config = WorkerConfig({dispatcher.url!r}, Path({str(data)!r}), name='k', threads=1, invite={invite!r})\n"
        "sys.exit(Agent(config).run(stop))\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", script])
    until("sampling", lambda: sampling(dispatcher, job.id))
    left = psutil.Process(agent.pid).children(recursive=True)
    resident = psutil.Process(agent.pid).memory_info().rss / 2**20
    print(f"agent: {resident:.0f} MiB resident")
    assert resident < 120
    numpy_free = Path(f"/proc/{agent.pid}/maps")
    if numpy_free.exists():
        assert not re.search(r"/numpy/|/OpenImageIO|/bpy/", numpy_free.read_text())
    agent.kill()
    agent.wait()
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive
    old = {path.name for path in (data / "runs").glob("run-*")}
    assert old
    again = subprocess.Popen([sys.executable, "-c", script])
    until("cleaned", lambda: not old & {path.name for path in (data / "runs").glob("run-*")})
    again.send_signal(signal.SIGTERM)
    assert again.wait(10) == 0
    assert [path.name for path in (data / "runs").iterdir()] == ["runs.lock"]
    assert len(dispatcher.client.workers()) == 1

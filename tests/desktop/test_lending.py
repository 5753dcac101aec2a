"""A desktop Blender lends its machine: the extension as it is installed, a real worker, a real dispatcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from worker.farm import LONG, Dispatcher, Submit, until
from worker.test_agent import failures_of, sampling

from renderbros_addon.protocol.states import JobStatus

ROOT = Path(__file__).resolve().parents[2]


class Lender:
    """The child that ``lender.py`` runs in."""

    def __init__(self, home: Path, url: str, invite: str) -> None:
        env = os.environ | {"BLENDER_USER_RESOURCES": str(home / "blender"), "XDG_DATA_HOME": str(home / "data")}
        words = [sys.executable, str(Path(__file__).with_name("lender.py")), str(ROOT), url, invite]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True, cwd=home
        )

    def do(self, word: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("told:"):
                return json.loads(line.removeprefix("told:"))
        raise AssertionError("the child has ended")

    def state(self) -> str:
        return self.do("look")["status"].get("state", "")

    def workers(self) -> list[psutil.Process]:
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in below if "worker" in one.cmdline()]


@pytest.fixture
def lender(tmp_path: Path, dispatcher: Dispatcher) -> Iterator[Lender]:
    one = Lender(tmp_path, dispatcher.url, dispatcher.invite())
    yield one
    one.process.kill()
    one.process.wait()


def test_it_lends_yields_to_its_own_renders_and_leaves_nothing(
    dispatcher: Dispatcher,
    submit: Submit,
    lender: Lender,
) -> None:
    job = submit(frames=1, samples=LONG)
    started = lender.do("start")
    assert started["result"] == ["FINISHED"]
    until("sampling", lambda: sampling(dispatcher, job.id))
    until("shown", lambda: lender.do("look")["status"].get("task"))
    assert lender.do("look")["status"]["task"]["scene"] == "sample.blend"
    assert "poll() failed" in lender.do("start")["error"], "one is enough"

    rendered = lender.do("render")
    assert rendered["while"].startswith("pause\nBlender renders here\n")
    assert rendered["after"].startswith("run\n")

    lender.do("pause")
    until("paused", lambda: lender.state() == "paused", 5)
    until("handed back", lambda: not dispatcher.client.job(job.id).running, 5)
    assert not failures_of(dispatcher, job.id)
    lender.do("pause")
    until("sampling again", lambda: sampling(dispatcher, job.id))

    # Taken out and put in again, as Reload Scripts does.
    workers = lender.workers()
    assert len(workers) == 1
    assert lender.do("disable")["left"] == []
    assert not workers[0].is_running()
    assert not dispatcher.client.job(job.id).running
    lender.do("enable")
    assert not lender.do("look")["active"]
    lender.do("offline")
    assert "online" in lender.do("start")["error"]


def test_it_ends_with_blender_or_goes_on_as_chosen(
    dispatcher: Dispatcher,
    submit: Submit,
    lender: Lender,
    tmp_path: Path,
) -> None:
    second = Lender(tmp_path, dispatcher.url, "")
    assert not second.do("look")["active"]
    assert lender.do("start")["typed"], "it may be needed again"
    until("waiting", lambda: lender.state() == "waiting")
    assert not lender.do("look")["typed"], "it has served"
    (worker,) = lender.workers()
    told = second.do("start")
    assert (told["active"], second.workers()) == (True, []), "another Blender's worker is found, not doubled"
    lender.process.kill()
    until("gone with Blender", lambda: not worker.is_running() or worker.status() == "zombie", 10)
    until("told", lambda: not second.do("look")["active"], 10)

    second.do("outlive")
    second.do("start")
    until("waiting", lambda: second.state() == "waiting")
    (worker,) = second.workers()
    try:
        assert second.do("disable")["left"] == []
        second.process.kill()
        job = submit()
        until("done without Blender", lambda: dispatcher.client.job(job.id).status is JobStatus.COMPLETED)
        third = Lender(tmp_path, dispatcher.url, "")
        assert third.do("look")["active"], "the next Blender finds it"
        assert third.do("stop")["result"] == ["FINISHED"]
        until("stopped", lambda: not worker.is_running() or worker.status() == "zombie", 10)
        assert third.do("look")["status"]["earned_ever"]["tasks"] == 1
        assert third.do("disable")["left"] == []
        third.process.kill()
    finally:
        if worker.is_running():
            worker.kill()


def test_what_is_in_the_way_is_told(dispatcher: Dispatcher, lender: Lender, tmp_path: Path) -> None:
    lender.do("dispatcher ")
    assert "type its address" in lender.do("start")["error"]
    lender.do("dispatcher http://127.0.0.1:9")
    (tmp_path / "file").write_text("")
    lender.do(f"cache_folder {tmp_path / 'file' / 'cache'}")
    assert "another Cache Folder" in lender.do("start")["error"]
    lender.do("cache_folder ")
    lender.do("start")
    until("why", lambda: "127.0.0.1:9: connection refused" in lender.do("look")["status"].get("reason", ""))
    told = lender.do("look")
    assert (told["status"]["state"], bool(told["typed"])) == ("starting", True)
    assert lender.do("disable")["left"] == []

"""Run folders and identities: nobody's are touched while their owner lives; everything goes once it is dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from renderbros_addon.worker.identity import NameTaken, claim_identity
from renderbros_addon.worker.scratch import RunFolder

AGENT = """
import subprocess, sys, time
from pathlib import Path
from renderbros_addon.worker.scratch import RunFolder
run = RunFolder(Path(sys.argv[1]))
(run.folder("a", "b") / "file").write_text("x")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
run.record_child(child.pid)
print(run.path, child.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_agents_folder_and_renderer_go_at_the_next_start(tmp_path: Path) -> None:
    agent = subprocess.Popen([sys.executable, "-c", AGENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    folder, pid = agent.stdout.readline().split()
    renderer = psutil.Process(int(pid))

    other = RunFolder(tmp_path)
    assert (Path(folder) / "a" / "b" / "file").exists()
    assert renderer.is_running()
    other.remove()

    agent.kill()
    agent.wait()
    agent.stdout.close()
    third = RunFolder(tmp_path)
    assert not Path(folder).exists()
    deadline = time.monotonic() + 5
    while renderer.is_running() and renderer.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not renderer.is_running() or renderer.status() == psutil.STATUS_ZOMBIE
    third.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["runs.lock"]


def test_a_process_that_got_an_old_number_is_not_ended(tmp_path: Path) -> None:
    left = tmp_path / "run-1-abc" / "children"
    left.mkdir(parents=True)
    (tmp_path / "run-1-abc.lock").touch()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    created = psutil.Process(stranger.pid).create_time()
    (left / "1.json").write_text(json.dumps({"pid": stranger.pid, "created": created - 60}))
    (left / "2.json").write_text("{broken")
    run = RunFolder(tmp_path)
    assert stranger.poll() is None
    assert not left.exists()
    run.remove()
    stranger.kill()
    stranger.wait()


def test_the_same_name_is_the_same_worker(tmp_path: Path) -> None:
    first = claim_identity(tmp_path, "http://a:1", "bench one")
    first.release()
    again = claim_identity(tmp_path, "http://a:1/", "bench one")
    assert (again.name, again.secret) == ("bench one", first.secret)
    assert len(again.secret) >= 32
    other = claim_identity(tmp_path, "http://b:1", "bench one")
    assert other.secret != first.secret
    if os.name == "posix":
        assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*.secret"))
    again.release()
    other.release()


def test_a_name_in_use_is_refused_and_the_hosts_name_is_numbered(tmp_path: Path) -> None:
    taken = claim_identity(tmp_path, "http://a:1", "one")
    with pytest.raises(NameTaken, match="one"):
        claim_identity(tmp_path, "http://a:1", "one")
    host = claim_identity(tmp_path, "http://a:1", None)
    second = claim_identity(tmp_path, "http://a:1", None)
    assert second.name == f"{host.name}-2"
    for identity in (taken, host, second):
        identity.release()


def test_a_broken_secret_is_replaced(tmp_path: Path) -> None:
    first = claim_identity(tmp_path, "http://a:1", "one")
    first.release()
    next(tmp_path.glob("*.secret")).write_text("short\n")
    again = claim_identity(tmp_path, "http://a:1", "one")
    assert len(again.secret) >= 32
    again.release()

"""The sandbox, where bubblewrap is there and permitted."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

from renderbros_addon.worker import sandbox as room
from renderbros_addon.worker.sandbox import find_sandbox

PROBE = """
import json, os, socket, sys
from pathlib import Path
data, job, scratch, port = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
def attempt(what):
    try:
        return what() or True
    except OSError:
        return False
def reach():
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
def gpu():
    return sorted(p.name for p in Path("/dev").glob("dri")) or True
print(json.dumps({
    "reads job": attempt(lambda: (job / "a.blend").read_text()),
    "writes job": attempt(lambda: (job / "new").write_text("x")),
    "writes scratch": attempt(lambda: (scratch / "new").write_text("x")),
    "reads identity": attempt(lambda: (data / "identities" / "secret").read_text()),
    "reads other job": attempt(lambda: (job.parent / "other" / "a.blend").read_text()),
    "writes root": attempt(lambda: Path("/etc/renderbros-was-here").write_text("x")),
    "network": attempt(reach),
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "imports": attempt(lambda: __import__("renderbros_addon.protocol.jobs")) is not False,
    "home": attempt(lambda: os.listdir("/home")),
    "cwd": os.getcwd(),
}))
"""


def test_only_the_job_is_seen_and_only_scratch_is_written(tmp_path: Path) -> None:
    data = tmp_path / "data"
    job, other, scratch = data / "jobs" / "j", data / "jobs" / "other", data / "scratch"
    for folder in (job, other, scratch, data / "identities"):
        folder.mkdir(parents=True)
    (job / "a.blend").write_text("scene")
    (other / "a.blend").write_text("theirs")
    (data / "identities" / "secret").write_text("secret")
    packages = Path(pydantic.__file__).parents[1]
    found = find_sandbox(data, None, [packages])
    if found is None:
        pytest.skip("bwrap is not here or not permitted")
    probe = job / "probe.py"
    probe.write_text(PROBE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = [sys.executable, str(probe), str(data), str(job), str(scratch), str(port)]
        wrapped = found.wrap(command, readable=[job], writable=[scratch])
        roots = os.pathsep.join((str(Path(room.__file__).parents[2]), str(packages)))
        done = subprocess.run(
            wrapped, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"], "PYTHONPATH": roots}
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["reads job"] == "scene"
    assert seen["writes scratch"]
    assert (scratch / "new").exists()
    assert not any(seen[what] for what in ("writes job", "reads identity", "reads other job", "writes root", "network"))
    assert seen["processes"] <= 3
    assert seen["imports"]
    assert seen["cwd"] == str(scratch)


def test_without_bwrap_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level(logging.INFO, "renderbros.worker"):
        assert find_sandbox(tmp_path, None, []) is None
    if sys.platform.startswith("linux"):
        assert "without a sandbox" in caplog.text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is Linux's")
def test_a_bwrap_that_may_not_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with caplog.at_level(logging.INFO, "renderbros.worker"):
        assert find_sandbox(tmp_path, None, []) is None
    assert "No permissions" in caplog.text

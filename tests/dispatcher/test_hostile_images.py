"""Whatever is sent as a result, a real dispatcher names what is wrong with it, and goes on serving."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from dispatcher.hostile_images import all_of_them
from dispatcher.pictures import HEIGHT, WIDTH, job_spec
from dispatcher.running import OPERATOR, Worker, running, submit, until

from renderbros_addon.client.errors import DispatcherError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.imaging.checker import ImageChecker
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.protocol.results import ExtraFile, Output, RenderStats, TaskResult

STATS = RenderStats(render_seconds=0, total_seconds=0, blender="4.5", device="CPU")
MOST_MEMORY = 1 << 30


def claimed(data: bytes) -> Output:
    """What a liar says of it."""
    sha256 = hashlib.sha256(data).hexdigest()
    return Output(
        sha256=sha256, size=len(data), pixel_digest=sha256, phash=sha256[:16], width=WIDTH, height=HEIGHT,
        channels=("R", "G", "B", "A"), container="png", blank=False,
    )  # fmt: skip


def test_each_is_turned_down_by_name_in_little_time_and_memory(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    limits = {"checker_memory": MOST_MEMORY, "checker_timeout": 20}
    with running(tmp_path / "data", **limits) as url, DispatcherClient(url, OPERATOR) as client:
        for number, (name, data) in enumerate(all_of_them(files)):
            job = submit(
                client,
                job_spec(frames=(number,), scene={"format": "OPEN_EXR_MULTILAYER" if "EXR" in name else "PNG"}),
                tmp_path,
            )
            worker = Worker(url, tmp_path, name=f"hostile-{number}")
            [lease] = worker.lease()
            path = files / "sent"
            path.write_bytes(data)
            output = claimed(data)
            worker.client.upload(path, output.sha256, output.size)
            began = time.monotonic()
            worker.client.result(lease.id, TaskResult(output=output, stats=STATS))
            told = until(
                f"{name} is turned down",
                lambda job=job: [e for e in client.log(job).entries if e.event == "result.rejected"],
            )
            assert time.monotonic() - began < 10, name
            problem = str(told[0].detail["problem"])
            assert "can't be used" in problem or "not" in problem, (name, problem)
            assert str(tmp_path) not in problem, f"{name}: paths are nobody's business"
            client.health()
            client.cancel_job(job)
        grown = sum(p.memory_info().rss for p in psutil.Process().children(recursive=True))
        assert grown < MOST_MEMORY
        data = tmp_path / "data"
        until("no file of theirs is left", lambda: len([p for p in (data / "blobs").rglob("*") if p.is_file()]) == 1)
        assert not [p for p in (data / "spool").iterdir() if p.suffix in (".part", ".tmp")]
        assert not list((data / "scratch").iterdir())
        good = Worker(url, tmp_path, name="honest")
        assert good.work(submit(client, job_spec(frames=(999,)), tmp_path)).status.value == "completed"


def test_a_result_that_is_refused_leaves_no_blob(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as client:
        submit(client, job_spec(), tmp_path)
        worker = Worker(url, tmp_path)
        [lease] = worker.lease()
        (tmp_path / "sent").write_bytes(b"nothing that was asked for")
        output = claimed(b"nothing that was asked for")
        worker.client.upload(tmp_path / "sent", output.sha256, output.size)
        extra = ExtraFile(name="never/heard/of.exr", output=output)
        with pytest.raises(DispatcherError) as refused:
            worker.client.result(lease.id, TaskResult(output=output, extras=(extra,), stats=STATS))
        assert refused.value.problem.status == 422
        assert refused.value.word == "unknown_file"
        assert len([p for p in (tmp_path / "data" / "blobs").rglob("*") if p.is_file()]) == 1, "the scene alone is left"


CURIOUS = """
import json, os, socket, sys
from pathlib import Path
from renderbros_addon.imaging import check_child
from renderbros_addon.imaging.errors import ImageError

def inspect_image(path, **limits):
    found = []
    for target in {targets!r}:
        try:
            Path(target).write_text("was here")
            found.append("wrote " + target)
        except OSError:
            pass
    try:
        socket.create_connection(("127.0.0.1", {port}), timeout=1).close()
        found.append("connected")
    except OSError:
        pass
    found += [name for name in os.environ if "SECRET" in name or "TOKEN" in name or "DATABASE" in name]
    raise ImageError("found: " + json.dumps(found))

check_child.inspect_image = inspect_image
from renderbros_addon.imaging.checker import run_checker
run_checker()
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_what_takes_over_the_child_finds_no_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    import socket

    from renderbros_addon.imaging import checker, confining

    if guarded and not (sys.platform.startswith("linux") and confining.confined(["x"], []) != ["x"]):
        pytest.skip("there is no bwrap here, or it does not work")
    if not guarded:
        monkeypatch.setattr(checker, "confined", lambda command, writable: list(command))
        monkeypatch.setattr(checker, "child_environment", lambda: dict(os.environ))
    for name in ("AWS_SECRET_ACCESS_KEY", "RENDERBROS_TOKEN", "RENDERBROS_DATABASE"):
        monkeypatch.setenv(name, "x")
    (tmp_path / "scratch").mkdir()
    target = str(tmp_path / "elsewhere")
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = CURIOUS.format(targets=[target], port=server.getsockname()[1])
        child = ImageChecker([sys.executable, "-c", code], writable=[tmp_path / "scratch"])
        with child as one, pytest.raises(ImageError, match="found: ") as told:
            one.inspect(tmp_path)
    found = str(told.value)
    if guarded:
        assert found == "found: []"
        assert not Path(target).exists()
    else:
        assert "wrote" in found
        assert "connected" in found
        assert "RENDERBROS_TOKEN" in found

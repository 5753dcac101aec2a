"""Every way to lose a renderer has its name; none of them hangs or leaves a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.leases import Progress
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, Rendered, RenderRequest
from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess, RendererStopped

CHILD = Path(__file__).with_name("speaking_child.py")
posix = pytest.mark.skipif(os.name != "posix", reason="signals")

Start = Callable[..., RendererProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes renderers; afterwards no process of theirs may be left."""
    made: list[RendererProcess] = []
    pids: list[int] = []

    def make(fault: str, **options: Any) -> RendererProcess:
        options.setdefault("start_timeout", 20)
        made.append(
            RendererProcess(
                [sys.executable, str(CHILD), fault], scratch=tmp_path / "scratch", on_spawn=pids.append, **options
            )
        )
        return made[-1]

    yield make
    for renderer in made:
        renderer.close()
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not psutil.Process().children(recursive=True)


def render_request(out: Path, many_files: int = 1) -> RenderRequest:
    files = tuple(
        JobFile(path=f"folder-{i}/{'n' * 100}.png" if i else "a.blend", sha256="0" * 64, size=1)
        for i in range(many_files)
    )
    spec = SceneSpec(
        blend="a.blend", files=files, width=4, height=4, format="PNG", series=("4.5",), engine="CYCLES"
    )  # fmt: skip
    return RenderRequest(
        id="1", root=str(out), spec=spec, frame=1, region=Region.full(4, 4), linear=False, out_dir=str(out)
    )


def lost(renderer: RendererProcess, out: Path, many_files: int = 1) -> RendererLost:
    with pytest.raises(RendererLost) as caught:
        renderer.request(render_request(out, many_files))
    assert not renderer.alive
    return caught.value


def test_a_request_is_answered_with_progress_on_the_way(start: Start, tmp_path: Path) -> None:
    seen: list[Progress] = []
    renderer = start("none")
    reply = renderer.request(render_request(tmp_path), seen.append)
    assert isinstance(reply, Rendered)
    assert reply.render_seconds == 0.5
    assert [p.sample for p in seen] == [1]
    assert renderer.start().capabilities.threads == 2
    assert renderer.alive
    assert isinstance(renderer.request(render_request(tmp_path)), Rendered)


def test_a_failure_is_an_answer_and_the_renderer_lives(start: Start, tmp_path: Path) -> None:
    renderer = start("fail")
    reply = renderer.request(render_request(tmp_path))
    assert isinstance(reply, Failed)
    assert reply.code is FailureCode.NO_CAMERA
    assert renderer.alive


@posix
def test_a_crash_is_named_by_its_signal_with_the_log(start: Start, tmp_path: Path) -> None:
    error = lost(start("segv"), tmp_path)
    assert error.code is FailureCode.CRASHED
    assert "SIGSEGV" in error.message
    assert "about to fall" in error.log_tail


@pytest.mark.parametrize(("fault", "words"), [("exit3", "exit code 3"), ("exit0", "exit code 0")])
def test_an_exit_is_named_by_its_code(start: Start, tmp_path: Path, fault: str, words: str) -> None:
    error = lost(start(fault), tmp_path)
    assert error.code is FailureCode.CRASHED
    assert words in error.message


def test_python_out_of_memory_is_out_of_memory(start: Start, tmp_path: Path) -> None:
    assert lost(start("memoryerror"), tmp_path).code is FailureCode.OUT_OF_MEMORY


@posix
def test_killed_from_outside_with_memory_to_spare_is_a_crash(start: Start, tmp_path: Path) -> None:
    error = lost(start("sigkill", max_memory=4 << 30), tmp_path)
    assert error.code is FailureCode.CRASHED
    assert "killed from outside" in error.message


@posix
def test_killed_from_outside_close_to_its_limit_is_out_of_memory(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renderbros_addon.worker.exits.low_on_memory", lambda: True)
    error = lost(start("sigkill"), tmp_path)
    assert error.code is FailureCode.OUT_OF_MEMORY
    assert "killed from outside" in error.message


@posix
def test_a_stopped_process_is_hung(start: Start, tmp_path: Path) -> None:
    error = lost(start("stop", heartbeat_timeout=1.0), tmp_path)
    assert error.code is FailureCode.HUNG
    assert "no sign of life" in error.message
    assert "stopped" in error.message


def test_no_heartbeat_is_hung(start: Start, tmp_path: Path) -> None:
    renderer = start("mute", heartbeat_timeout=0.8)
    renderer.start()
    time.sleep(1)
    assert lost(renderer, tmp_path).code is FailureCode.HUNG


def test_idling_is_hung_although_the_heart_beats(start: Start, tmp_path: Path) -> None:
    error = lost(start("sleep", hang_timeout=1.0), tmp_path)
    assert error.code is FailureCode.HUNG
    assert "no progress" in error.message


def test_working_without_progress_is_not_hung(start: Start, tmp_path: Path) -> None:
    assert isinstance(start("spin", hang_timeout=0.6).request(render_request(tmp_path)), Rendered)


def test_progress_without_end_is_timed_out(start: Start, tmp_path: Path) -> None:
    error = lost(start("progress-sleep", task_timeout=1.0, hang_timeout=0.6), tmp_path)
    assert error.code is FailureCode.TIMED_OUT


@pytest.mark.parametrize("fault", ["hog", "child-hog"])
def test_memory_is_limited_for_the_whole_tree(start: Start, tmp_path: Path, fault: str) -> None:
    renderer = start(fault, max_memory=150 << 20)
    error = lost(renderer, tmp_path)
    assert error.code is FailureCode.OUT_OF_MEMORY
    assert "150 MiB" in error.message
    assert renderer.peak_memory > 150 << 20


def test_a_picture_made_without_memory_that_was_wanted_is_no_picture(start: Start, tmp_path: Path) -> None:
    assert lost(start("refused-memory"), tmp_path).code is FailureCode.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("fault", "words"),
    [("fill-disk", "MiB are allowed"), ("many-files", "files and folders"), ("threads", "threads"),
     ("processes", "processes")],
)  # fmt: skip
def test_what_goes_beyond_a_limit_ends_with_its_name(start: Start, tmp_path: Path, fault: str, words: str) -> None:
    # Each of many small files takes at least a block of the disk.
    disk = (1 << 30) if fault == "many-files" else (20 << 20)
    limits = Limits(disk=disk, files=500, processes=4, threads=40)
    error = lost(start(fault, limits=limits, task_timeout=30), tmp_path)
    assert error.code is FailureCode.LIMIT_EXCEEDED
    assert words in error.message


def test_garbage_goes_to_the_log_and_hurts_nobody(start: Start, tmp_path: Path) -> None:
    renderer = start("garbage")
    assert isinstance(renderer.request(render_request(tmp_path)), Rendered)
    tail = renderer.log_tail
    assert "plain words" in tail
    assert "\x1b" not in tail
    assert "\x00" not in tail
    assert len(tail) <= 20000


@pytest.mark.parametrize("fault", ["nonsense", "wrong-kind", "unfinished-line", "close-pipe"])
def test_a_reply_that_makes_no_sense_ends_the_renderer(start: Start, tmp_path: Path, fault: str) -> None:
    assert lost(start(fault), tmp_path).code is FailureCode.CRASHED


@pytest.mark.parametrize("fault", ["binary", "endless-line", "deep", "reply-flood", "long-ago"])
def test_a_hostile_renderer_ends_itself_alone(start: Start, tmp_path: Path, fault: str) -> None:
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    error = lost(start(fault, heartbeat_timeout=2.0), tmp_path)
    assert error.code in (FailureCode.CRASHED, FailureCode.HUNG)
    assert time.monotonic() - began < 15
    assert psutil.Process().memory_info().rss - before < 150 << 20


def test_a_flood_of_progress_is_not_kept(start: Start, tmp_path: Path) -> None:
    assert isinstance(start("progress-flood").request(render_request(tmp_path)), Rendered)


@pytest.mark.parametrize("fault", ["partial", "stale", "last-words"])
def test_odd_but_right_replies_are_taken(start: Start, tmp_path: Path, fault: str) -> None:
    assert isinstance(start(fault).request(render_request(tmp_path)), Rendered)


def test_a_deaf_child_does_not_block_the_agent(start: Start, tmp_path: Path) -> None:
    # The request is larger than any pipe's buffer, and nobody reads it.
    error = lost(start("deaf", hang_timeout=1.0), tmp_path, many_files=5000)
    assert error.code is FailureCode.HUNG


def test_a_renderer_that_never_comes_up(start: Start) -> None:
    with pytest.raises(RendererLost) as caught:
        start("start-sleep", start_timeout=1.0).start()
    assert caught.value.code is FailureCode.HUNG
    with pytest.raises(RendererLost) as caught:
        start("start-exit").start()
    assert "exit code 7" in caught.value.message
    assert "no Blender here" in caught.value.log_tail


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    renderer = RendererProcess([str(tmp_path / "nothing")], scratch=tmp_path)
    with pytest.raises(RendererLost, match="can't be started"):
        renderer.start()
    renderer.close()


def test_kill_interrupts_at_once(start: Start, tmp_path: Path) -> None:
    renderer = start("sleep")
    renderer.start()
    killed_at: list[float] = []
    threading.Timer(0.3, lambda: (killed_at.append(time.monotonic()), renderer.kill())).start()
    with pytest.raises(RendererStopped):
        renderer.request(render_request(tmp_path))
    assert time.monotonic() - killed_at[0] < 1.0
    with pytest.raises(RendererStopped):
        renderer.request(render_request(tmp_path))


def test_the_environment_is_scrubbed(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "RENDERBROS_TOKEN", "LC_API_KEY", "MY_PASSWORD", "DISPLAY", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, "leak")
    monkeypatch.setenv("RENDERBROS_HOME", "/somewhere")
    assert isinstance(start("env", threads=3).request(render_request(tmp_path)), Rendered)
    env = json.loads((tmp_path / "env.json").read_text())
    assert "leak" not in env.values()
    scratch = str(tmp_path / "scratch")
    assert all(env[name].startswith(scratch) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"))
    assert env["PATH"] == os.environ["PATH"]
    assert env["RENDERBROS_HOME"] == "/somewhere"
    assert env["RENDERBROS_THREADS"] == "3"


@posix
def test_a_killed_agent_leaves_no_renderer(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from renderbros_addon.worker.renderer_process import RendererProcess\n"
        f"r = RendererProcess([sys.executable, {str(CHILD)!r}, 'none'], scratch=Path({str(tmp_path)!r}),"
        " on_spawn=lambda pid: print(pid, flush=True))\n"
        "r.start(); print('up', flush=True); time.sleep(60)\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    child = psutil.Process(int(agent.stdout.readline()))
    assert agent.stdout.readline() == "up\n"
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    agent.stdout.close()
    child.wait(5)

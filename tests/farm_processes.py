"""A farm of real processes for tests: each command line as its user types it, each process killable on its own."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.access import Role

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "bootstrap" / "start.py"

# The operators' tokens of these farms are not this user's business.
if "RENDERBROS_CREDENTIALS" not in os.environ:
    _LOGINS = tempfile.mkdtemp(prefix="rb-login-")
    atexit.register(shutil.rmtree, _LOGINS, ignore_errors=True)
    os.environ["RENDERBROS_CREDENTIALS"] = str(Path(_LOGINS) / "credentials.json")


def command(*words: str | Path) -> list[str]:
    """The command line that runs ``words`` as RenderBros does from a clone."""
    return [sys.executable, str(START), *map(str, words)]


def run(*words: str | Path, timeout: float = 240, check: bool = True, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; with ``check``, a failure shows what it printed."""
    done = subprocess.run(command(*words), capture_output=True, text=True, timeout=timeout, check=False, **extra)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} exited {done.returncode}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}")
    return done


def run_json(*words: str | Path, **extra: Any) -> dict[str, Any]:
    """Run a command with ``--json`` and return its one object."""
    return json.loads(run(*words, "--json", **extra).stdout)  # type: ignore[no-any-return]


def until(what: str, true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for ``true()``, or fail naming ``what``."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {seconds:.0f} s never came true: {what}")
        time.sleep(0.05)


def renderers_below(pid: int) -> list[psutil.Process]:
    """The renderers among the live descendants of a process, without the sandboxes around them."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may go, or be a zombie, between the look and the question
            if process.name() != "bwrap" and "renderer" in process.cmdline():
                found.append(process)
    return found


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie that its new parent has not buried yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Farm:
    """A dispatcher and workers, each a process of its own, in ``folder``."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = port
        self.url = ""
        self.operator_token = ""
        self.dispatcher: subprocess.Popen[str] | None = None
        self.workers: dict[str, subprocess.Popen[str]] = {}

    def start_dispatcher(self) -> None:
        """Start it, or start it again on the same port and data."""
        log = (self.folder / "dispatcher.log").open("a")
        self.dispatcher = subprocess.Popen(
            command("dispatcher", "--data", self.folder / "dispatcher", "--port", str(self.port), "--json"),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # What a dead worker held comes back in a fraction of the usual minute.
            env=os.environ | {"RENDERBROS_LEASE_SECONDS": "15"},
        )
        assert self.dispatcher.stdout is not None
        line = self.dispatcher.stdout.readline()
        if not line:
            raise AssertionError(f"the dispatcher did not start\n{(self.folder / 'dispatcher.log').read_text()}")
        told = json.loads(line)
        self.url = told["url"]
        # Told at the first start alone.
        self.operator_token = told.get("operator_token") or self.operator_token
        self.port = int(self.url.rsplit(":", 1)[1])

    def start_worker(self, name: str, *options: str | Path, owner: str | None = None, url: str | None = None) -> None:
        """Start one with a data folder of its own; without an ``owner``'s secret it is its own owner.

        ``url``: where it finds the dispatcher, if by a detour.
        """
        log = (self.folder / f"{name}.log").open("a")
        # What has been here before is known, and the dispatcher may be away.
        invite = "" if (self.folder / name).exists() else self.operator.invite(Role.WORKER).code
        self.workers[name] = subprocess.Popen(
            command("worker", "--dispatcher", url or self.url, "--name", name, "--data", self.folder / name, *options),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"RENDERBROS_INVITE": invite} | ({"RENDERBROS_OWNER": owner} if owner else {}),
        )

    @property
    def operator(self) -> DispatcherClient:
        return DispatcherClient(self.url, self.operator_token)

    def renderers(self, name: str) -> list[psutil.Process]:
        """The renderer processes below a worker."""
        return renderers_below(self.workers[name].pid)

    def job(self, job_id: str) -> dict[str, Any]:
        return run_json("job", job_id, "--dispatcher", self.url)

    def logs(self) -> str:
        return "\n".join(f"=== {p.name}\n{p.read_text()[-6000:]}" for p in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Stop all gently, then make sure."""
        everyone = [*self.workers.values(), *([self.dispatcher] if self.dispatcher else [])]
        for process in everyone:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM if os.name == "posix" else signal.CTRL_BREAK_EVENT)
        for process in everyone:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()

    def __enter__(self) -> Farm:
        self.start_dispatcher()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

"""The farm under test: a dispatcher and workers that are started again when they end, each behind a link of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from access import invite
from proxy import TroubledLink

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.jobs import JobSpec

HERE = Path(__file__).resolve().parent
OWNER = "the owner of all workers of this bench"
WORKERS = ("ada", "bea", "cy")
SMALL_DISK = "cy"
"""The worker whose folder is on a disk that can be filled."""
DISK_BYTES = 224 << 20


class Kept:
    """A program that is started again as soon as it has ended, as a service manager does."""

    def __init__(self, name: str, command: list[str], log: Path, on_start: Callable[[str], None] | None = None) -> None:
        self.name = name
        self._command = command
        self._log = log.open("ab")
        self._on_start = on_start
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.starts = 0
        self._start()
        self._thread = threading.Thread(target=self._keep, name=f"keep-{name}", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        with self._lock:
            if self._over.is_set():
                return
            self.process = subprocess.Popen(
                self._command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, start_new_session=True
            )
            self.starts += 1

    def _keep(self) -> None:
        while not self._over.wait(0.05):
            if self.process.poll() is not None:
                self._start()

    def family(self) -> list[psutil.Process]:
        """It and all that it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            it = psutil.Process(self.process.pid)
            return [it, *it.children(recursive=True)]
        return []

    def renderers(self) -> list[psutil.Process]:
        found = []
        for process in self.family()[1:]:
            with contextlib.suppress(psutil.Error):
                if process.name() != "bwrap" and "renderer" in process.cmdline():
                    found.append(process)
        return found

    def kill(self) -> None:
        self.process.kill()

    def stop(self, seconds: float = 20.0) -> None:
        with self._lock:
            self._over.set()
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.resume()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join(5)
        self._log.close()


class Machines:
    """One dispatcher, three workers and their links, in ``folder``; all stopped on leaving."""

    def __init__(self, folder: Path, lease: float, *, disks: bool = True) -> None:
        self.folder = folder
        self.lease = lease
        self.disks = disks and _mount(folder / "dispatcher") and _mount(folder / SMALL_DISK)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = folder / "dispatcher" / "dispatcher.sqlite3"
        self.links = {name: TroubledLink(("127.0.0.1", self.port)) for name in WORKERS}
        words = [folder / "dispatcher", self.port, lease, self.clock("dispatcher")]
        self.dispatcher = self._keep("dispatcher", "dispatcher_program.py", words)
        self.workers: dict[str, Kept] = {}

    def is_up(self) -> bool:
        """Does the dispatcher answer?"""
        try:
            with DispatcherClient(self.url, retry_for=0.0, timeout=(1, 1)) as client:
                client.health()
        except Exception:
            return False
        return True

    def spec_of(self, job: str) -> JobSpec:
        """What a job asks for, to ask for it once more."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return JobSpec.model_validate_json(
                connection.execute("SELECT spec FROM jobs WHERE id = ?", (job,)).fetchone()[0]
            )

    def start_workers(self, names: Sequence[str] = WORKERS) -> None:
        for name in names:
            words = [
                self.links[name].url,
                self.folder / name,
                name,
                OWNER,
                self.lease,
                self.clock(name),
                invite(self.url),
            ]
            self.workers[name] = self._keep(name, "worker_program.py", words)

    def _keep(self, name: str, program: str, words: list[object]) -> Kept:
        (self.folder / name).mkdir(exist_ok=True)
        command = [sys.executable, str(HERE / program), *map(str, words)]
        return Kept(name, command, self.folder / f"{name}.log")

    def clock(self, name: str) -> Path:
        """The file that says by how many seconds a process's clock is wrong."""
        return self.folder / f"{name}.clock"

    def set_clock(self, name: str, seconds: float) -> None:
        part = self.clock(name).with_suffix(".part")
        part.write_text(str(seconds))
        part.replace(self.clock(name))

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.dispatcher.stop()
        for link in self.links.values():
            link.close()

    def leave(self) -> None:
        """Let go of the disks."""
        for name in ("dispatcher", SMALL_DISK):
            if os.path.ismount(self.folder / name):
                subprocess.run(["umount", "-l", str(self.folder / name)], check=False)

    def left_processes(self) -> list[str]:
        """What still runs of all that was ever started here."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if str(self.folder) in words and process.pid != os.getpid():
                    found.append(f"{process.pid} {words[:120]}")
        return found

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.leave()


class Ballast:
    """Fills a disk to the last byte until it is removed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self) -> None:
        with self._path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(min(1 << 20, max(4096, shutil.disk_usage(self._path.parent).free))))

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _mount(folder: Path) -> bool:
    """A disk of :data:`DISK_BYTES` at ``folder``; False where this process may not mount."""
    folder.mkdir(exist_ok=True)
    size = f"size={DISK_BYTES}"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], capture_output=True, check=False)
    return done.returncode == 0


def wait_until(what: str, true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"in {seconds:.0f} s never came true: {what}")
        time.sleep(0.1)

"""Keeps one renderer up: starts it, replaces it when it is lost, and backs off when it won't start."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from ..protocol.renderer import Hello
from ..protocol.states import FailureCode
from .checkout import Checkouts, remove_tree
from .command import chosen_blender, renderer_command
from .config import WorkerConfig
from .failures import is_disk_full
from .memory import default_max_memory
from .renderer_process import RendererLost, RendererProcess, RendererStopped
from .sandbox import Sandbox, find_sandbox
from .scratch import RunFolder

log = logging.getLogger("renderbros.worker")

_TRIES = 2
_LONGEST_BACKOFF = 120.0


class Supervisor:
    """The renderer of one agent. All methods but :meth:`kill` belong to one thread."""

    def __init__(self, config: WorkerConfig, run: RunFolder, checkouts: Checkouts, ended: threading.Event) -> None:
        self._config = config
        self._run = run
        self._checkouts = checkouts
        self._ended = ended
        self._command = renderer_command(config.blender)
        self._shaders = config.data / "shaders"
        self._shaders.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sandbox = self._find_sandbox() if config.sandbox else None
        self._renderer: RendererProcess | None = None
        self._job: str | None = None
        self._scratch: Path | None = None
        self._pid: int | None = None
        self._count = 0
        self._failures = 0
        self._lock = threading.Lock()
        self.max_memory = config.max_memory or default_max_memory()

    def ready_for(self, job_id: str | None) -> RendererProcess:
        """A running renderer that can see the files of ``job_id``; RendererLost if it won't start, twice.

        In a sandbox each job gets a renderer of its own, because what it may see is settled at its start.
        """
        if self._renderer and self._renderer.alive and (self._sandbox is None or self._job == job_id):
            return self._renderer
        for i in range(_TRIES):
            try:
                return self._start(job_id)
            except RendererLost as lost:
                self._failures += 1
                if i + 1 == _TRIES:
                    raise
                log.warning("the renderer did not start: %s; trying again", lost.message)
        raise AssertionError("the loop above returns or raises")

    def hello(self) -> Hello:
        """What the renderer said of itself; starts one if none runs."""
        return (self._renderer if self._renderer and self._renderer.alive else self.ready_for(None)).start()

    def recover(self) -> None:
        """Try to start a renderer, ever less often, until one comes up or the agent ends."""
        while not self._ended.is_set():
            delay = min(_LONGEST_BACKOFF, 2.0 ** min(self._failures, 10))
            log.error("the renderer does not start; taking no work, next try in %.0f s", delay)
            if self._ended.wait(delay):
                return
            try:
                self._start(None)
            except RendererStopped:
                continue
            except RendererLost as lost:
                self._failures += 1
                tail = "\n".join(lost.log_tail.splitlines()[-10:])
                log.error("the renderer does not start: %s\n%s", lost.message, tail)
            else:
                return

    @property
    def silent_seconds(self) -> float:
        """Seconds since the renderer last gave a sign of life."""
        renderer = self._renderer
        return renderer.silent_seconds if renderer else 0.0

    def out_folder(self, name: str) -> Path:
        """A new empty folder that the renderer may write into."""
        if self._scratch is None:
            raise RuntimeError("no renderer was started")
        folder = self._scratch / "out" / name
        remove_tree(folder)
        folder.mkdir(parents=True)
        return folder

    def kill(self) -> None:
        """End the renderer at once, from any thread."""
        with self._lock:
            renderer = self._renderer
        if renderer:
            renderer.kill()

    def _start(self, job_id: str | None) -> RendererProcess:
        self._discard()
        self._count += 1
        try:
            self._scratch = scratch = self._run.folder(f"renderer-{self._count}")
            renderer = self._make(job_id, scratch)
            with self._lock:
                self._renderer, self._job = renderer, job_id
            if self._ended.is_set():
                renderer.kill()
            renderer.start()
        except OSError as error:
            code = FailureCode.DISK_FULL if is_disk_full(error) else FailureCode.CRASHED
            raise RendererLost(code, f"the renderer can't be started: {error}") from error
        self._failures = 0
        return renderer

    def _make(self, job_id: str | None, scratch: Path) -> RendererProcess:
        sandbox = self._sandbox

        def wrap(command: list[str]) -> list[str]:
            if sandbox is None:
                return command
            readable = [self._checkouts.job_folder(job_id)] if job_id else []
            return sandbox.wrap(command, readable=readable, writable=[scratch, self._shaders])

        return RendererProcess(
            self._command,
            scratch=scratch,
            max_memory=self.max_memory,
            threads=self._config.threads,
            heartbeat_timeout=self._config.heartbeat_timeout,
            hang_timeout=self._config.hang_timeout,
            task_timeout=self._config.task_timeout,
            shaders=self._shaders,
            wrap=wrap if sandbox else None,
            on_spawn=self._record,
        )

    def _record(self, pid: int) -> None:
        self._pid = pid
        self._run.record_child(pid)

    def _discard(self) -> None:
        self.kill()
        if self._pid is not None:
            self._run.forget_child(self._pid)
            self._pid = None
        if self._scratch:
            remove_tree(self._scratch)
            self._scratch = None

    def _find_sandbox(self) -> Sandbox | None:
        tools = [Path(os.environ[name]) for name in ("RENDERBROS_HOME", "RENDERBROS_PACKAGES") if os.environ.get(name)]
        return find_sandbox(self._config.data, chosen_blender(self._config.blender), tools)

"""Keeps one renderer up: starts it, replaces it when it is lost, and backs off when it won't start."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ..protocol.renderer import Hello
from ..protocol.states import FailureCode
from .checkout import Checkouts, remove_tree
from .command import chosen_blender, renderer_command
from .config import WorkerConfig
from .failures import is_disk_full
from .guard import Guard, find_guard
from .limits import Limits
from .memory import default_max_memory
from .renderer_process import RendererLost, RendererProcess, RendererStopped
from .scratch import RunFolder
from .usage import default_max_disk

log = logging.getLogger("renderbros.worker")

_TRIES = 2
_LONGEST_BACKOFF = 120.0
_SPARE_BACKOFF = 30.0
"""Seconds without a spare renderer after one that died while it waited."""


@dataclass(frozen=True)
class _Unit:
    """A renderer with all that is its own."""

    renderer: RendererProcess
    place: Path
    """The one job folder that it can see."""
    scratch: Path
    pids: list[int]


class Supervisor:
    """The renderer of one agent. All methods but the kills belong to one thread.

    Each job gets a renderer of its own: what it may see is settled at its start, and nothing of one job's scene is left
    to the next. So that no job waits for Blender to start, a spare one is started ahead while there is time.
    """

    def __init__(self, config: WorkerConfig, run: RunFolder, checkouts: Checkouts, ended: threading.Event) -> None:
        self._config = config
        self._run = run
        self._checkouts = checkouts
        self._ended = ended
        self._command = renderer_command(config.blender)
        self._shaders = config.data / "shaders"
        self._shaders.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._unit: _Unit | None = None
        self._spare: _Unit | None = None
        self._count = 0
        self._failures = 0
        self._no_spare_before = 0.0
        self._lock = threading.Lock()
        self.max_memory = config.max_memory or default_max_memory()
        self._limits = Limits(self.max_memory, config.max_disk or default_max_disk(config.data))
        self.guard = self._find_guard()
        """What keeps the renderers from the rest of this machine."""
        self.job: str | None = None
        """The job whose files the renderer sees and may have open."""

    def ready_for(self, job_id: str | None) -> RendererProcess:
        """A running renderer that can see the files of ``job_id``; RendererLost if it won't start, twice."""
        place = self._checkouts.job_folder(job_id) if job_id else None
        unit = self._unit
        if unit and unit.renderer.alive and place in (None, unit.place):
            self.job = job_id or self.job
            return unit.renderer
        self.job = job_id
        for i in range(_TRIES):
            try:
                return self._start(place)
            except RendererLost as lost:
                self._failures += 1
                if i + 1 == _TRIES:
                    raise
                log.warning("the renderer did not start: %s; trying again", lost.message)
        raise AssertionError("the loop above returns or raises")

    def prepare(self, job_id: str | None = None) -> None:
        """Begin to start a spare renderer for ``job_id``, or for whichever job comes next; does not wait for it."""
        place = self._checkouts.job_folder(job_id) if job_id else None
        if any(self._can_serve(unit, place) for unit in (self._unit, self._spare)):
            return
        now = time.monotonic()
        if self._spare and not self._spare.renderer.up:
            self._no_spare_before = now + _SPARE_BACKOFF
        if now < self._no_spare_before:
            return
        self._drop_spare()
        try:
            unit = self._make(place)
            with self._lock:
                self._spare = unit
            if self._ended.is_set():
                unit.renderer.kill()
            unit.renderer.begin()
        except (OSError, RendererLost, RendererStopped) as error:
            # Whoever needs it will start one, and report what is wrong then.
            log.debug("no spare renderer: %s", error)
            self._drop_spare()

    def _can_serve(self, unit: _Unit | None, place: Path | None) -> bool:
        if unit is None or not unit.renderer.up:
            return False
        return unit.place == place if place else self._checkouts.is_reserved(unit.place)

    def rest(self) -> None:
        """Nothing has been rendered for a while: give back what the last scene takes, and keep a blank renderer."""
        if self._unit and self._can_serve(self._spare, None):
            log.info("closing the last scene; a blank renderer waits for the next")
            self._remove(self._unit)
            with self._lock:
                self._unit = None
            self.job = None

    def hello(self) -> Hello:
        """What the renderer said of itself; starts one if none runs."""
        return self.ready_for(None).start()

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
        unit = self._unit
        return unit.renderer.silent_seconds if unit else 0.0

    def out_folder(self, name: str) -> Path:
        """A new empty folder that the renderer may write into."""
        if self._unit is None:
            raise RuntimeError("no renderer was started")
        folder = self._unit.scratch / "out" / name
        remove_tree(folder)
        folder.mkdir(parents=True)
        return folder

    def kill(self) -> None:
        """End the renderer at once, from any thread. A spare one stays."""
        with self._lock:
            unit = self._unit
        if unit:
            unit.renderer.kill()

    def kill_all(self) -> None:
        """End the renderer and the spare one at once, from any thread."""
        with self._lock:
            units = [unit for unit in (self._unit, self._spare) if unit]
        for unit in units:
            unit.renderer.kill()

    def _start(self, place: Path | None) -> RendererProcess:
        """Have a renderer up that sees ``place``, or for None an empty folder that the next job gets."""
        if self._unit:
            self._remove(self._unit)
        spare = self._spare if self._spare and self._spare.renderer.up and place in (None, self._spare.place) else None
        if spare is None and place is not None:
            # It waits with a folder that this job does not have; the next spare one is made when there is time.
            self._drop_spare()
        try:
            unit = spare or self._make(place)
            with self._lock:
                self._unit = unit
                self._spare = None if spare else self._spare
            if self._ended.is_set():
                unit.renderer.kill()
            unit.renderer.start()
        except OSError as error:
            code = FailureCode.DISK_FULL if is_disk_full(error) else FailureCode.CRASHED
            raise RendererLost(code, f"the renderer can't be started: {error}") from error
        self._failures = 0
        return unit.renderer

    def _make(self, place: Path | None) -> _Unit:
        self._count += 1
        scratch = self._run.folder(f"renderer-{self._count}")
        seen = place or self._checkouts.reserve()
        seen.mkdir(parents=True, exist_ok=True)
        pids: list[int] = []

        def wrap(command: list[str]) -> list[str]:
            return self.guard.wrap(command, readable=[seen], writable=[scratch, self._shaders])

        def record(pid: int) -> None:
            pids.append(pid)
            self._run.record_child(pid)

        renderer = RendererProcess(
            self._command,
            scratch=scratch,
            max_memory=self.max_memory,
            limits=self._limits,
            watched=[seen, self._shaders],
            threads=self._config.threads,
            heartbeat_timeout=self._config.heartbeat_timeout,
            hang_timeout=self._config.hang_timeout,
            task_timeout=self._config.task_timeout,
            shaders=self._shaders,
            wrap=wrap,
            environment=self.guard.environment,
            on_spawn=record,
        )
        return _Unit(renderer, seen, scratch, pids)

    def _drop_spare(self) -> None:
        with self._lock:
            spare, self._spare = self._spare, None
        if spare:
            self._remove(spare)

    def _remove(self, unit: _Unit) -> None:
        unit.renderer.kill()
        for pid in unit.pids:
            self._run.forget_child(pid)
        self._checkouts.give_up(unit.place)
        remove_tree(unit.scratch)

    def _find_guard(self) -> Guard:
        config = self._config
        packages = [os.environ.get(name) for name in ("RENDERBROS_HOME", "RENDERBROS_PACKAGES")]
        return find_guard(
            config.data,
            chosen_blender(config.blender),
            [Path(folder) for folder in packages if folder],
            wanted=config.sandbox,
            limits=self._limits,
        )

"""The agent: leases, fetches, has rendered, checks, uploads. It survives anything that a scene can do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from ..client.errors import ClientError, Refused, Stopped
from ..client.events import AnyEvent, EventStream
from ..client.http import DispatcherClient
from ..imaging.checker import ImageChecker
from ..protocol.events import CancelLease, PauseWorker, TaskProgress, WorkAvailable
from ..protocol.leases import Lease, Progress
from ..protocol.workers import Capabilities, Enrolled, Enrolment
from .board import Board, HeldTask
from .cache import BlobCache
from .checkout import FILES, Checkouts
from .command import checker_command, chosen_blender
from .config import WorkerConfig
from .feeder import Feeder
from .identity import Identity, NameTaken, claim_identity
from .log_ring import clean_text
from .own_places import OwnPlaces
from .render_loop import RenderLoop
from .renderer_process import RendererLost, RendererStopped
from .renewer import Renewer
from .report import Report
from .scratch import RunFolder
from .supervisor import Supervisor
from .throttle import Throttle
from .uploader import UPLOADS, Uploader

log = logging.getLogger("renderbros.worker")

_ONCE_POLL_SECONDS = 10.0
_ENROL_ONCE_SECONDS = 60.0
_LEAVE_SECONDS = 2.5
"""For handing back leases at the end; what the dispatcher does not hear by then runs out by itself."""
_JOIN_SECONDS = 0.7


class _End(Enum):
    DONE = auto()
    UNKNOWN = auto()
    """The dispatcher does not know us any more."""
    FAILED = auto()


class Agent:
    """One worker, from enrolment until it is told to stop."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config

    def run(self, stop: threading.Event) -> int:
        """Work until ``stop`` is set, or until there is nothing to do with ``once``.

        Returns an exit code: 0, or 1 if the worker could not start or was turned away, with the reason in the log.
        On the way out renderers are killed, leases handed back, and everything temporary is removed.
        """
        report = Report(self._config.status, self._config.dispatcher)
        code = 1
        try:
            code = self._run(stop, report)
        finally:
            report.end(code)
        return code

    def _run(self, stop: threading.Event, report: Report) -> int:
        config = self._config
        try:
            config.data.mkdir(parents=True, exist_ok=True)
            identity = claim_identity(config.data / "identities", config.dispatcher, config.name)
        except (NameTaken, OSError) as error:
            log.error("the worker can't start: %s", error)
            return 1
        try:
            run = RunFolder(config.data / "runs")
            try:
                refused_at: float | None = None
                while True:
                    end = _Session(config, identity, run, report).run(stop)
                    if end is not _End.UNKNOWN:
                        return 1 if end is _End.FAILED else 0
                    now = time.monotonic()
                    if refused_at is not None and now - refused_at < 60:
                        log.error("the dispatcher keeps turning this worker away")
                        return 1
                    refused_at = now
            finally:
                run.remove()
        except OSError as error:
            log.error("the worker can't go on: %s", error)
            return 1
        finally:
            identity.release()


class _Session:
    """From one enrolment to its end: all threads, and what they share."""

    def __init__(self, config: WorkerConfig, identity: Identity, run: RunFolder, report: Report) -> None:
        self._config = config
        self._identity = identity
        self._run = run
        self._report = report
        self._ended = threading.Event()
        self._end = _End.DONE
        self._board = Board()
        cache = BlobCache(config.cache_folder, config.cache_bytes)
        self._checkouts = Checkouts(cache, run.folder("jobs"))
        self._supervisor = Supervisor(config, run, self._checkouts, self._ended)
        self._board.interrupt = lambda _: self._supervisor.kill()
        self._threads: list[threading.Thread] = []
        self._token: str | None = None

    def run(self, stop: threading.Event) -> _End:
        # Names the moment at which everything ends, whether we were told to or ended by ourselves.
        watcher = threading.Thread(target=self._watch, args=(stop,), name="stop-watch", daemon=True)
        watcher.start()
        checker = ImageChecker(checker_command())
        try:
            self._work(checker)
        except (Stopped, RendererStopped):
            pass
        finally:
            self._ended.set()
            self._leave(checker)
            watcher.join()
        return self._end

    def _work(self, checker: ImageChecker) -> None:
        config = self._config
        self._report.know(name=self._identity.name)
        throttle = Throttle(
            config.terms, config.control, self._board, self._supervisor, self._report, self._hand_back,
            self._ended.set, self._ended,
        )  # fmt: skip
        self._start(throttle.run)
        guard = self._supervisor.guard
        if config.sandbox_required and not guard.by_the_system:
            log.error(
                "the worker can't start: it is to have the system's guards around its renderers, and they are not to "
                "be had: %s", guard.missing or "this system has none that RenderBros knows",
            )  # fmt: skip
            self._end = _End.FAILED
            return
        try:
            capabilities = self._capabilities()
        except RendererLost as lost:
            tail = "\n".join(lost.log_tail.strip().splitlines()[-15:])
            log.error("the worker can't start, because %s\n%s", lost.message, tail)
            self._end = _End.FAILED
            return
        try:
            enrolled = self._enrol(capabilities)
        except Stopped:
            raise
        except ClientError as error:
            log.error("the dispatcher did not take this worker: %s", error)
            self._end = _End.FAILED
            return
        self._token = enrolled.token
        log.info(
            "worker %s is %s: Blender %s, %s", self._identity.name, enrolled.id, capabilities.blender,
            ", ".join(device.name for device in capabilities.devices), extra={"worker": enrolled.id},
        )  # fmt: skip

        events = EventStream(config.dispatcher, enrolled.token, self._on_event, self._ended, **_trusted(config))

        def tell(task: HeldTask, progress: Progress) -> None:
            events.send(TaskProgress(lease_id=task.lease.id, progress=progress))

        results = self._run.folder("results")
        patient = self._client(retry_for=None)
        feeder = Feeder(
            self._board,
            self._checkouts,
            poll=patient,
            fetch=self._client(retry_for=60.0),
            poll_seconds=min(config.poll_seconds, _ONCE_POLL_SECONDS) if config.once else config.poll_seconds,
            on_idle=self._on_idle,
            on_refused=self._on_refused,
            release=self._release,
            ended=self._ended,
        )
        blender = chosen_blender(config.blender)
        folders = {"worker": config.data, "cache": config.cache_folder, "blender": blender and blender.parent}
        places = OwnPlaces(self._run.folder("jobs"), FILES, folders)
        uploader = Uploader(
            self._board, patient, checker, results, capabilities, places, self._report.delivered, self._ended
        )  # fmt: skip
        hasty = self._client(retry_for=0.0, timeout=(3.0, 10.0))
        renewer = Renewer(self._board, hasty, self._supervisor, self._ended)
        self._report.know(worker_id=enrolled.id, devices=tuple(device.name for device in capabilities.devices))
        throttle.start()
        events.start()
        for work in (feeder.run, *[uploader.run] * UPLOADS, renewer.run):
            self._start(work)
        RenderLoop(self._board, self._supervisor, self._checkouts, results, tell, self._ended).run()

    def _capabilities(self) -> Capabilities:
        told = self._supervisor.hello().capabilities
        guard = self._supervisor.guard
        devices = tuple(device for device in told.devices if self._config.device in (None, device.kind))
        return told.model_copy(
            update={
                "devices": devices,
                "memory": self._supervisor.max_memory,
                "guards": guard.layers,
                "unguarded": clean_text(guard.missing)[:500],
                "threads": self._config.threads or told.threads,
            }
        )

    def _enrol(self, capabilities: Capabilities) -> Enrolled:
        enrolment = Enrolment(
            name=self._identity.name,
            secret=self._identity.secret,
            owner=self._config.owner,
            invite=self._config.invite,
            capabilities=capabilities,
        )
        with self._client(retry_for=_ENROL_ONCE_SECONDS if self._config.once else None) as client:
            return client.enrol(enrolment)

    def _client(self, *, retry_for: float | None, timeout: tuple[float, float] | None = None) -> DispatcherClient:
        more: dict[str, Any] = {"timeout": timeout} if timeout else {}
        return DispatcherClient(
            self._config.dispatcher,
            self._token,
            **_trusted(self._config),
            retry_for=retry_for,
            stop=self._ended,
            **more,
        )

    def _start(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception:
                # A worker that only half works is worse than one that is gone.
                log.exception("the worker ends because of a defect")
                self._end = _End.FAILED
                self._ended.set()

        thread = threading.Thread(target=guarded, name=getattr(work, "__qualname__", "worker"), daemon=True)
        thread.start()
        self._threads.append(thread)

    # What others call

    def _on_event(self, event: AnyEvent) -> None:
        if isinstance(event, CancelLease):
            self._board.cancel(event.lease_id)
        elif isinstance(event, WorkAvailable):
            self._board.wake()
        elif isinstance(event, PauseWorker):
            self._board.paused = event.paused
            log.info("paused: no new tasks" if event.paused else "resumed")

    def _on_idle(self) -> None:
        if self._config.once:
            log.info("no work left; done, as --once asks for")
            self._ended.set()

    def _on_refused(self, error: Refused) -> None:
        log.warning("the dispatcher does not know this worker any more: %s", error)
        self._end = _End.UNKNOWN if error.problem.status == 401 else _End.FAILED
        self._ended.set()

    # The end

    def _watch(self, stop: threading.Event) -> None:
        while not self._ended.is_set():
            if stop.wait(0.1):
                self._ended.set()
        self._supervisor.kill_all()
        self._board.wake()

    def _leave(self, checker: ImageChecker) -> None:
        self._supervisor.kill_all()
        # Closing waits for an image being decoded, and the child ends with us anyway.
        closing = threading.Thread(target=checker.close, name="checker-close", daemon=True)
        closing.start()
        held = [task.lease for task in self._board.held()]
        if held:
            log.info("handing back %d tasks", len(held))
        self._hand_back(held)
        _join([closing, *self._threads], _JOIN_SECONDS)

    def _hand_back(self, held: list[Lease]) -> None:
        # Daemons, because the interpreter would wait for a pool's threads however long a dead dispatcher takes.
        releasing = [threading.Thread(target=self._release, args=(lease,), daemon=True) for lease in held]
        for thread in releasing:
            thread.start()
        _join(releasing, _LEAVE_SECONDS)

    def _release(self, lease: Lease) -> None:
        client = DispatcherClient(
            self._config.dispatcher, self._token, **_trusted(self._config), retry_for=0.0, timeout=(1.0, 1.5)
        )
        with client:
            try:
                client.release(lease.id)
            except ClientError as error:
                log.info("a task could not be handed back, its lease will run out: %s", error)


def _trusted(config: WorkerConfig) -> dict[str, Any]:
    """What is trusted, as a client wants to know it."""
    return {"ca": config.ca, "pin": config.pin, "insecure": config.insecure}


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))

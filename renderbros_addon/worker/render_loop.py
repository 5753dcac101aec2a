"""Renders one ready task after another. It waits for tasks, never for the network.

The renderer has the next task of the job at hand before it is through with one, so that it need not wait for us: what
becomes of an image is settled while it renders the next.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..protocol.leases import Progress
from ..protocol.renderer import Failed, FinishRequest, Rendered, RenderRequest
from ..protocol.results import Failure
from ..protocol.states import FailureCode, FailureKind, TaskKind
from .board import Board, HandBack, HeldTask, Image, Outcome
from .checkout import Checkouts, remove_tree
from .failures import failure, of_disk, of_failed_request, of_lost_renderer
from .recycling import Recycling
from .renderer_process import RendererLost, RendererProcess, RendererStopped
from .room import is_nearly_full
from .supervisor import Supervisor

log = logging.getLogger("renderbros.worker")

_SENDS_PER_SECOND = 4.0
_REST_SECONDS = 60.0
"""Without work for so long, a machine gets back what the last scene takes of it."""


@dataclass(frozen=True)
class _Sent:
    """A task that a renderer has been given."""

    task: HeldTask
    request: RenderRequest | FinishRequest
    renderer: RendererProcess


class RenderLoop:
    """``results`` is where images go, ``tell`` is called with a task and its progress at most four times a second."""

    def __init__(
        self,
        board: Board,
        supervisor: Supervisor,
        checkouts: Checkouts,
        results: Path,
        tell: Callable[[HeldTask, Progress], None],
        ended: threading.Event,
    ) -> None:
        self._board = board
        self._supervisor = supervisor
        self._checkouts = checkouts
        self._results = results
        self._tell = tell
        self._ended = ended
        self._ahead: _Sent | None = None
        self._recycling = Recycling()
        self._was_full = False

    def run(self) -> None:
        """Until the agent ends."""
        idle_from = time.monotonic()
        while not self._ended.is_set():
            sent, self._ahead = self._ahead, None
            if sent is not None:
                if not self._board.begin(sent.task):
                    # It is at work on what nobody wants.
                    sent.renderer.kill()
                self._serve(sent.task, sent)
            elif (task := self._board.next_ready(timeout=0.5)) is not None:
                self._serve(task, None)
            else:
                self._idle(time.monotonic() - idle_from)
                continue
            idle_from = time.monotonic()

    def _idle(self, seconds: float) -> None:
        coming = self._board.coming_job(but=None)
        self._supervisor.prepare(coming)
        if coming is None and seconds > _REST_SECONDS:
            self._supervisor.rest()
            self._checkouts.retire(keep=self._supervisor.job)

    def _serve(self, task: HeldTask, sent: _Sent | None) -> None:
        """``sent`` if a renderer has it already."""
        began = time.monotonic()
        job_id = task.lease.task.job_id
        outcome: Outcome | None = None
        starts = True
        while outcome is None and not task.cancelled and not self._ended.is_set():
            try:
                renderer = sent.renderer if sent else self._renderer_for(job_id)
            except RendererStopped:
                continue
            except RendererLost as lost:
                outcome = of_lost_renderer(lost, "the renderer does not start: ")
                starts = False
                break
            outcome, sent = self._render(task, renderer, sent), None
        self._checkouts.give_back(task.lease.task)
        if self._ended.is_set():
            return
        if task.cancelled:
            self._board.drop(task)
        elif outcome is not None:
            seconds = time.monotonic() - began
            if isinstance(outcome, Image):
                self._give_back(self._board.took(task, seconds, outcome.render_seconds), "it would wait here for long")
                log.info("rendered frame %d in %.2f s", task.lease.task.frame, seconds, extra=task.extra)
                self._was_full = False
            elif isinstance(outcome, Failure):
                outcome = self._once_if_full(outcome)
            if isinstance(outcome, Failure):
                log.warning("task failed (%s): %s", outcome.code, outcome.message, extra=task.extra)
            self._board.finish(task, outcome)
        if not starts:
            self._wait_for_renderer()
        self._checkouts.retire(keep=self._supervisor.job)

    def _once_if_full(self, outcome: Failure) -> Outcome:
        """A full disk is told of once: what else is at hand goes back, and nobody's fault, until there is room."""
        if outcome.code is not FailureCode.DISK_FULL:
            return outcome
        why = "the disk is full"
        self._give_back(self._board.close(), why)
        self._board.reopen()
        again, self._was_full = self._was_full, True
        return HandBack(why) if again else outcome

    def _renderer_for(self, job_id: str) -> RendererProcess:
        renderer = self._supervisor.ready_for(job_id)
        if reason := self._recycling.due(renderer):
            log.info("replacing the renderer: %s", reason, extra={"job": job_id})
            renderer.kill()
            renderer = self._supervisor.ready_for(job_id)
        return renderer

    def _render(self, task: HeldTask, renderer: RendererProcess, sent: _Sent | None) -> Outcome | None:
        """What became of it; None if the renderer was killed on purpose, which the caller knows the purpose of."""
        try:
            sent = sent or self._send(task, renderer)
            reply = renderer.answer(sent.request, self._teller(task), lambda: self._send_ahead(task, renderer))
        except (RendererStopped, RendererLost) as lost:
            # What it had not begun is for the next renderer, and no fault of that task.
            if self._ahead:
                self._board.put_back(self._ahead.task)
                self._ahead = None
            return of_lost_renderer(lost) if isinstance(lost, RendererLost) else None
        except OSError as error:
            return of_disk(error)
        self._recycling.served(renderer)
        try:
            if isinstance(reply, Rendered):
                if is_nearly_full(self._results):
                    return failure(FailureKind.WORKER, FailureCode.DISK_FULL, "the worker's disk is full")
                return self._take(task, Path(sent.request.out_dir), reply, renderer.peak_memory)
            return of_failed_request(reply, renderer.log_tail, disk_full=self._disk_full_behind(reply))
        except OSError as error:
            return of_disk(error)

    def _send(self, task: HeldTask, renderer: RendererProcess) -> _Sent:
        request = self._request(task, self._supervisor.out_folder(task.lease.id))
        renderer.send(request)
        return _Sent(task, request, renderer)

    def _send_ahead(self, current: HeldTask, renderer: RendererProcess) -> None:
        """Give the renderer what comes after ``current``, if it is at hand and of the same job."""
        job_id = current.lease.task.job_id
        if self._ahead is not None or current.cancelled or self._recycling.due(renderer):
            return
        task = self._board.next_of(job_id)
        if task is None:
            if other := self._board.coming_job(but=job_id):
                self._supervisor.prepare(other)
            return
        try:
            self._ahead = self._send(task, renderer)
        except OSError as error:
            # Its own turn comes, and will show whether there is no room for it.
            log.debug("not sent ahead: %s", error, extra=task.extra)
            self._board.put_back(task)

    def _request(self, held: HeldTask, out: Path) -> RenderRequest | FinishRequest:
        task, spec, root = held.lease.task, held.lease.scene, str(self._checkouts.root(held.lease.task.job_id))
        if task.kind is TaskKind.FINISH:
            assembled = str(self._checkouts.assembled(task))
            return FinishRequest(
                id=held.lease.id, root=root, spec=spec, frame=task.frame, assembled=assembled, out_dir=str(out)
            )
        return RenderRequest(
            id=held.lease.id,
            root=root,
            spec=spec,
            frame=task.frame,
            region=task.region,
            linear=task.linear,
            out_dir=str(out),
        )

    def _take(self, task: HeldTask, out: Path, reply: Rendered, peak_memory: int) -> Outcome:
        """Move the image out of the renderer's reach. What the renderer says about it is only a claim."""
        folder = self._results / task.lease.id
        remove_tree(folder)
        folder.mkdir(parents=True)
        taken: list[tuple[str, Path]] = []
        for name, told in (("", reply.path), *((extra.name, extra.path) for extra in reply.extras)):
            path = Path(told)
            if not _is_plain_below(path, out):
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the renderer left no image at {told!r}")
            if name and name not in task.lease.task.extras:
                # Dropping it would lose a file without a word.
                why = f"the scene wrote a file that its job does not tell of: {name}"
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, why)
            if any(name == known for known, _ in taken):
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the renderer left two files called {name}")
            place = folder / f"image{len(taken)}{path.suffix[:20]}"
            path.replace(place)
            if not _is_plain_below(place, folder):
                # It was changed for a link since we looked. Here the renderer can't do that any more.
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, "the renderer left a link for an image")
            taken.append((name, place))
        remove_tree(out)
        (_, image), *extras = taken
        return Image(image, tuple(extras), reply.render_seconds, reply.device, reply.warnings, peak_memory)

    def _disk_full_behind(self, reply: Failed) -> bool:
        # A file Blender could not write looks like the scene's fault, which would end the whole job.
        return reply.code in (FailureCode.RENDER_ERROR, FailureCode.BAD_OUTPUT, FailureCode.CRASHED) and (
            is_nearly_full(self._results)
        )

    def _teller(self, task: HeldTask) -> Callable[[Progress], None]:
        last = 0.0

        def on_progress(progress: Progress) -> None:
            nonlocal last
            task.progress = progress
            now = time.monotonic()
            done = progress.sample is not None and progress.sample == progress.samples
            if done or now - last >= 1 / _SENDS_PER_SECOND:
                last = now
                self._tell(task, progress)

        return on_progress

    def _wait_for_renderer(self) -> None:
        """Others shall have what we can't render; nothing new is taken until a renderer comes up."""
        self._give_back(self._board.close(), "the renderer does not start")
        self._supervisor.recover()
        self._board.reopen()

    def _give_back(self, tasks: list[HeldTask], why: str) -> None:
        for task in tasks:
            self._checkouts.give_back(task.lease.task)
            self._board.finish(task, HandBack(why))


def _is_plain_below(path: Path, folder: Path) -> bool:
    """``path`` is a file below ``folder``, and no link leads out on the way."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False

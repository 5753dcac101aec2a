"""Renders one ready task after another, or tiles of a frame at once. It waits for tasks, never for the network.

The renderer has the next task of the job at hand before it is through with one, so that it need not wait for us: what
becomes of an image is settled while it renders the next.
"""

from __future__ import annotations

import logging
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..protocol.leases import Progress
from ..protocol.regions import hull
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
    """A task, or a block of tiles, that a renderer has been given."""

    block: list[HeldTask]
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
                if not self._board.begin(sent.block):
                    # It is at work on what nobody wants.
                    sent.renderer.kill()
                self._serve(sent.block, sent)
            elif block := self._board.next_ready(timeout=0.5):
                self._serve(block, None)
            else:
                self._idle(time.monotonic() - idle_from)
                continue
            idle_from = time.monotonic()

    def _idle(self, seconds: float) -> None:
        if self._board.held_back:
            return  # whoever uses the machine has all of it
        coming = self._board.coming_job(but=None)
        self._supervisor.prepare(coming)
        if coming is None and seconds > _REST_SECONDS:
            self._supervisor.rest()
            self._checkouts.retire(keep=self._supervisor.job)

    def _serve(self, block: list[HeldTask], sent: _Sent | None) -> None:
        """``sent`` if a renderer has it already."""
        began = time.monotonic()
        job_id = block[0].lease.task.job_id
        outcomes: list[Outcome] = []
        starts = True
        while not outcomes and not all(task.cancelled for task in block) and not self._ended.is_set():
            try:
                renderer = sent.renderer if sent else self._renderer_for(job_id)
            except RendererStopped:
                continue
            except RendererLost as lost:
                others: list[Outcome] = [HandBack("the renderer does not start")] * (len(block) - 1)
                outcomes = [of_lost_renderer(lost, "the renderer does not start: "), *others]
                starts = False
                break
            outcomes, sent = self._render(block, renderer, sent), None
        if not self._ended.is_set():
            self._settle(block, outcomes, time.monotonic() - began, starts)
        if not starts:
            self._wait_for_renderer()
        self._checkouts.retire(keep=self._supervisor.job)

    def _settle(self, block: list[HeldTask], outcomes: list[Outcome], seconds: float, starts: bool) -> None:
        """Pass on what became of each task after so many ``seconds``; no outcomes if none is wanted any more."""
        images = [outcome.render_seconds for outcome in outcomes if isinstance(outcome, Image)]
        if len(images) > 1:
            log.info("rendered %d tiles at once in %.2f s", len(images), seconds, extra=block[0].extra)
        if images:
            self._give_back(self._board.took(block, seconds, sum(images)), "it would wait here for long")
        again = []
        found: Sequence[Outcome | None] = outcomes or [None] * len(block)
        for task, outcome, share in zip(block, found, _shares(block), strict=True):
            if task.cancelled or outcome is None:
                self._checkouts.give_back(task.lease.task)
                self._board.drop(task)
                continue
            full = isinstance(outcome, Failure) and outcome.code is FailureCode.DISK_FULL
            if isinstance(outcome, Failure) and len(block) > 1 and starts and not full:
                log.warning("%d tiles at once failed (%s): %s", len(block), outcome.code, outcome.message)
                again.append(task)
                continue
            if isinstance(outcome, Image):
                log.info("rendered frame %d in %.2f s", task.lease.task.frame, seconds * share, extra=task.extra)
                self._was_full = False
            elif isinstance(outcome, Failure):
                outcome = self._once_if_full(outcome)
            if isinstance(outcome, Failure):
                log.warning("task failed (%s): %s", outcome.code, outcome.message, extra=task.extra)
            self._checkouts.give_back(task.lease.task)
            self._board.finish(task, outcome)
        if again:
            self._board.one_by_one(again)

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

    def _render(self, block: list[HeldTask], renderer: RendererProcess, sent: _Sent | None) -> list[Outcome]:
        """What became of each; nothing if the renderer was killed on purpose, which the caller knows the purpose of."""
        began = time.monotonic()
        half = self._board.seconds_of(len(block)) / 2

        def send_ahead() -> None:
            self._send_ahead(block, renderer, hurry=time.monotonic() - began >= half)

        try:
            sent = sent or self._send(block, renderer)
            reply = renderer.answer(sent.request, self._teller(block), send_ahead)
        except (RendererStopped, RendererLost) as lost:
            # What it had not begun is for the next renderer, and no fault of that task.
            if self._ahead:
                self._board.put_back(self._ahead.block)
                self._ahead = None
            return [of_lost_renderer(lost)] * len(block) if isinstance(lost, RendererLost) else []
        except OSError as error:
            return [of_disk(error)] * len(block)
        self._recycling.served(renderer)
        try:
            if isinstance(reply, Rendered):
                if is_nearly_full(self._results):
                    full = failure(FailureKind.WORKER, FailureCode.DISK_FULL, "the worker's disk is full")
                    return [full] * len(block)
                return self._take_all(block, Path(sent.request.out_dir), reply, renderer.peak_memory)
            failed = of_failed_request(reply, renderer.log_tail, disk_full=self._disk_full_behind(reply))
        except OSError as error:
            failed = of_disk(error)
        return [failed] * len(block)

    def _send(self, block: list[HeldTask], renderer: RendererProcess) -> _Sent:
        request = self._request(block, self._supervisor.out_folder(block[0].lease.id))
        renderer.send(request)
        return _Sent(block, request, renderer)

    def _send_ahead(self, current: list[HeldTask], renderer: RendererProcess, hurry: bool) -> None:
        """Give the renderer what comes after ``current``, if it is at hand and of the same job.

        Tiles that are to be rendered at once are best sent late, but before there is ``hurry``, when more are there.
        """
        job_id = current[0].lease.task.job_id
        if self._ahead is not None or all(task.cancelled for task in current) or self._recycling.due(renderer):
            return
        block = self._board.next_of(job_id, hurry)
        if not block:
            if other := self._board.coming_job(but=job_id):
                self._supervisor.prepare(other)
            return
        try:
            self._ahead = self._send(block, renderer)
        except OSError as error:
            # Its own turn comes, and will show whether there is no room for it.
            log.debug("not sent ahead: %s", error, extra=block[0].extra)
            self._board.put_back(block)

    def _request(self, block: list[HeldTask], out: Path) -> RenderRequest | FinishRequest:
        held, parts = block[0], tuple(task.lease.task.region for task in block)
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
            region=hull(parts),
            linear=task.linear,
            out_dir=str(out),
            parts=parts if len(parts) > 1 else (),
        )

    def _take_all(self, block: list[HeldTask], out: Path, reply: Rendered, peak_memory: int) -> list[Outcome]:
        """:meth:`_take` for each tile of a block, the time shared by their area."""
        paths = reply.parts if len(block) > 1 else (reply.path,)
        if len(paths) != len(block):
            why = f"the renderer left {len(paths)} images of {len(block)}"
            return [failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, why)] * len(block)
        outcomes: list[Outcome] = []
        for task, path, share in zip(block, paths, _shares(block), strict=True):
            own = {"path": path, "render_seconds": reply.render_seconds * share}
            outcome = self._take(task, out, reply.model_copy(update=own), peak_memory)
            outcomes.append(replace(outcome, at_once=len(block)) if isinstance(outcome, Image) else outcome)
        remove_tree(out)
        return outcomes

    def _take(self, task: HeldTask, out: Path, reply: Rendered, peak_memory: int) -> Outcome:
        """Move the image out of the renderer's reach. What the renderer says about it is only a claim."""
        folder = self._results / task.lease.id
        remove_tree(folder)
        folder.mkdir(parents=True)
        taken: list[tuple[str, Path]] = []
        for name, told in (("", reply.path), *((extra.name, extra.path) for extra in reply.extras)):
            path = Path(told)
            if name and name not in task.lease.task.extras:
                # Dropping it would lose a file without a word.
                why = f"the scene wrote a file that its job does not tell of: {name}"
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, why)
            if any(name == known for known, _ in taken):
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the renderer left two files called {name}")
            if not _is_plain_below(path, out):
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the renderer left no image at {told!r}")
            place = folder / f"image{len(taken)}{path.suffix[:20]}"
            path.replace(place)
            if not _is_plain_below(place, folder):
                # It was changed for a link since we looked. Here the renderer can't do that any more.
                return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, "the renderer left a link for an image")
            taken.append((name, place))
        (_, image), *extras = taken
        return Image(image, tuple(extras), reply.render_seconds, reply.device, reply.warnings, peak_memory)

    def _disk_full_behind(self, reply: Failed) -> bool:
        # A file Blender could not write looks like the scene's fault, which would end the whole job.
        return reply.code in (FailureCode.RENDER_ERROR, FailureCode.BAD_OUTPUT, FailureCode.CRASHED) and (
            is_nearly_full(self._results)
        )

    def _teller(self, block: list[HeldTask]) -> Callable[[Progress], None]:
        """Of a block, each tile is as far as all are."""
        last = 0.0

        def on_progress(progress: Progress) -> None:
            nonlocal last
            for task in block:
                task.progress = progress
            now = time.monotonic()
            done = progress.sample is not None and progress.sample == progress.samples
            if done or now - last >= len(block) / _SENDS_PER_SECOND:
                last = now
                for task in block:
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


def _shares(block: list[HeldTask]) -> list[float]:
    """Of what a block took, the share of each tile: by its area."""
    areas = [task.lease.task.region.width * task.lease.task.region.height for task in block]
    return [area / sum(areas) for area in areas]


def _is_plain_below(path: Path, folder: Path) -> bool:
    """``path`` is a file below ``folder``, and no link leads out on the way."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False

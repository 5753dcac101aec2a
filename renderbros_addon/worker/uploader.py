"""Checks what was rendered, uploads it, reports it, and only then forgets it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..client.errors import ClientError, DispatcherError, DispatcherUnreachable, Stopped
from ..client.http import DispatcherClient, new_key
from ..imaging.checker import ImageChecker
from ..imaging.errors import ImageError
from ..imaging.level0 import extra_problems, level0_problems
from ..protocol.handing_in import INLINE_BYTES, HandedIn, InlineFile
from ..protocol.leases import Acceptance
from ..protocol.results import ExtraFile, Failure, RenderStats, TaskResult
from ..protocol.states import FailureCode, FailureKind
from ..protocol.workers import Capabilities
from .board import Board, HandBack, HeldTask, Image
from .checkout import remove_tree
from .failures import failure, of_disk
from .outbox import Outbox
from .own_places import OwnPlaces
from .room import is_nearly_full

log = logging.getLogger("renderbros.worker")

UPLOADS = 8
"""Tasks that are reported at the same time: each takes a round trip or more, in which short ones would pile up."""

_NO_ROOM = 507
_WAIT_FOR_ROOM = 5.0
_TRIES_AFTER_FAULTS = 5
"""A dispatcher that answers with a fault of its own, or with what makes no sense, is asked again so often."""

_CERTAIN = frozenset({"unknown_lease", "conflict", "unknown_file", "same_name"})
"""Words that only who understood the question says."""


def _is_certain(error: DispatcherError) -> bool:
    return error.problem.word in _CERTAIN or error.problem.status >= 500


class Uploader:
    """Reports finished tasks, by a client that keeps trying until the dispatcher is back.

    :meth:`run` is for several threads: files go side by side, results in the order in which they were rendered: by that
    the dispatcher knows what a renderer had rendered before. ``delivered`` is called with what it wanted.
    """

    def __init__(
        self,
        board: Board,
        client: DispatcherClient,
        checker: ImageChecker,
        results: Path,
        capabilities: Capabilities,
        places: OwnPlaces,
        delivered: Callable[[HeldTask, Image], None],
        ended: threading.Event,
    ) -> None:
        self._board = board
        self._places = places
        self._client = client
        self._checker = checker
        self._results = results
        self._blender = f"{capabilities.blender} ({capabilities.build})"
        self._delivered = delivered
        self._ended = ended
        self._taking = threading.Lock()
        self._outbox = Outbox(client.results, board.travelled, ended)
        self._together = True
        """Does the dispatcher take several results, and small files with them?"""

    def run(self) -> None:
        """Until the agent ends."""
        while not self._ended.is_set():
            with self._taking:
                task = self._board.next_finished(timeout=0.5)
                if task is None:
                    continue
                turn = self._outbox.take()
            try:
                self._report(task, turn)
            except Stopped:
                return
            except Exception:
                log.exception("reporting failed; the task's lease will run out", extra=task.extra)
            finally:
                self._outbox.over(turn)
            self._board.drop(task)
            remove_tree(self._results / task.lease.id)

    def _report(self, task: HeldTask, turn: int) -> None:
        report: TaskResult | Failure | HandBack | None
        report = self._checked(task, task.outcome) if isinstance(task.outcome, Image) else task.outcome
        key = new_key()
        tries_left = _TRIES_AFTER_FAULTS
        while report is not None:
            try:
                self._send(task, report, key, turn)
                return
            except DispatcherUnreachable:
                raise
            except DispatcherError as error:
                if error.problem.status == _NO_ROOM:
                    # Nobody's fault here, and what is rendered is not thrown away for it: space comes back.
                    log.warning("the dispatcher has no room: %s; keeping the result", error, extra=task.extra)
                    if self._ended.wait(_WAIT_FOR_ROOM):
                        raise Stopped("stopped while reporting") from error
                    continue
                tries_left -= 1
                if error.problem.word == "missing_blob" and tries_left > 0:
                    # Somebody else had sent the same bytes, which were deleted once they had done their service.
                    log.info("the dispatcher lost a file: %s; sending it again", error, extra=task.extra)
                    continue
                if error.problem.status >= 500 and tries_left > 0:
                    log.warning("the dispatcher has a fault: %s; trying again", error, extra=task.extra)
                    if self._ended.wait(2.0):
                        raise Stopped("stopped while reporting") from error
                    continue
                if not _is_certain(error) and tries_left > 0:
                    # A line that garbles what is asked makes nonsense of it: the answer is believed if it stays.
                    log.info("the dispatcher refuses: %s; asking again", error, extra=task.extra)
                    if self._ended.wait(0.5):
                        raise Stopped("stopped while reporting") from error
                    continue
                report = self._report_about(task, report, error)
                key = new_key()
            except ClientError as error:
                # Our own file is not what we checked a moment ago.
                report = failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the result could not be sent: {error}")
            except OSError as error:
                report = of_disk(error)

    def _checked(self, task: HeldTask, image: Image) -> TaskResult | Failure | HandBack:
        """Level 0 of verification: what does not pass is reported as a failure and never uploaded."""
        lease = task.lease
        try:
            output = self._checker.inspect(image.path)
        except ImageError as error:
            return self._bad_output(task, str(error))
        problems = level0_problems(output, lease.scene, lease.task.region, lease.task.linear)
        if problems:
            return self._bad_output(task, "; ".join(problems))
        extras = []
        for name, path in image.extras:
            try:
                found = self._checker.inspect(path, finite=False)
            except ImageError as error:
                return self._bad_output(task, f"{name}: {error}")
            if problems := extra_problems(found, name):
                return self._bad_output(task, f"{name}: {'; '.join(problems)}")
            extras.append(ExtraFile(name=name, output=found))
        stats = RenderStats(
            render_seconds=image.render_seconds,
            total_seconds=time.monotonic() - task.taken,
            at_once=image.at_once,
            peak_memory=image.peak_memory or None,
            blender=self._blender[:200],
            device=image.device[:200],
            warnings=tuple(warning[:1000] for warning in image.warnings[:50]),
        )
        return TaskResult(output=output, extras=tuple(extras), stats=self._places.of_stats(stats))

    def _bad_output(self, task: HeldTask, why: str) -> Failure | HandBack:
        if is_nearly_full(self._results):
            return HandBack(f"the disk is full, and {why}")
        log.warning("the image does not pass: %s", why, extra=task.extra)
        return failure(FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the rendered image does not pass: {why}")

    def _send(self, task: HeldTask, report: TaskResult | Failure | HandBack, key: str, turn: int) -> None:
        lease_id = task.lease.id
        if isinstance(report, HandBack):
            self._client.release(lease_id)
            log.info("handed back: %s", report.reason, extra=task.extra)
        elif isinstance(report, Failure):
            self._client.fail(lease_id, self._places.of_failure(report), key=key)
        elif isinstance(task.outcome, Image):
            answer = self._deliver(task, task.outcome, report, key, turn)
            if answer.wanted:
                self._delivered(task, task.outcome)
            if answer.late or not answer.wanted:
                log.info("the result came late; wanted: %s", answer.wanted, extra=task.extra)

    def _deliver(self, task: HeldTask, image: Image, result: TaskResult, key: str, turn: int) -> Acceptance:
        """Small files go with the result, and that with those that are ready at the same time."""
        paths = [image.path, *(path for _, path in image.extras)]
        outputs = [result.output, *(one.output for one in result.extras)]
        small: dict[str, Path] = {}
        for path, output in zip(paths, outputs, strict=True):
            if self._together and output.size <= INLINE_BYTES:
                small[output.sha256] = path
            else:
                self._client.upload(path, output.sha256, output.size)
        if self._together:
            given = HandedIn(
                lease_id=task.lease.id,
                result=result,
                files=tuple(InlineFile.of(sha256, path.read_bytes()) for sha256, path in small.items()),
            )
            answer = self._outbox.hand_in(turn, given)
            if answer is not None:
                return answer
            log.info("this dispatcher takes one result at a time", extra=task.extra)
            self._together = False
            for output in outputs:
                if output.sha256 in small:
                    self._client.upload(small[output.sha256], output.sha256, output.size)
        while not self._outbox.wait(turn, 0.5):
            if self._ended.is_set():
                raise Stopped("stopped while reporting")
        began = time.monotonic()
        answer = self._client.result(task.lease.id, result, key=key)
        self._board.travelled(time.monotonic() - began)
        return answer

    def _report_about(
        self, task: HeldTask, report: TaskResult | Failure | HandBack, error: DispatcherError
    ) -> Failure | HandBack | None:
        """What to report after the dispatcher turned ``report`` down; None if there is nothing left to say."""
        log.warning("the dispatcher does not take it: %s", error, extra=task.extra)
        if error.problem.status >= 500:
            return None if isinstance(report, HandBack) else HandBack(f"the dispatcher has a fault: {error}")
        if isinstance(report, TaskResult) and error.problem.status not in (401, 403, 404, 409, 410):
            return failure(
                FailureKind.WORKER, FailureCode.BAD_OUTPUT, f"the dispatcher did not take the result: {error}"
            )
        return None

"""What the dispatcher does by itself once results are in: judge them, have them checked, assemble frames, tidy up.

Each step looks up where things stand, does the next thing, and may be taken again: after a crash, or by another
dispatcher on the same database. So whatever is found unfinished is simply taken up.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
from collections.abc import Callable, Collection, Sequence
from math import ceil
from pathlib import Path

from ..imaging.checker import ImageChecker
from ..imaging.errors import ImageError
from ..protocol.jobs import LogEntry
from ..protocol.results import Output
from ..protocol.states import FailureCode, JobStatus
from . import checks, frames, jobs, results, spare, standings, tasks
from .assessor import Assessor
from .blobs import BlobCorrupt, BlobStore
from .judging import Judge
from .scratch import Scratch
from .store import Store, Tx
from .tables import AnyRow
from .verification import Desk

log = logging.getLogger("renderbros.dispatcher")

ASSEMBLY_ATTEMPTS = 3
"""How often a frame's tiles are put together before the job is given up."""

_SPARE_ROOM = 16 << 20
"""Bytes of free disk below which a failed assembly is blamed on the disk."""

MOST_TOGETHER = 16
"""Results that one thread judges together."""

Step = tuple[str, str, int]
"""("result", "", its row id), ("verdict", "", the row id of a checked result), ("frame", job's id, frame) or
("recall", worker's id, 0)."""


class Intake:
    """Threads that take steps. ``checkers`` makes the decoder of each thread, a limited process of its own."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        scratch: Path,
        checker: Callable[[], ImageChecker],
        threads: int,
        desk: Desk | None = None,
    ) -> None:
        self._assessor = Assessor(store, blobs, desk or Desk())
        self._judge = Judge(store, blobs, self._assessor, scratch, self._delete_all)
        self._store = store
        self._blobs = blobs
        self._scratch = scratch
        self._make_checker = checker
        self._steps: queue.Queue[Step | None] = queue.Queue()
        self._lock = threading.Lock()
        self._known: dict[Step, None] = {}
        """Those that are to be taken, in the order in which they came."""
        self._threads = [threading.Thread(target=self._work, name=f"intake-{i}", daemon=True) for i in range(threads)]

    def start(self) -> None:
        """Take up what an earlier run left, and whatever comes."""
        self._store.listen(self._hear)
        self.recover()
        for thread in self._threads:
            thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop after the steps at hand; what is queued is taken up at the next start."""
        for _ in self._threads:
            self._steps.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)

    def recover(self) -> None:
        """Take up every unfinished step that the database knows of."""
        with self._store.read() as conn:
            found: list[Step] = [("result", "", result_id) for result_id in results.pending(conn)]
            for row in frames.unsettled(conn):
                if row.state == frames.FrameState.DONE or not JobStatus(row.job_status).ended:
                    found.append(("frame", row.job_id, row.frame))
            found += [("verdict", "", subject_id) for subject_id in checks.unfinished(conn)]
            found += [("recall", worker_id, 0) for worker_id, _ in standings.due_for_recall(conn)]
        for step in found:
            self._add(step)

    def _hear(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            if entry.event in ("task.submitted", "result.late") and isinstance(entry.detail.get("result_id"), int):
                self._add(("result", "", int(str(entry.detail["result_id"]))))
            elif entry.event in ("frame.ready", "frame.done") and entry.job_id:
                self._add(("frame", entry.job_id, int(str(entry.detail["frame"]))))
            elif entry.event in ("check.decided", "check.dropped"):
                self._add(("verdict", "", int(str(entry.detail["subject"]))))
            elif entry.event == "worker.fault" and entry.worker_id:
                self._add(("recall", entry.worker_id, 0))

    def _add(self, step: Step) -> None:
        with self._lock:
            if step in self._known:
                return
            self._known[step] = None
        self._steps.put(step)

    def _work(self) -> None:
        checker = self._make_checker()
        try:
            while (step := self._steps.get()) is not None:
                steps = self._begin(step)
                try:
                    self._take(checker, steps)
                except Exception:
                    # Storage out of reach, disk full: the step stays in the database and is taken up by the sweeper.
                    log.exception("steps of the intake failed and will be tried again: %s", steps)
        finally:
            checker.close()

    def _begin(self, step: Step) -> list[Step]:
        """A step, and those to be taken with it; none if it was taken with another one.

        They are forgotten before they are taken: what comes in meanwhile is not to be missed.
        """
        with self._lock:
            if step not in self._known:
                return []
            steps = [step]
            if step[0] == "result":
                waiting = [one for one in self._known if one[0] == "result" and one != step]
                # The other threads are to have theirs.
                share = min(MOST_TOGETHER, ceil((len(waiting) + 1) / len(self._threads)))
                steps += waiting[: share - 1]
            for one in steps:
                del self._known[one]
            return steps

    def _take(self, checker: ImageChecker, steps: Sequence[Step]) -> None:
        if not steps:
            return
        kind, name, number = steps[0]
        if kind == "result":
            for subject_id in self._judge.judge(checker, [one[2] for one in steps]):
                self._add(("verdict", "", subject_id))
        elif kind == "verdict":
            self._assessor.conclude(number, self._delete_all)
        elif kind == "recall":
            self._assessor.recall(name, self._delete_spare)
        else:
            self._advance(checker, name, number)

    # Frames

    def _advance(self, checker: ImageChecker, job_id: str, frame: int) -> None:
        with self._store.read() as conn:
            state = frames.load(conn, job_id, frame).state
            ended = JobStatus(jobs.load(conn, job_id).status).ended
        if state == frames.FrameState.READY and not ended:
            self._assemble(checker, job_id, frame)
        elif state == frames.FrameState.DONE:
            self._tidy(job_id, frame)

    def _assemble(self, checker: ImageChecker, job_id: str, frame: int) -> None:
        with self._store.read() as conn:
            spec = jobs.spec_of(jobs.load(conn, job_id))
            tiles = frames.tiles(conn, job_id, frame)
        with Scratch(self._scratch) as scratch:
            folder = scratch.folder
            out = folder / "assembled.exr"
            try:
                pieces = [
                    (tasks.region_of(tile), self._blobs.local_copy(tile.sha256, folder / f"{i}.exr"))
                    for i, tile in enumerate(tiles)
                ]
                output = checker.assemble(pieces, spec.scene.width, spec.scene.height, out)
            except (ImageError, FileNotFoundError, BlobCorrupt) as error:
                if self._is_full(folder):
                    raise OSError(f"no room to assemble frame {frame} of job {job_id}: {error}") from error
                self._assembly_failed(job_id, frame, str(error))
                return
            before = self._store.change(lambda tx: _announce(tx, job_id, frame, output.sha256))
            if before is not None:
                self._delete_spare(before)
            self._blobs.put_file(out, output.sha256)
        if not self._store.change(lambda tx: _assembled(tx, job_id, frame, output)):
            self._delete_spare(output.sha256)
            return
        log.info("frame %d assembled from %d tiles", frame, len(tiles), extra={"job": job_id})

    def _is_full(self, folder: Path) -> bool:
        """Whether what lies in ``folder`` would not fit beside it once more: then the disk failed, not the tiles."""
        return shutil.disk_usage(folder).free < sum(file.stat().st_size for file in folder.iterdir()) + _SPARE_ROOM

    def _assembly_failed(self, job_id: str, frame: int, problem: str) -> None:
        log.error("frame %d can't be assembled: %s", frame, problem, extra={"job": job_id})

        def change(tx: Tx) -> None:
            job = jobs.lock(tx, job_id)
            if not JobStatus(job.status).ended and frames.attempt_failed(tx, job_id, frame) >= ASSEMBLY_ATTEMPTS:
                message = f"The tiles of frame {frame} can't be put together: {problem}"
                jobs.fail(tx, job, FailureCode.BAD_OUTPUT, message)

        self._store.change(change)

    def _tidy(self, job_id: str, frame: int) -> None:
        with self._store.read() as conn:
            found = frames.spare_blobs(conn, job_id, frame)

        def change(tx: Tx) -> None:
            for sha256 in found:
                spare.delete_in(tx, sha256, self._blobs.delete, but=(job_id, frame))
            frames.settle(tx, job_id, frame)

        self._store.change(change)

    def discard(self, files: Collection[str]) -> None:
        """Delete those of these blobs that nothing needs."""
        spare.delete_all(self._store, files, self._blobs.delete)

    def _delete_all(self, result: AnyRow, extras: Sequence[AnyRow]) -> None:
        self.discard({result.sha256, *(extra.sha256 for extra in extras)})

    def _delete_spare(self, sha256: str) -> None:
        self.discard((sha256,))


def _announce(tx: Tx, job_id: str, frame: int, sha256: str) -> str | None:
    spare.protect(tx, [sha256])
    return frames.announce_assembled(tx, job_id, frame, sha256)


def _assembled(tx: Tx, job_id: str, frame: int, output: Output) -> bool:
    job = jobs.lock(tx, job_id)
    if JobStatus(job.status).ended:
        return True  # cancelled meanwhile; the row knows of the blob, and goes on from there if the job is tried again
    kept = frames.assembled(tx, job, jobs.spec_of(job), frame, output)
    jobs.settle(tx, job_id)
    return kept

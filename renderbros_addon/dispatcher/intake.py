"""What the dispatcher does by itself once results are in: judge them, have them checked, assemble frames, tidy up.

Each step looks up where things stand, does the next thing, and may be taken again: after a crash, or by another
dispatcher on the same database. So whatever is found unfinished is simply taken up.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ..imaging.checker import ImageChecker
from ..imaging.errors import ImageError
from ..imaging.level0 import extra_problems, level0_problems
from ..protocol.jobs import LogEntry, SceneSpec
from ..protocol.results import Output
from ..protocol.states import FailureCode, JobStatus
from . import checks, frames, jobs, results, spare, standings, tasks
from .assessor import Assessor
from .blobs import BlobCorrupt, BlobStore
from .scratch import Scratch
from .store import Store, Tx
from .tables import AnyRow
from .verification import Desk

log = logging.getLogger("renderbros.dispatcher")

ASSEMBLY_ATTEMPTS = 3
"""How often a frame's tiles are put together before the job is given up."""

_SPARE_ROOM = 16 << 20
"""Bytes of free disk below which a failed assembly is blamed on the disk."""

MAX_LINEAR_CHANNELS = 512
"""Of a multilayer EXR: some ten view layers with every pass that Blender has. A worker that sends more wastes time."""

MAX_PICTURE_CHANNELS = 16
"""Of every other format, with room for stereo and depth."""

EXTRA_PIXELS = 1 << 26
"""Of a file beside a frame: a compositor may write pictures of any size, such as a texture of 8192 by 8192."""

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
        self._store = store
        self._blobs = blobs
        self._scratch = scratch
        self._make_checker = checker
        self._steps: queue.Queue[Step | None] = queue.Queue()
        self._lock = threading.Lock()
        self._known: set[Step] = set()
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
            self._known.add(step)
        self._steps.put(step)

    def _work(self) -> None:
        checker = self._make_checker()
        try:
            while (step := self._steps.get()) is not None:
                # Forgotten before it is taken: what comes in meanwhile is not to be missed.
                with self._lock:
                    self._known.discard(step)
                try:
                    self._take(checker, step)
                except Exception:
                    # Storage out of reach, disk full: the step stays in the database and is taken up by the sweeper.
                    log.exception("a step of the intake failed and will be tried again: %s", step)
        finally:
            checker.close()

    def _take(self, checker: ImageChecker, step: Step) -> None:
        kind, name, number = step
        if kind == "result":
            self._judge(checker, number)
        elif kind == "verdict":
            self._assessor.conclude(number, self._delete_all)
        elif kind == "recall":
            self._assessor.recall(name, self._delete_spare)
        else:
            self._advance(checker, name, number)

    # Results

    def _judge(self, checker: ImageChecker, result_id: int) -> None:
        with self._store.read() as conn:
            result = results.load(conn, result_id)
            judged = result.status != results.ResultStatus.PENDING
            task = tasks.load(conn, result.task_id)
            spec = jobs.spec_of(jobs.load(conn, result.job_id))
            extras = results.files_of(conn, result_id)
        if judged:
            # It came when nobody needed it any more, or was turned down: its row stays, its file goes.
            if result.status not in (results.ResultStatus.ACCEPTED, results.ResultStatus.CHECKING):
                self._delete_all(result, extras)
            return
        about = {"job": result.job_id, "task": result.task_id, "worker": result.worker_id}
        with Scratch(self._scratch) as scratch:
            try:
                image = self._blobs.in_place(result.sha256) or self._blobs.local_copy(result.sha256, scratch.new())
                problem, output = self._look(checker, image, result.output, spec.scene, task)
                self._check_digest(result.sha256, image, problem, output)
                found_extras: dict[str, Output] = {}
                for extra in extras if output is not None else ():
                    path = self._blobs.local_copy(extra.sha256, scratch.new())
                    problem, extra_output = self._look_beside(checker, path, extra.name, extra.output)
                    if extra_output is None:
                        output = None
                        break
                    found_extras[extra.name] = extra_output
                if output is not None:
                    status = self._assessor.take_in(checker, result, task, image, output, found_extras, scratch)
            except (FileNotFoundError, BlobCorrupt) as error:
                gone = f"its file is gone: {error}"
                self._store.change(lambda tx: results.reject(tx, result_id, gone, blame=False))
                log.warning("result rejected: %s", gone, extra=about)
                return
        if output is None:
            self._store.change(lambda tx: results.reject(tx, result_id, problem))
            log.warning("result rejected: %s", problem, extra=about)
            self._delete_all(result, extras)
        else:
            log.info("result of frame %d: %s", result.frame, status, extra=about)
            if result.subject_id is not None:
                self._add(("verdict", "", result.subject_id))
            if status not in (results.ResultStatus.ACCEPTED, results.ResultStatus.CHECKING):
                self._delete_all(result, extras)

    def _check_digest(self, sha256: str, image: Path, problem: str, output: Output | None) -> None:
        """If a picture that was looked at in place is bad, see whether it still is what the worker sent."""
        if output is not None:
            return
        with image.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            self._blobs.found_corrupt(sha256, found)
            raise BlobCorrupt(f"blob {sha256} was corrupt in the storage: {problem}")

    @staticmethod
    def _look(
        checker: ImageChecker,
        image: Path,
        claimed_text: str,
        scene: SceneSpec,
        task: AnyRow,
    ) -> tuple[str, Output | None]:
        """Level 0: what is wrong with an image, or else what it is."""
        claimed = Output.model_validate_json(claimed_text)
        try:
            layered = task.linear or scene.format == "OPEN_EXR_MULTILAYER"
            found = checker.inspect(
                image,
                max_pixels=tasks.region_of(task).width * tasks.region_of(task).height,
                max_channels=MAX_LINEAR_CHANNELS if layered else MAX_PICTURE_CHANNELS,
            )
        except ImageError as error:
            return f"The image can't be used: {error}", None
        problems = _differences(found, claimed)
        problems += level0_problems(found, scene, tasks.region_of(task), task.linear)
        return "; ".join(problems), None if problems else found

    @staticmethod
    def _look_beside(checker: ImageChecker, image: Path, name: str, claimed_text: str) -> tuple[str, Output | None]:
        """The same for a file beside the picture, of which only its name tells what it is to be."""
        claimed = Output.model_validate_json(claimed_text)
        try:
            found = checker.inspect(
                image,
                max_pixels=EXTRA_PIXELS,
                max_channels=MAX_LINEAR_CHANNELS,
                finite=False,
            )
        except ImageError as error:
            return f"The file {name} can't be used: {error}", None
        problems = [*_differences(found, claimed), *extra_problems(found, name)]
        return f"the file {name}: " + "; ".join(problems), None if problems else found

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


def _differences(found: Output, claimed: Output) -> list[str]:
    return [
        f"its {what} is not the one the worker told"
        for what in ("sha256", "size", "pixel_digest")
        if getattr(found, what) != getattr(claimed, what)
    ]


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

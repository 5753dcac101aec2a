"""The steps of the intake that are about checks: drawing them, comparing images, concluding, recalling.

What is decided is decided by :class:`~.verification.Desk` in a transaction; here is what takes time, before and after.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from ..imaging.attention import draw_regions
from ..imaging.checker import ImageChecker
from ..imaging.errors import ImageError
from ..protocol.checks import CheckStatus
from ..protocol.regions import Region
from ..protocol.results import Output
from . import checks, frames, recall, results, standings, tasks
from .asking import PARTS, part_size
from .blobs import BlobCorrupt, BlobStore
from .checks import Opinion
from .comparing import Comparer
from .scratch import Scratch
from .store import Store, Tx
from .suspicion import suspicion
from .tables import AnyRow
from .trust import Draw
from .verification import Desk, Plan

log = logging.getLogger("renderbros.dispatcher")

Discard = Callable[[AnyRow, Sequence[AnyRow]], None]
"""Deletes the files of a result and those beside it, as far as nothing else needs them."""


@dataclass
class Drawn:
    """What was found odd about a result, and what is to be checked of it: drawn once, however often it is tried."""

    known: bool = False
    suspicion: str | None = None
    plan: Plan | None = None


ToTakeIn = tuple[AnyRow, AnyRow, Output, Mapping[str, Output], Drawn]
"""A result, its task, and its files as they were found."""


class Assessor:
    """Takes steps that each can be taken again after a crash."""

    def __init__(self, store: Store, blobs: BlobStore, desk: Desk) -> None:
        self._store = store
        self._blobs = blobs
        self._desk = desk

    def take_in(
        self,
        checker: ImageChecker,
        result: AnyRow,
        task: AnyRow,
        image: Path,
        output: Output,
        extras: Mapping[str, Output],
        scratch: Scratch,
        drawn: Drawn | None = None,
    ) -> results.ResultStatus:
        """A result whose files are good is accepted, or held to be checked by others; a checker's is compared.

        ``image`` is its file, ``scratch`` a place for others, ``drawn`` what :meth:`take_in_all` has found out about
        it. Returns what became of it.
        """
        desk = self._desk
        if result.subject_id is not None:
            # Compared first, while the result still waits: whatever fails or is killed here is taken up again.
            found = self._opinion(checker, result, image, extras, scratch)
            return self._store.change(lambda tx: desk.take_opinion(tx, result.id, output, extras, found))
        if task.linear and self._is_unlike_other_tiles(result, task, output):
            return results.ResultStatus.REJECTED
        drawn = drawn or Drawn()
        with self._store.read() as conn:
            self._draw(conn, result, task, output, drawn)
            odd, plan = drawn.suspicion, drawn.plan
            before = frames.output_before(conn, task) if plan and plan.draw is Draw.PART and not task.linear else None
        regions: Sequence[Region] = ()
        if plan is not None:
            regions = self._where(checker, plan, tasks.region_of(task), image, before, scratch)
        why = plan.reason if plan else ""
        return self._store.change(
            lambda tx: desk.receive(tx, result.id, output, extras, regions=regions, reason=why, suspicion=odd)
        )

    def take_in_all(self, many: Sequence[ToTakeIn]) -> list[results.ResultStatus | Exception | None]:
        """Accept those results, none of them a checker's, of which nothing is to be checked, with one commit.

        None for the others, which are left as they are: for :meth:`take_in`. Each sees what became of those before it.
        """
        return self._store.change_all([partial(self._take_in_unchecked, given=given) for given in many])

    def _take_in_unchecked(self, tx: Tx, given: ToTakeIn) -> results.ResultStatus | None:
        result, task, output, extras, drawn = given
        if task.linear and results.tile_with_other_channels(tx.conn, task, output.channels) is not None:
            return None
        self._draw(tx.conn, result, task, output, drawn)
        if drawn.plan is not None:
            return None
        return self._desk.receive(tx, result.id, output, extras, suspicion=drawn.suspicion)

    def _draw(self, conn: Connection, result: AnyRow, task: AnyRow, output: Output, drawn: Drawn) -> None:
        if not drawn.known:
            drawn.suspicion = suspicion(conn, task, result, output)
            drawn.plan = self._desk.plan(conn, result, drawn.suspicion)
            drawn.known = True

    def _is_unlike_other_tiles(self, result: AnyRow, task: AnyRow, output: Output) -> bool:
        """Reject a tile whose channels differ from those of the frame's other tiles.

        Unless others have confirmed one of those, nobody knows which is odd: both are rendered again, unblamed.
        """
        with self._store.read() as conn:
            other = results.tile_with_other_channels(conn, task, output.channels)
            proven = other is not None and checks.was_matched(conn, other.id)
        if other is None:
            return False
        problem = "its channels differ from those of the frame's other tiles"
        if not proven:
            self._store.change(lambda tx: recall.recall(tx, other.id, self._desk))
        self._store.change(lambda tx: results.reject(tx, result.id, problem, blame=proven))
        log.warning("result rejected: %s", problem, extra={"job": result.job_id, "task": task.id})
        return True

    def _where(
        self, checker: ImageChecker, plan: Plan, whole: Region, image: Path, before: str | None, scratch: Scratch
    ) -> Sequence[Region]:
        """What of an image is to be rendered again: all of it, or parts where there is something to see."""
        size = part_size(whole)
        if plan.draw is Draw.WHOLE or size == (whole.width, whole.height):
            return (whole,)
        neighbour = None
        if before is not None:
            with contextlib.suppress(FileNotFoundError, BlobCorrupt):
                neighbour = self._blobs.local_copy(before, scratch.folder / "before")
        try:
            weights = checker.attention(image, neighbour)
        except ImageError as error:
            log.warning("where to look can't be told: %s", error)
            return (whole,)
        return draw_regions(weights, whole, size, PARTS, self._desk.random)

    def _opinion(
        self, checker: ImageChecker, result: AnyRow, image: Path, extras: Mapping[str, Output], scratch: Scratch
    ) -> Opinion | None:
        """Compare a checker's image with what it is about; None if nobody waits for that any more."""
        with self._store.read() as conn:
            check = checks.of_task(conn, result.task_id)
            if check is None or check.status != CheckStatus.OPEN:
                return None
            try:
                found = Comparer(self._blobs, checker).opinion(conn, check, result, image, extras, scratch)
            except (FileNotFoundError, BlobCorrupt) as error:
                found = Opinion("inconclusive", f"the result's file is gone: {error}", exact=False)
        about = {"job": check.job_id, "task": check.task_id, "worker": check.worker_id}
        log.info("check of frame %d: %s (%s)", check.frame, found.verdict, found.sentence, extra=about)
        return found

    def conclude(self, subject_id: int, discard: Discard) -> None:
        """Do what follows from a result's checks, and delete the files that were only needed for them."""
        self._store.change(lambda tx: self._desk.conclude(tx, subject_id))
        with self._store.read() as conn:
            subject = results.load(conn, subject_id)
            extras = results.files_of(conn, subject_id)
            left = [
                (check.id, results.load(conn, check.result_id), results.files_of(conn, check.result_id))
                for check in checks.of_subject(conn, subject_id)
                if check.kept
            ]
        if subject.status == results.ResultStatus.CHECKING:
            return
        if subject.status != results.ResultStatus.ACCEPTED:
            discard(subject, extras)
        for check_id, result, files in left:
            discard(result, files)
            self._store.change(partial(checks.tidied, check_id=check_id))

    def recall(self, worker_id: str, discard: Callable[[str], None]) -> None:
        """Have what a worker sent rendered again as far as it is doubtful, now that it was found at fault."""
        with self._store.read() as conn:
            due = dict(standings.due_for_recall(conn)).get(worker_id)
            found = [] if due is None else recall.due(conn, worker_id, due)
        if due is None:
            return
        for result_id in found:
            for sha256 in self._store.change(partial(recall.recall, result_id=result_id, desk=self._desk)):
                discard(sha256)
        self._store.change(lambda tx: standings.recalled(tx, worker_id, due))
        log.warning("%d results are rendered again", len(found), extra={"worker": worker_id})

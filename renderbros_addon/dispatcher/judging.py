"""Judging results: their files are looked at, and then each is accepted, held to be checked by others, or rejected.

Small ones that wait are taken together: one request to the process that decodes them, one commit.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from ..imaging.checker import ImageChecker, Inspection
from ..imaging.errors import ImageError
from ..imaging.level0 import extra_problems, level0_problems
from ..protocol.jobs import JobSpec
from ..protocol.results import Output
from . import jobs, results, tasks
from .assessor import Assessor, Drawn
from .blobs import BlobCorrupt, BlobStore
from .results import ResultStatus
from .scratch import Scratch
from .store import Store
from .tables import AnyRow

log = logging.getLogger("renderbros.dispatcher")

MAX_LINEAR_CHANNELS = 512
"""Of a multilayer EXR: some ten view layers with every pass that Blender has. A worker that sends more wastes time."""

MAX_PICTURE_CHANNELS = 16
"""Of every other format, with room for stereo and depth."""

EXTRA_PIXELS = 1 << 26
"""Of a file beside a frame: a compositor may write pictures of any size, such as a texture of 8192 by 8192."""

SMALL_BYTES, SMALL_PIXELS = 1 << 18, 1 << 18
"""Of a picture that is looked at together with others: none of them waits long for the rest."""


@dataclass
class _Waiting:
    """A result that is being judged, and what is known of it by now."""

    result: AnyRow
    task: AnyRow
    spec: JobSpec
    extras: Sequence[AnyRow]
    image: Path = field(default_factory=Path)
    problem: str = ""
    output: Output | None = None
    """What its file turned out to be; None while that isn't known, and if it is no good."""
    found_extras: dict[str, Output] = field(default_factory=dict)
    drawn: Drawn = field(default_factory=Drawn)

    @property
    def about(self) -> dict[str, str]:
        """For log calls."""
        return {"job": self.result.job_id, "task": self.result.task_id, "worker": self.result.worker_id}

    @property
    def is_small(self) -> bool:
        region = tasks.region_of(self.task)
        size = self.image.stat().st_size
        return size <= SMALL_BYTES and region.width * region.height <= SMALL_PIXELS and not self.extras

    @property
    def inspection(self) -> Inspection:
        region = tasks.region_of(self.task)
        layered = self.task.linear or self.spec.scene.format == "OPEN_EXR_MULTILAYER"
        channels = MAX_LINEAR_CHANNELS if layered else MAX_PICTURE_CHANNELS
        return Inspection(self.image, region.width * region.height, channels)


class Judge:
    """Any thread may call. ``discard`` deletes the files of a result and those beside it that nothing else needs."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        assessor: Assessor,
        scratch: Path,
        discard: Callable[[AnyRow, Sequence[AnyRow]], None],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._assessor = assessor
        self._scratch = scratch
        self._discard = discard

    def judge(self, checker: ImageChecker, result_ids: Sequence[int]) -> list[int]:
        """Judge results, with the checker of the calling thread. Returns those whose checks they may have concluded.

        What can't be judged for now, because the storage is out of reach or the disk is full, is left as it is.
        """
        with self._store.read() as conn:
            found = [_load(conn, result_id) for result_id in result_ids]
        pending = []
        for one in found:
            if one.result.status == ResultStatus.PENDING:
                pending.append(one)
            elif one.result.status not in (ResultStatus.ACCEPTED, ResultStatus.CHECKING):
                # It came when nobody needed it any more, or was turned down: its row stays, its file goes.
                self._discard(one.result, one.extras)
        with Scratch(self._scratch) as scratch:
            there = [one for one in pending if self._try(one, partial(self._fetch, one, scratch))]
            for group in _groups(there):
                self._judge_group(checker, group, scratch)
        return [one.result.subject_id for one in pending if one.output and one.result.subject_id is not None]

    def _try(self, one: _Waiting, step: Callable[[], None]) -> bool:
        """Take a step with one of several results, of which the others must not suffer for it."""
        try:
            step()
        except (FileNotFoundError, BlobCorrupt) as error:
            gone = f"its file is gone: {error}"
            self._store.change(lambda tx: results.reject(tx, one.result.id, gone, blame=False))
            log.warning("result rejected: %s", gone, extra=one.about)
            return False
        except Exception:
            # It stays in the database and is taken up by the sweeper.
            log.exception("a result could not be judged, and that will be tried again", extra=one.about)
            return False
        return True

    def _fetch(self, one: _Waiting, scratch: Scratch) -> None:
        sha256 = one.result.sha256
        one.image = self._blobs.in_place(sha256) or self._blobs.local_copy(sha256, scratch.new())

    def _judge_group(self, checker: ImageChecker, group: Sequence[_Waiting], scratch: Scratch) -> None:
        looked = checker.inspect_all([one.inspection for one in group])
        good = []
        for one, found in zip(group, looked, strict=True):
            if self._try(one, partial(self._look, checker, one, found, scratch)) and one.output:
                good.append(one)
        plain = [one for one in good if one.result.subject_id is None]
        statuses = self._assessor.take_in_all(
            [(one.result, one.task, _output(one), one.found_extras, one.drawn) for one in plain]
        )
        known = {one.result.id: status for one, status in zip(plain, statuses, strict=True)}
        for one in good:
            self._try(one, partial(self._conclude, checker, one, known.get(one.result.id)))

    def _look(self, checker: ImageChecker, one: _Waiting, found: Output | ImageError, scratch: Scratch) -> None:
        """Level 0 of one result. What is no good is rejected."""
        one.problem, one.output = _compared(one, found)
        if one.output is None:
            self._check_digest(one)
        for extra in one.extras if one.output is not None else ():
            path = self._blobs.local_copy(extra.sha256, scratch.new())
            one.problem, output = _look_beside(checker, path, extra.name, extra.output)
            if output is None:
                one.output = None
                break
            one.found_extras[extra.name] = output
        if one.output is None:
            self._store.change(lambda tx: results.reject(tx, one.result.id, one.problem))
            log.warning("result rejected: %s", one.problem, extra=one.about)
            self._discard(one.result, one.extras)

    def _check_digest(self, one: _Waiting) -> None:
        """If a picture that was looked at in place is bad, see whether it still is what the worker sent."""
        with one.image.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != one.result.sha256:
            self._blobs.found_corrupt(one.result.sha256, found)
            raise BlobCorrupt(f"blob {one.result.sha256} was corrupt in the storage: {one.problem}")

    def _conclude(self, checker: ImageChecker, one: _Waiting, known: ResultStatus | Exception | None) -> None:
        if isinstance(known, Exception):
            raise known
        status = known or self._take_in(checker, one)
        log.info("result of frame %d: %s", one.result.frame, status, extra=one.about)
        if status not in (ResultStatus.ACCEPTED, ResultStatus.CHECKING):
            self._discard(one.result, one.extras)

    def _take_in(self, checker: ImageChecker, one: _Waiting) -> ResultStatus:
        # A folder of its own: what is compared lies there under names that are the same for each result.
        with Scratch(self._scratch) as scratch:
            return self._assessor.take_in(
                checker, one.result, one.task, one.image, _output(one), one.found_extras, scratch, one.drawn
            )


def _load(conn: Connection, result_id: int) -> _Waiting:
    result = results.load(conn, result_id)
    task = tasks.load(conn, result.task_id)
    spec = jobs.spec_by_id(conn, result.job_id)
    return _Waiting(result, task, spec, results.files_of(conn, result_id))


def _output(one: _Waiting) -> Output:
    if one.output is None:
        raise ValueError("it was found to be no good")
    return one.output


def _groups(many: Sequence[_Waiting]) -> Iterator[Sequence[_Waiting]]:
    """The small ones together, then each of the others."""
    small = [one for one in many if one.is_small]
    if small:
        yield small
    for one in many:
        if one not in small:
            yield [one]


def _compared(one: _Waiting, found: Output | ImageError) -> tuple[str, Output | None]:
    """What is wrong with an image, or else what it is."""
    if isinstance(found, ImageError):
        return f"The image can't be used: {found}", None
    problems = _differences(found, Output.model_validate_json(one.result.output))
    problems += level0_problems(found, one.spec.scene, tasks.region_of(one.task), one.task.linear)
    return "; ".join(problems), None if problems else found


def _look_beside(checker: ImageChecker, image: Path, name: str, claimed_text: str) -> tuple[str, Output | None]:
    """The same for a file beside the picture, of which only its name tells what it is to be."""
    claimed = Output.model_validate_json(claimed_text)
    try:
        found = checker.inspect(image, max_pixels=EXTRA_PIXELS, max_channels=MAX_LINEAR_CHANNELS, finite=False)
    except ImageError as error:
        return f"The file {name} can't be used: {error}", None
    problems = [*_differences(found, claimed), *extra_problems(found, name)]
    return f"the file {name}: " + "; ".join(problems), None if problems else found


def _differences(found: Output, claimed: Output) -> list[str]:
    return [
        f"its {what} is not the one the worker told"
        for what in ("sha256", "size", "pixel_digest")
        if getattr(found, what) != getattr(claimed, what)
    ]

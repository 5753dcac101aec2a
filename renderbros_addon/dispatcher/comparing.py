"""Comparing a checker's image with the result that it is about: outside of transactions, since it takes time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection

from ..imaging.checker import ImageChecker
from ..imaging.errors import ImageError
from ..protocol.regions import Region
from ..protocol.results import Output
from ..protocol.states import TaskKind
from ..protocol.verdicts import Comparison, Verdict
from . import checks, results, tasks
from .blobs import BlobCorrupt, BlobStore
from .calibrating import is_exact, tolerance
from .checks import Opinion
from .scratch import Scratch
from .tables import AnyRow

EVERY_BIT = "every bit is the same"


class Comparer:
    """Compares what checks are about, with images from ``blobs``, in a child that decodes them."""

    def __init__(self, blobs: BlobStore, checker: ImageChecker) -> None:
        self._blobs = blobs
        self._checker = checker

    def opinion(
        self,
        conn: Connection,
        check: AnyRow,
        result: AnyRow,
        image: Path,
        extras: Mapping[str, Output],
        scratch: Scratch,
    ) -> Opinion:
        """Compare ``image``, the checker's ``result``, with the subject of ``check``; ``scratch`` is for files.

        Reads the database and writes nothing. BlobCorrupt or FileNotFoundError if the subject's file is gone.
        """
        subject = results.load(conn, check.subject_id)
        origin = tasks.region_of(tasks.load(conn, subject.task_id))
        exact = is_exact(subject, result)
        verdict, sentence, comparison = self._compare(conn, check, subject, result, image, origin, extras, scratch)
        others = None
        if check.dispute:
            mine = checks.region_of(check)
            others = {
                earlier.id: self._between(conn, earlier, result, image, mine, scratch)
                for earlier in checks.of_subject(conn, subject.id)
                if earlier.verdict == "mismatch" and mine in (origin, checks.region_of(earlier))
            }
        return Opinion(verdict, sentence, exact, comparison, others)

    def _compare(
        self,
        conn: Connection,
        check: AnyRow,
        subject: AnyRow,
        result: AnyRow,
        image: Path,
        origin: Region,
        extras: Mapping[str, Output],
        scratch: Scratch,
    ) -> tuple[Verdict, str, Comparison | None]:
        exact, whole = is_exact(subject, result), check.kind == TaskKind.REPLICA
        if exact and whole and (other := _other_files(conn, subject, extras)):
            return "mismatch", other, None
        claimed = Output.model_validate_json(result.output)
        if exact and whole and subject.pixel_digest == claimed.pixel_digest:
            return "match", EVERY_BIT, None
        theirs = self._blobs.local_copy(subject.sha256, scratch.folder / "subject")
        return self._look(conn, subject, result, image, theirs, check, origin)

    def _look(
        self,
        conn: Connection,
        subject: AnyRow,
        result: AnyRow,
        expected: Path,
        actual: Path,
        check: AnyRow,
        origin: Region,
    ) -> tuple[Verdict, str, Comparison | None]:
        """Compare ``expected``, an image of the region of ``check``, with ``actual``, of all of ``origin``."""
        exact = is_exact(subject, result)
        region = checks.region_of(check).shifted(-origin.x0, -origin.y0)
        try:
            found = self._checker.compare(
                expected, actual, region, exact=exact, tolerance=None if exact else tolerance(conn, subject, result)
            )
        except ImageError as error:
            # Within a class everything must be alike; between classes a pass may be missing and nobody be to blame.
            return ("mismatch" if exact else "inconclusive"), f"they can't be compared: {error}", None
        if exact and found.verdict == "match" and (alone := found.only_expected + found.only_actual):
            # What is there is right, but a pass is left out or made up.
            return "mismatch", f"only one of them has the channel {alone[0]}", found
        return found.verdict, found.reason, found

    def _between(
        self, conn: Connection, earlier: AnyRow, result: AnyRow, image: Path, origin: Region, scratch: Scratch
    ) -> Verdict:
        """The verdict on an earlier checker's image by another one's, which is of ``origin`` and shows no less."""
        theirs = results.load(conn, earlier.result_id)
        if earlier.kind == TaskKind.REPLICA and is_exact(theirs, result) and theirs.pixel_digest == result.pixel_digest:
            return "match"
        try:
            part = self._blobs.local_copy(theirs.sha256, scratch.folder / f"earlier-{earlier.id}")
        except (FileNotFoundError, BlobCorrupt):
            return "inconclusive"
        return self._look(conn, theirs, result, part, image, earlier, origin)[0]


def _other_files(conn: Connection, subject: AnyRow, extras: Mapping[str, Output]) -> str | None:
    """In which file beside the picture two results differ that had to be equal, in a sentence."""
    theirs = {row.name: Output.model_validate_json(row.output) for row in results.files_of(conn, subject.id)}
    for name in sorted(theirs.keys() | extras.keys()):
        if name not in theirs or name not in extras:
            return f"only one of them has the file {name}"
        if theirs[name].pixel_digest != extras[name].pixel_digest:
            return f"the file {name} differs"
    return None

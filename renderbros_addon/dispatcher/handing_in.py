"""Several results in one request, and the small files that come along with them."""

from __future__ import annotations

import contextlib

from ..protocol.access import Role
from ..protocol.handing_in import BatchTaken, HandedIn, InlineFile, ResultBatch, Taken
from . import results, sent_blobs, spare
from .blob_rights import BlobHolder
from .blobs import BlobMismatch, StorageFull
from .callers import Caller
from .errors import NoRoom, RequestRefused, Unprocessable
from .problems import problem_of
from .service import Dispatcher
from .store import Tx
from .tables import AnyRow


def hand_in(service: Dispatcher, worker: AnyRow, given: ResultBatch) -> BatchTaken:
    """Take in several results of a worker. One that is refused does not hold up the others."""
    holder = service.blob_rights.of(Caller(Role.WORKER, worker.id, worker))
    with service.store.read() as conn:
        known = results.are_known(conn, [one.lease_id for one in given.results])
    # What comes again has its files here, or has no more need of them.
    stored = [set[str]() if one.lease_id in known else _take_files(service, holder, one) for one in given.results]

    def take(tx: Tx, one: HandedIn, absent: set[str] | RequestRefused) -> Taken:
        try:
            if isinstance(absent, RequestRefused):
                raise absent
            # What others have sent is as if it were not there.
            unsent = {sha256 for sha256 in one.uploaded if not sent_blobs.total(tx.conn, worker.id, sha256).has_this}
            # It refuses before it writes, so that what the others have written stands.
            acceptance = results.receive(tx, one.lease_id, worker.id, one.result, missing=absent | unsent)
        except RequestRefused as refusal:
            return Taken(lease_id=one.lease_id, problem=problem_of(refusal))
        sent_blobs.claim(tx, worker.id, one.uploaded)
        return Taken(lease_id=one.lease_id, acceptance=acceptance)

    def take_all(tx: Tx) -> list[Taken]:
        spare.protect(tx, {sha256 for one in given.results for sha256 in one.result.digests})
        return [take(tx, one, absent) for one, absent in zip(given.results, stored, strict=True)]

    answers = service.store.change(take_all)
    for one, answer in zip(given.results, answers, strict=True):
        if answer.acceptance is None:
            _drop_files(service, worker.id, one, answer)
        elif answer.acceptance.wanted and one.lease_id not in known:
            _put_back(service, one)
    return BatchTaken(results=tuple(answers))


def _take_files(service: Dispatcher, holder: BlobHolder, given: HandedIn) -> set[str] | RequestRefused:
    """Store the files that came along; they are on disk when this returns. Gives those of the others that are not
    there, or why one of them is not taken."""
    try:
        for file in given.files:
            if file.sha256 not in given.result.digests:
                raise Unprocessable(f"the file {file.sha256} is none of the result's", word="unknown_file")
            size = len(file.content)
            holder.check_send(file.sha256, size, size)
            _put(service, file)
    except RequestRefused as refusal:
        return refusal
    return {sha256 for sha256 in given.uploaded if service.blobs.size(sha256) is None}


def _put(service: Dispatcher, file: InlineFile) -> None:
    try:
        service.blobs.put(file.content, file.sha256)
    except BlobMismatch as error:
        raise Unprocessable(str(error), word="wrong_digest") from error
    except StorageFull as error:
        raise NoRoom(str(error)) from error


def _put_back(service: Dispatcher, given: HandedIn) -> None:
    """Store once more what somebody else's copy of was deleted as spare, just before it was named here."""
    for file in given.files:
        with contextlib.suppress(NoRoom):  # then it is found gone, and nobody is blamed
            _put(service, file)


def _drop_files(service: Dispatcher, worker_id: str, given: HandedIn, answer: Taken) -> None:
    """Of a refused result: what came along comes again, if ever; the rest was sent for this alone if it is no good."""
    dropped = {file.sha256 for file in given.files}
    if answer.problem is not None and answer.problem.status == Unprocessable.status:
        uploaded = given.uploaded
        dropped |= uploaded - service.store.change(lambda tx: sent_blobs.claim(tx, worker_id, uploaded))
    service.intake.discard(dropped)

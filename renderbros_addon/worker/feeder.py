"""Leases tasks ahead and fetches their files, while the renderer is busy with others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..client.blobs import number_in
from ..client.connection import may_pass, problem_of
from ..client.errors import DispatcherError, DispatcherUnreachable, Refused, Stopped, error_for
from ..client.http import DispatcherClient
from ..protocol.leases import Lease, LeaseRequest
from .board import Board, HandBack, HeldTask
from .checkout import Checkouts
from .failures import of_fetching

log = logging.getLogger("renderbros.worker")

_WAIT_AFTER_REFUSAL = 5.0
_WAIT_FOR_ROOM = 2.0


class _Unwanted(Exception):
    """The task was cancelled while its files were fetched."""


class Feeder:
    """``poll`` leases by a client that tries for ever, ``fetch`` downloads by one that gives up at some time.

    ``on_idle`` is called when a long poll that began with nothing held brought nothing; ``on_refused`` when the
    dispatcher does not know our token.
    """

    def __init__(
        self,
        board: Board,
        checkouts: Checkouts,
        poll: DispatcherClient,
        fetch: DispatcherClient,
        poll_seconds: float,
        on_idle: Callable[[], None],
        on_refused: Callable[[Refused], None],
        release: Callable[[Lease], None],
        ended: threading.Event,
    ) -> None:
        self._board = board
        self._checkouts = checkouts
        self._poll = poll
        self._fetch = fetch
        self._poll_seconds = poll_seconds
        self._on_idle = on_idle
        self._on_refused = on_refused
        self._release = release
        self._ended = ended
        self._refused = self._said_full = False

    def run(self) -> None:
        """Until the agent ends."""
        while not self._ended.is_set():
            if self._is_full():
                self._ended.wait(_WAIT_FOR_ROOM)
                continue
            wanted = self._board.wanted()
            if wanted < 1:
                self._board.wait_for_room(timeout=0.5)
                continue
            try:
                self._feed(wanted)
            except Stopped:
                return
            except Refused as error:
                if self._refused:
                    self._on_refused(error)
                    return
                # Once may be a line that garbled the token.
                self._refused = True
                self._ended.wait(1.0)
            except (DispatcherError, DispatcherUnreachable) as error:
                log.warning("asking for work failed: %s", error)
                self._ended.wait(_WAIT_AFTER_REFUSAL)

    def _is_full(self) -> bool:
        full = self._checkouts.is_nearly_full
        if full and not self._said_full:
            log.error("the disk is full: taking no work until there is room")
        self._said_full = full
        return full

    def _feed(self, wanted: int) -> None:
        idle = self._board.empty
        request = LeaseRequest(count=wanted, open_job=self._board.last_job)
        batch = self._poll.lease(request, wait=self._poll_seconds)
        self._board.answered(wanted, len(batch.leases))
        self._refused = False
        if self._ended.is_set() or self._board.held_back:
            # They came after all that was held was handed back.
            for lease in batch.leases:
                self._release(lease)
            return
        if not batch.leases:
            if idle and not self._board.paused:
                self._on_idle()
            return
        self._board.paused = False
        # All are held before any file is fetched, so that all are renewed meanwhile.
        for task in [self._board.add(lease) for lease in batch.leases]:
            log.info("leased frame %d, region %s", task.lease.task.frame, task.lease.task.region, extra=task.extra)
            self._bring(task)

    def _bring(self, task: HeldTask) -> None:
        def download(sha256: str, size: int, to: Path) -> None:
            if task.lease.task.assembled == sha256 and not size:
                size = self._size_of(sha256)
            self._fetch.download(sha256, size, to, progress=lambda *_: wanted(), keep_partial=True)

        def wanted() -> None:
            if task.cancelled:
                raise _Unwanted

        began = time.monotonic()
        # The files of a job come once, and tell nothing of what follows.
        here = self._checkouts.root(task.lease.task.job_id).exists()
        try:
            wanted()
            self._checkouts.take(task.lease.task, task.lease.scene, download, wanted)
        except (_Unwanted, Stopped):
            self._board.drop(task)
            return
        except Exception as error:
            found = of_fetching(error)
            if found is None:
                log.exception("fetching failed", extra=task.extra)
                self._board.finish(task, HandBack(f"the worker failed to fetch its files: {error}"))
                return
            log.warning("%s", found.message, extra=task.extra)
            self._board.finish(task, found)
            return
        if here:
            self._board.fetched(time.monotonic() - began)
        self._board.ready(task)

    def _size_of(self, sha256: str) -> int:
        """Bytes of a blob whose size nobody told us."""
        retrier = self._fetch.retrier()
        while True:
            retrier.check_stopped()
            try:
                answer = self._fetch.send("HEAD", f"/blobs/{sha256}")
            except DispatcherUnreachable as error:
                self._fetch.wait_or_raise(retrier, error)
                continue
            if may_pass(answer):
                self._fetch.wait_after(retrier, answer)
            elif answer.status_code == 200 and (size := number_in(answer, "Content-Length")) is not None:
                return size
            else:
                raise error_for(problem_of(answer))

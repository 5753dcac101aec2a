"""Renews leases, and hears by that what is not wanted any more."""

from __future__ import annotations

import logging
import threading
import time

from ..client.errors import ClientError
from ..client.http import DispatcherClient
from .board import Board, HeldTask, Stage
from .supervisor import Supervisor

log = logging.getLogger("renderbros.worker")

_SHARE = 1 / 3
"""Of a lease's time until it is renewed: two renewals may get lost."""
_SILENT_SECONDS = 10.0
"""A renderer without a sign of life for so long gets no renewals: another worker may have the task if it stays so."""


class Renewer:
    """Renews every lease held, by a client that tries each call once."""

    def __init__(self, board: Board, client: DispatcherClient, supervisor: Supervisor, ended: threading.Event) -> None:
        self._board = board
        self._client = client
        self._supervisor = supervisor
        self._ended = ended
        self._due: dict[str, float] = {}

    def run(self) -> None:
        """Until the agent ends."""
        while not self._ended.wait(0.25):
            held = self._board.held()
            self._due = {task.lease.id: self._due_of(task) for task in held}
            now = time.monotonic()
            for task in held:
                if self._due[task.lease.id] <= now and not task.cancelled and not self._ended.is_set():
                    self._renew(task)

    def _due_of(self, task: HeldTask) -> float:
        return self._due.get(task.lease.id, task.taken + task.lease.seconds * _SHARE)

    def _renew(self, task: HeldTask) -> None:
        lease_id = task.lease.id
        if task.stage is Stage.RENDERING and self._supervisor.silent_seconds > _SILENT_SECONDS:
            return
        try:
            renewal = self._client.renew(lease_id, task.progress)
        except ClientError as error:
            log.info("a lease could not be renewed: %s", error, extra=task.extra)
            self._due[lease_id] = time.monotonic() + min(5.0, task.lease.seconds * _SHARE)
            return
        self._due[lease_id] = time.monotonic() + max(0.2, renewal.seconds * _SHARE)
        if renewal.pause and not self._board.paused:
            self._board.paused = True
            log.info("paused by the dispatcher: no new tasks")
        if renewal.cancel:
            self._board.cancel(lease_id)

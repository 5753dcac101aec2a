"""A farm whose waits are short, and whose clocks can be set: what the bench does to a process before it starts.

All that a farm waits for by the clock is shortened alike: a lease of 15 s instead of 60 s stands for everything being
four times as impatient. What takes processor time stays as long as it is.
"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from renderbros_addon.client import connection, events, retry
from renderbros_addon.dispatcher import litter, store
from renderbros_addon.worker import feeder, renewer, uploader

USUAL_LEASE = 60.0
ORPHAN_SECONDS = 15.0
"""After so long without a use, instead of an hour, an upload that nothing refers to is removed."""


def shorten(lease: float) -> float:
    """Make this process as impatient as a lease of ``lease`` seconds is short; the factor."""
    factor = lease / USUAL_LEASE
    short = connection.Connection.__init__.__kwdefaults__
    short["timeout"] = (connection.CONNECT_TIMEOUT * factor, connection.READ_TIMEOUT * factor)
    retry.LONGEST_DELAY *= factor
    events.LONGEST_DELAY = retry.LONGEST_DELAY
    events.PING_SECONDS *= factor
    feeder._WAIT_AFTER_REFUSAL *= factor
    renewer._SILENT_SECONDS *= factor
    uploader._WAIT_FOR_ROOM *= factor
    store.BUSY_SECONDS = round(store.BUSY_SECONDS * factor)
    litter.ORPHANED_AFTER = ORPHAN_SECONDS
    litter.LOOK_EVERY = 1.0
    litter.UNCLAIMED_AFTER = ORPHAN_SECONDS
    litter.LOOK_FOR_UNCLAIMED_EVERY = 1.0
    return factor


class SetClock:
    """Every clock of this process is wrong by as many seconds as the file ``told`` says; there need be none."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._real = time.time
        self._offset, self._looked = 0.0, float("-inf")

    def offset(self) -> float:
        if time.monotonic() - self._looked > 0.05:
            self._looked = time.monotonic()
            with contextlib.suppress(OSError, ValueError):
                self._offset = float(self._told.read_text() or 0)
        return self._offset

    def take_over(self) -> None:
        offset = self.offset

        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return datetime.now(tz) + timedelta(seconds=offset())

        store.datetime = Now  # type: ignore[attr-defined,misc]
        time.time = lambda: self._real() + offset()  # type: ignore[assignment]

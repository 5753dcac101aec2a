"""What a dispatcher says of a job as it happens, so that whoever watches need not ask all the time."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from ..client.events import AnyEvent, EventStream
from ..client.http import DispatcherClient
from ..protocol.events import StateChange

QUIET_SECONDS = 1.0
"""Between two looks while the dispatcher's events come and say nothing: for the progress within frames."""
DEAF_SECONDS = 0.5
"""The same while no events come."""
_GAP_SECONDS = 0.25
"""Between two looks at least, however many frames are done; what ends a job is told at once."""


class JobNews:
    """Hears of one job while this context lasts."""

    def __init__(self, client: DispatcherClient, job_id: str) -> None:
        self._heard = threading.Condition()
        self._frames: set[int] | None = None
        self._turned = self._changed = False
        self._looked = time.monotonic()
        self._stop = threading.Event()
        self._stream = EventStream(
            client.url,
            client.token,
            self._hear,
            self._stop,
            ca=client.ca,
            pin=client.pin,
            insecure=client.insecure,
            job=job_id,
            on_connect=self._connected,
        )

    def __enter__(self) -> Self:
        self._stream.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()

    def wait(self) -> bool:
        """Until it is worth to look again; True if at the job, and not only for frames that are done."""
        began = time.monotonic()
        patience = QUIET_SECONDS if self._stream.connected else DEAF_SECONDS
        with self._heard:
            self._heard.wait_for(lambda: self._changed, self._looked + patience - began)
            self._heard.wait_for(lambda: self._turned, began + _GAP_SECONDS - time.monotonic())
            now = time.monotonic()
            at_job = self._turned or now - self._looked >= patience
            self._changed = self._turned = False
        if at_job:
            self._looked = now
        return at_job

    def frames(self) -> set[int] | None:
        """The frames that were done or replaced since the last call; None if some may have gone unheard."""
        with self._heard:
            told, self._frames = self._frames, set() if self._stream.connected else None
            return told

    def _connected(self) -> None:
        with self._heard:
            self._frames = None
            self._changed = self._turned = True
            self._heard.notify_all()

    def _hear(self, event: AnyEvent) -> None:
        if not isinstance(event, StateChange):
            return
        entry = event.entry
        frame = entry.detail.get("frame")
        with self._heard:
            if entry.event.startswith("frame.") and isinstance(frame, int):
                if self._frames is not None:
                    self._frames.add(frame)
                self._changed |= entry.event == "frame.done"
            elif entry.event.startswith("job."):
                self._changed = self._turned = True
            self._heard.notify_all()

"""The dispatcher's events over a WebSocket that comes back by itself."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from pydantic import ValidationError
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import ClientConnection, connect

from ..protocol.base import API_PREFIX
from ..protocol.events import CancelLease, PauseWorker, StateChange, TaskProgress, WorkAvailable, event_adapter
from . import trust
from .connection import checked_url, is_loopback
from .retry import FIRST_DELAY, LONGEST_DELAY

log = logging.getLogger("renderbros.client")

OPEN_TIMEOUT = 10.0
PING_SECONDS = 20.0
"""Seconds between pings, and for the answer to one: a dead connection is noticed within twice that."""

AnyEvent = WorkAvailable | CancelLease | PauseWorker | StateChange | TaskProgress


class EventStream:
    """Hears events in a thread of its own until ``stop`` is set, and connects again whenever the line is lost.

    With a worker's ``token`` it hears what is for that worker; with an account's it is a viewer, of ``job`` or of all
    that the account may see. ``ca``, ``pin`` and ``insecure`` are those of a ``Connection``.
    ``on_event`` is called in the stream's thread and should return soon. ``on_connect`` is called after every
    connection made: events may have been missed before it, so ask for the state again. Nothing is lost but promptness
    while the line is down.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        on_event: Callable[[AnyEvent], None],
        stop: threading.Event,
        *,
        ca: Path | None = None,
        pin: str | None = None,
        insecure: bool = False,
        job: str | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        base = checked_url(url)
        trust.check_applies(base, ca, pin)
        if token and base.startswith("http:") and not is_loopback(base) and not insecure:
            raise ValueError(f"{base} has no TLS, and a token that is sent there can be read on the way")
        query = {"role": "viewer", "job": job} if job else {}
        self._uri = f"ws{base.removeprefix('http')}{API_PREFIX}/events{'?' + urlencode(query) if query else ''}"
        self._direct = is_loopback(base)
        self._token = token
        self._ssl = trust.context(ca, pin) if base.startswith("https:") else None
        self._on_event = on_event
        self._on_connect = on_connect
        self._stop = stop
        self._connection: ClientConnection | None = None
        self._progress: dict[str, TaskProgress] = {}
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._hear_for_ever, name="events-in", daemon=True),
            threading.Thread(target=self._tell_for_ever, name="events-out", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads to end, which they do soon after ``stop`` is set."""
        for thread in self._threads:
            thread.join(timeout)

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def send(self, progress: TaskProgress) -> None:
        """Tell how far a task is. Never blocks: only the latest of each lease is sent, and none while offline."""
        with self._news:
            if self._connection is not None:
                self._progress[progress.lease_id] = progress
                self._news.notify_all()

    def _hear_for_ever(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    failures = 0
                    log.info("connected to the events of %s", self._uri)
                    self._set(connection)
                    self._guarded(self._on_connect)
                    self._hear(connection)
            except (OSError, WebSocketException, TimeoutError, EOFError) as error:  # ssl.SSLError is an OSError
                # Losing the line is everyday; being turned away is worth a look. Either is said once, not every time.
                level = logging.WARNING if isinstance(error, InvalidHandshake) else logging.INFO
                log.log(level if failures == 0 else logging.DEBUG, "no events for now: %s", error)
            finally:
                self._set(None)
            ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 16))
            failures += 1
            self._stop.wait(random.uniform(ceiling / 2, ceiling))  # noqa: S311
        with self._news:
            self._news.notify_all()

    def _connect(self) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return connect(
            self._uri,
            additional_headers=headers,
            ssl=self._ssl,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=1.0,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            # No proxy leads to a dispatcher on this machine, whatever the environment says.
            proxy=None if self._direct else True,
        )

    def _hear(self, connection: ClientConnection) -> None:
        while not self._stop.is_set():
            try:
                message = connection.recv(timeout=0.5)
            except TimeoutError:
                continue
            try:
                event = event_adapter.validate_json(message)
            except ValidationError as error:
                log.debug("an event that this version does not know: %s", error)
                continue
            self._guarded(self._on_event, event)

    @staticmethod
    def _guarded(call: Callable[..., None] | None, *args: object) -> None:
        """The listener's fault must not cost the connection."""
        if call is not None:
            try:
                call(*args)
            except Exception:
                log.exception("a listener to events failed")

    def _set(self, connection: ClientConnection | None) -> None:
        with self._news:
            self._connection = connection
            self._progress.clear()
            self._news.notify_all()

    def _tell_for_ever(self) -> None:
        while not self._stop.is_set():
            with self._news:
                if not self._progress:
                    self._news.wait(0.5)
                connection, news = self._connection, list(self._progress.values())
                self._progress.clear()
            if connection is None:
                continue
            try:
                for progress in news:
                    connection.send(progress.model_dump_json())
            except (OSError, WebSocketException) as error:
                # The hearing thread notices as well, and connects again.
                log.debug("progress not sent: %s", error)

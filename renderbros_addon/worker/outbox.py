"""Where threads that work side by side hand in results: in the order in which they came, and several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from ..client.errors import Stopped, error_for
from ..protocol.handing_in import MOST_AT_ONCE, BatchTaken, HandedIn, ResultBatch, Taken
from ..protocol.leases import Acceptance

INLINE_AT_ONCE = 1 << 20
"""Bytes of files in one request, of which each adds a third in base64."""


class Turns:
    """Lets several threads work side by side and pass one point in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = self._next = 0
        self._over: set[int] = set()

    def take(self) -> int:
        """Come in; a number for the other calls."""
        with self._changed:
            self._taken += 1
            return self._taken - 1

    def wait(self, turn: int, timeout: float) -> bool:
        """Wait until all who came before are through; False if they are not after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._next >= turn, timeout)

    def over(self, turn: int) -> None:
        """Be through, in whatever way."""
        with self._changed:
            self._over.add(turn)
            while self._next in self._over:
                self._over.remove(self._next)
                self._next += 1
            self._changed.notify_all()


class Outbox(Turns):
    """Whoever's turn it is hands in what those who come right after have ready too.

    ``send`` sends a batch, and gives None if the dispatcher takes none. ``travelled`` is told how long each took.
    """

    def __init__(
        self,
        send: Callable[[ResultBatch], BatchTaken | None],
        travelled: Callable[[float], None],
        ended: threading.Event,
    ) -> None:
        super().__init__()
        self._send = send
        self._travelled = travelled
        self._ended = ended
        self._ready: dict[int, HandedIn] = {}
        self._answers: dict[int, Acceptance | Exception | None] = {}

    def hand_in(self, turn: int, given: HandedIn) -> Acceptance | None:
        """Wait for the turn, and hand a result in; None if the dispatcher does not take it so.

        DispatcherError for what it says of this one, and what ``send`` raises; Stopped.
        """
        with self._changed:
            self._ready[turn] = given
            while turn in self._ready and self._next != turn:
                self._changed.wait(0.5)
                if self._ended.is_set():
                    raise Stopped("stopped while reporting")
            batch = self._take_ready(turn)
        if batch:
            self._send_all(batch)
        with self._changed:
            # Somebody before it may have it on the way.
            self._changed.wait_for(lambda: turn in self._answers)
            answer = self._answers.pop(turn)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _take_ready(self, turn: int) -> dict[int, HandedIn]:
        """What is ready from ``turn`` on, without a gap; none if that is taken already."""
        batch: dict[int, HandedIn] = {}
        room = INLINE_AT_ONCE
        while turn in self._ready and len(batch) < MOST_AT_ONCE:
            room -= sum(len(file.content) for file in self._ready[turn].files)
            if batch and room < 0:
                break
            batch[turn] = self._ready.pop(turn)
            turn += 1
        return batch

    def _send_all(self, batch: Mapping[int, HandedIn]) -> None:
        answers: dict[int, Acceptance | Exception | None]
        try:
            began = time.monotonic()
            taken = self._send(ResultBatch(results=tuple(batch.values())))
            self._travelled(time.monotonic() - began)
            told = [None] * len(batch) if taken is None else [_answer(one) for one in taken.results]
            answers = dict(zip(batch, told, strict=True))
        except Exception as error:
            answers = dict.fromkeys(batch, error)
        with self._changed:
            self._answers.update(answers)
            self._changed.notify_all()


def _answer(taken: Taken) -> Acceptance | Exception | None:
    return taken.acceptance if taken.problem is None else error_for(taken.problem)

"""Holds the worker back while its owner's terms say so, and hears what the owner says meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from datetime import time as time_of_day
from pathlib import Path

import psutil

from ..protocol.leases import Lease
from ..protocol.lending import LendingState, OwnerWord
from . import presence
from .board import Board, Stage
from .log_ring import clean_text
from .report import Report
from .supervisor import Supervisor
from .terms import Moment, Ruling, Terms, ruling

log = logging.getLogger("renderbros.worker")

_LOOK_SECONDS = 0.5
_PRESENCE_SECONDS = 2.0
"""Between two questions to the system, some of which start a process."""
_GRACE_SECONDS = 600.0
"""What is being rendered when the hours end may take so long; then it goes back."""
_LONGEST_WORD = 1000


class Throttle:
    """Looks twice a second. ``control`` is a file with an :class:`OwnerWord`, ``hand_back`` returns leases at once,
    ``stop`` ends the worker."""

    def __init__(
        self,
        terms: Terms,
        control: Path | None,
        board: Board,
        supervisor: Supervisor,
        report: Report,
        hand_back: Callable[[list[Lease]], None],
        stop: Callable[[], None],
        ended: threading.Event,
    ) -> None:
        self._terms = terms
        self._control = control
        self._board = board
        self._supervisor = supervisor
        self._report = report
        self._hand_back = hand_back
        self._stop = stop
        self._ended = ended
        self._started = False
        self._presence: tuple[float | None, bool] = (None, False)
        self._presence_at = -_PRESENCE_SECONDS
        self._held_back_from: float | None = None
        self._looking = threading.Lock()
        self._word: tuple[OwnerWord, str] = (OwnerWord.RUN, "")

    def run(self) -> None:
        """Until the agent ends."""
        while not self._ended.wait(_LOOK_SECONDS):
            with self._looking:
                self._look()

    def start(self) -> None:
        """The worker is up: from now on the terms hold. The first look is taken before this returns."""
        with self._looking:
            self._started = True
            self._look()

    def _look(self) -> None:
        word, why = self._told()
        if word is OwnerWord.STOP:
            log.info("stopped by its owner")
            self._stop()
            return
        if not self._started:
            self._report.tell(LendingState.STARTING)
            return
        rules = ruling(self._terms, self._moment(why if word is OwnerWord.PAUSE else None))
        if rules.may:
            self._go_on()
        else:
            self._hold_back(rules)
        state = LendingState.WAITING if rules.may else LendingState.PAUSED
        reason = rules.reason or ("paused by the farm's operator" if self._board.paused else "")
        self._report.tell(state, reason, self._board)

    def _go_on(self) -> None:
        if self._held_back_from is not None:
            log.info("resumed: the machine is free")
            self._held_back_from = None
            self._board.go_on()

    def _hold_back(self, rules: Ruling) -> None:
        now = time.monotonic()
        if self._held_back_from is None:
            log.info("paused: %s", rules.reason)
            self._held_back_from = now
        given = self._board.hold_back(at_once=rules.at_once or now - self._held_back_from > _GRACE_SECONDS)
        if not any(task.stage is Stage.RENDERING and not task.cancelled for task in self._board.held()):
            # The owner gets the memory, too.
            self._supervisor.kill_all()
        if given:
            log.info("handing back %d tasks", len(given))
            self._hand_back([task.lease for task in given])

    def _moment(self, told: str | None) -> Moment:
        now = time.monotonic()
        if now - self._presence_at >= _PRESENCE_SECONDS:
            idle = presence.idle_seconds() if self._terms.idle_minutes is not None else None
            battery = presence.on_battery() if self._terms.pause_on_battery else False
            self._presence, self._presence_at = (idle, battery), now
        idle, battery = self._presence
        return Moment(_time_of_day(), idle, battery, told)

    def _told(self) -> tuple[OwnerWord, str]:
        """The owner's word and why; ``RUN`` while there is no file, the last one while it says nothing that we know."""
        if self._control is None:
            return self._word
        try:
            with self._control.open(encoding="utf-8", errors="replace") as opened:
                lines = opened.read(_LONGEST_WORD).splitlines()
            word, why, whose = [*lines, "", "", ""][:3]
            self._word = OwnerWord(word.strip()), clean_text(why)
            if whose.strip().isdigit() and not psutil.pid_exists(int(whose)):
                self._word = OwnerWord.RUN, ""
        except FileNotFoundError:
            self._word = OwnerWord.RUN, ""
        except (OSError, ValueError):
            pass  # Windows lets nobody read it while it is being replaced
        return self._word


def _time_of_day() -> time_of_day:
    return datetime.now().astimezone().time()

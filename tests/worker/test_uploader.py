"""Threads that work side by side and yet report in order."""

from __future__ import annotations

import random
import threading
import time

from renderbros_addon.worker.outbox import Turns


def test_turns_keep_the_order_in_which_they_were_taken() -> None:
    turns, passed, taking = Turns(), [], threading.Lock()
    place = random.Random(3)
    waits = [place.uniform(0, 0.02) for _ in range(40)]

    def work() -> None:
        while True:
            with taking:
                turn = turns.take()
            if turn >= len(waits):
                return
            time.sleep(waits[turn])
            try:
                if turn % 7 == 3:
                    continue  # it fails on the way, and keeps nobody waiting
                assert turns.wait(turn, 5)
                passed.append(turn)
            finally:
                turns.over(turn)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert passed == [turn for turn in range(len(waits)) if turn % 7 != 3]


def test_a_turn_that_has_not_come_is_told() -> None:
    turns = Turns()
    first, second = turns.take(), turns.take()
    assert turns.wait(first, 0)
    assert not turns.wait(second, 0.01)
    turns.over(first)
    assert turns.wait(second, 0)

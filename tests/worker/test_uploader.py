"""Threads that work side by side and yet report in order."""

from __future__ import annotations

import random
import threading
import time

from dispatcher.pictures import claimed

from renderbros_addon.client.errors import DispatcherError
from renderbros_addon.protocol.handing_in import BatchTaken, HandedIn, ResultBatch, Taken
from renderbros_addon.protocol.leases import Acceptance
from renderbros_addon.protocol.problems import Problem
from renderbros_addon.worker.outbox import Outbox, Turns


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


def test_what_is_ready_at_the_same_time_is_handed_in_together_and_in_order() -> None:
    batches: list[list[str]] = []
    gone = Problem(type="/problems/unknown_lease", title="gone", status=404)

    def send(batch: ResultBatch) -> BatchTaken | None:
        batches.append([one.lease_id for one in batch.results])
        time.sleep(0.05)
        if len(batches) == 3:
            return None
        return BatchTaken(
            results=tuple(
                Taken(lease_id=one.lease_id, problem=gone)
                if one.lease_id == "l3"
                else Taken(lease_id=one.lease_id, acceptance=Acceptance(wanted=True))
                for one in batch.results
            )
        )

    outbox = Outbox(send, lambda _: None, threading.Event())
    answers: dict[int, object] = {}

    def deliver(turn: int) -> None:
        try:
            answers[turn] = outbox.hand_in(turn, HandedIn(lease_id=f"l{turn}", result=claimed()))
        except DispatcherError as error:
            answers[turn] = error.word
        finally:
            outbox.over(turn)

    threads = [threading.Thread(target=deliver, args=(outbox.take(),)) for _ in range(7)]
    for thread in (threads[0], threads[2], threads[3], threads[1]):
        thread.start()
        time.sleep(0.01)
    for thread in threads[:4]:
        thread.join(10)
    for thread in reversed(threads[4:]):
        thread.start()
        time.sleep(0.01)
    for thread in threads[4:]:
        thread.join(10)
    assert batches == [["l0"], ["l1", "l2", "l3"], ["l4", "l5", "l6"]]
    good = Acceptance(wanted=True)
    assert [answers[turn] for turn in range(7)] == [good, good, good, "unknown_lease", None, None, None]

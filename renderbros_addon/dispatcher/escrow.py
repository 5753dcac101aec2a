"""Where penalties meet credit: what a ledger must offer so that a cheat is not paid for what it sent."""

from __future__ import annotations

from typing import Protocol

from .store import Tx


class Escrow(Protocol):
    """Called in the transaction of the change that it belongs to; what it writes is committed or lost with that.

    Each call may come again for the same result after a change that had to be tried anew, never after one that was
    committed.
    """

    def earn(self, tx: Tx, worker_id: str, result_id: int) -> None:
        """A result was accepted: its credit goes into escrow. Paid out is what lies beyond the last
        :data:`~.trust.PROBATION` results of this worker and before the last one that passed a check (a turncoat is
        found after some 20 results, by which time the first of them would be paid)."""

    def void(self, tx: Tx, worker_id: str) -> None:
        """A fault of this worker is confirmed: what it has in escrow is void."""

    def revoke(self, tx: Tx, worker_id: str, result_id: int) -> None:
        """A result is recalled, since its worker was found at fault after it had been accepted. Its credit is void if
        it is still in escrow; what was paid out stays paid."""


class Unpaid:
    """An escrow for a farm without a ledger: nobody is paid, so there is nothing to hold or to void."""

    def earn(self, tx: Tx, worker_id: str, result_id: int) -> None:
        del tx, worker_id, result_id

    def void(self, tx: Tx, worker_id: str) -> None:
        del tx, worker_id

    def revoke(self, tx: Tx, worker_id: str, result_id: int) -> None:
        del tx, worker_id, result_id

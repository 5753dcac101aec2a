"""How much of a result a check asks for, and whom: drawn among all who could make it, so that nobody can pick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from ..protocol.regions import Region
from . import scheduler, tasks
from .scheduler import Checker
from .store import Tx
from .tables import AnyRow

PARTS = 2
"""Regions that are rendered again of a result that is spot-checked."""

PART_SHARE = 1 / 25
"""Of the result's pixels, in each of them: small parts cost more than their share, and large ones see less."""

SMALLEST_PART = 64
"""Pixels along each side of a region at least; a result not much larger than that is rendered again whole."""

ENOUGH = 2
"""Owners of a result's own class, besides its own, from which on only they are asked for a first check. What class a
worker is of is its own claim: of a class that two friends share, one would vouch for the other each time."""


def whom(
    random: Random, own_class: str | None, able: Sequence[Checker], *, settles: bool = False
) -> tuple[str | None, str]:
    """The class of workers to ask, None for any, and the one of them that is drawn: first an owner, then a worker.

    ``own_class`` is the class of the result, whose every bit only workers of the same class can tell; ``able`` are
    those who could be asked, at least one. ``settles``: it is to settle a dispute, in which more than one is heard.
    """
    same = [one for one in able if own_class is not None and one.render_class == own_class]
    owners = {one.owner for one in same}
    only_same = bool(same) and (settles or len(owners) >= ENOUGH)
    pool = same if only_same else able
    owner = random.choice(list(dict.fromkeys(one.owner for one in pool)))
    drawn = random.choice([one.worker_id for one in pool if one.owner == owner])
    return own_class if only_same else None, drawn


def pass_over(tx: Tx, task: AnyRow, worker_id: str) -> None:
    """A worker did not make the check that it was drawn for: others may, and it may not, if there are any."""
    barred = tasks.barred(tx.conn, task.id)
    if scheduler.checkers(tx.conn, task.job_id, barred | {worker_id}):
        tasks.bar(tx, task.id, [worker_id])
    tasks.offer(tx, task.id, task.wanted_class, None)


def part_size(whole: Region) -> tuple[int, int]:
    """Width and height of the regions that are rendered again of a result of ``whole``'s size, in pixels."""
    side = math.sqrt(PART_SHARE)

    def part(length: int) -> int:
        return min(length, max(SMALLEST_PART, round(length * side)))

    return part(whole.width), part(whole.height)

"""What a simulated farm came to: who was caught, what was delivered, and what it cost."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from dispatcher.population import Farm, cost
from sqlalchemy import select

from renderbros_addon.dispatcher import tasks
from renderbros_addon.dispatcher.tables import checks as checks_table
from renderbros_addon.dispatcher.tables import events as events_table
from renderbros_addon.dispatcher.tables import jobs as jobs_table
from renderbros_addon.dispatcher.tables import results as results_table
from renderbros_addon.dispatcher.tables import tasks as tasks_table
from renderbros_addon.dispatcher.tables import trust as trust_table
from renderbros_addon.dispatcher.trust import FLOOR


@dataclass
class Row:
    """One way to behave. Frames are whole frames or tiles; credits are frames' worth."""

    identities: int = 0
    sent: int = 0
    wrong_sent: int = 0
    checked: int = 0
    caught: int = 0
    """Identities found at fault, and how many wrong results each had sent by then."""
    wrong_until_caught: list[int] = field(default_factory=list)
    delivered: int = 0
    wrong_delivered: int = 0
    inconclusive: int = 0
    paid: float = 0.0
    paid_for_wrong: float = 0.0
    paid_if_waiting: float = 0.0
    """For wrong ones, at most, if credit were held until a later result had passed a check."""

    def shown(self) -> dict[str, Any]:
        until = sorted(self.wrong_until_caught)
        middle = statistics.median(until) if until else None
        return asdict(self) | {"wrong_until_caught": {"median": middle, "max": max(until, default=None)}}


@dataclass
class Accounts:
    rows: dict[str, Row]
    jobs: Counter[str]
    """By status."""
    honest_punished: int
    extra: float
    """Render time for checks, disputes and what was rendered again, over that of what was delivered."""
    extra_steady: float | None
    """The same of results that came from workers checked as rarely as any are,"""
    checks_steady: float | None
    """and of that what the checks alone took."""
    unrepeatable: Counter[tuple[str, str]]
    """Names of jobs and what of them was held not to be repeatable."""
    checks: float
    """In frames' worth, like the next two."""
    rendered_again: float
    delivered: float
    verdicts: Counter[str]

    def wrong_delivered(self) -> int:
        return sum(row.wrong_delivered for row in self.rows.values())


def draw_up(farm: Farm) -> Accounts:
    with farm.store.read() as conn:
        results = conn.execute(
            select(
                results_table.c.id,
                results_table.c.worker_id,
                results_table.c.subject_id,
                results_table.c.status,
                results_table.c.sha256,
                results_table.c.received_at,
                *(tasks_table.c[name] for name in ("kind", "x0", "y0", "x1", "y1")),
            ).join(tasks_table, tasks_table.c.id == results_table.c.task_id)
        ).all()
        checks = conn.execute(select(checks_table)).all()
        events = conn.execute(select(events_table)).all()
        passed = {row.worker_id: row.last_passed for row in conn.execute(select(trust_table))}
        jobs = Counter(conn.execute(select(jobs_table.c.status)).scalars())
        differing = conn.execute(
            select(jobs_table.c.name, jobs_table.c.differs).where(jobs_table.c.differs.is_not(None))
        )
        unrepeatable = Counter((str(name), str(differs)) for name, differs in differing)
    rows: dict[str, Row] = defaultdict(Row)
    for actor in farm.actors:
        rows[actor.group].identities += len(actor.ids)
    faults: dict[str, Any] = {}
    for event in events:
        if event.event == "worker.fault":
            faults.setdefault(event.worker_id, event.at)
        elif event.event == "check.inconclusive":
            rows[farm.actor_of[event.worker_id].group].inconclusive += 1
    checked = {check.subject_id for check in checks if check.status == "decided"}
    wrong_until: Counter[str] = Counter()
    check_cost: dict[int, float] = defaultdict(float)
    work: list[tuple[int, float, str]] = []
    for result in results:
        row = rows[farm.actor_of[result.worker_id].group]
        amount = cost(result.kind, tasks.region_of(result))
        wrong = farm.gallery[result.sha256].wrong
        paid = farm.escrow.paid.get(result.worker_id, {}).get(result.id, 0.0)
        row.paid += paid
        row.paid_for_wrong += paid if wrong else 0.0
        row.paid_if_waiting += paid if wrong and result.id <= passed.get(result.worker_id, 0) else 0.0
        if result.subject_id is not None:
            check_cost[result.subject_id] += amount
            continue
        work.append((result.id, amount, result.status))
        row.sent += 1
        row.wrong_sent += wrong
        row.checked += result.id in checked
        row.delivered += result.status == "accepted"
        row.wrong_delivered += wrong and result.status == "accepted"
        if wrong and (result.worker_id not in faults or result.received_at <= faults[result.worker_id]):
            wrong_until[result.worker_id] += 1
    for worker_id in faults:
        row = rows[farm.actor_of[worker_id].group]
        row.caught += 1
        row.wrong_until_caught.append(wrong_until[worker_id])
    steady = [one for one in work if farm.rates.get(one[0], 1.0) <= FLOOR + 1e-9]
    made, again, delivered = _sums(work, check_cost)
    made_steady, again_steady, delivered_steady = _sums(steady, check_cost)
    return Accounts(
        rows=dict(rows),
        jobs=jobs,
        honest_punished=sum(farm.actor_of[worker_id].honest for worker_id in faults),
        extra=(made + again + farm.wasted) / delivered,
        extra_steady=(made_steady + again_steady) / delivered_steady if delivered_steady else None,
        checks_steady=made_steady / delivered_steady if delivered_steady else None,
        unrepeatable=unrepeatable,
        checks=made,
        rendered_again=again,
        delivered=delivered,
        verdicts=Counter(str(check.verdict or check.status) for check in checks),
    )


def _sums(work: Iterable[tuple[int, float, str]], check_cost: dict[int, float]) -> tuple[float, float, float]:
    """Frames' worth of checks, of what was rendered again, and of what was delivered."""
    made = again = delivered = 0.0
    for result_id, amount, status in work:
        made += check_cost.get(result_id, 0.0)
        again += amount if status in ("rejected", "recalled") else 0.0
        delivered += amount if status == "accepted" else 0.0
    return made, again, delivered

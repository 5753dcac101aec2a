"""What verification catches and costs: a farm of a hundred simulated workers, a fifth of them cheats.

Run it: ``python3 bootstrap/start.py bench population``. The dispatcher's own code works on a database, and the same
farm is run again with other policies to compare: without checks, and with the adaptive replication of BOINC.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dispatcher import invariants
from dispatcher.accounts import Accounts, draw_up
from dispatcher.behaviours import Always, BrokenGpu, Colluder, Ring, Sometimes, Stamp, Turncoat
from dispatcher.population import Actor, Farm
from dispatcher.simulated_pixels import Scene
from sqlalchemy import Connection, update

from renderbros_addon.dispatcher import jobs, standings
from renderbros_addon.dispatcher.escrow import Escrow
from renderbros_addon.dispatcher.rulings import Differs
from renderbros_addon.dispatcher.store import Tx
from renderbros_addon.dispatcher.tables import AnyRow
from renderbros_addon.dispatcher.tables import trust as trust_table
from renderbros_addon.dispatcher.trust import Draw
from renderbros_addon.dispatcher.verification import Desk, Plan
from renderbros_addon.protocol.regions import Region

FAST = 30.0
"""Of some machines: in the time of the run they come to where checks are few."""


class Unchecked(Desk):
    def plan(self, conn: Connection, result: AnyRow, suspicion: str | None) -> Plan | None:
        return None


class Boinc(Desk):
    """Like BOINC's adaptive replication: another's replica until 10 in a row were valid, then with probability 1/CV.

    Nobody is kept away, and nothing that was accepted is rendered again. How replicas are given out and disputes are
    settled is this project's; in BOINC two that agree would do.
    """

    def plan(self, conn: Connection, result: AnyRow, suspicion: str | None) -> Plan | None:
        if result.subject_id is not None or jobs.load(conn, result.job_id).differs == Differs.ALL:
            return None
        valid = standings.load(conn, result.worker_id).passed
        if valid >= 10 and self.random.random() >= 1 / valid:
            return None
        return Plan(Draw.WHOLE, "adaptive replication")

    def _punish(self, tx: Tx, worker_id: str, job_id: str, why: str) -> None:
        tx.conn.execute(update(trust_table).where(trust_table.c.worker_id == worker_id).values(passed=0))
        tx.emit("worker.fault", job_id=job_id, worker_id=worker_id, because=why)


Jobs = tuple[tuple[int, Scene, dict[str, Any]], ...]

POLICIES: dict[str, Callable[[Escrow, Random], Desk]] = {
    "renderbros": Desk,
    "no checks": Unchecked,
    "BOINC-like": Boinc,
}


def hundred() -> list[Actor]:
    ring = Ring("a ring", rate=0.3)
    return [
        *(Actor(f"plain {i}", "honest", owner=f"owner {i // 2}") for i in range(47)),
        *(Actor(f"fast {i}", "honest, fast", speed=FAST) for i in range(4)),
        *(Actor(f"crashing {i}", "honest, crashes", crashes=0.04) for i in range(5)),
        *(Actor(f"slow {i}", "honest, slow network", delay=20) for i in range(5)),
        *(Actor(f"newer {i}", "honest, other build", build="ba9876543210") for i in range(12)),
        *(Actor(f"old {i}", "honest, old processor", instruction_set="SSE4.2") for i in range(7)),
        *(Actor(f"always {i}", "always", Always(f"wrong {i}")) for i in range(3)),
        *(Actor(f"tenth {i}", "a tenth of the time", Sometimes(f"now and then {i}", 0.1)) for i in range(3)),
        *(Actor(f"turncoat {i}", "turncoat after 500", Turncoat(f"turned {i}", 500), speed=2 * FAST) for i in range(3)),
        *(Actor(f"colluder {i}", "two owners collude", Colluder(ring), owner=f"ring {i % 2}") for i in range(4)),
        *(
            Actor(f"returning {i}", "comes again when banned", Always(f"again {i}"), returns_after=600)
            for i in range(2)
        ),
        *(Actor(f"lazy {i}", "lazy, checks too", Always("half the samples", lazy=True)) for i in range(2)),
        Actor("stamp", "a small mark", Stamp("a mark")),
        *(Actor(f"broken {i}", "broken GPU", BrokenGpu(0.2)) for i in range(2)),
    ]


def framers() -> list[Actor]:
    """Two owners answer every check that they see to be one wrong, so that with one of them as the third it counts."""
    ring = Ring("framers", rate=0.2, framing=1.0)
    return [
        *(Actor(f"honest {i}", "honest") for i in range(12)),
        *(
            Actor(f"framer {i}", "two owners frame", Colluder(ring), owner=f"ring {i % 2}", returns_after=300)
            for i in range(6)
        ),
    ]


def two_owners() -> list[Actor]:
    """Nobody is there to settle what they disagree about."""
    return [
        *(Actor(f"mine {i}", "honest", owner="the one") for i in range(3)),
        Actor("yours", "honest", owner="the other"),
        Actor("yours, always", "always", Always("wrong"), owner="the other"),
        Actor("yours, tenth", "a tenth of the time", Sometimes("now and then", 0.1), owner="the other"),
    ]


SMALL: dict[str, Callable[[], list[Actor]]] = {"framing": framers, "two owners": two_owners}
SMALL_JOBS: Jobs = ((200, Scene(), {"local": True}), (50, Scene(), {}))

JOBS: Jobs = (
    (1000, Scene(), {"name": "parts are local", "local": True}),
    (400, Scene(), {"name": "denoised"}),
    (40, Scene(), {"name": "tiled", "tiles": (2, 2)}),
    (120, Scene(hair=True), {"name": "hair", "local": True}),
    (40, Scene(drifts=True), {"name": "not repeatable", "local": True}),
    (80, Scene(parts_differ=Region(x0=0, y0=0, x1=900, y1=1080)), {"name": "parts differ", "local": True}),
)
WAVES = 3


@dataclass(frozen=True)
class Outcome:
    accounts: Accounts
    seconds: float
    simulated_hours: float


def run(policy: str, actors: list[Actor], jobs_of_a_wave: Jobs, waves: int, scale: float, seed: int) -> Outcome:
    began = time.perf_counter()

    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        farm = Farm(Path(folder), actors, seed, POLICIES[policy])
        try:
            for _ in range(waves):
                for number, scene, changes in jobs_of_a_wave:
                    farm.submit(max(8, int(number * scale)), scene, **changes)
                    farm.run()
                farm.rest(2 * 3600)
            with farm.store.read() as conn:
                invariants.check(conn)
            return Outcome(draw_up(farm), time.perf_counter() - began, farm.seconds / 3600)
        finally:
            farm.close()


def show(policy: str, outcome: Outcome) -> None:
    accounts = outcome.accounts
    print(f"\n{policy}: {outcome.simulated_hours:.1f} h of the farm, simulated in {outcome.seconds:.0f} s")
    print(
        f"{'behaviour':24}{'ids':>5}{'sent':>7}{'wrong':>7}{'checked':>9}{'caught':>8}{'after':>10}{'delivered':>11}"
        f"{'wrong':>7}{'unsure':>8}{'paid for wrong':>16}{'if waiting':>12}"
    )
    for name, row in accounts.rows.items():
        shown = row.shown()["wrong_until_caught"]
        after = "" if shown["max"] is None else f"{shown['median']:g} / {shown['max']}"
        print(
            f"{name:24}{row.identities:>5}{row.sent:>7}{row.wrong_sent:>7}{row.checked:>9}{row.caught:>8}{after:>10}"
            f"{row.delivered:>11}{row.wrong_delivered:>7}{row.inconclusive:>8}{row.paid_for_wrong:>16.1f}"
            f"{row.paid_if_waiting:>12.1f}"
        )
    steady = "none"
    if accounts.extra_steady is not None and accounts.checks_steady is not None:
        steady = f"{100 * accounts.extra_steady:.1f} % (checks alone {100 * accounts.checks_steady:.1f} %)"
    print(
        f"jobs {dict(accounts.jobs)}; honest punished {accounts.honest_punished}; wrong delivered "
        f"{accounts.wrong_delivered()}; extra render time {100 * accounts.extra:.1f} % in all, {steady} in steady "
        "state; "
        f"verdicts {dict(accounts.verdicts)}; held not to be repeatable {dict(accounts.unrepeatable)}",
        flush=True,
    )


def as_json(accounts: Accounts) -> dict[str, Any]:
    return {
        "behaviours": {name: row.shown() for name, row in accounts.rows.items()},
        "jobs": accounts.jobs,
        "honest_punished": accounts.honest_punished,
        "wrong_delivered": accounts.wrong_delivered(),
        "extra": accounts.extra,
        "extra_steady": accounts.extra_steady,
        "checks_steady": accounts.checks_steady,
        "verdicts": accounts.verdicts,
    }


def main() -> None:
    logging.disable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of frames")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policies", nargs="+", choices=sorted(POLICIES), default=list(POLICIES))
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    found = {}
    for policy in options.policies:
        outcome = run(policy, hundred(), JOBS, WAVES, options.scale, options.seed)
        show(policy, outcome)
        found[policy] = as_json(outcome.accounts)
    for name, actors in SMALL.items():
        outcome = run("renderbros", actors(), SMALL_JOBS, 1, options.scale, options.seed)
        show(name, outcome)
        found[name] = as_json(outcome.accounts)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

"""Run as a program: a small job undisturbed, then again with a few seeded faults. ``short_run.py BLEND FOLDER SEED``.

Prints, as JSON, the digests of both jobs' frames, the faults, and what else is not as it should be.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.extend(str(path) for path in Path(__file__).resolve().parents[2:4])

from access import OPERATOR
from farm_processes import run_json
from kinds import DISPATCHER, Injector, Planned, Scene, kill_in_finishing, kill_renderer, on_link
from ledger import pixel_digests, problems_of
from machines import WORKERS, Machines, wait_until
from watching import Watch

from renderbros_addon.client.http import DispatcherClient

LEASE = 15.0
FRAMES = 4
NAMES = WORKERS[:2]
LONGEST = 60.0


def planned(chance: random.Random) -> list[Planned]:
    """A fault of every kind that takes no waiting."""
    links = [on_link(what) for what in ("cut", "truncate", "repeat", "corrupt", "delay")]
    faults = [Planned(inject, chance.choice(NAMES)) for inject in (*links, kill_renderer)]
    chance.shuffle(faults)
    return [*faults[:3], Planned(kill_in_finishing, DISPATCHER), *faults[3:]]


def main() -> None:
    blend, folder, chance = Path(sys.argv[1]), Path(sys.argv[2]), random.Random(int(sys.argv[3]))
    folder.mkdir()
    with Machines(folder, LEASE, disks=False) as machines:
        wait_until("the dispatcher up", lambda: machines.is_up(), 30)
        machines.start_workers(NAMES)
        words = ("submit", blend, "--expect", "0", "--frames", f"1-{FRAMES}", "--tiles", "2x1", "--samples", "4")
        told = run_json(*words, "--dispatcher", machines.url, env=os.environ | {"RENDERBROS_TOKEN": OPERATOR})
        first = str(told["job"])
        watch = Watch(machines.database, [first])
        wait_until("the undisturbed job done", lambda: watch.look.job_over, LONGEST)
        watch.close()
        with DispatcherClient(machines.url, OPERATOR) as operator:
            second = operator.create_job(machines.spec_of(first)).id
        watch = Watch(machines.database, [second])
        injector = Injector(Scene(machines, watch, chance, 1.0), planned(chance), FRAMES)
        deadline = time.monotonic() + LONGEST
        while not watch.look.job_over and time.monotonic() < deadline:
            injector.step()
            time.sleep(0.02)
        injector.join(1.0)
        wait_until("the dispatcher up again", lambda: machines.is_up(), 30)
        expected, found = (pixel_digests(machines.url, job) for job in (first, second))
        watch.close()
        machines.stop()
        problems = [*injector.errors, *problems_of(machines.database, [first, second]), *machines.left_processes()]
        faults = [{"kind": fault.kind, "where": fault.where, "note": fault.note} for fault in watch.faults]
    print(json.dumps({"expected": expected, "found": found, "problems": problems, "faults": faults}))


if __name__ == "__main__":
    main()

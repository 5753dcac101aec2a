"""A small farm with cheats in it, simulated: whatever they try, nobody honest is punished and every job gets done."""

from __future__ import annotations

from pathlib import Path

from dispatcher import invariants
from dispatcher.accounts import draw_up
from dispatcher.behaviours import Always
from dispatcher.population import Actor, Farm
from dispatcher.simulated_pixels import Scene
from sqlalchemy import select

from renderbros_addon.dispatcher.tables import results, trust, workers
from renderbros_addon.protocol.regions import Region

LEFT = Region(x0=0, y0=0, x1=900, y1=1080)


def check(farm: Farm) -> None:
    with farm.store.read() as conn:
        invariants.check(conn)


def test_cheats_are_caught_and_nobody_else(tmp_path: Path) -> None:
    actors = [
        *(Actor(f"honest {i}", "honest", delay=10 if i == 0 else 0) for i in range(5)),
        *(Actor(f"newer {i}", "honest", build="ba9876543210", crashes=0.05) for i in range(2)),
        Actor("always", "always", Always("fewer samples")),
        Actor("lazy", "always", Always("half the samples", lazy=True)),
    ]
    farm = Farm(tmp_path, actors)
    farm.after_round = lambda: check(farm)
    try:
        farm.submit(30, local=True)
        farm.submit(3, tiles=(2, 2))
        farm.submit(6, Scene(parts_differ=LEFT), local=True)
        farm.run()
        accounts = draw_up(farm)
        with farm.store.read() as conn:
            faults = dict(conn.execute(select(trust.c.worker_id, trust.c.last_passed).where(trust.c.faults > 0)).all())
            status = {row.id: row.status for row in conn.execute(select(workers))}
            accepted = conn.execute(select(results).where(results.c.status == "accepted")).all()
    finally:
        farm.close()
    assert set(accounts.jobs) == {"completed"}
    assert accounts.honest_punished == 0
    assert all(status[actor.id] in ("quarantined", "banned") for actor in actors if actor.group == "always")
    wrong = [one for one in accepted if one.subject_id is None and farm.gallery[one.sha256].wrong]
    assert not [one for one in wrong if one.id > faults.get(one.worker_id, one.id)]
    assert accounts.rows["always"].wrong_sent > 0

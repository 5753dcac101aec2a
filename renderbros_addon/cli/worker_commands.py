"""``workers``, ``ban``, ``pardon``: the operator's view of who renders, and how far each is trusted."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from ..client.http import DispatcherClient
from ..protocol.workers import WorkerView
from .check_lines import check_line
from .command import command
from .connecting import AS_SET, Connecting, connect
from .errors import CommandError, UsageError
from .output import Output

Which = Annotated[str, typer.Argument(metavar="WORKER", help="Id or name of a worker.", show_default=False)]
MaybeWhich = Annotated[
    str | None,
    typer.Argument(metavar="[WORKER]", help="Only this one, by id or name, with its checks.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "workers")(workers)
    command(app, "ban")(ban)
    command(app, "pardon")(pardon)


def workers(out: Output, /, which: MaybeWhich = None, to: Connecting = AS_SET) -> int:
    """List the workers of a dispatcher and how far each is trusted; or one of them, with the checks of its results."""
    with connect(to) as client:
        found = client.workers() if which is None else (find_worker(client, which),)
        checks = None if which is None else client.worker_checks(found[0].id)
    told = {"status": "ok", "workers": [one.model_dump(mode="json") for one in found]}
    if checks is None:
        out.result(told, _table(found) if found else "no workers")
        return 0
    told["checks"] = [one.model_dump(mode="json") for one in checks]
    lines = [_standing(found[0]), *(check_line(one, of_worker=True) for one in checks)]
    out.result(told, Group(_table(found), Text("\n".join(lines))))
    return 0


def ban(out: Output, /, which: Which, to: Connecting = AS_SET) -> int:
    """Give a worker nothing any more; what it has in hand goes to others."""
    with connect(to) as client:
        one = client.ban_worker(find_worker(client, which).id)
    return _told(out, one)


def pardon(out: Output, /, which: Which, to: Connecting = AS_SET) -> int:
    """End a worker's ban or quarantine; it begins with a probation."""
    with connect(to) as client:
        one = client.pardon_worker(find_worker(client, which).id)
    return _told(out, one)


def _told(out: Output, one: WorkerView) -> int:
    """What a worker is now."""
    out.result({"worker": one.model_dump(mode="json"), "status": one.status.value}, f"{one.name} is {one.status.value}")
    return 0


def find_worker(client: DispatcherClient, which: str) -> WorkerView:
    """The worker of that id, or the only one of that name."""
    found = [one for one in client.workers() if which in (one.id, one.name)]
    if not found:
        raise CommandError(f"there is no worker {which!r}: the command workers lists them", code="unknown_worker")
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise UsageError(f"{len(found)} workers are called {which!r}: give an id ({ids})")
    return found[0]


def _table(found: tuple[WorkerView, ...]) -> Table:
    table = Table(
        Column("id", no_wrap=True),
        "name",
        "status",
        "Blender",
        "devices",
        "guards",
        "accepted",
        "failed",
        "held",
        "trust",
        "checked",
        "faults",
        box=None,
        pad_edge=False,
    )
    for one in found:
        known = one.standing
        table.add_row(
            one.id,
            Text(one.name),
            one.status.value,
            one.capabilities.blender,
            Text(", ".join(device.name for device in one.capabilities.devices)),
            Text(", ".join(one.capabilities.guards) or "unknown"),
            str(one.tasks_accepted),
            str(one.tasks_failed),
            str(one.held_tasks),
            f"{known.credibility:.1%}" if known else "",
            f"{known.check_rate:.0%}" if known else "",
            str(known.faults) if known else "",
        )
    return table


def _standing(worker: WorkerView) -> str:
    known = worker.standing
    if known is None:
        return ""
    parts = [
        f"owner {worker.owner}",
        f"{known.passed} checks passed in a row",
        f"{known.inconclusive} could not tell",
        f"{known.faults} faults",
        f"{'on probation, ' if known.probation else ''}{known.frames} results since it began",
    ]
    if known.until is not None and worker.status == "quarantined":
        parts.append(f"in quarantine until {known.until:%Y-%m-%d %H:%M:%S} UTC")
    return "; ".join(parts)

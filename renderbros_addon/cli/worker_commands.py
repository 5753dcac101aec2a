"""``workers``: the operator's view of who renders."""

from __future__ import annotations

import typer
from rich.table import Column, Table
from rich.text import Text

from . import options
from .command import command
from .connecting import connect
from .output import Output


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``app``."""
    command(app, "workers")(workers)


def workers(out: Output, /, dispatcher: options.Dispatcher = None, ca: options.Ca = None) -> int:
    """List the workers of a dispatcher."""
    with connect(dispatcher, ca) as client:
        found = client.workers()
    table = Table(
        Column("id", no_wrap=True),
        "name",
        "status",
        "Blender",
        "devices",
        "accepted",
        "failed",
        "held",
        box=None,
        pad_edge=False,
    )
    for one in found:
        table.add_row(
            one.id,
            Text(one.name),
            one.status.value,
            one.capabilities.blender,
            Text(", ".join(device.name for device in one.capabilities.devices)),
            str(one.tasks_accepted),
            str(one.tasks_failed),
            str(one.held_tasks),
        )
    shown = table if found else "no workers"
    out.result({"status": "ok", "workers": [one.model_dump(mode="json") for one in found]}, shown)
    return 0

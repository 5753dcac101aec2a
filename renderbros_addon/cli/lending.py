"""On what terms ``worker`` lends this machine, and how it and whoever sits there talk to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..worker.terms import Terms, parse_hours
from . import options
from .settings import Settings


@dataclass(frozen=True)
class LendingOptions:
    """Options of ``worker``."""

    hours: Annotated[
        list[str] | None,
        typer.Option("--hours", metavar="FROM-TO", help="Only at these local times, such as 20:00-08:00; repeatable."),
    ] = None
    only_when_idle: Annotated[
        float | None,
        typer.Option("--only-when-idle", metavar="MINUTES", help="Only after keyboard and mouse were left so long."),
    ] = None
    pause_on_battery: Annotated[
        bool, typer.Option("--pause-on-battery", help="Not while a battery feeds this machine.")
    ] = False
    status: Annotated[
        Path | None,
        typer.Option("--status", metavar="FILE", help="Keep in this file, as JSON, what it renders and has earned."),
    ] = None
    control: Annotated[
        Path | None,
        typer.Option("--control", metavar="FILE", help="Heed this file: run, pause or stop on its first line."),
    ] = None
    stop_with_parent: options.StopWithParent = False

    def given(self) -> dict[str, object]:
        """Those of them that are settings, as :func:`settings.load` takes them."""
        return {
            "hours": ",".join(self.hours) if self.hours else None,
            "only_when_idle": self.only_when_idle,
            "pause_on_battery": self.pause_on_battery or None,
        }


def terms_of(chosen: Settings) -> Terms:
    """What the settings say about lending."""
    return Terms(parse_hours(chosen.hours or ""), chosen.only_when_idle, chosen.pause_on_battery)

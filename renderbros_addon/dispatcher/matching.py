"""Which worker can render which job, and which workers make equal pixels. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from ..protocol.jobs import series_number
from ..protocol.workers import Capabilities
from .tables import AnyRow


class Needs(NamedTuple):
    """What a job asks of a worker."""

    series: str
    engine: str
    device: str


def fits(job: AnyRow | Needs, able: Capabilities) -> bool:
    """Can a worker that is ``able`` render ``job``?"""
    return has_series(job, able) and has_engine(job, able) and has_device(job, able)


def has_series(job: AnyRow | Needs, able: Capabilities) -> bool:
    return able.series in job.series.split(" ")


def has_engine(job: AnyRow | Needs, able: Capabilities) -> bool:
    return job.engine in able.engines


def has_device(job: AnyRow | Needs, able: Capabilities) -> bool:
    return any(device.kind == job.device for device in able.devices)


def render_class(job: AnyRow | Needs, able: Capabilities) -> str | None:
    """What workers must share to make the same pixels to the last bit: Blender's build, platform, instruction set and
    device. None for an engine that isn't repeatable to the last bit: the drawing of EEVEE and Workbench is the
    graphics driver's.
    """
    if job.engine != "CYCLES":
        return None
    devices = sorted(f"{device.backend} {device.name}" for device in able.devices if device.kind == job.device)
    # A processor's name doesn't matter, only what it can do; a GPU's does.
    shown = [] if job.device == "CPU" else devices
    told = "\n".join([able.build, able.platform, able.instruction_set, job.device, *shown])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def why_none_fits(job: AnyRow, online: Iterable[Capabilities], saved_by: str | None = None) -> str | None:
    """What all of the workers online lack for ``job``, in a sentence; None if one of them fits.

    ``saved_by`` is the series that saved its file, which tells who else could open it.
    """
    able = list(online)
    if not able:
        return "no worker is online"
    series = job.series.split(" ")
    right = [a for a in able if has_series(job, a)]
    if not right:
        there = sorted({a.series for a in able}, key=series_number)
        words = f"no worker online has Blender {' or '.join(series)} (there is {', '.join(there)})"
        able_to_open = [s for s in there if saved_by is not None and series_number(s) >= series_number(saved_by)]
        if not able_to_open:
            return words
        allowed = ",".join(sorted({*series, *able_to_open}, key=series_number))
        return f"{words}; submitted with --blender-series {allowed} it would be rendered by those too"
    right = [a for a in right if has_engine(job, a)]
    if not right:
        return f"no worker online with Blender {' or '.join(series)} has the engine {job.engine}"
    if not any(has_device(job, a) for a in right):
        what = "a GPU" if job.device == "GPU" else "a CPU to render on"
        return f"no worker online that has Blender {' or '.join(series)} and the engine {job.engine} offers {what}"
    return None

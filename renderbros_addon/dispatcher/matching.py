"""Which worker can render which job. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..protocol.workers import Capabilities
from .tables import AnyRow


def fits(job: AnyRow, able: Capabilities) -> bool:
    """Can a worker that is ``able`` render ``job``?"""
    return has_series(job, able) and has_engine(job, able) and has_device(job, able)


def has_series(job: AnyRow, able: Capabilities) -> bool:
    return able.series in job.series.split(" ")


def has_engine(job: AnyRow, able: Capabilities) -> bool:
    return job.engine in able.engines


def has_device(job: AnyRow, able: Capabilities) -> bool:
    return any(device.kind == job.device for device in able.devices)


def why_none_fits(job: AnyRow, online: Iterable[Capabilities]) -> str | None:
    """What all of the workers online lack for ``job``, in a sentence; None if one of them fits."""
    able = list(online)
    if not able:
        return "no worker is online"
    series = job.series.split(" ")
    right = [a for a in able if has_series(job, a)]
    if not right:
        there = ", ".join(sorted({a.series for a in able}))
        return f"no worker online has Blender {' or '.join(series)} (there is {there})"
    right = [a for a in right if has_engine(job, a)]
    if not right:
        return f"no worker online with Blender {' or '.join(series)} has the engine {job.engine}"
    if not any(has_device(job, a) for a in right):
        what = "a GPU" if job.device == "GPU" else "a CPU to render on"
        return f"no worker online that has Blender {' or '.join(series)} and the engine {job.engine} offers {what}"
    return None

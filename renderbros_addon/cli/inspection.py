"""Looking into a .blend with a renderer child, which is the only place where a scene is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..protocol.jobs import DeviceKind, RenderSettings
from ..protocol.renderer import (
    BuildSampleRequest,
    CostMeasured,
    Failed,
    Inspection,
    InspectRequest,
    MeasureCostRequest,
)
from ..worker.command import renderer_command
from ..worker.renderer_process import RendererLost, RendererProcess
from .errors import CommandError


@contextmanager
def renderer(blender: Path | None, scratch: Path) -> Iterator[RendererProcess]:
    """A renderer for questions about scenes; it may write below ``scratch`` only."""
    process = RendererProcess(renderer_command(blender), scratch=scratch)
    try:
        yield process
    finally:
        process.close()


def inspect(process: RendererProcess, blend: Path, scene: str | None, settings: RenderSettings) -> Inspection:
    """What ``blend`` is and needs, with ``settings`` applied; CommandError if it can't be rendered like that."""
    request = InspectRequest(id="inspect", blend=str(blend), scene=scene, settings=settings)
    try:
        reply = process.request(request)
    except RendererLost as lost:
        raise CommandError(_words(lost, f"Blender failed to look into {blend}"), code=lost.code.value) from lost
    if isinstance(reply, Failed):
        raise CommandError(f"{blend}: {reply.message}", code=reply.code.value)
    return reply


def measure_cost(
    process: RendererProcess, blend: Path, scene: str | None, settings: RenderSettings, device: DeviceKind, frame: int
) -> CostMeasured:
    """What ``frame`` of ``blend`` costs, and where, with ``settings`` applied; CommandError if it can't be rendered."""
    request = MeasureCostRequest(
        id="cost", blend=str(blend), scene=scene, settings=settings, device=device, frame=frame
    )
    try:
        reply = process.request(request)
    except RendererLost as lost:
        raise CommandError(_words(lost, f"Blender failed to measure {blend}"), code=lost.code.value) from lost
    if isinstance(reply, Failed):
        raise CommandError(f"{blend}: {reply.message}", code=reply.code.value)
    return reply


def build_sample(process: RendererProcess, path: Path) -> None:
    """Save the sample scene as ``path``."""
    try:
        reply = process.request(BuildSampleRequest(id="sample", path=str(path)))
    except RendererLost as lost:
        raise CommandError(_words(lost, "Blender failed to build the sample scene"), code=lost.code.value) from lost
    if isinstance(reply, Failed):
        raise CommandError(f"the sample scene could not be built: {reply.message}", code=reply.code.value)


def _words(lost: RendererLost, what: str) -> str:
    tail = "\n".join(lost.log_tail.strip().splitlines()[-10:])
    return f"{what}: {lost.message}" + (f"\nThe end of its log:\n{tail}" if tail else "")

"""Looking into a .blend with a renderer child, which is the only place where a scene is opened."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..protocol.jobs import DeviceKind, RenderSettings
from ..protocol.leases import Progress
from ..protocol.renderer import (
    BuildSampleRequest,
    Built,
    CostMeasured,
    Failed,
    Inspection,
    InspectRequest,
    MeasureCostRequest,
    Previewed,
    PreviewRequest,
)
from ..worker.command import renderer_command
from ..worker.renderer_process import RendererLost, RendererProcess
from .errors import CommandError

Good = TypeVar("Good", Inspection, CostMeasured, Previewed, Built)


@contextmanager
def renderer(
    blender: Path | None, scratch: Path, launched: subprocess.Popen[bytes] | None = None
) -> Iterator[RendererProcess]:
    """A renderer for questions about scenes; it may write below ``scratch`` only. ``launched`` is its process, if it
    runs already."""
    process = RendererProcess(renderer_command(blender), scratch=scratch, launched=launched)
    try:
        with _told("Blender can't be started"):
            process.begin()
        yield process
    finally:
        process.close()


def inspect(process: RendererProcess, blend: Path, scene: str | None, settings: RenderSettings) -> Inspection:
    """What ``blend`` is and needs, with ``settings`` applied; CommandError if it can't be rendered like that."""
    request = InspectRequest(id="inspect", blend=str(blend), scene=scene, settings=settings)
    with _told(f"Blender failed to look into {blend}"):
        return _good(process.request(request), str(blend))


def measure_cost(
    process: RendererProcess, blend: Path, scene: str | None, settings: RenderSettings, device: DeviceKind, frame: int
) -> CostMeasured:
    """What ``frame`` of ``blend`` costs, and where, with ``settings`` applied; CommandError if it can't be rendered."""
    request = MeasureCostRequest(
        id="cost", blend=str(blend), scene=scene, settings=settings, device=device, frame=frame
    )
    with _told(f"Blender failed to measure {blend}"):
        return _good(process.request(request), str(blend))


def preview(
    process: RendererProcess,
    blend: Path,
    scene: str | None,
    settings: RenderSettings,
    device: DeviceKind,
    frames: tuple[int, ...],
    seconds: float,
    on_progress: Callable[[Progress], None],
) -> Previewed:
    """What ``frames`` of ``blend`` look like with ``settings`` applied, as many as take ``seconds``.

    CommandError if it can't be rendered; RendererStopped if ``process`` is killed meanwhile.
    """
    request = PreviewRequest(
        id="preview", blend=str(blend), scene=scene, settings=settings, device=device, frames=frames, seconds=seconds
    )
    with _told(f"Blender failed to preview {blend}"):
        return _good(process.request(request, on_progress), str(blend))


def build_sample(process: RendererProcess, path: Path) -> None:
    """Save the sample scene as ``path``."""
    with _told("Blender failed to build the sample scene"):
        _good(process.request(BuildSampleRequest(id="sample", path=str(path))), "the sample scene could not be built")


def _good(reply: Good | Failed, what: str) -> Good:
    if isinstance(reply, Failed):
        raise CommandError(f"{what}: {reply.message}", code=reply.code.value)
    return reply


@contextmanager
def _told(what: str) -> Iterator[None]:
    """A lost renderer is a CommandError that starts with ``what`` and ends with the end of its log."""
    try:
        yield
    except RendererLost as lost:
        raise CommandError(_words(lost, what), code=lost.code.value) from lost


def _words(lost: RendererLost, what: str) -> str:
    tail = "\n".join(lost.log_tail.strip().splitlines()[-10:])
    return f"{what}: {lost.message}" + (f"\nThe end of its log:\n{tail}" if tail else "")

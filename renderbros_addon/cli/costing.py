"""Measuring what a frame costs, for ``--tiles auto``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..protocol.renderer import Inspection
from ..worker.renderer_process import RendererProcess
from . import inspection
from .submission import Submission, Wish


def measured(
    process: RendererProcess, asked: Wish, found: Inspection, prepared: Submission, step: Callable[[str], None]
) -> Submission:
    """``prepared`` with the cost of its middle frame, if that was asked for and the scene can be tiled.

    One frame stands for all: a job's frames differ less from each other than the parts of each do. ``step`` is told
    what is being done. CommandError if the frame can't be rendered.
    """
    if not asked.by_cost or found.whole_because:
        return prepared
    spec = prepared.spec
    frame = spec.frames[len(spec.frames) // 2]
    step(f"measuring what frame {frame} costs, on a small preview")
    reply = inspection.measure_cost(process, asked.blend, asked.scene, asked.settings, found.device, frame)
    notes = spec.notes
    if reply.device != found.device:
        notes += (f"Its cost was measured on a {reply.device}, since there is no {found.device} here.",)
    return replace(prepared, spec=spec.model_copy(update={"cost": reply.cost, "notes": notes[-100:]}))

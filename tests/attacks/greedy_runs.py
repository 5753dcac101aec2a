"""A greedy scene in a guarded renderer: how it ends, and what it used until then."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import psutil

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, RenderRequest
from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import Guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererLost, RendererProcess

MEMORY = 1 << 30
OVERSHOOT = 1 << 30
"""Bytes that may be taken between two looks."""


@dataclass(frozen=True)
class Ended:
    how: str
    """A failure's code, or ``rendered``."""
    message: str
    peak_memory: int
    peak_threads: int


def run_greedy(blend: Path, scratch: Path, guard: Guard, size: tuple[int, int], series: str, timeout: float) -> Ended:
    """Render ``blend`` within ``MEMORY`` and ``timeout`` seconds."""
    scratch.mkdir()
    limits = Limits(memory=MEMORY)

    def wrap(command: list[str]) -> list[str]:
        return guard.wrap(command, readable=[blend.parent], writable=[scratch])

    renderer = RendererProcess(
        renderer_command(chosen_blender(None)), scratch=scratch, threads=1, wrap=wrap, limits=limits,
        max_memory=MEMORY, task_timeout=timeout,
    )  # fmt: skip
    threads = 0

    def count() -> None:
        nonlocal threads
        threads = max(threads, sum(threads_below(psutil.Process())))

    with renderer:
        try:
            asked = request(blend, scratch / "out", size, series)
            renderer.send(asked)
            reply = renderer.answer(asked, meanwhile=count)
        except RendererLost as lost:
            how, message = lost.code.value, lost.message
        else:
            how, message = (reply.code.value, reply.message) if isinstance(reply, Failed) else ("rendered", "")
        return Ended(how, message, renderer.peak_memory, threads)


def threads_below(process: psutil.Process) -> list[int]:
    """How many threads each process has that ``process`` has started."""
    found = []
    for child in process.children(recursive=True):
        try:
            found.append(child.num_threads())
        except psutil.Error:
            continue
    return found


def request(blend: Path, out: Path, size: tuple[int, int], series: str) -> RenderRequest:
    out.mkdir(parents=True)
    file = JobFile(path=blend.name, sha256=hashlib.sha256(blend.read_bytes()).hexdigest(), size=blend.stat().st_size)
    width, height = size
    spec = SceneSpec(
        blend=blend.name, files=(file,), width=width, height=height, format="PNG", series=(series,), engine="CYCLES",
    )  # fmt: skip
    return RenderRequest(
        id=blend.stem, root=str(blend.parent), spec=spec, frame=1, region=Region.full(width, height), linear=False,
        out_dir=str(out),
    )  # fmt: skip

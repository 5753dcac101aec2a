"""Damaged files: never a hang, never a lost worker, always a failure with a name or a good picture.

``bench hostile_files`` does the same with hundreds.
"""

from __future__ import annotations

from pathlib import Path

from damaged_blends import TASK_SECONDS, Gauntlet, damaged
from scenes import fresh_scene, save

from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererProcess

SIZE = (24, 16)


def test_damaged_files_end_in_a_named_failure_or_a_picture(tmp_path: Path) -> None:
    fresh_scene(*SIZE, samples=1)
    scene = save(tmp_path / "good.blend").read_bytes()
    count = 0

    def start() -> RendererProcess:
        nonlocal count
        count += 1
        return RendererProcess(
            renderer_command(chosen_blender(None)), scratch=tmp_path / f"scratch{count}", threads=1,
            limits=Limits(memory=2 << 30), max_memory=2 << 30, task_timeout=TASK_SECONDS,
        )  # fmt: skip

    with start() as first:
        series = first.start().capabilities.series
    run = Gauntlet(start, tmp_path / "files", series)
    try:
        outcomes = [one for i, file in enumerate(damaged([scene], 20, seed=4)) for one in run.run(i, file, SIZE)]
    finally:
        run.close()
    assert len(outcomes) == 40
    known = {code.value for code in FailureCode}
    for one in outcomes:
        assert one.what == "good" or (one.what in known and one.message), one
        assert one.seconds < TASK_SECONDS + 10, one
    found = {one.what for one in outcomes}
    assert {"good", "corrupt_blend"} <= found, "the damage is of many kinds"

"""What a frame costs, and where, as real Blender takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from scene_features import set_border
from scenes import hard_corner, save

from renderbros_addon.blender.configure import dump
from renderbros_addon.blender.cost import measure_cost
from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.protocol.costs import CostMap
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.renderer import CostMeasured, MeasureCostRequest
from renderbros_addon.protocol.states import FailureCode


def measured(blend: Path, **options: Any) -> CostMeasured:
    return measure_cost(MeasureCostRequest(id="cost", blend=str(blend), **({"device": "CPU", "frame": 1} | options)))


def grid(cost: CostMap) -> np.ndarray:
    return np.array(cost.cells).reshape(cost.rows, cost.columns)


def settings() -> list[tuple[str, str, str]]:
    return [(type(owner).__name__, name, repr(value)) for owner, name, value in dump(bpy.context.scene)]


@pytest.fixture
def corner(tmp_path: Path) -> Path:
    hard_corner(width=192, height=108, samples=4)
    return save(tmp_path / "corner.blend")


def test_the_hard_corner_is_found(corner: Path) -> None:
    found = measured(corner)
    assert (found.id, found.device) == ("cost", "CPU")
    assert 0 < found.cost.overhead < 1
    assert found.cost.margin == 0
    cells = grid(found.cost)
    rows, columns = cells.shape
    assert cells[: rows // 2, columns // 2 :].sum() > 0.8 * cells.sum()
    more = measured(corner, settings=RenderSettings(samples=16, percentage=50))
    assert 0.4 < sum(more.cost.cells) / cells.sum() < 2.5, "a quarter of the pixels with four times the samples"


def test_adaptive_sampling_is_measured_as_it_is_spent(tmp_path: Path) -> None:
    scene = hard_corner(width=96, height=54, samples=64)
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.2
    found = measured(save(tmp_path / "adaptive.blend"))
    assert found.cost.margin == 8
    cells = grid(found.cost)
    assert cells[: cells.shape[0] // 2, cells.shape[1] // 2 :].sum() > 0.8 * cells.sum()


def test_outside_of_a_border_nothing_is_spent_and_settings_are_kept(studio: Any) -> None:
    studio.take(lambda scene: set_border(scene, crop=False))
    before = settings()
    cells = grid(measured(studio.blend, settings=RenderSettings(samples=9, seed=3), frame=2).cost)
    rows, columns = cells.shape
    assert cells.sum() > 0
    assert cells[:, : columns // 8].sum() == 0
    assert cells[-(rows // 8) :].sum() == 0
    assert settings() == before


def test_without_a_gpu_the_processor_tells(corner: Path, renderer: Any) -> None:
    reply = renderer.ask(MeasureCostRequest(id="c", blend=str(corner), device="GPU", frame=1))
    gpu = any(device.kind == "GPU" for device in renderer.hello.capabilities.devices)
    assert (reply.type, reply.id, reply.device) == ("cost_measured", "c", "GPU" if gpu else "CPU")


def test_what_can_not_be_rendered_is_told(corner: Path) -> None:
    with pytest.raises(CannotServe) as refusal:
        measured(corner, settings=RenderSettings(camera="Nobody"))
    assert refusal.value.code == FailureCode.UNKNOWN_CAMERA

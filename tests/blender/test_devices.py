"""Devices: no falling back. The GPU paths run on stand-ins for Cycles' preferences, since no GPU was at hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from renderbros_addon.blender.devices import GPU_BACKENDS, capabilities, choose_device, list_devices
from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.versions import cycles_preferences
from renderbros_addon.protocol.states import FailureCode, FailureKind


class FakePreferences:
    """Cycles' add-on preferences on a machine with the cards in ``found``, as (type, name)."""

    def __init__(self, found: list[tuple[str, str]], backends: tuple[str, ...]) -> None:
        self.compute_device_type = "NONE"
        self.devices = [SimpleNamespace(type=kind, name=name, use=kind == "CPU") for kind, name in found]
        self._backends = backends

    def get_devices_for_type(self, backend: str) -> list[Any]:
        if backend not in self._backends:
            raise ValueError(f"no such backend: {backend}")
        return [device for device in self.devices if device.type in (backend, "CPU")]


def machine() -> FakePreferences:
    cards = [("CPU", "Chip"), ("CUDA", "Card A"), ("OPTIX", "Card A"), ("OPTIX", "Card B"), ("CUDA", "Card B")]
    return FakePreferences(cards, ("CUDA", "OPTIX"))


def test_gpus_are_listed_with_their_backend() -> None:
    found = [(device.kind, device.backend, device.name) for device in list_devices(machine())]
    assert found[0][:2] == ("CPU", "CPU")
    assert found[1:] == [
        ("GPU", "OPTIX", "Card A"),
        ("GPU", "OPTIX", "Card B"),
        ("GPU", "CUDA", "Card A"),
        ("GPU", "CUDA", "Card B"),
    ]


def test_the_best_backend_is_chosen_without_the_processor() -> None:
    preferences, scene = machine(), bpy.context.scene
    assert choose_device(scene, "GPU", preferences) == "Card A (OPTIX), Card B (OPTIX)"
    assert scene.cycles.device == "GPU"
    assert preferences.compute_device_type == "OPTIX"
    assert [device.use for device in preferences.devices] == [False, False, True, True, False]
    choose_device(scene, "CPU", preferences)
    assert scene.cycles.device == "CPU"


@pytest.mark.parametrize("preferences", [None, FakePreferences([("CPU", "Chip")], ("CUDA",))])
def test_no_gpu_is_a_fault_of_the_worker(preferences: Any) -> None:
    scene = bpy.context.scene
    scene.cycles.device = "CPU"
    with pytest.raises(CannotServe) as failure:
        choose_device(scene, "GPU", preferences)
    assert (failure.value.kind, failure.value.code) == (FailureKind.WORKER, FailureCode.NO_DEVICE)
    assert all(backend in str(failure.value) for backend in GPU_BACKENDS)
    assert scene.cycles.device == "CPU"


def test_the_real_preferences_have_that_shape() -> None:
    preferences = cycles_preferences()
    assert preferences is not None
    assert hasattr(preferences, "compute_device_type")
    assert hasattr(preferences, "devices")
    assert list_devices(preferences)[0].kind == "CPU"


@pytest.mark.skipif(len(list_devices(cycles_preferences())) > 1, reason="this machine has a GPU")
def test_a_gpu_job_is_not_rendered_on_the_cpu(studio: Any) -> None:
    studio.take()
    with pytest.raises(CannotServe) as failure:
        studio.render(device="GPU")
    assert failure.value.code == FailureCode.NO_DEVICE


def test_capabilities_are_this_machines() -> None:
    found = capabilities()
    assert found.blender == ".".join(map(str, bpy.app.version))
    assert {"CYCLES", "BLENDER_WORKBENCH", "BLENDER_EEVEE"} <= set(found.engines)
    assert found.threads >= 1
    assert found.memory > 1 << 28
    assert found.instruction_set in ("AVX2", "SSE4.2", "NEON")

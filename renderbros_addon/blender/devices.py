"""What Cycles can render on here, and choosing it for a task. There is no falling back."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import bpy
import psutil

from ..protocol.jobs import DeviceKind
from ..protocol.states import FailureCode
from ..protocol.workers import Capabilities, Device
from .failures import CannotServe, worker_fault
from .versions import cycles_preferences, engines, running_series

GPU_BACKENDS = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
"""In the order they are tried: a card that knows OptiX knows CUDA too, and OptiX is the faster."""


def list_devices(preferences: Any | None) -> tuple[Device, ...]:
    """The processor and every GPU that Cycles finds, once for each backend that can use it.

    ``preferences`` are Cycles' add-on preferences, or an object of the same shape: the tests pass one, since the GPU
    paths were never run on real GPU hardware.
    """
    found = [Device(kind="CPU", backend="CPU", name=processor_name())]
    if preferences is None:
        return tuple(found)
    for backend in GPU_BACKENDS:
        for device in _gpus(preferences, backend):
            found.append(Device(kind="GPU", backend=backend, name=device.name[:200]))
    return tuple(found)


def choose_device(scene: Any, kind: DeviceKind, preferences: Any | None) -> str:
    """Make ``scene`` render on ``kind`` with Cycles; return the device's name.

    A GPU is the first backend's of :data:`GPU_BACKENDS` that has a card, with the processor left out, so that a task's
    device class is one thing. Raises CannotServe (worker, ``no_device``) if there is none.
    """
    if kind == "CPU":
        scene.cycles.device = "CPU"
        return processor_name()
    for backend in GPU_BACKENDS:
        cards = _gpus(preferences, backend) if preferences is not None else []
        if preferences is None or not cards:
            continue
        preferences.compute_device_type = backend
        for device in preferences.devices:
            device.use = device.type == backend
        scene.cycles.device = "GPU"
        return ", ".join(f"{device.name} ({backend})" for device in cards)
    raise worker_fault(
        FailureCode.NO_DEVICE,
        f"The job asks for a GPU and Cycles finds none here (looked for {', '.join(GPU_BACKENDS)}): "
        "install the graphics driver, or submit the job for the CPU.",
    )


def choose_device_or_cpu(scene: Any, wanted: DeviceKind, preferences: Any | None) -> DeviceKind:
    """Make ``scene`` render on ``wanted`` if there is one, else on the processor: for previews, where either will do.

    Returns which it is.
    """
    try:
        choose_device(scene, wanted, preferences)
        return wanted
    except CannotServe:
        choose_device(scene, "CPU", None)
        return "CPU"


def _gpus(preferences: Any, backend: str) -> list[Any]:
    try:
        devices = preferences.get_devices_for_type(backend)
    except (ValueError, TypeError):
        return []  # a Blender built without this backend
    return [device for device in devices or () if device.type == backend]


def capabilities() -> Capabilities:
    """What this Blender is and has."""
    version = ".".join(map(str, bpy.app.version))
    build: bytes = bpy.app.build_hash
    return Capabilities(
        blender=version,
        series=running_series(),
        build=build.decode(errors="replace")[:40],
        engines=engines(),
        devices=list_devices(cycles_preferences()),
        platform=f"{platform.system()} {platform.machine()}",
        instruction_set=instruction_set(),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=usable_memory(),
    )


@cache
def processor_name() -> str:
    """The processor's name as its maker spells it, or its kind where the system doesn't tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:200]
    except OSError:
        pass
    return (platform.processor() or platform.machine() or "CPU")[:200]


def instruction_set() -> str:
    """The vector extension that Cycles' kernels use here; it is part of what makes pixels repeatable."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "NEON"
    return "AVX2" if _has_avx2() else "SSE4.2"


def _has_avx2() -> bool:
    if sys.platform == "win32":
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))  # PF_AVX2_INSTRUCTIONS_AVAILABLE
    if sys.platform == "darwin":
        value, size = ctypes.c_int(0), ctypes.c_size_t(4)
        libc = ctypes.CDLL(None)
        failed = libc.sysctlbyname(b"hw.optional.avx2_0", ctypes.byref(value), ctypes.byref(size), None, 0)
        return not failed and bool(value.value)
    try:
        return " avx2 " in Path("/proc/cpuinfo").read_text(errors="replace").replace("\n", " ")
    except OSError:
        return False


def usable_memory() -> int:
    """Bytes of memory that the machine has, or that a Linux container may use if that is less."""
    total = int(psutil.virtual_memory().total)
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():
            total = min(total, int(text))
    return total

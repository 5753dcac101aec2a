"""Images as a renderer would write them, and the specs of jobs that ask for them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.jobs import JobSpec
from renderbros_addon.protocol.leases import Task
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.results import Output, RenderStats, TaskResult
from renderbros_addon.protocol.workers import Capabilities, Device, Enrolment

WIDTH, HEIGHT = 32, 16
BLEND = b"stands for a scene"
BLEND_SHA = hashlib.sha256(BLEND).hexdigest()


Size = tuple[int, int]


def whole_picture(frame: int, size: Size = (WIDTH, HEIGHT)) -> np.ndarray:
    """Float32 RGBA of shape (height, width, 4): the frame that tiles are cut from. ``size`` is its width and height."""
    return np.random.default_rng(frame).random((size[1], size[0], 4), dtype=np.float32)


def render(
    task: Task, folder: Path, format: str = "PNG", size: Size = (WIDTH, HEIGHT), wrong: float = 0.0
) -> tuple[Path, TaskResult]:
    """Make the image that ``task`` asks for; ``wrong`` is added to each of its values, which a cheat may do."""
    region = task.region
    pixels = whole_picture(task.frame, size)[region.y0 : region.y1, region.x0 : region.x1] + np.float32(wrong)
    folder.mkdir(parents=True, exist_ok=True)
    if task.linear or format == "OPEN_EXR_MULTILAYER":
        path = write_exr(folder / f"{task.id}.exr", pixels)
    else:
        path = write_png(folder / f"{task.id}.png", pixels)
    return path, result_of(inspect_image(path))


def write_png(path: Path, pixels: np.ndarray) -> Path:
    write_channels(path, pixels, "uint8", ("R", "G", "B", "A"))
    return path


def write_exr(path: Path, pixels: np.ndarray, layer: str = "ViewLayer") -> Path:
    write_channels(path, pixels, "float", tuple(f"{layer}.Combined.{channel}" for channel in "RGBA"))
    return path


def write_channels(path: Path, pixels: np.ndarray, kind: str, channels: tuple[str, ...]) -> None:
    """Write a file whose ``channels`` are stored as ``kind``, by OpenImageIO's name."""
    height, width = pixels.shape[:2]
    spec = oiio.ImageSpec(width, height, len(channels), kind)
    spec.channelnames = channels
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec), output.geterror()
    assert output.write_image(np.ascontiguousarray(pixels)), output.geterror()
    output.close()


def result_of(output: Output) -> TaskResult:
    stats = RenderStats(render_seconds=0.1, total_seconds=0.2, blender="4.5.15 LTS (0123456789ab)", device="CPU")
    return TaskResult(output=output, stats=stats)


def claimed(**changes: Any) -> TaskResult:
    """A result that nobody looks at: for tests of what happens before or after that."""
    facts: dict[str, Any] = {
        "sha256": "1" * 64,
        "size": 100,
        "pixel_digest": "2" * 64,
        "phash": "0" * 16,
        "width": WIDTH,
        "height": HEIGHT,
        "channels": ("R", "G", "B", "A"),
        "container": "png",
        "blank": False,
    }
    return result_of(Output.model_validate(facts | changes))


def job_spec(frames: tuple[int, ...] = (1,), tiles: tuple[int, int] | None = None, **changes: Any) -> JobSpec:
    scene: dict[str, Any] = {
        "blend": "scene.blend",
        "files": [{"path": "scene.blend", "sha256": BLEND_SHA, "size": len(BLEND)}],
        "width": WIDTH,
        "height": HEIGHT,
        "format": "PNG",
        "series": ["4.5"],
        "engine": "CYCLES",
    }
    scene |= changes.pop("scene", {})
    spec = {
        "name": "a job",
        "frames": frames,
        "tiles": {"columns": tiles[0], "rows": tiles[1]} if tiles else None,
        "frame_name": "shot_####.png",
        "scene": scene,
    }
    return JobSpec.model_validate(spec | changes)


def capabilities(
    series: str = "4.5", engines: tuple[str, ...] = ("CYCLES",), gpu: bool = False, instruction_set: str = "AVX2"
) -> Capabilities:
    devices = [Device(kind="CPU", backend="CPU", name="a processor")]
    if gpu:
        devices.append(Device(kind="GPU", backend="CUDA", name="a GPU"))
    return Capabilities(
        blender=f"{series}.1",
        series=series,
        build="0123456789ab",
        engines=engines,
        devices=tuple(devices),
        platform="Linux x86_64",
        instruction_set=instruction_set,
        threads=2,
        memory=4 << 30,
    )


def enrolment(name: str = "worker", owner: str | None = None, **able: Any) -> Enrolment:
    secret = hashlib.sha256(name.encode()).hexdigest()
    return Enrolment(name=name, secret=secret, owner=owner, capabilities=capabilities(**able))


FULL = Region.full(WIDTH, HEIGHT)

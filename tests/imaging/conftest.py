"""Real files from Blender, and small ones written to measure."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from in_blender import script_command


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images that this Python's Blender rendered; see render_images.py."""
    out = tmp_path_factory.mktemp("rendered")
    script = Path(__file__).with_name("render_images.py")
    done = subprocess.run(script_command(script, out), capture_output=True, text=True, timeout=300, check=False)
    assert (out / "grey.exr").is_file(), f"Blender exited {done.returncode}\n{done.stderr[-3000:]}"
    return out


def write_image(
    path: Path,
    parts: Sequence[tuple[Sequence[str], np.ndarray]],
    *,
    container: str = "openexr",
    attributes: dict[str, Any] | None = None,
    channel_types: Sequence[str] | None = None,
    tile: int = 0,
) -> Path:
    """Write ``parts``, each of channel names and pixels (height, width, channels), with OpenImageIO itself."""
    names = {"float16": "half", "float32": "float", "uint32": "uint"}
    specs = []
    for index, (channels, pixels) in enumerate(parts):
        height, width, count = pixels.shape
        spec = oiio.ImageSpec(width, height, count, names.get(pixels.dtype.name, pixels.dtype.name))
        spec.channelnames = tuple(channels)
        # All parts of a file share the display window.
        spec.full_width, spec.full_height = parts[0][1].shape[1], parts[0][1].shape[0]
        if channel_types:
            spec.channelformats = tuple(oiio.TypeDesc(kind) for kind in channel_types)
        if tile:
            spec.tile_width = spec.tile_height = tile
            spec.tile_depth = 1
        if len(parts) > 1:
            spec.attribute("oiio:subimagename", f"part{index}")
        for name, value in (attributes or {}).items():
            spec.attribute(name, value)
        specs.append(spec)
    output = oiio.ImageOutput.create(container)
    assert output.open(str(path), tuple(specs) if len(specs) > 1 else specs[0]), output.geterror()
    for index, (_, pixels) in enumerate(parts):
        if index:
            assert output.open(str(path), specs[index], "AppendSubimage"), output.geterror()
        assert output.write_image(np.ascontiguousarray(pixels)), output.geterror()
    assert output.close()
    return path


@pytest.fixture
def write() -> Callable[..., Path]:
    return write_image


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """Pixels of a given shape that look like nothing, the same each time; with a smooth part, as pictures have."""

    def make(height: int, width: int, channels: int, dtype: type = np.float32, seed: int = 1) -> np.ndarray:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[0:height, 0:width]
        waves = np.stack([np.sin(x / (5 + c) + seed) * np.cos(y / (7 + c)) for c in range(channels)], axis=-1)
        values = np.clip(0.5 + 0.35 * waves + random.normal(0, 0.05, (height, width, channels)), 0, 1)
        if np.issubdtype(dtype, np.integer):
            return np.asarray(np.rint(values * np.iinfo(dtype).max), dtype)
        return values.astype(dtype)

    return make

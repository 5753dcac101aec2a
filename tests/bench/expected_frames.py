"""How well expected hashes tell wrong frames from right ones: ``python tests/bench/expected_frames.py OUT [SHOT ...]``.

Renders each shot of ``expected_scenes.py`` whole, previews it as ``submit`` does, spoils frames in every way that is
looked for, and prints of each way how many frames were found. Frames that are there already are not rendered again.
Needs Blender 4.5 as a module.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

import bpy
import numpy as np
from expected_scenes import BIG_THINGS, LENGTH, SHOTS, TEXTURED
from PIL import Image as pillow
from pydantic import TypeAdapter

from renderbros_addon.blender.expect import preview
from renderbros_addon.blender.progress import ProgressBoard
from renderbros_addon.imaging.expected import out_of_line, unexpected
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.expectations import ExpectedFrame
from renderbros_addon.protocol.renderer import PreviewRequest
from renderbros_addon.protocol.results import Output

FRAMES = range(1, LENGTH + 1)
SPOILED = (3, 6, 9)
OTHER = {"flat": "flat", "noisy": "noisy", "denoised": "noisy", "cut": "noisy", "workbench": "noisy"}

Frames = dict[int, Output]
Pixels = Any

_expectations = TypeAdapter(tuple[ExpectedFrame, ...])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path)
    words.add_argument("shots", nargs="*", default=list(SHOTS))
    words.add_argument("--size", default="320x180")
    asked = words.parse_args()
    width, height = map(int, asked.size.split("x"))
    shots = {}
    for name in asked.shots:
        folder = asked.out.resolve() / f"{name}-{asked.size}"
        if not (folder / "expected.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            render(name, SHOTS[name](width, height), folder)
        shots[name] = Shot(folder)
    totals: defaultdict[str, list[bool]] = defaultdict(list)
    for name, shot in shots.items():
        # Several show the same thing in another way.
        other = next((one for key, one in shots.items() if key in ("flat", "noisy") and OTHER.get(name) != key), None)
        found: defaultdict[str, list[bool]] = defaultdict(list)
        for way, caught in shot.tried(other):
            found[way].append(caught)
            totals[way].append(caught)
        told = "; ".join(f"{way} {sum(hits)}/{len(hits)}" for way, hits in found.items())
        cells = np.mean([int(one.reliable, 16).bit_count() for one in shot.expected.values()])
        print(f"{name}: {cells:.1f} reliable cells; {told}", flush=True)
    for way, hits in totals.items():
        print(f"{way:40} {sum(hits):4} of {len(hits):4}  {np.mean(hits):7.1%}")


def render(name: str, scene: Any, folder: Path) -> None:
    """All that is needed of a shot, as PNG files."""
    scene.render.use_persistent_data = True
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))

    def shoot(way: str, frames: Any) -> None:
        for frame in frames:
            scene.frame_set(frame)
            scene.render.filepath = str(folder / f"{way}_{frame}")
            bpy.ops.render.render(write_still=True)

    shoot("whole", FRAMES)
    if name in BIG_THINGS:
        thing = bpy.data.objects[BIG_THINGS[name]]
        for one in (thing, *thing.children):
            one.hide_render = True
        shoot("without a big thing", SPOILED)
        for one in (thing, *thing.children):
            one.hide_render = False
    if name in TEXTURED:
        for tree in (material.node_tree for material in bpy.data.materials if material.node_tree):
            for node in tree.nodes:
                if node.bl_idname == "ShaderNodeTexImage":
                    node.image = None
        shoot("without textures", SPOILED)
    began = time.monotonic()
    request = PreviewRequest(id="p", blend=str(folder / "shot.blend"), device="CPU", frames=tuple(FRAMES), seconds=3600)
    found = preview(request, ProgressBoard())
    print(f"{name}: {(time.monotonic() - began) / LENGTH:.2f} s for each preview", *found.problems, flush=True)
    (folder / "expected.json").write_bytes(_expectations.dump_json(found.expected))


class Shot:
    """What was rendered of a shot."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.expected = {one.frame: one for one in _expectations.validate_json((folder / "expected.json").read_bytes())}
        self.whole = {frame: inspect_image(folder / f"whole_{frame}.png") for frame in FRAMES}
        self.moves = not folder.name.startswith("static")

    def tried(self, other: Shot | None) -> Iterator[tuple[str, bool]]:
        """Each way of spoiling a frame, and whether it was found, by the preview and by the neighbours."""
        for frame in FRAMES:
            for way, spoiled in self._spoiled(frame, other):
                yield way, differs(spoiled, self.expected[frame])
                if frame - 1 in self.whole and frame + 1 in self.whole:
                    before, after = self.whole[frame - 1], self.whole[frame + 1]
                    yield f"{way}, by neighbours", leaps(before, spoiled, after)

    def _spoiled(self, frame: int, other: Shot | None) -> Iterator[tuple[str, Output]]:
        yield "honest", self.whole[frame]
        for away in (1, 3, 6) if self.moves else ():
            if frame + away in self.whole:
                yield f"frame {away} later", self.whole[frame + away]
        if other is not None:
            yield "another shot", other.whole[frame]
        for path in sorted(self._folder.glob(f"without*_{frame}.png")):
            yield path.stem.rpartition("_")[0], inspect_image(path)
        if frame not in SPOILED:
            return
        with pillow.open(self._folder / f"whole_{frame}.png") as image:
            pixels = np.asarray(image.convert("RGB"))
        for way, spoil in GARBAGE.items():
            path = self._folder / "spoiled.png"
            pillow.fromarray(spoil(pixels.copy(), np.random.default_rng(frame))).save(path)
            yield way, inspect_image(path)


def differs(frame: Output, expected: ExpectedFrame) -> bool:
    return unexpected(frame.phash, frame.grid or "", frame.blank, expected) is not None


def leaps(before: Output, frame: Output, after: Output) -> bool:
    return out_of_line(before.grid or "", frame.grid or "", after.grid or "") is not None


def blank(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return np.zeros_like(pixels)


def half_black(pixels: Pixels, _: np.random.Generator) -> Pixels:
    pixels[len(pixels) // 2 :] = 0
    return pixels


def noise_tiles(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """An eighth of the picture is uninitialised memory."""
    height, width = pixels.shape[:2]
    for cell in random.permutation(64)[:8]:
        y, x = height * (cell // 8) // 8, width * (cell % 8) // 8
        tile = pixels[y : y + height // 8, x : x + width // 8]
        tile[:] = random.integers(0, 256, tile.shape)
    return pixels


def torn(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Bands of rows are shifted sideways."""
    for band in range(0, len(pixels), len(pixels) // 9):
        pixels[band : band + len(pixels) // 9] = np.roll(
            pixels[band : band + len(pixels) // 9], int(random.integers(10, pixels.shape[1] - 10)), axis=1
        )
    return pixels


def upside_down(pixels: Pixels, _: np.random.Generator) -> Pixels:
    return np.ascontiguousarray(pixels[::-1])


GARBAGE: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "blank": blank,
    "half black": half_black,
    "tiles of noise": noise_tiles,
    "torn": torn,
    "upside down": upside_down,
}


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)

"""Run by a Python that has bpy: renders the pairs that the tests of ``verify`` compare, into a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenes import fresh_scene


def choose(scene: bpy.types.Scene, file_format: str, depth: str) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = file_format, "RGB", depth


def render(scene: bpy.types.Scene, out: Path, name: str) -> None:
    """The same picture as linear floats and as a screen shows it."""
    choose(scene, "OPEN_EXR", "32")
    scene.render.filepath = str(out / f"{name}.exr")
    bpy.ops.render.render(write_still=True)
    choose(scene, "PNG", "8")
    bpy.data.images["Render Result"].save_render(str(out / f"{name}.png"))


def main(out: Path) -> None:
    scene = fresh_scene(width=96, height=64, samples=16)
    scene.render.use_file_extension = False
    lamp = scene.objects["Lamp"].data
    render(scene, out, "honest")
    render(scene, out, "again")
    scene.cycles.samples = 15
    render(scene, out, "fewer")
    scene.cycles.samples = 16
    lamp.energy *= 0.98
    render(scene, out, "darker")
    lamp.energy /= 0.98
    scene.frame_set(2)
    render(scene, out, "neighbour")


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
    sys.stdout.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

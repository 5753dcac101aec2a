"""Blender's own untiled renders, with no code of RenderBros between: ``own.py CASES.json``.

Of each file one render, which Blender saves as an 8-bit PNG, as any artist would, and as a 32-bit EXR besides.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import bpy


def render(blend: str, frame: int, stem: str) -> None:
    """Write ``stem``.png and ``stem``.exr."""
    bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.filepath = f"{stem}.png"
    bpy.ops.render.render(write_still=True)
    image = scene.render.image_settings
    image.file_format, image.color_depth = "OPEN_EXR", "32"
    bpy.data.images["Render Result"].save_render(f"{stem}.exr")


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[-1]).read_text())
    for order in wanted["orders"]:
        render(order["blend"], wanted["frame"], order["own"])
    sys.stdout.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

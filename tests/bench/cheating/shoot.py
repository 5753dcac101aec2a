"""Renders what ``shoot.py ORDERS.json`` lists, by any Blender that runs it: nothing of RenderBros is between.

Of each order a multilayer EXR of floats, as tiles are, and the picture as it is delivered. What exists is left alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import bpy


def shoot(blend: str, order: dict[str, Any], handles: dict[str, str]) -> None:
    """Write ``stem``.exr, and ``stem``.png and ``stem``.jpg if they are wanted."""
    bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
    scene = bpy.context.scene
    scene.frame_set(order["frame"])
    edit(scene, order["edits"], handles)
    stem = order["stem"]
    choose(scene, "OPEN_EXR_MULTILAYER", "RGBA", "32")
    scene.render.filepath = f"{stem}-part.exr"
    bpy.ops.render.render(write_still=True)
    deliver(bpy.data.images["Render Result"], scene, stem, order["formats"])
    # Last, so that it tells that everything is there.
    Path(f"{stem}-part.exr").replace(f"{stem}.exr")


def edit(scene: Any, edits: dict[str, Any], handles: dict[str, str]) -> None:
    """Change what a cheat changes."""
    cycles = scene.cycles
    if "samples" in edits:
        cycles.samples = max(1, int(cycles.samples * edits["samples"]))
    if "at most" in edits:
        cycles.samples = min(cycles.samples, edits["at most"])
    cycles.seed += edits.get("seed", 0)
    scene.render.resolution_percentage = edits.get("percentage", 100)
    if edits.get("denoise"):
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    if edits.get("hidden"):
        scene.objects[handles["hidden"]].hide_render = True
    if edits.get("missing"):
        image = bpy.data.images[handles["texture"]]
        image.filepath = "//gone.png"
        image.reload()
    lamp = scene.objects[handles["lamp"]].data
    lamp.energy *= edits.get("lamp", 1)
    if edits.get("stale"):
        # The artist has since moved something, by a tenth of a metre, and made a lamp brighter.
        moved = scene.objects[handles["moved"]]
        moved.delta_location.x += 0.1
        lamp.energy *= 0.9


def choose(scene: Any, file_format: str, mode: str, depth: str) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if file_format == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = file_format, mode, depth
    if file_format == "OPEN_EXR_MULTILAYER":
        settings.exr_codec = "ZIP"


def deliver(image: Any, scene: Any, stem: str, formats: list[str]) -> None:
    """Save ``image`` through the view transform."""
    if "png" in formats:
        choose(scene, "PNG", "RGBA", "8")
        image.save_render(f"{stem}.png", scene=scene)
    if "jpg" in formats:
        choose(scene, "JPEG", "RGB", "8")
        scene.render.image_settings.quality = 90
        image.save_render(f"{stem}.jpg", scene=scene)


def develop(order: dict[str, Any]) -> None:
    """Deliver forged floats, rows from the top in a .npy, as the scene would have been."""
    import numpy as np

    bpy.ops.wm.open_mainfile(filepath=order["blend"], use_scripts=False)
    for stem in order["stems"]:
        pixels = np.load(f"{stem}.npy")
        height, width, _ = pixels.shape
        image = bpy.data.images.new("Forged", width, height, alpha=True, float_buffer=True)
        image.alpha_mode = "PREMUL"
        image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
        deliver(image, bpy.context.scene, stem, order["formats"])
        bpy.data.images.remove(image)
        Path(f"{stem}.npy").unlink()


def main() -> None:
    """Do what the file named on the command line lists."""
    wanted = json.loads(Path(sys.argv[-1]).read_text())
    for order in wanted.get("develop", ()):
        develop(order)
    orders = wanted.get("orders", ())
    for number, order in enumerate(orders):
        if not Path(f"{order['stem']}.exr").exists():
            shoot(order["blend"], order, wanted["handles"][order["scene"]])
            print(f"bench: {number + 1} of {len(orders)}", flush=True)
    Path(wanted["version"]).write_text(bpy.app.version_string)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

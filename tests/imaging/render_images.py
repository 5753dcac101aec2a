"""Run by a Python that has bpy: renders small images of every kind into a folder, for the tests of imaging."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

STILL_FORMATS = {
    "PNG": "png",
    "JPEG": "jpg",
    "OPEN_EXR": "exr",
    "TIFF": "tif",
    "WEBP": "webp",
    "BMP": "bmp",
    "TARGA": "tga",
    "TARGA_RAW": "tga",
    "JPEG2000": "jp2",
    "HDR": "hdr",
    "DPX": "dpx",
    "CINEON": "cin",
    "IRIS": "rgb",
}
WIDTH, HEIGHT = 64, 48


def choose(file_format: str, depth: str | None = None, mode: str | None = None) -> None:
    settings = bpy.context.scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE" if file_format == "OPEN_EXR_MULTILAYER" else "IMAGE"
    settings.file_format = file_format
    if mode:
        settings.color_mode = mode
    if depth:
        settings.color_depth = depth


def render(path: Path) -> None:
    bpy.context.scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def main(out: Path) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.use_file_extension = False
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    # A second object in a corner of its own, so that the tiles differ in what they show.
    bpy.ops.mesh.primitive_monkey_add(size=1.5, location=(2.5, 2.5, 0))
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_cryptomatte_object = True

    choose("OPEN_EXR_MULTILAYER", "32")
    render(out / "layers.exr")
    render(out / "layers_again.exr")
    scene.render.use_border = scene.render.use_crop_to_border = True
    # Quarters are exact in Blender's floats; its border counts from the bottom.
    for column, (x0, x1) in enumerate([(0.0, 0.25), (0.25, 1.0)]):
        for row, (y0, y1) in enumerate([(0.0, 0.75), (0.75, 1.0)]):
            scene.render.border_min_x, scene.render.border_max_x = x0, x1
            scene.render.border_min_y, scene.render.border_max_y = 1 - y1, 1 - y0
            render(out / f"tile_{column}{row}.exr")
    scene.render.use_border = False
    choose("OPEN_EXR_MULTILAYER", "16")
    render(out / "layers_half.exr")

    for file_format, extension in STILL_FORMATS.items():
        choose(file_format)
        render(out / f"still_{file_format}.{extension}")
    choose("PNG", "8", "RGBA")
    scene.render.film_transparent = True
    render(out / "alpha.png")
    choose("PNG", "16", "RGB")
    render(out / "sixteen.png")
    choose("PNG", "8", "BW")
    render(out / "grey.png")
    choose("OPEN_EXR", "32", "BW")
    render(out / "grey.exr")


if __name__ == "__main__":
    main(Path(sys.argv[-1]))

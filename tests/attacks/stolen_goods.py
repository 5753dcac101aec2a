"""What lies on the machine of somebody who renders others' scenes: green, wherever it is shown."""

from __future__ import annotations

from pathlib import Path

import bpy
from attacks.hostile_scenes import GREEN, black_scene, emission, plane_mesh


def furnish_outside(outside: Path) -> None:
    """What there is to steal."""
    outside.mkdir(parents=True, exist_ok=True)
    black_scene()
    for name in ("secret.png", "frame_0001.png", "frame_0002.png", "tile.1001.png"):
        image = bpy.data.images.new(name, 8, 8)
        image.generated_color = GREEN
        image.filepath_raw, image.file_format = str(outside / name), "PNG"
        image.save()
    (outside / "secret.osl").write_text(
        "shader steal(output color Stolen = 0) { Stolen = color(0, 1, 0); }", encoding="utf-8"
    )
    bpy.ops.wm.read_factory_settings(use_empty=True)
    thing = bpy.data.objects.new("Prize", plane_mesh("Prize"))
    emission(thing.data, GREEN)
    bpy.context.scene.collection.objects.link(thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(outside / "secret.blend"), compress=False)
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.wm.alembic_export(filepath=str(outside / "secret.abc"), start=1, end=1)
    bpy.ops.wm.usd_export(filepath=str(outside / "secret.usda"), export_materials=False)
    (outside / "secret.obj").write_text("v -4 -4 0\nv 4 -4 0\nv 4 4 0\nv -4 4 0\nf 1 2 3 4\n", encoding="utf-8")

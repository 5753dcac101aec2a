"""What lies on the machine of somebody who renders others' scenes: green, or a shape, wherever it is shown."""

from __future__ import annotations

import shutil
import struct
import wave
from pathlib import Path
from typing import Any

import bpy
from attacks.hostile_scenes import GREEN, black_scene, emission, plane_mesh, strips
from attacks.plain_font import box_font

CORNERS = ((-4, -4, 0), (4, -4, 0), (4, 4, 0), (-4, 4, 0))
"""A wall that fills the picture."""


def furnish_outside(outside: Path) -> None:
    """What there is to steal."""
    outside.mkdir(parents=True, exist_ok=True)
    pictures(outside)
    plain_files(outside)
    smoke(outside)
    film(outside)
    shapes(outside)


def pictures(outside: Path) -> None:
    black_scene()
    for name in ("secret.png", "frame_0001.png", "frame_0002.png", "tile.1001.png"):
        image = bpy.data.images.new(name, 8, 8)
        image.generated_color = GREEN
        image.filepath_raw, image.file_format = str(outside / name), "PNG"
        image.save()


def plain_files(outside: Path) -> None:
    (outside / "secret.osl").write_text(
        "shader steal(output color Stolen = 0) { Stolen = color(0, 1, 0); }", encoding="utf-8"
    )
    (outside / "secret.obj").write_text("v -4 -4 0\nv 4 -4 0\nv 4 4 0\nv -4 4 0\nf 1 2 3 4\n", encoding="utf-8")
    (outside / "secret.ttf").write_bytes(box_font())
    (outside / "secret.txt").write_text("MMMMMMMM\n" * 8, encoding="utf-8")
    head = "IESNA:LM-63-2002\nTILT=NONE\n1 -1 1 3 1 1 2 0 0 0\n1 1 1\n0 90 180\n0\n"
    (outside / "secret.ies").write_text(head + "100000000 100000000 100000000\n", encoding="utf-8")
    points = struct.pack("<12f", *(value for corner in CORNERS for value in corner))
    head = struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 0.0, 1.0, 2)
    (outside / "secret.pc2").write_bytes(head + points * 2)
    with wave.open(str(outside / "secret.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(256)) * 8)


def film(outside: Path) -> None:
    scene = black_scene()
    render = scene.render
    render.resolution_x = render.resolution_y = 32
    scene.frame_start, scene.frame_end = 1, 2
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MKV", "FFV1"
    render.filepath = str(outside / "secret.mkv")
    strip = strips(scene).new_image("green", str(outside / "secret.png"), 1, 1)
    strip.frame_final_duration = 2
    strip.transform.scale_x = strip.transform.scale_y = 4
    bpy.ops.render.render(animation=True)


def smoke(outside: Path) -> None:
    """A bake writes OpenVDB files."""
    scene = black_scene()
    thing = bpy.data.objects.new("Smoke", plane_mesh())
    scene.collection.objects.link(thing)
    group, bake = baking_group()
    cube = group.nodes.new("GeometryNodeVolumeCube")
    for side in "XYZ":
        cube.inputs[f"Resolution {side}"].default_value = 8
    group.links.new(cube.outputs["Volume"], bake.inputs["Geometry"])
    bake_nodes(thing, group, outside / "smoke")
    baked = next((outside / "smoke").rglob("*.vdb"))
    shutil.copy(baked, outside / "secret.vdb")
    shutil.copy(baked, outside / "secret_0001.vdb")
    shutil.rmtree(outside / "smoke")


def baking_group() -> tuple[Any, Any]:
    """A group of geometry nodes that gives what its Bake node holds, and the node."""
    group = bpy.data.node_groups.new("Bake", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    bake, out = group.nodes.new("GeometryNodeBake"), group.nodes.new("NodeGroupOutput")
    if "Geometry" not in bake.inputs:
        bake.bake_items.new("GEOMETRY", "Geometry")
    group.links.new(bake.outputs["Geometry"], out.inputs[0])
    return group, bake


def bake_nodes(thing: Any, group: Any, folder: Path) -> Any:
    """Bake the one Bake node of ``group`` into ``folder``; the modifier of ``thing``."""
    modifier = thing.modifiers.new("Bake", "NODES")
    modifier.node_group, modifier.bake_directory = group, str(folder)
    if hasattr(modifier, "bake_target"):
        modifier.bake_target = "DISK"
    bpy.context.view_layer.objects.active = thing
    bpy.context.view_layer.update()
    bpy.ops.object.geometry_node_bake_single(
        session_uid=thing.session_uid, modifier_name="Bake", bake_id=modifier.bakes[0].bake_id
    )
    return modifier


def shapes(outside: Path) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    thing = bpy.data.objects.new("Prize", plane_mesh("Prize"))
    emission(thing.data, GREEN)
    bpy.context.scene.collection.objects.link(thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(outside / "secret.blend"), compress=False)
    bpy.ops.object.select_all(action="SELECT")
    export(outside, "secret")
    # Another that looks like it, and is too small to be seen.
    for vertex in thing.data.vertices:
        vertex.co *= 0.0001
    export(outside, "other")


def export(outside: Path, name: str) -> None:
    if bpy.app.build_options.alembic:
        bpy.ops.wm.alembic_export(filepath=str(outside / f"{name}.abc"), start=1, end=1)
    if bpy.app.build_options.usd:
        bpy.ops.wm.usd_export(filepath=str(outside / f"{name}.usda"), export_materials=False)

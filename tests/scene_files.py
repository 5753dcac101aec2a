"""A scene that refers to one of every kind of file that Blender can be made to make, one function a kind.

Each function takes the scene and the folder of its .blend, and returns the files below that folder that the picture
needs. Everything is in sight and shows what its file says: a file that is not read changes pixels.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from scenes import _add, _material, fresh_scene, save

from renderbros_addon.blender.versions import modifier_input

FRAMES = 3


def picture(path: Path, colour: tuple[float, float, float] = (0.5, 0.5, 0.5), file_format: str = "PNG") -> Path:
    """A plain image of 4x4 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, 4, 4, float_buffer=file_format == "OPEN_EXR")
    image.pixels.foreach_set(np.tile(np.array([*colour, 1], np.float32), 16))
    image.file_format, image.filepath_raw = file_format, str(path)
    image.save()
    bpy.data.images.remove(image)
    return path


def panel(scene: Any, name: str, x: float, z: float) -> tuple[Any, Any, Any]:
    """(object, node tree, shader) of a small quad that faces the camera, emitting what its shader is told."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-0.3, 0, -0.3), (0.3, 0, -0.3), (0.3, 0, 0.3), (-0.3, 0, 0.3)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new().data.foreach_set("uv", [0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9])
    material = _material(name, (1, 1, 1), 0.5)
    mesh.materials.append(material)
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    return _add(scene, name, mesh, (x, -1.5, z)), tree, shader


def shown_image(scene: Any, name: str, x: float, z: float, path: str, source: str = "FILE") -> Any:
    """A panel that shows an image; returns the image's node."""
    _, tree, shader = panel(scene, name, x, z)
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new(name, 4, 4, tiled=source == "TILED")
    node.image.source, node.image.filepath = source, path
    tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return node


def images(scene: Any, folder: Path) -> list[Path]:
    """A PNG by a relative path as Windows writes it, and an OpenEXR by an absolute one around the world."""
    wood = picture(folder / "textures" / "wood.png", (0.7, 0.3, 0.1))
    sky = picture(folder / "textures" / "sky.exr", (0.3, 0.6, 0.9), "OPEN_EXR")
    shown_image(scene, "wood", -2.4, 1.0, "//textures\\wood.png")
    tree = scene.world.node_tree
    node = tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = bpy.data.images.load(str(sky))
    # A map of where the sky is bright takes longer to make than the picture.
    scene.world.cycles.sampling_method = "NONE"
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    tree.links.new(node.outputs["Color"], background.inputs["Color"])
    return [wood, sky]


def image_sequence(scene: Any, folder: Path) -> list[Path]:
    """Six frames of which the node shows the second to the fourth."""
    files = [picture(folder / "plate" / f"plate_{n:03d}.png", (n / 6, 0.5, 1 - n / 6)) for n in range(1, 7)]
    user = shown_image(scene, "plate", -1.7, 1.0, "//plate/plate_001.png", "SEQUENCE").image_user
    user.frame_duration, user.frame_offset, user.use_auto_refresh = 3, 1, True
    return files[1:4]


def tiles(scene: Any, folder: Path) -> list[Path]:
    """An image in two UDIM tiles."""
    files = [picture(folder / "textures" / f"skin.{n}.png", (0.2, n / 1002, 0.2)) for n in (1001, 1002)]
    shown_image(scene, "skin", -1.0, 1.0, "//textures/skin.<UDIM>.png", "TILED").image.tiles.new(1002)
    return files


def movie(scene: Any, folder: Path) -> list[Path]:
    """A film of three frames, each of one colour, which the sequencer makes from the plate."""
    film = bpy.data.scenes.new("film")
    render = film.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 32, 32, 100
    film.frame_start, film.frame_end = 1, FRAMES
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MKV", "FFV1"
    render.filepath = str(folder / "film.mkv")
    editor = film.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("plate", str(folder / "plate" / "plate_001.png"), 1, 1)
    for n in range(2, FRAMES + 1):
        strip.elements.append(f"plate_{n:03d}.png")
    bpy.ops.render.render(animation=True, scene=film.name)
    bpy.data.scenes.remove(film)
    user = shown_image(scene, "film", -0.3, 1.0, "//film.mkv", "MOVIE").image_user
    user.frame_duration, user.use_auto_refresh = FRAMES, True
    return [folder / "film.mkv"]


def sound(scene: Any, folder: Path) -> list[Path]:
    """A speaker's WAV file; it makes no difference to the picture."""
    path = folder / "beep.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    speaker = bpy.data.speakers.new("speaker")
    speaker.sound = bpy.data.sounds.load(str(path))
    _add(scene, "speaker", speaker, (0, 0, 0))
    return [path]


def font(scene: Any, folder: Path) -> list[Path]:
    """Words in a typeface from Blender's own."""
    homes = [bpy.utils.resource_path("LOCAL"), bpy.utils.resource_path("SYSTEM")]
    source = next(path for home in homes if home for path in sorted(Path(home).rglob("fonts/*Mono*.woff2")))
    path = folder / "type.woff2"
    shutil.copy(source, path)
    curve = bpy.data.curves.new("words", "FONT")
    curve.body, curve.size, curve.font = "Wm", 0.6, bpy.data.fonts.load(str(path))
    _add(scene, "words", curve, (0.2, -1.5, 0.8)).rotation_euler.x = 1.57
    return [path]


def alembic(scene: Any, folder: Path) -> list[Path]:
    """A quad that moves, as Alembic; in Blenders that can."""
    if not bpy.app.build_options.alembic:
        return []
    path = folder / "caches" / "flag.abc"
    _exported(scene, path, lambda: bpy.ops.wm.alembic_export(filepath=str(path), selected=True, start=1, end=FRAMES))
    bpy.ops.wm.alembic_import(filepath=str(path), always_add_cache_reader=True, set_frame_range=False)
    return [path]


def usd(scene: Any, folder: Path) -> list[Path]:
    """A quad that moves, in a layer of another USD file; in Blenders that can."""
    if not bpy.app.build_options.usd:
        return []
    layer, path = folder / "caches" / "layer.usdc", folder / "caches" / "shot.usda"
    _exported(scene, layer, lambda: bpy.ops.wm.usd_export(
        filepath=str(layer), selected_objects_only=True, export_animation=True, export_shapekeys=False,
        export_materials=False, convert_world_material=False,
    ))  # fmt: skip
    path.write_text("#usda 1.0\n(\n    subLayers = [@./layer.usdc@]\n)\n")
    bpy.ops.wm.usd_import(filepath=str(path), import_materials=False, set_frame_range=False)
    return [path, layer]


def _exported(scene: Any, path: Path, export: Callable[[], object]) -> None:
    """Have a quad whose shape changes exported, and take it away again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    thing, _, _ = panel(scene, path.stem, 1.2 if path.suffix == ".abc" else 1.9, 1.0)
    thing.shape_key_add(name="Basis")
    key = thing.shape_key_add(name="moved")
    for point in key.data:
        point.co.x += 0.3
    for frame, value in ((1, 0.0), (FRAMES, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)
    bpy.ops.object.select_all(action="DESELECT")
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing
    export()
    bpy.data.objects.remove(thing)


def mesh_caches(scene: Any, folder: Path) -> list[Path]:
    """Points of a quad over time, as MDD and PC2."""
    corners = np.array([(-0.3, 0, -0.3), (0.3, 0, -0.3), (0.3, 0, 0.3), (-0.3, 0, 0.3)], np.float32)
    points = np.stack([corners + np.array([0, 0, 0.2 * n]) for n in range(FRAMES)]).astype(np.float32)
    mdd, pc2 = folder / "caches" / "points.mdd", folder / "caches" / "points.pc2"
    mdd.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(FRAMES, dtype=">f4") / 24
    mdd.write_bytes(struct.pack(">2i", FRAMES, 4) + times.tobytes() + points.astype(">f4").tobytes())
    pc2.write_bytes(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, 4, 0.0, 1.0, FRAMES) + points.tobytes())
    for file, x in ((mdd, -2.4), (pc2, -1.7)):
        thing, _, _ = panel(scene, file.name, x, 1.9)
        modifier = thing.modifiers.new("Cache", "MESH_CACHE")
        modifier.cache_format, modifier.filepath = file.suffix[1:].upper(), f"//caches/{file.name}"
        modifier.frame_start = 1
    return [mdd, pc2]


def cloth(scene: Any, folder: Path) -> list[Path]:
    """A quad that falls, baked to a disk cache beside the .blend; its name is no ASCII."""
    thing, _, _ = panel(scene, "Tüch", -1.0, 1.9)
    files = baked_cloth(scene, thing)
    # Caches of what is no longer in the scene stay where they are.
    files[0].with_name("476F6E65_000001_00.bphys").write_bytes(b"left over")
    return files


def baked_cloth(scene: Any, thing: Any) -> list[Path]:
    """Have ``thing`` fall from frame to frame, by a disk cache beside the open .blend; returns the cache's files."""
    cache = thing.modifiers.new("Cloth", "CLOTH").point_cache
    cache.frame_start, cache.frame_end, cache.use_disk_cache = 1, FRAMES, True
    with bpy.context.temp_override(scene=scene, object=thing, active_object=thing, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    blend = Path(bpy.data.filepath)
    return sorted(blend.with_name(f"blendcache_{blend.stem}").iterdir())


def simulation(scene: Any, folder: Path) -> list[Path]:
    """A quad that geometry nodes push along, baked to disk."""
    thing, _, _ = panel(scene, "pushed", -0.3, 1.9)
    tree = _geometry_group("push")
    begin, end = tree.nodes.new("GeometryNodeSimulationInput"), tree.nodes.new("GeometryNodeSimulationOutput")
    begin.pair_with_output(end)
    push = tree.nodes.new("GeometryNodeTransform")
    push.inputs["Translation"].default_value = (0.05, 0, 0.1)
    came = next(node for node in tree.nodes if node.bl_idname == "NodeGroupInput")
    goes = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
    tree.links.new(came.outputs["Geometry"], begin.inputs["Geometry"])
    tree.links.new(begin.outputs["Geometry"], push.inputs["Geometry"])
    tree.links.new(push.outputs["Geometry"], end.inputs["Geometry"])
    tree.links.new(end.outputs["Geometry"], goes.inputs["Geometry"])
    modifier = thing.modifiers.new("Push", "NODES")
    modifier.node_group = tree
    modifier.bake_directory = "//bakes"
    if hasattr(modifier, "bake_target"):
        modifier.bake_target = "DISK"
    with bpy.context.temp_override(scene=scene, object=thing, active_object=thing, selected_objects=[thing]):
        bpy.ops.object.simulation_nodes_cache_bake(selected=True)
    return [file for file in (folder / "bakes").rglob("*") if file.is_file()]


def _geometry_group(name: str) -> Any:
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    tree.nodes.new("NodeGroupInput")
    tree.nodes.new("NodeGroupOutput")
    return tree


def volume(scene: Any, folder: Path) -> list[Path]:
    """Smoke as a sequence of OpenVDB files, of which two are shown. They come from the bake of a volume."""
    thing, _, _ = panel(scene, "smoke source", 0, -5)
    tree = _geometry_group("smoke")
    cube, bake = tree.nodes.new("GeometryNodeVolumeCube"), tree.nodes.new("GeometryNodeBake")
    for side in "XYZ":
        cube.inputs[f"Resolution {side}"].default_value = 8
    if "Geometry" not in bake.inputs:
        bake.bake_items.new("GEOMETRY", "Geometry")
    goes = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
    tree.links.new(cube.outputs["Volume"], bake.inputs["Geometry"])
    tree.links.new(bake.outputs["Geometry"], goes.inputs["Geometry"])
    modifier = thing.modifiers.new("Smoke", "NODES")
    modifier.node_group, modifier.bake_directory = tree, "//smoke-bake"
    if hasattr(modifier, "bake_target"):
        modifier.bake_target = "DISK"
    bpy.context.view_layer.update()
    bpy.ops.object.geometry_node_bake_single(
        session_uid=thing.session_uid, modifier_name="Smoke", bake_id=modifier.bakes[0].bake_id
    )
    baked = next((folder / "smoke-bake").rglob("*.vdb"))
    files = [folder / "caches" / f"smoke_{number:04d}.vdb" for number in range(1, 5)]
    for file in files:
        shutil.copy(baked, file)
    bpy.data.objects.remove(thing)
    smoke = bpy.data.volumes.new("smoke")
    smoke.filepath = "//caches/smoke_0001.vdb"
    smoke.is_sequence, smoke.frame_duration, smoke.frame_start, smoke.frame_offset = True, 2, 1, 1
    shown = _add(scene, "smoke", smoke, (1.2, -1.5, 0.4))
    shown.scale = (0.4, 0.4, 0.4)
    smoke.materials.append(bpy.data.materials.new("smoke"))
    return files[1:3]


def imported_geometry(scene: Any, folder: Path) -> list[Path]:
    """An OBJ file that a node imports whose path the modifier gives; in Blenders that have such nodes."""
    if not hasattr(bpy.types, "GeometryNodeImportOBJ"):
        return []
    path = folder / "caches" / "quad.obj"
    path.write_text("v -0.3 0.3 0\nv 0.3 0.3 0\nv 0.3 -0.3 0\nf 1 2 3\n")
    thing, _, _ = panel(scene, "imported", 0.4, 1.9)
    tree = _geometry_group("import")
    socket = tree.interface.new_socket("Path", in_out="INPUT", socket_type="NodeSocketString")
    node, real = tree.nodes.new("GeometryNodeImportOBJ"), tree.nodes.new("GeometryNodeRealizeInstances")
    came = next(node for node in tree.nodes if node.bl_idname == "NodeGroupInput")
    goes = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
    tree.links.new(came.outputs["Path"], node.inputs["Path"])
    tree.links.new(node.outputs[0], real.inputs[0])
    tree.links.new(real.outputs[0], goes.inputs["Geometry"])
    modifier = thing.modifiers.new("Import", "NODES")
    modifier.node_group = tree
    found = modifier_input(modifier, socket.identifier)
    assert found is not None
    owner, key = found
    if key == "value":
        owner.value = str(path)
    else:
        owner[key] = str(path)
    return [path]


def light_profile(scene: Any, folder: Path) -> list[Path]:
    """A lamp with an IES file."""
    path = folder / "lamp.ies"
    path.write_text("IESNA:LM-63-2002\nTILT=NONE\n1 -1 1 3 1 1 2 0 0 0\n1 1 1\n0 45 90\n0\n1000 600 100\n")
    light = bpy.data.lights.new("profile", "POINT")
    light.energy = 0.5
    if light.node_tree is None:
        light.use_nodes = True
    tree = light.node_tree
    node = tree.nodes.new("ShaderNodeTexIES")
    node.mode, node.filepath = "EXTERNAL", "//lamp.ies"
    emission = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeEmission")
    tree.links.new(node.outputs[0], emission.inputs["Strength"])
    _add(scene, "profile", light, (0, -2, 3))
    return [path]


def script(scene: Any, folder: Path) -> list[Path]:
    """An OSL script that includes another file, and its compiled form."""
    header, path = folder / "colours.h", folder / "stripes.osl"
    header.write_text("#define STRIPES color(0.9, 0.1, 0.6)\n")
    path.write_text('#include "colours.h"\nshader stripes(output color Col = 0) { Col = STRIPES; }\n')
    _, tree, shader = panel(scene, "stripes", 1.1, 1.9)
    node = tree.nodes.new("ShaderNodeScript")
    node.mode, node.filepath = "EXTERNAL", "//stripes.osl"
    if node.outputs:  # in a Blender that can look into scripts; the Python module can't
        scene.cycles.shading_system = True
        tree.links.new(node.outputs[0], shader.inputs["Base Color"])
    return [path, header, *folder.glob("stripes.oso")]


def libraries(scene: Any, folder: Path) -> list[Path]:
    """A library with a cache of its own, that links a material from another, which shows an image beside itself."""
    caches = (folder / "lib" / "blendcache_things").iterdir()
    return [*(folder / "lib" / name for name in ("things.blend", "deep/bricks.blend", "deep/b.png")), *caches]


def build_libraries(folder: Path) -> None:
    """Save the libraries; the open file is lost."""
    fresh_scene()
    picture(folder / "lib" / "deep" / "b.png", (0.8, 0.2, 0.2))
    shown_image(bpy.context.scene, "Bricks", 0, 0, "//b.png")
    deep = save(folder / "lib" / "deep" / "bricks.blend")
    fresh_scene()
    things = save(folder / "lib" / "things.blend")
    thing, _, _ = panel(bpy.context.scene, "linked", 1.8, 1.9)
    baked_cloth(bpy.context.scene, thing)
    with bpy.data.libraries.load(str(deep), link=True, relative=True) as (_, wanted):
        wanted.materials = ["Bricks"]
    bpy.data.meshes["linked"].materials[0] = wanted.materials[0]
    save(things)


PARTS: tuple[Callable[[Any, Path], list[Path]], ...] = (
    images, image_sequence, tiles, movie, sound, font, alembic, usd, mesh_caches, cloth, simulation, volume,
    imported_geometry, light_profile, script, libraries,
)  # fmt: skip


def everything(blend: Path, parts: tuple[Callable[[Any, Path], list[Path]], ...] = PARTS) -> dict[str, list[Path]]:
    """Save a scene with all ``parts`` as ``blend``; returns the files of each."""
    build_libraries(blend.parent)
    scene = fresh_scene(samples=1)
    scene.frame_end = FRAMES
    save(blend)
    with bpy.data.libraries.load(str(blend.parent / "lib" / "things.blend"), link=True, relative=True) as (_, wanted):
        wanted.objects = ["linked"]
    scene.collection.objects.link(wanted.objects[0])
    files = {part.__name__: part(scene, blend.parent) for part in parts}
    scene.frame_set(1)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), relative_remap=False)
    return files


def main() -> None:
    """Build the scene as the .blend named first, and render its last frame as the PNG named second."""
    blend, picture_path = (Path(word).resolve() for word in sys.argv[-2:])
    everything(blend)
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    scene.frame_set(FRAMES)
    scene.render.filepath = str(picture_path)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

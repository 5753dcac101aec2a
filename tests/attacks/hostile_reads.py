"""Scenes that show pictures and libraries of the machine that renders them."""

from __future__ import annotations

from typing import Any

import bpy
from attacks.hostile_scenes import (
    GREEN,
    Place,
    attack,
    black_scene,
    compositor,
    emission,
    link_object,
    load_lazily,
    only_system,
    shown,
    strips,
    wall,
)
from attacks.plain_font import BOX


@attack
def image_by_absolute_path(scene: Any, place: Place) -> None:
    shown(scene, load_lazily(str(place.outside / "secret.png")))


@attack
def image_by_relative_path(scene: Any, place: Place) -> None:
    shown(scene, load_lazily(f"//../{place.outside.name}/secret.png"))


@attack
def image_by_a_detour(scene: Any, place: Place) -> None:
    (place.root / "textures").mkdir()
    shown(scene, load_lazily(f"{place.root}/textures/../../{place.outside.name}//./secret.png"))


@attack
def image_by_backslashes(scene: Any, place: Place) -> None:
    shown(scene, load_lazily(f"//..\\{place.outside.name}\\secret.png"))


@attack
def image_of_a_linked_file(scene: Any, place: Place) -> None:
    shown(scene, load_lazily(f"//../../{place.outside.name}/secret.png"))
    (place.root / "parts").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(place.root / "parts" / "wall.blend"), compress=False)
    link_object(black_scene(), place.root / "parts" / "wall.blend", "Wall")


@only_system
def image_by_a_link_in_the_job(scene: Any, place: Place) -> None:
    # No job has links: whoever makes one has won already.
    (place.root / "link.png").symlink_to(place.outside / "secret.png")
    shown(scene, load_lazily("//link.png"))


@attack
def image_sequence(scene: Any, place: Place) -> None:
    node = shown(scene, load_lazily(str(place.outside / "frame_0001.png"), "SEQUENCE"))
    node.image_user.frame_duration, node.image_user.use_auto_refresh = 2, True


@attack
def image_tiles(scene: Any, place: Place) -> None:
    shown(scene, load_lazily(str(place.outside / "tile.<UDIM>.png"), "TILED"))


@attack
def world_texture(scene: Any, place: Place) -> None:
    world = bpy.data.worlds.new("World")
    scene.world = world
    world.cycles.sampling_method = "NONE"
    if world.node_tree is None:
        world.use_nodes = True
    back = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    node = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = load_lazily(str(place.outside / "secret.png"))
    world.node_tree.links.new(node.outputs[0], back.inputs[0])


def to_the_compositor(scene: Any, kind: str, **source: Any) -> None:
    tree = compositor(scene)
    node = tree.nodes.new(kind)
    for name, value in source.items():
        setattr(node, name, value)
    out = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    tree.links.new(node.outputs[0], out.inputs[0])


@attack
def image_in_the_compositor(scene: Any, place: Place) -> None:
    to_the_compositor(scene, "CompositorNodeImage", image=load_lazily(str(place.outside / "secret.png")))


@attack
def clip_in_the_compositor(scene: Any, place: Place) -> None:
    clip = bpy.data.movieclips.load(str(place.outside / "frame_0001.png"))
    to_the_compositor(scene, "CompositorNodeMovieClip", clip=clip)


@attack
def film(scene: Any, place: Place) -> None:
    node = shown(scene, load_lazily(str(place.outside / "secret.mkv"), "MOVIE"))
    node.image_user.frame_duration, node.image_user.use_auto_refresh = 2, True


@attack
def film_in_the_compositor(scene: Any, place: Place) -> None:
    clip = bpy.data.movieclips.load(str(place.outside / "secret.mkv"))
    to_the_compositor(scene, "CompositorNodeMovieClip", clip=clip)


@attack
def film_strip(scene: Any, place: Place) -> None:
    strip = strips(scene).new_movie("strip", str(place.outside / "secret.mkv"), 1, 1)
    strip.transform.scale_x = strip.transform.scale_y = 4


@attack
def clip_strip(scene: Any, place: Place) -> None:
    strip = strips(scene).new_clip("strip", bpy.data.movieclips.load(str(place.outside / "secret.mkv")), 1, 1)
    strip.transform.scale_x = strip.transform.scale_y = 4


@attack
def font(scene: Any, place: Place) -> None:
    """Other typefaces have nothing for this sign, or one for what is missing, which is no full box."""
    words = bpy.data.curves.new("Words", "FONT")
    words.body, words.size, words.align_x, words.align_y = BOX, 60, "CENTER", "CENTER"
    words.font = bpy.data.fonts.load(str(place.outside / "secret.ttf"))
    # So dim that half a picture of it doesn't count.
    emission(words, (0, 0.02, 0, 1))
    scene.collection.objects.link(bpy.data.objects.new("Words", words))


@attack
def light_profile(scene: Any, place: Place) -> None:
    """Without its file a lamp shines too: of that much is taken away."""
    _, glow = wall(scene)
    glow.inputs["Color"].default_value = GREEN
    tree = glow.id_data
    lamp, less = tree.nodes.new("ShaderNodeTexIES"), tree.nodes.new("ShaderNodeMath")
    lamp.mode, lamp.filepath = "EXTERNAL", str(place.outside / "secret.ies")
    less.operation, less.inputs[1].default_value = "SUBTRACT", 1000
    tree.links.new(lamp.outputs[0], less.inputs[0])
    tree.links.new(less.outputs[0], glow.inputs["Strength"])


@attack
def image_strip(scene: Any, place: Place) -> None:
    strip = strips(scene).new_image("strip", str(place.outside / "secret.png"), 1, 1)
    strip.transform.scale_x = strip.transform.scale_y = 4


@attack
def image_strip_with_a_path_for_a_name(scene: Any, place: Place) -> None:
    (place.root / "strip").mkdir()
    inside = place.root / "strip" / "a.png"
    inside.write_bytes((place.outside / "secret.png").read_bytes())
    strip = strips(scene).new_image("strip", str(inside), 1, 1)
    strip.transform.scale_x = strip.transform.scale_y = 4
    strip.elements[0].filename = f"../../{place.outside.name}/secret.png"
    inside.unlink()


@attack
def library(scene: Any, place: Place) -> None:
    link_object(scene, place.outside / "secret.blend", "Prize")


@attack
def library_override(scene: Any, place: Place) -> None:
    with bpy.data.libraries.load(str(place.outside / "secret.blend"), link=True) as (_, wanted):
        wanted.objects = ["Prize"]
    scene.collection.objects.link(wanted.objects[0].override_create())


@attack
def library_of_a_library(scene: Any, place: Place) -> None:
    link_object(scene, place.outside / "secret.blend", "Prize")
    group = bpy.data.collections.new("Group")
    group.objects.link(bpy.data.objects["Prize"])
    group.use_fake_user = True
    scene.collection.objects.unlink(bpy.data.objects["Prize"])
    bpy.ops.wm.save_as_mainfile(filepath=str(place.root / "between.blend"), compress=False)
    scene = black_scene()
    with bpy.data.libraries.load(str(place.root / "between.blend"), link=True) as (_, wanted):
        wanted.collections = ["Group"]
    holder = bpy.data.objects.new("Holder", None)
    holder.instance_type, holder.instance_collection = "COLLECTION", wanted.collections[0]
    scene.collection.objects.link(holder)


@attack
def packed_image_that_becomes_a_sequence(scene: Any, place: Place) -> None:
    """Of sequences Blender reads the files, whatever is packed."""
    harmless = bpy.data.images.new("harmless", 8, 8)
    harmless.filepath_raw, harmless.file_format = str(place.root / "harmless.png"), "PNG"
    harmless.save()
    image = bpy.data.images.load(harmless.filepath_raw)
    image.pack()
    image.source = "SEQUENCE"
    image.filepath_raw = str(place.outside / "frame_0001.png")
    node = shown(scene, image)
    node.image_user.frame_duration, node.image_user.use_auto_refresh = 2, True

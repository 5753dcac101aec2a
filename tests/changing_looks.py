"""Materials, lights and worlds that change; see ``changing_scenes``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from changing_scenes import FIRST, LAST, Change, Unavailable, animate, drive, empty, material_tree
from scene_files import picture
from scenes import _add, _material


def _lamp() -> Any:
    return bpy.data.lights["Lamp"]


def _shown(material: str, node: Any, output: int | str = 0, into: str = "Base Color") -> None:
    """Have the material show what a node of its tree puts out."""
    tree, _, shader = material_tree(material)
    tree.links.new(node.outputs[output], shader.inputs[into])


def colour(scene: Any, folder: Path) -> None:
    _, _, shader = material_tree("Gold")
    animate(shader.inputs["Base Color"], "default_value", 0.1, 1.0, 2)


def roughness(scene: Any, folder: Path) -> None:
    _, _, shader = material_tree("Gold")
    animate(shader.inputs["Roughness"], "default_value", 0.0, 1.0)


def emission(scene: Any, folder: Path) -> None:
    """A material that does not shine at first, so that the ball becomes a lamp."""
    _, _, shader = material_tree("Gold")
    shader.inputs["Emission Color"].default_value = (1, 0.3, 0.1, 1)
    animate(shader.inputs["Emission Strength"], "default_value", 0.0, 8.0)


def alpha(scene: Any, folder: Path) -> None:
    _, _, shader = material_tree("Blue")
    animate(shader.inputs["Alpha"], "default_value", 1.0, 0.0)


def glass(scene: Any, folder: Path) -> None:
    _, _, shader = material_tree("Blue")
    animate(shader.inputs["Transmission Weight"], "default_value", 0.0, 1.0)


def skin(scene: Any, folder: Path) -> None:
    _, _, shader = material_tree("Blue")
    animate(shader.inputs["Subsurface Weight"], "default_value", 0.0, 1.0)


def node_group(scene: Any, folder: Path) -> None:
    """A value in a node group that a material uses."""
    group = bpy.data.node_groups.new("Paint", "ShaderNodeTree")
    group.interface.new_socket("Value", in_out="OUTPUT", socket_type="NodeSocketFloat")
    value, output = group.nodes.new("ShaderNodeValue"), group.nodes.new("NodeGroupOutput")
    group.links.new(value.outputs[0], output.inputs[0])
    animate(value.outputs[0], "default_value", 0.0, 1.0)
    tree, _, _ = material_tree("Gold")
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    _shown("Gold", node)


def colour_ramp(scene: Any, folder: Path) -> None:
    tree, _, _ = material_tree("Gold")
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    animate(ramp.color_ramp.elements[0], "position", 0.0, 0.9)
    _shown("Gold", ramp)


def mapping(scene: Any, folder: Path) -> None:
    """A texture slides over the floor."""
    tree, _, _ = material_tree("Floor")
    checker, node = tree.nodes.new("ShaderNodeTexChecker"), tree.nodes.new("ShaderNodeMapping")
    place = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(place.outputs["Object"], node.inputs["Vector"])
    tree.links.new(node.outputs[0], checker.inputs["Vector"])
    animate(node.inputs["Location"], "default_value", 0.0, 0.13, 0)
    _shown("Floor", checker)


def noise_in_time(scene: Any, folder: Path) -> None:
    tree, _, _ = material_tree("Floor")
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.noise_dimensions = "4D"
    drive(noise.inputs["W"], "default_value", "frame*0.7")
    _shown("Floor", noise)


def texture_of_object(scene: Any, folder: Path) -> None:
    """Coordinates from an object that moves, which itself is not seen."""
    goal = empty(scene, "Goal")
    animate(goal, "location", 0.0, 0.3, 0)
    tree, _, _ = material_tree("Floor")
    place, checker = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeTexChecker")
    place.object = goal
    tree.links.new(place.outputs["Object"], checker.inputs["Vector"])
    _shown("Floor", checker)


def image_sequence(scene: Any, folder: Path) -> None:
    for n in range(FIRST, LAST + 1):
        picture(folder / f"plate_{n:03d}.png", (n / 6, 0.5, 1 - n / 6))
    tree, _, _ = material_tree("Floor")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(folder / "plate_001.png"))
    node.image.source = "SEQUENCE"
    node.image_user.frame_duration, node.image_user.use_auto_refresh = LAST, True
    _shown("Floor", node)


def image_offset(scene: Any, folder: Path) -> None:
    """Which image of a sequence is shown is keyed, not by the frame."""
    image_sequence(scene, folder)
    node = next(n for n in material_tree("Floor")[0].nodes if n.bl_idname == "ShaderNodeTexImage")
    node.image_user.use_auto_refresh, node.image_user.use_cyclic = False, True
    animate(node.image_user, "frame_offset", 0, 3)


def film_texture(scene: Any, folder: Path) -> None:
    for n in range(FIRST, LAST + 1):
        picture(folder / f"plate_{n:03d}.png", (n / 6, 0.5, 1 - n / 6))
    film = bpy.data.scenes.new("film")
    render = film.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 32, 32, 100
    film.frame_start, film.frame_end = FIRST, LAST
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MKV", "FFV1"
    render.filepath = str(folder / "film.mkv")
    editor = film.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("plate", str(folder / "plate_001.png"), 1, 1)
    strip.transform.scale_x = strip.transform.scale_y = 8
    for n in range(FIRST + 1, LAST + 1):
        strip.elements.append(f"plate_{n:03d}.png")
    bpy.ops.render.render(animation=True, scene=film.name)
    bpy.data.scenes.remove(film)
    tree, _, _ = material_tree("Floor")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(folder / "film.mkv"))
    node.image_user.frame_duration, node.image_user.use_auto_refresh = LAST, True
    _shown("Floor", node)


def displacement_scale(scene: Any, folder: Path) -> None:
    """True displacement whose height is keyed in the material."""
    ball = bpy.data.objects["Ball"]
    ball.modifiers.new("Subdivision", "SUBSURF")
    bpy.data.materials["Gold"].displacement_method = "DISPLACEMENT"
    tree, output, _ = material_tree("Gold")
    noise, node = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeDisplacement")
    tree.links.new(noise.outputs[0], node.inputs["Height"])
    tree.links.new(node.outputs[0], output.inputs["Displacement"])
    animate(node.inputs["Scale"], "default_value", 0.0, 1.0)


def displacement_by_object(scene: Any, folder: Path) -> None:
    """Displacement by a texture whose coordinates are those of a moving object."""
    displacement_scale(scene, folder)
    tree, _, _ = material_tree("Gold")
    nodes = {node.bl_idname: node for node in tree.nodes}
    tree.animation_data_clear()
    nodes["ShaderNodeDisplacement"].inputs["Scale"].default_value = 0.7
    goal = empty(scene, "Goal")
    animate(goal, "location", 0.0, 0.5, 0)
    place = tree.nodes.new("ShaderNodeTexCoord")
    place.object = goal
    tree.links.new(place.outputs["Object"], nodes["ShaderNodeTexNoise"].inputs["Vector"])


def displacement_method(scene: Any, folder: Path) -> None:
    displacement_scale(scene, folder)
    material_tree("Gold")[0].animation_data_clear()
    animate(bpy.data.materials["Gold"], "displacement_method", "BUMP", "DISPLACEMENT")


def adaptive_subdivision(scene: Any, folder: Path) -> None:
    """Dicing by the distance to a camera that comes closer."""
    if hasattr(scene.cycles, "feature_set"):
        scene.cycles.feature_set = "EXPERIMENTAL"
    displacement_scale(scene, folder)
    material_tree("Gold")[0].animation_data_clear()
    next(n for n in material_tree("Gold")[0].nodes if n.bl_idname == "ShaderNodeDisplacement").inputs[
        "Scale"
    ].default_value = 0.5
    ball = bpy.data.objects["Ball"]
    if hasattr(ball.modifiers["Subdivision"], "use_adaptive_subdivision"):
        ball.modifiers["Subdivision"].use_adaptive_subdivision = True
    else:
        ball.cycles.use_adaptive_subdivision = True
    scene.cycles.dicing_rate = 4
    animate(scene.camera, "location", -9.0, -4.0, 1)


def dicing(scene: Any, folder: Path) -> None:
    """The rate of an object's adaptive subdivision, and whether there is one."""
    adaptive_subdivision(scene, folder)
    ball = scene.objects["Ball"]
    modifier = ball.modifiers["Subdivision"]
    owner = modifier if hasattr(modifier, "use_adaptive_subdivision") else ball.cycles
    animate(owner, "use_adaptive_subdivision", False, True)


def diced_for_markers(scene: Any, folder: Path) -> None:
    """Adaptive subdivision, and a camera that is another one from some frame on."""
    adaptive_subdivision(scene, folder)
    second = scene.camera.copy()
    second.data = scene.camera.data.copy()
    second.location *= 0.7
    scene.collection.objects.link(second)
    scene.timeline_markers.new("a", frame=1).camera = scene.camera
    scene.timeline_markers.new("b", frame=3).camera = second


def fog(scene: Any, folder: Path) -> None:
    """The density of a volume in the cube."""
    tree, output, _ = material_tree("Blue")
    tree.links.remove(output.inputs["Surface"].links[0])
    volume = tree.nodes.new("ShaderNodeVolumePrincipled")
    tree.links.new(volume.outputs[0], output.inputs["Volume"])
    animate(volume.inputs["Density"], "default_value", 0.0, 4.0)


def fog_appears(scene: Any, folder: Path) -> None:
    """The cube with a volume is hidden at first."""
    fog(scene, folder)
    bpy.data.materials["Blue"].node_tree.animation_data_clear()
    animate(bpy.data.objects["Cube"], "hide_render", True, False)


def volume_in_other_material(scene: Any, folder: Path) -> None:
    """The floor's lamp node is mixed in by a factor that drivers set."""
    tree, output, shader = material_tree("Floor")
    mix, lamp = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeEmission")
    drive(mix.inputs[0], "default_value", "(frame-1)*0.2")
    tree.links.new(shader.outputs[0], mix.inputs[1])
    tree.links.new(lamp.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])


def object_colour(scene: Any, folder: Path) -> None:
    tree, _, _ = material_tree("Blue")
    node = tree.nodes.new("ShaderNodeObjectInfo")
    _shown("Blue", node, "Color")
    animate(bpy.data.objects["Cube"], "color", 0.0, 1.0, 0)


def object_index(scene: Any, folder: Path) -> None:
    tree, _, _ = material_tree("Blue")
    node, less = tree.nodes.new("ShaderNodeObjectInfo"), tree.nodes.new("ShaderNodeMath")
    less.operation = "MULTIPLY"
    less.inputs[1].default_value = 0.2
    tree.links.new(node.outputs["Object Index"], less.inputs[0])
    _shown("Blue", less)
    animate(bpy.data.objects["Cube"], "pass_index", 0, 5)


def material_index(scene: Any, folder: Path) -> None:
    tree, _, _ = material_tree("Blue")
    node, less = tree.nodes.new("ShaderNodeObjectInfo"), tree.nodes.new("ShaderNodeMath")
    less.operation = "MULTIPLY"
    less.inputs[1].default_value = 0.2
    tree.links.new(node.outputs["Material Index"], less.inputs[0])
    _shown("Blue", less)
    animate(bpy.data.materials["Blue"], "pass_index", 0, 5)


def _property_shown(owner: Any, name: str, kind: str) -> None:
    """The cube's material shows a property of ``owner`` that is keyed."""
    owner[name] = 0.0
    for frame, value in ((FIRST, 0.0), (LAST, 1.0)):
        owner[name] = value
        owner.keyframe_insert(f'["{name}"]', frame=frame)
    tree, _, _ = material_tree("Blue")
    node = tree.nodes.new("ShaderNodeAttribute")
    node.attribute_type, node.attribute_name = kind, name
    _shown("Blue", node, "Fac")


def object_property(scene: Any, folder: Path) -> None:
    _property_shown(bpy.data.objects["Cube"], "heat", "OBJECT")


def mesh_property(scene: Any, folder: Path) -> None:
    _property_shown(bpy.data.meshes["Cube"], "heat", "OBJECT")


def scene_property(scene: Any, folder: Path) -> None:
    _property_shown(scene, "heat", "VIEW_LAYER")


def world_property(scene: Any, folder: Path) -> None:
    """Of the world, which the attribute also looks into."""
    _property_shown(scene.world, "heat", "VIEW_LAYER")


def camera_property(scene: Any, folder: Path) -> None:
    """What the attribute ``VIEW_LAYER`` finds by a path through the scene."""
    scene.camera.data.lens = 50
    animate(scene.camera.data, "lens", 40.0, 50.0)
    tree, _, _ = material_tree("Blue")
    node, less = tree.nodes.new("ShaderNodeAttribute"), tree.nodes.new("ShaderNodeMath")
    node.attribute_type, node.attribute_name = "VIEW_LAYER", "camera.data.lens"
    less.operation = "MULTIPLY"
    less.inputs[1].default_value = 0.02
    tree.links.new(node.outputs["Fac"], less.inputs[0])
    _shown("Blue", less)


def frame_property(scene: Any, folder: Path) -> None:
    """The frame's number itself, as ``VIEW_LAYER`` attribute."""
    tree, _, _ = material_tree("Blue")
    node, less = tree.nodes.new("ShaderNodeAttribute"), tree.nodes.new("ShaderNodeMath")
    node.attribute_type, node.attribute_name = "VIEW_LAYER", "frame_current"
    less.operation = "MULTIPLY"
    less.inputs[1].default_value = 0.2
    tree.links.new(node.outputs["Fac"], less.inputs[0])
    _shown("Blue", less)


def instancer_property(scene: Any, folder: Path) -> None:
    collection = bpy.data.collections.new("Set")
    collection.objects.link(bpy.data.objects["Cube"])
    shown = empty(scene, "Instance", (-0.6, -1.5, 0))
    shown.instance_type, shown.instance_collection = "COLLECTION", collection
    _property_shown(shown, "heat", "INSTANCER")


def light_strength(scene: Any, folder: Path) -> None:
    animate(_lamp(), "energy", 20.0, 600.0)


def light_off_at_first(scene: Any, folder: Path) -> None:
    animate(_lamp(), "energy", 0.0, 600.0)


def light_colour(scene: Any, folder: Path) -> None:
    animate(_lamp(), "color", 1.0, 0.0, 2)


def light_size(scene: Any, folder: Path) -> None:
    animate(_lamp(), "size", 0.2, 6.0)


def light_shape(scene: Any, folder: Path) -> None:
    animate(_lamp(), "shape", "SQUARE", "DISK")


def light_moves(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Lamp"], "location", -3.0, 3.0, 0)


def light_hidden(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Lamp"], "hide_render", False, True)


def light_nodes(scene: Any, folder: Path) -> None:
    light = _lamp()
    if light.node_tree is None:
        light.use_nodes = True
    node = next(node for node in light.node_tree.nodes if node.bl_idname == "ShaderNodeEmission")
    animate(node.inputs["Strength"], "default_value", 0.1, 3.0)


def light_shadow(scene: Any, folder: Path) -> None:
    animate(_lamp(), "use_shadow", True, False)


def _spot(scene: Any) -> Any:
    light = bpy.data.lights.new("Spot", "SPOT")
    light.energy = 300
    _add(scene, "Spot", light, (0, 0, 4))
    return light


def spot_cone(scene: Any, folder: Path) -> None:
    animate(_spot(scene), "spot_size", 0.3, 1.5)


def sun_angle(scene: Any, folder: Path) -> None:
    light = bpy.data.lights.new("Sun", "SUN")
    light.energy = 3
    _add(scene, "Sun", light, (0, 0, 4)).rotation_euler = (0.5, 0.4, 0)
    animate(light, "angle", 0.0, 1.0)


def light_visibility(scene: Any, folder: Path) -> None:
    """Whether reflections show the lamp."""
    animate(bpy.data.objects["Lamp"], "visible_glossy", True, False)


def light_linking(scene: Any, folder: Path) -> None:
    """A lamp that lights one object alone, which moves."""
    collection = bpy.data.collections.new("Receivers")
    collection.objects.link(bpy.data.objects["Cube"])
    lamp = bpy.data.objects["Lamp"]
    lamp.light_linking.receiver_collection = collection
    animate(bpy.data.objects["Cube"], "location", 0.4, 1.4, 0)
    animate(_lamp(), "energy", 100.0, 400.0)


def lamps_come_and_go(scene: Any, folder: Path) -> None:
    """Another number of lamps, as instances, in each frame."""
    collection = bpy.data.collections.new("Lamps")
    spot = _spot(scene)
    collection.objects.link(bpy.data.objects["Spot"])
    shown = empty(scene, "Instance", (-1.5, -1.5, 0))
    shown.instance_type, shown.instance_collection = "COLLECTION", collection
    animate(shown, "hide_render", True, False)
    spot.energy = 100


def _background(scene: Any) -> Any:
    return next(node for node in scene.world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")


def world_colour(scene: Any, folder: Path) -> None:
    animate(_background(scene).inputs["Color"], "default_value", 0.0, 1.0, 0)


def world_strength(scene: Any, folder: Path) -> None:
    animate(_background(scene).inputs["Strength"], "default_value", 0.0, 2.0)


def sky_sun(scene: Any, folder: Path) -> None:
    """The sun of a sky texture rises; its sharp disc is what importance maps are about."""
    tree = scene.world.node_tree
    node = tree.nodes.new("ShaderNodeTexSky")
    kinds = [item.identifier for item in node.bl_rna.properties["sky_type"].enum_items]
    node.sky_type = "NISHITA" if "NISHITA" in kinds else "MULTIPLE_SCATTERING"
    tree.links.new(node.outputs[0], _background(scene).inputs["Color"])
    scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = "MANUAL", 64
    animate(node, "sun_elevation", 0.1, 1.2)


def world_turns(scene: Any, folder: Path) -> None:
    """An environment image is turned, with an importance map."""
    path = picture(folder / "sky.exr", (0.3, 0.6, 0.9), "OPEN_EXR")
    image = bpy.data.images.load(str(path))
    pixels = [float(i % 7) / 3 for i in range(64)]
    image.pixels.foreach_set(pixels)
    image.save()
    tree = scene.world.node_tree
    node, turn = tree.nodes.new("ShaderNodeTexEnvironment"), tree.nodes.new("ShaderNodeMapping")
    place = tree.nodes.new("ShaderNodeTexCoord")
    node.image = image
    tree.links.new(place.outputs["Generated"], turn.inputs["Vector"])
    tree.links.new(turn.outputs[0], node.inputs["Vector"])
    tree.links.new(node.outputs[0], _background(scene).inputs["Color"])
    scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = "MANUAL", 64
    animate(turn.inputs["Rotation"], "default_value", 0.0, 1.5, 2)


def world_image_sequence(scene: Any, folder: Path) -> None:
    for n in range(FIRST, LAST + 1):
        picture(folder / f"sky_{n:03d}.png", (n / 6, 0.5, 1 - n / 6))
    tree = scene.world.node_tree
    node = tree.nodes.new("ShaderNodeTexEnvironment")
    node.image = bpy.data.images.load(str(folder / "sky_001.png"))
    node.image.source = "SEQUENCE"
    node.image_user.frame_duration, node.image_user.use_auto_refresh = LAST, True
    tree.links.new(node.outputs[0], _background(scene).inputs["Color"])
    scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = "MANUAL", 64


def world_fog(scene: Any, folder: Path) -> None:
    tree = scene.world.node_tree
    volume = tree.nodes.new("ShaderNodeVolumePrincipled")
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputWorld")
    tree.links.new(volume.outputs[0], output.inputs["Volume"])
    animate(volume.inputs["Density"], "default_value", 0.0, 0.3)


def world_light_path(scene: Any, folder: Path) -> None:
    """The world's visibility to the camera."""
    animate(scene.world.cycles_visibility, "camera", True, False)


def mist(scene: Any, folder: Path) -> None:
    scene.view_layers[0].use_pass_mist = True
    animate(scene.world.mist_settings, "start", 1.0, 6.0)


def volume_sequence(scene: Any, folder: Path) -> None:
    """OpenVDB files of which each frame shows another, made by baking a volume whose size changes."""
    tree = bpy.data.node_groups.new("smoke", "GeometryNodeTree")
    tree.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    goes, cube = tree.nodes.new("NodeGroupOutput"), tree.nodes.new("GeometryNodeVolumeCube")
    if not hasattr(bpy.types, "GeometryNodeBake"):
        raise Unavailable("no Bake node")
    bake = tree.nodes.new("GeometryNodeBake")
    for side in "XYZ":
        cube.inputs[f"Resolution {side}"].default_value = 8
    time = tree.nodes.new("GeometryNodeInputSceneTime")
    tree.links.new(time.outputs["Frame"], cube.inputs["Density"])
    if "Geometry" not in bake.inputs:
        bake.bake_items.new("GEOMETRY", "Geometry")
    tree.links.new(cube.outputs["Volume"], bake.inputs["Geometry"])
    tree.links.new(bake.outputs["Geometry"], goes.inputs["Geometry"])
    source = _add(scene, "Source", bpy.data.meshes.new("Source"), (0, 0, 0))
    modifier = source.modifiers.new("Smoke", "NODES")
    modifier.node_group, modifier.bake_directory = tree, "//bake"
    if hasattr(modifier, "bake_target"):
        modifier.bake_target = "DISK"
    bpy.context.view_layer.objects.active = source
    bpy.context.view_layer.update()
    made = modifier.bakes[0]
    made.bake_mode, made.use_custom_simulation_frame_range = "ANIMATION", True
    made.frame_start, made.frame_end = FIRST, LAST
    bpy.ops.object.geometry_node_bake_single(
        session_uid=source.session_uid, modifier_name="Smoke", bake_id=made.bake_id
    )
    files = sorted((folder / "bake").rglob("*.vdb"))
    for number, file in enumerate(files, 1):
        file.rename(folder / f"smoke_{number:03d}.vdb")
    bpy.data.objects.remove(source)
    smoke = bpy.data.volumes.new("smoke")
    smoke.filepath = "//smoke_001.vdb"
    smoke.is_sequence, smoke.frame_duration, smoke.frame_start = True, len(files), 1
    smoke.materials.append(_volume_material())
    _add(scene, "smoke", smoke, (0.5, -1.5, 0.6)).scale = (0.6, 0.6, 0.6)


def _volume_material() -> Any:
    material = _material("smoke", (1, 1, 1), 0.5)
    tree = material.node_tree
    tree.nodes.clear()
    volume, output = tree.nodes.new("ShaderNodeVolumePrincipled"), tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(volume.outputs[0], output.inputs["Volume"])
    return material


LOOKS: tuple[Change, ...] = (
    colour, roughness, emission, alpha, glass, skin, node_group, colour_ramp, mapping, noise_in_time,
    texture_of_object, image_sequence, image_offset, film_texture, displacement_scale, displacement_by_object,
    displacement_method, adaptive_subdivision, dicing, diced_for_markers,
    fog, fog_appears, volume_in_other_material, object_colour, object_index,
    material_index, object_property, mesh_property, scene_property, world_property, camera_property, frame_property,
    instancer_property, light_strength, light_off_at_first, light_colour, light_size, light_shape, light_moves,
    light_hidden, light_nodes, light_shadow, spot_cone, sun_angle, light_visibility, light_linking, lamps_come_and_go,
    world_colour, world_strength, sky_sun, world_turns, world_image_sequence, world_fog, world_light_path, mist,
    volume_sequence,
)  # fmt: skip

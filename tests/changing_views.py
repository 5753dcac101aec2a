"""Cameras, visibility, film and settings of the render that change; see ``changing_scenes``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from changing_scenes import LAST, Change, Unavailable, animate, drive, empty, geometry_nodes
from changing_shapes import object_moves, shape_keys
from scene_features import compositing, ends


def _second_camera(scene: Any) -> Any:
    second = bpy.data.objects.new("Second", bpy.data.cameras.new("Second"))
    second.location, second.rotation_euler = (-2, -4, 2), (1.2, 0, -0.4)
    scene.collection.objects.link(second)
    return second


def camera_moves(scene: Any, folder: Path) -> None:
    animate(scene.camera, "location", -1.0, 1.0, 0)


def camera_lens(scene: Any, folder: Path) -> None:
    animate(scene.camera.data, "lens", 30.0, 70.0)


def camera_type(scene: Any, folder: Path) -> None:
    animate(scene.camera.data, "type", "PERSP", "ORTHO")


def camera_ortho_scale(scene: Any, folder: Path) -> None:
    scene.camera.data.type = "ORTHO"
    animate(scene.camera.data, "ortho_scale", 4.0, 9.0)


def camera_panorama(scene: Any, folder: Path) -> None:
    animate(scene.camera.data, "type", "PERSP", "PANO")


def camera_shift(scene: Any, folder: Path) -> None:
    animate(scene.camera.data, "shift_x", 0.0, 0.3)


def camera_clip(scene: Any, folder: Path) -> None:
    animate(scene.camera.data, "clip_start", 0.1, 6.0)


def camera_markers(scene: Any, folder: Path) -> None:
    scene.timeline_markers.new("a", frame=1).camera = scene.camera
    scene.timeline_markers.new("b", frame=3).camera = _second_camera(scene)


def focus(scene: Any, folder: Path) -> None:
    dof = scene.camera.data.dof
    dof.use_dof, dof.aperture_fstop = True, 0.2
    animate(dof, "focus_distance", 2.0, 8.0)


def focus_on_object(scene: Any, folder: Path) -> None:
    dof = scene.camera.data.dof
    dof.use_dof, dof.aperture_fstop = True, 0.2
    dof.focus_object = empty(scene, "Focus", (0, 0, 1))
    animate(dof.focus_object, "location", -4.0, 3.0, 1)


def hidden(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Cube"], "hide_render", False, True)


def shown_later(scene: Any, folder: Path) -> None:
    """First hidden, and deforming meanwhile."""
    shape_keys(scene, folder)
    ball = bpy.data.objects["Ball"]
    ball.hide_render = True
    ball.keyframe_insert("hide_render", frame=1)
    ball.hide_render = False
    ball.keyframe_insert("hide_render", frame=3)


def holdout(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Cube"], "is_holdout", False, True)


def shadow_catcher(scene: Any, folder: Path) -> None:
    scene.render.film_transparent = True
    animate(bpy.data.objects["Floor"], "is_shadow_catcher", False, True)


def shadow_catcher_still(scene: Any, folder: Path) -> None:
    scene.render.film_transparent = True
    bpy.data.objects["Floor"].is_shadow_catcher = True
    object_moves(scene, folder)


def camera_rays(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Cube"], "visible_camera", True, False)


def shadow_rays(scene: Any, folder: Path) -> None:
    animate(bpy.data.objects["Cube"], "visible_shadow", True, False)


def film_exposure(scene: Any, folder: Path) -> None:
    animate(scene.cycles, "film_exposure", 0.5, 2.0)


def film_transparent(scene: Any, folder: Path) -> None:
    animate(scene.render, "film_transparent", False, True)


def film_filter(scene: Any, folder: Path) -> None:
    animate(scene.cycles, "filter_width", 0.5, 4.0)


def view_exposure(scene: Any, folder: Path) -> None:
    """Colour management, seen in a picture of 8 bits."""
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "IMAGE"
    image.file_format = "PNG"
    animate(scene.view_settings, "exposure", -1.0, 1.0)


def samples(scene: Any, folder: Path) -> None:
    animate(scene.cycles, "samples", 1, 9)


def seed(scene: Any, folder: Path) -> None:
    drive(scene.cycles, "seed", "frame")


def animated_seed(scene: Any, folder: Path) -> None:
    scene.cycles.use_animated_seed = True


def bounces(scene: Any, folder: Path) -> None:
    animate(scene.cycles, "max_bounces", 0, 6)


def clamp(scene: Any, folder: Path) -> None:
    animate(scene.cycles, "sample_clamp_direct", 0.0, 0.5)


def simplify(scene: Any, folder: Path) -> None:
    bpy.data.objects["Cube"].modifiers.new("Subdivision", "SUBSURF").render_levels = 3
    scene.render.use_simplify = True
    animate(scene.render, "simplify_subdivision_render", 0, 3)


def _blurred(scene: Any) -> None:
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 1.0


def object_blur(scene: Any, folder: Path) -> None:
    _blurred(scene)
    object_moves(scene, folder)
    bpy.data.objects["Cube"].keyframe_insert("location", index=0, frame=3)


def turning_blur(scene: Any, folder: Path) -> None:
    """Several steps of motion."""
    _blurred(scene)
    cube = bpy.data.objects["Cube"]
    animate(cube, "rotation_euler", 0.0, 9.0, 2)
    cube.cycles.motion_steps = 3


def deform_blur(scene: Any, folder: Path) -> None:
    _blurred(scene)
    shape_keys(scene, folder)


def camera_blur(scene: Any, folder: Path) -> None:
    _blurred(scene)
    animate(scene.camera, "location", -1.0, 1.0, 0)


def zoom_blur(scene: Any, folder: Path) -> None:
    _blurred(scene)
    animate(scene.camera.data, "lens", 30.0, 70.0)


def stops_moving(scene: Any, folder: Path) -> None:
    """Blurred in the first frames, at rest in the last."""
    _blurred(scene)
    cube = bpy.data.objects["Cube"]
    for frame, x in ((1, 0.4), (3, 1.4), (LAST + 2, 1.4)):
        cube.location.x = x
        cube.keyframe_insert("location", index=0, frame=frame)


def stops_deforming(scene: Any, folder: Path) -> None:
    _blurred(scene)
    shape_keys(scene, folder)
    key = bpy.data.objects["Ball"].data.shape_keys.key_blocks["Tall"]
    for frame, value in ((1, 0.0), (3, 1.0), (LAST + 2, 1.0)):
        key.value = value
        key.keyframe_insert("value", frame=frame)


def shutter(scene: Any, folder: Path) -> None:
    object_blur(scene, folder)
    animate(scene.render, "motion_blur_shutter", 0.1, 2.0)


def blur_position(scene: Any, folder: Path) -> None:
    object_blur(scene, folder)
    animate(scene.render, "motion_blur_position", "START", "END")


def instances_blur(scene: Any, folder: Path) -> None:
    """Instances that turn by the scene's time."""
    _blurred(scene)
    tree, _, goes = geometry_nodes(bpy.data.objects["Ball"])
    points, instances = tree.nodes.new("GeometryNodeMeshLine"), tree.nodes.new("GeometryNodeInstanceOnPoints")
    source, time = tree.nodes.new("GeometryNodeObjectInfo"), tree.nodes.new("GeometryNodeInputSceneTime")
    points.inputs["Count"].default_value = 3
    points.inputs["Offset"].default_value = (0.6, 0, 0)
    source.inputs["Object"].default_value = bpy.data.objects["Cube"]
    instances.inputs["Scale"].default_value = (0.3, 0.3, 0.3)
    tree.links.new(time.outputs["Frame"], instances.inputs["Rotation"])
    tree.links.new(points.outputs["Mesh"], instances.inputs["Points"])
    tree.links.new(source.outputs["Geometry"], instances.inputs["Instance"])
    tree.links.new(instances.outputs[0], goes.inputs[0])


def vector_pass(scene: Any, folder: Path) -> None:
    """Where things go, as a pass, without blur; other passes beside it."""
    layer = scene.view_layers[0]
    layer.use_pass_vector = layer.use_pass_normal = layer.use_pass_object_index = layer.use_pass_uv = True
    layer.use_pass_cryptomatte_object = True
    object_moves(scene, folder)
    shape_keys(scene, folder)


def two_layers(scene: Any, folder: Path) -> None:
    """Two view layers, one without the ball; something moves in both."""
    other = scene.view_layers.new("Other")
    collection = bpy.data.collections.new("Apart")
    scene.collection.children.link(collection)
    ball = bpy.data.objects["Ball"]
    scene.collection.objects.unlink(ball)
    collection.objects.link(ball)
    other.layer_collection.children["Apart"].exclude = True
    object_moves(scene, folder)
    animate(ball, "location", 0.6, 1.2, 2)


def layer_override(scene: Any, folder: Path) -> None:
    """A layer with a material for everything, and another without."""
    override = bpy.data.materials.new("Clay")
    scene.view_layers.new("Clay").material_override = override
    object_moves(scene, folder)
    shape_keys(scene, folder)


def layer_deforms(scene: Any, folder: Path) -> None:
    """Two layers that show a mesh which deforms, and a material that changes."""
    scene.view_layers.new("Other").samples = 1
    shape_keys(scene, folder)
    shader = next(n for n in bpy.data.materials["Blue"].node_tree.nodes if n.bl_idname == "ShaderNodeBsdfPrincipled")
    animate(shader.inputs["Base Color"], "default_value", 0.0, 1.0, 0)


def layer_used(scene: Any, folder: Path) -> None:
    """Whether a layer is rendered is keyed."""
    other = scene.view_layers.new("Other")
    animate(other, "use", True, False)


def composited(scene: Any, folder: Path) -> None:
    """A compositor with a value that is keyed."""
    tree = compositing(scene)
    layers, output = ends(tree)
    node = tree.nodes.new("CompositorNodeExposure")
    tree.links.new(layers.outputs["Image"], node.inputs["Image"])
    tree.links.new(node.outputs["Image"], output.inputs[0])
    animate(node.inputs["Exposure"], "default_value", -1.0, 1.0)
    object_moves(scene, folder)


def composited_sequence(scene: Any, folder: Path) -> None:
    """A compositor that shows an image sequence."""
    from scene_files import picture

    for n in range(1, LAST + 1):
        picture(folder / f"plate_{n:03d}.png", (n / 6, 0.5, 1 - n / 6))
    tree = compositing(scene)
    layers, output = ends(tree)
    node, over = tree.nodes.new("CompositorNodeImage"), tree.nodes.new("CompositorNodeAlphaOver")
    node.image = bpy.data.images.load(str(folder / "plate_001.png"))
    node.image.source = "SEQUENCE"
    node.frame_duration, node.use_auto_refresh = LAST, True
    below, above = (socket for socket in over.inputs if socket.type == "RGBA")
    tree.links.new(layers.outputs["Image"], below)
    tree.links.new(node.outputs["Image"], above)
    tree.links.new(over.outputs[0], output.inputs[0])


def denoised(scene: Any, folder: Path) -> None:
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    import _cycles

    if not _cycles.with_openimagedenoise:
        raise Unavailable("OpenImageDenoise")
    object_moves(scene, folder)


def adaptive_sampling(scene: Any, folder: Path) -> None:
    scene.cycles.use_adaptive_sampling, scene.cycles.samples = True, 32
    scene.cycles.adaptive_threshold, scene.cycles.adaptive_min_samples = 0.1, 4
    object_moves(scene, folder)


def two_views(scene: Any, folder: Path) -> None:
    """Stereo, in one file."""
    scene.render.use_multiview = True
    scene.render.image_settings.views_format = "MULTIVIEW"
    object_moves(scene, folder)


def eevee(scene: Any, folder: Path) -> None:

    scene.render.engine = "BLENDER_EEVEE_NEXT" if bpy.app.version < (5, 0, 0) else "BLENDER_EEVEE"
    scene.eevee.taa_render_samples = 4

    object_moves(scene, folder)
    shape_keys(scene, folder)


def eevee_looks(scene: Any, folder: Path) -> None:
    """In EEVEE: a material, a light, the world, an image sequence, hidden things."""
    from changing_looks import colour, image_sequence, light_strength, world_colour

    eevee(scene, folder)
    colour(scene, folder)
    image_sequence(scene, folder)
    light_strength(scene, folder)
    world_colour(scene, folder)


def layer_samples(scene: Any, folder: Path) -> None:
    """Three layers with another number of samples each; nothing else differs."""
    scene.view_layers[0].samples = 3
    scene.view_layers.new("Few").samples = 1
    scene.view_layers.new("Many").samples = 5
    object_moves(scene, folder)


def layer_samples_alike(scene: Any, folder: Path) -> None:
    """Layers that have the same number of samples, which is not the scene's."""
    scene.view_layers[0].samples = 3
    scene.view_layers.new("Other").samples = 3
    object_moves(scene, folder)


def layer_passes(scene: Any, folder: Path) -> None:
    """Layers with other passes."""
    first, second, third = scene.view_layers[0], scene.view_layers.new("Second"), scene.view_layers.new("Third")
    first.use_pass_z = second.use_pass_normal = second.use_pass_diffuse_direct = third.use_pass_vector = True
    third.use_pass_cryptomatte_object = second.use_pass_mist = True
    object_moves(scene, folder)


def layer_switches(scene: Any, folder: Path) -> None:
    """Layers without sky, volumes, motion blur, surfaces."""
    from changing_looks import fog

    fog(scene, folder)
    _blurred(scene)
    for name in ("use_sky", "use_volumes", "use_motion_blur", "use_ao", "use_strand"):
        layer = scene.view_layers.new(name)
        if hasattr(layer, name):
            setattr(layer, name, False)
    shape_keys(scene, folder)
    object_moves(scene, folder)


def layer_surfaces(scene: Any, folder: Path) -> None:
    """A layer without surfaces."""
    scene.view_layers.new("Air").use_solid = False
    object_moves(scene, folder)


def layer_holdout(scene: Any, folder: Path) -> None:
    """A collection that is held out in one layer, indirect only in another."""
    collection = bpy.data.collections.new("Apart")
    scene.collection.children.link(collection)
    ball = bpy.data.objects["Ball"]
    scene.collection.objects.unlink(ball)
    collection.objects.link(ball)
    scene.view_layers.new("Holdout").layer_collection.children["Apart"].holdout = True
    scene.view_layers.new("Indirect").layer_collection.children["Apart"].indirect_only = True
    object_moves(scene, folder)
    shape_keys(scene, folder)


def layer_world(scene: Any, folder: Path) -> None:
    """A layer with a sky of its own, which changes."""
    layer = scene.view_layers.new("Night")
    if not hasattr(layer, "world_override"):
        raise Unavailable("world override")
    night = scene.world.copy()
    layer.world_override = night
    background = next(node for node in night.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    animate(background.inputs["Strength"], "default_value", 0.0, 1.0)


def layer_denoising(scene: Any, folder: Path) -> None:
    """One layer is denoised, another not."""
    denoised(scene, folder)
    scene.view_layers.new("Noisy").cycles.use_denoising = False


def layer_aov(scene: Any, folder: Path) -> None:
    """A pass of its own in each layer, and light groups."""
    second = scene.view_layers.new("Second")
    for layer, name in ((scene.view_layers[0], "one"), (second, "two")):
        aov = layer.aovs.add()
        aov.name, aov.type = name, "VALUE"
        tree = bpy.data.materials["Blue"].node_tree
        node = tree.nodes.new("ShaderNodeOutputAOV")
        node.aov_name = name
        animate(node.inputs["Value"], "default_value", 0.0, 1.0)
    second.lightgroups.add(name="Lamps")
    bpy.data.objects["Lamp"].lightgroup = "Lamps"


def camera_culls(scene: Any, folder: Path) -> None:
    """Things out of the camera's sight are left out, and it turns."""
    scene.render.use_simplify = scene.cycles.use_camera_cull = True
    for thing in scene.objects:
        thing.cycles.use_camera_cull = True
    animate(scene.camera, "rotation_euler", -0.6, 0.6, 2)
    shape_keys(scene, folder)


def distance_culls(scene: Any, folder: Path) -> None:
    scene.render.use_simplify = scene.cycles.use_distance_cull = True
    scene.cycles.distance_cull_margin = 6
    for thing in scene.objects:
        thing.cycles.use_distance_cull = True
    animate(scene.camera, "location", -9.0, -4.0, 1)


def camera_in_fog(scene: Any, folder: Path) -> None:
    """The camera enters a volume."""
    from changing_looks import fog

    fog(scene, folder)
    tree = bpy.data.materials["Blue"].node_tree
    tree.animation_data_clear()
    volume = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeVolumePrincipled")
    volume.inputs["Density"].default_value = 0.3
    bpy.data.objects["Cube"].scale = (4, 4, 4)
    animate(scene.camera, "location", -8.0, -1.0, 1)


def other_scene(scene: Any, folder: Path) -> None:
    """A compositor that lays another scene's render over this one's; that scene keeps its data by itself."""
    other = scene.copy()
    other.name = "Other"
    other.render.use_compositing, other.render.use_persistent_data = False, True
    other.render.film_transparent = True
    ball = bpy.data.objects["Ball"]
    animate(ball, "location", 0.6, 1.2, 2)
    drive(other.cycles, "film_exposure", "frame*0.3")
    tree = compositing(scene)
    layers, output = ends(tree)
    ahead, over = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("CompositorNodeAlphaOver")
    ahead.scene = other
    below, above = (socket for socket in over.inputs if socket.type == "RGBA")
    tree.links.new(layers.outputs["Image"], below)
    tree.links.new(ahead.outputs["Image"], above)
    tree.links.new(over.outputs[0], output.inputs[0])


def sequenced(scene: Any, folder: Path) -> None:
    """The sequencer shows another scene, as long as its strip lasts."""
    other = scene.copy()
    other.name = "Other"
    animate(bpy.data.objects["Ball"], "location", 0.6, 1.2, 2)
    scene.render.use_sequencer = True
    image = scene.render.image_settings
    if hasattr(image, "media_type"):
        image.media_type = "IMAGE"
    image.file_format, image.color_depth = "OPEN_EXR", "32"
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strips.new_scene("Other", other, 1, 1)


def freestyle(scene: Any, folder: Path) -> None:
    scene.render.use_freestyle = True
    layer = scene.view_layers[0]
    layer.use_freestyle = True
    layer.freestyle_settings.linesets.new("Lines")
    object_moves(scene, folder)


def lamp_instances(scene: Any, folder: Path) -> None:
    """Instances of a lamp, another number in each frame."""
    light = bpy.data.lights.new("Bulb", "POINT")
    light.energy = 30
    bulb = bpy.data.objects.new("Bulb", light)
    scene.collection.objects.link(bulb)
    bulb.location = (0, 0, -20)
    tree, _, goes = geometry_nodes(bpy.data.objects["Ball"])
    points, instances = tree.nodes.new("GeometryNodeMeshLine"), tree.nodes.new("GeometryNodeInstanceOnPoints")
    source, time = tree.nodes.new("GeometryNodeObjectInfo"), tree.nodes.new("GeometryNodeInputSceneTime")
    points.inputs["Offset"].default_value = (0.4, 0, 0.3)
    source.inputs["Object"].default_value = bulb
    source.inputs["As Instance"].default_value = True
    tree.links.new(time.outputs["Frame"], points.inputs["Count"])
    tree.links.new(points.outputs["Mesh"], instances.inputs["Points"])
    tree.links.new(source.outputs["Geometry"], instances.inputs["Instance"])
    tree.links.new(instances.outputs[0], goes.inputs[0])


def shining_instances(scene: Any, folder: Path) -> None:
    """Instances of a mesh that shines, another number in each frame."""
    from changing_shapes import nodes_instances

    nodes_instances(scene, folder)
    shader = next(n for n in bpy.data.materials["Blue"].node_tree.nodes if n.bl_idname == "ShaderNodeBsdfPrincipled")
    shader.inputs["Emission Color"].default_value = (1, 0.5, 0.2, 1)
    shader.inputs["Emission Strength"].default_value = 5


def shining_hidden(scene: Any, folder: Path) -> None:
    """A mesh that shines is hidden later."""
    hidden(scene, folder)
    shader = next(n for n in bpy.data.materials["Blue"].node_tree.nodes if n.bl_idname == "ShaderNodeBsdfPrincipled")
    shader.inputs["Emission Color"].default_value = (1, 0.5, 0.2, 1)
    shader.inputs["Emission Strength"].default_value = 5


def displaced_shown_later(scene: Any, folder: Path) -> None:
    from changing_looks import displacement_scale

    displacement_scale(scene, folder)
    bpy.data.materials["Gold"].node_tree.animation_data_clear()
    next(n for n in bpy.data.materials["Gold"].node_tree.nodes if n.bl_idname == "ShaderNodeDisplacement").inputs[
        "Scale"
    ].default_value = 0.6
    animate(bpy.data.objects["Ball"], "hide_render", True, False)


def shared_mesh_subdivided(scene: Any, folder: Path) -> None:
    """One of two objects with one mesh gets its modifier later."""
    from scenes import _add

    second = _add(scene, "Second", bpy.data.objects["Cube"].data, (-0.2, -1.5, 0.6))
    modifier = second.modifiers.new("Subdivision", "SUBSURF")
    modifier.render_levels = 3
    animate(modifier, "show_render", False, True)


def eevee_layers(scene: Any, folder: Path) -> None:
    eevee(scene, folder)
    two_layers(scene, folder)


def eevee_blur(scene: Any, folder: Path) -> None:
    eevee(scene, folder)
    _blurred(scene)


def workbench(scene: Any, folder: Path) -> None:
    scene.render.engine = "BLENDER_WORKBENCH"
    object_moves(scene, folder)
    shape_keys(scene, folder)
    animate(bpy.data.objects["Cube"], "hide_render", False, True)


VIEWS: tuple[Change, ...] = (
    camera_moves, camera_lens, camera_type, camera_ortho_scale, camera_panorama, camera_shift, camera_clip,
    camera_markers, focus, focus_on_object, hidden, shown_later, holdout, shadow_catcher, shadow_catcher_still,
    camera_rays, shadow_rays, film_exposure, film_transparent, film_filter, view_exposure, samples, seed,
    animated_seed, bounces, clamp, simplify, object_blur, turning_blur, deform_blur, camera_blur,
    zoom_blur, stops_moving, stops_deforming, shutter, blur_position, instances_blur, vector_pass,
    two_layers, layer_override, layer_deforms, layer_used, composited, composited_sequence, denoised,
    adaptive_sampling, two_views, eevee, eevee_looks, eevee_blur, eevee_layers, workbench,
    layer_samples, layer_samples_alike, layer_passes, layer_switches, layer_surfaces, layer_holdout, layer_world,
    layer_denoising, layer_aov, camera_culls, distance_culls, camera_in_fog, other_scene, sequenced, freestyle,
    lamp_instances, shining_instances, shining_hidden, displaced_shown_later, shared_mesh_subdivided,
)  # fmt: skip

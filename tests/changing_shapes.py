"""Things whose place or shape changes; see ``changing_scenes``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from changing_scenes import LAST, Change, Unavailable, animate, drive, empty, geometry_nodes, still_scene
from scenes import _add, save


def _ball() -> Any:
    return bpy.data.objects["Ball"]


def _cube() -> Any:
    return bpy.data.objects["Cube"]


def nothing(scene: Any, folder: Path) -> None:
    """All frames are alike."""


def object_moves(scene: Any, folder: Path) -> None:
    animate(_cube(), "location", 0.5, 1.5, 0)


def object_turns(scene: Any, folder: Path) -> None:
    animate(_cube(), "rotation_euler", 0.0, 1.0, 2)


def object_mirrored(scene: Any, folder: Path) -> None:
    """Its scale turns negative."""
    animate(_cube(), "scale", 1.0, -1.0, 0)


def child_of_empty(scene: Any, folder: Path) -> None:
    parent = empty(scene, "Parent")
    _cube().parent = parent
    animate(parent, "rotation_euler", 0.0, 0.8, 2)


def constraint_influence(scene: Any, folder: Path) -> None:
    constraint = _cube().constraints.new("COPY_LOCATION")
    constraint.target = empty(scene, "Goal", (1.2, -1, 1))
    animate(constraint, "influence", 0.0, 1.0)


def tracks_moving(scene: Any, folder: Path) -> None:
    goal = empty(scene, "Goal", (0, -2, 1))
    animate(goal, "location", -2.0, 2.0, 0)
    constraint = _cube().constraints.new("TRACK_TO")
    constraint.target = goal


def follows_path(scene: Any, folder: Path) -> None:
    curve = bpy.data.curves.new("Path", "CURVE")
    curve.dimensions, curve.use_path, curve.path_duration = "3D", True, LAST
    spline = curve.splines.new("POLY")
    spline.points.add(1)
    spline.points[0].co, spline.points[1].co = (-1, -1, 0, 1), (1, -1, 0.5, 1)
    animate(curve, "eval_time", 0.0, float(LAST))
    _cube().constraints.new("FOLLOW_PATH").target = _add(scene, "Path", curve, (0, 0, 0))


def shape_keys(scene: Any, folder: Path) -> None:
    ball = _ball()
    ball.shape_key_add(name="Basis")
    key = ball.shape_key_add(name="Tall")
    for point in key.data:
        point.co.z *= 1.8
    animate(key, "value", 0.0, 1.0)


def shared_mesh_deforms(scene: Any, folder: Path) -> None:
    """Two objects with one mesh and its shape keys."""
    shape_keys(scene, folder)
    _add(scene, "Second", _ball().data, (0.3, -1.5, 0.5))


def armature(scene: Any, folder: Path) -> None:
    data = bpy.data.armatures.new("Bones")
    rig = _add(scene, "Rig", data, (-0.9, 0, 0))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    bone = data.edit_bones.new("Bone")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1.6)
    bpy.ops.object.mode_set(mode="OBJECT")
    ball = _ball()
    ball.vertex_groups.new(name="Bone").add(range(len(ball.data.vertices)), 1.0, "REPLACE")
    ball.modifiers.new("Rig", "ARMATURE").object = rig
    pose = rig.pose.bones["Bone"]
    pose.rotation_mode = "XYZ"
    animate(pose, "rotation_euler", 0.0, 0.9, 2)
    animate(pose, "scale", 1.0, 1.5, 1)


def bend(scene: Any, folder: Path) -> None:
    modifier = _cube().modifiers.new("Bend", "SIMPLE_DEFORM")
    modifier.deform_method = "TWIST"
    animate(modifier, "angle", 0.0, 1.2)


def wave(scene: Any, folder: Path) -> None:
    modifier = bpy.data.objects["Ball"].modifiers.new("Wave", "WAVE")
    modifier.height, modifier.width, modifier.time_offset = 0.8, 1.0, -20


def hook(scene: Any, folder: Path) -> None:
    goal = empty(scene, "Hook", (0.9, 0.2, 1.2))
    modifier = _cube().modifiers.new("Hook", "HOOK")
    modifier.object = goal
    modifier.vertex_indices_set([0, 1])
    animate(goal, "location", 1.2, 2.0, 2)


def ocean(scene: Any, folder: Path) -> None:
    modifier = bpy.data.objects["Floor"].modifiers.new("Ocean", "OCEAN")
    modifier.resolution = modifier.viewport_resolution = 3
    modifier.spatial_size, modifier.wave_scale = 8, 1.5
    animate(modifier, "time", 0.0, 4.0)


def displaced_by_texture(scene: Any, folder: Path) -> None:
    texture = bpy.data.textures.new("Clouds", "CLOUDS")
    modifier = _ball().modifiers.new("Displace", "DISPLACE")
    modifier.texture, modifier.strength = texture, 0.8
    animate(texture, "noise_scale", 0.2, 1.0)


def build_modifier(scene: Any, folder: Path) -> None:
    modifier = _ball().modifiers.new("Build", "BUILD")
    modifier.frame_start, modifier.frame_duration = 0, 6


def array_count(scene: Any, folder: Path) -> None:
    _cube().scale = (0.3, 0.3, 0.3)
    modifier = _cube().modifiers.new("Array", "ARRAY")
    animate(modifier, "count", 1, 4)


def subdivision_levels(scene: Any, folder: Path) -> None:
    modifier = _cube().modifiers.new("Subdivision", "SUBSURF")
    animate(modifier, "render_levels", 0, 3)


def modifier_shown(scene: Any, folder: Path) -> None:
    modifier = _cube().modifiers.new("Subdivision", "SUBSURF")
    animate(modifier, "show_render", False, True)


def boolean_cutter(scene: Any, folder: Path) -> None:
    _ball().hide_render = True
    animate(_ball(), "location", -1.0, 0.8, 0)
    modifier = _cube().modifiers.new("Cut", "BOOLEAN")
    modifier.object = _ball()


def uv_warp(scene: Any, folder: Path) -> None:
    """Texture coordinates slide over a checker pattern."""
    mesh = bpy.data.objects["Floor"].data
    mesh.uv_layers.new()
    tree = bpy.data.materials["Floor"].node_tree
    checker = tree.nodes.new("ShaderNodeTexChecker")
    place = tree.nodes.new("ShaderNodeTexCoord")
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    tree.links.new(place.outputs["UV"], checker.inputs["Vector"])
    tree.links.new(checker.outputs["Color"], shader.inputs["Base Color"])
    modifier = bpy.data.objects["Floor"].modifiers.new("Slide", "UV_WARP")
    modifier.uv_layer = mesh.uv_layers[0].name
    animate(modifier, "offset", 0.0, 0.17, 0)


def mesh_cache(scene: Any, folder: Path) -> None:
    """The cube's points over time, as MDD."""
    mesh = _cube().data
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    frames = np.stack([points.reshape(-1, 3) * (1 + 0.12 * n) for n in range(LAST)]).astype(">f4")
    times = np.arange(LAST, dtype=">f4") / 24
    (folder / "points.mdd").write_bytes(
        struct.pack(">2i", LAST, len(mesh.vertices)) + times.tobytes() + frames.tobytes()
    )
    modifier = _cube().modifiers.new("Cache", "MESH_CACHE")
    modifier.cache_format, modifier.filepath, modifier.frame_start = "MDD", "//points.mdd", 1


def alembic(scene: Any, folder: Path) -> None:
    """What shape keys do, read from an Alembic file."""
    if not bpy.app.build_options.alembic:
        raise Unavailable("Alembic")
    shape_keys(scene, folder)
    bpy.ops.object.select_all(action="DESELECT")
    _ball().select_set(True)
    bpy.context.view_layer.objects.active = _ball()
    bpy.ops.wm.alembic_export(filepath=str(folder / "ball.abc"), selected=True, start=1, end=LAST)
    bpy.data.objects.remove(_ball())
    bpy.ops.wm.alembic_import(filepath=str(folder / "ball.abc"), always_add_cache_reader=True, set_frame_range=False)


def cloth_baked(scene: Any, folder: Path) -> None:
    bpy.data.objects["Ball"].modifiers.new("Collision", "COLLISION")
    mesh = bpy.data.meshes.new("Sheet")
    corners = [(x / 3 - 1, y / 3 - 1, 0) for y in range(7) for x in range(7)]
    faces = [(i, i + 1, i + 8, i + 7) for y in range(6) for x in range(6) for i in [y * 7 + x]]
    mesh.from_pydata(corners, [], faces)
    sheet = _add(scene, "Sheet", mesh, (-0.9, -0.2, 1.7))
    cache = sheet.modifiers.new("Cloth", "CLOTH").point_cache
    cache.frame_start, cache.frame_end = 1, LAST
    scene.gravity[2] = -60
    with bpy.context.temp_override(scene=scene, object=sheet, active_object=sheet, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)


def rigid_bodies_baked(scene: Any, folder: Path) -> None:
    bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.collection = bpy.data.collections.new("Bodies")
    world.collection.objects.link(_cube())
    scene.gravity[2] = -60
    _cube().location.z = 2
    cache = world.point_cache
    cache.frame_start, cache.frame_end = 1, LAST
    with bpy.context.temp_override(scene=scene, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)


def _time(tree: Any) -> Any:
    """The socket that tells the frame."""
    return tree.nodes.new("GeometryNodeInputSceneTime").outputs["Frame"]


def _times(tree: Any, socket: Any, factor: float) -> Any:
    node = tree.nodes.new("ShaderNodeMath")
    node.operation = "MULTIPLY"
    tree.links.new(socket, node.inputs[0])
    node.inputs[1].default_value = factor
    return node.outputs[0]


def nodes_deform(scene: Any, folder: Path) -> None:
    """Geometry nodes scale the ball by the scene's time."""
    tree, came, goes = geometry_nodes(_ball())
    node = tree.nodes.new("GeometryNodeTransform")
    tree.links.new(_times(tree, _time(tree), 0.3), node.inputs["Scale"])
    tree.links.new(came.outputs[0], node.inputs["Geometry"])
    tree.links.new(node.outputs[0], goes.inputs[0])


def nodes_topology(scene: Any, folder: Path) -> None:
    """Another number of vertices in each frame."""
    tree, _, goes = geometry_nodes(_ball())
    sphere = tree.nodes.new("GeometryNodeMeshUVSphere")
    tree.links.new(_times(tree, _time(tree), 2), sphere.inputs["Segments"])
    tree.links.new(sphere.outputs["Mesh"], goes.inputs[0])


def nodes_instances(scene: Any, folder: Path) -> None:
    """Another number of instances in each frame."""
    tree, _, goes = geometry_nodes(_ball())
    points = tree.nodes.new("GeometryNodeMeshLine")
    points.inputs["Offset"].default_value = (0.4, 0, 0.1)
    instances, source = tree.nodes.new("GeometryNodeInstanceOnPoints"), tree.nodes.new("GeometryNodeObjectInfo")
    source.inputs["Object"].default_value = _cube()
    instances.inputs["Scale"].default_value = (0.3, 0.3, 0.3)
    tree.links.new(_time(tree), points.inputs["Count"])
    tree.links.new(points.outputs["Mesh"], instances.inputs["Points"])
    tree.links.new(source.outputs["Geometry"], instances.inputs["Instance"])
    tree.links.new(instances.outputs[0], goes.inputs[0])


def nodes_instances_turn(scene: Any, folder: Path) -> None:
    """As many instances in each frame, of a size that changes."""
    nodes_instances(scene, folder)
    tree = bpy.data.node_groups["nodes"]
    named = {node.bl_idname: node for node in tree.nodes}
    tree.links.remove(named["GeometryNodeMeshLine"].inputs["Count"].links[0])
    named["GeometryNodeMeshLine"].inputs["Count"].default_value = 4
    scaled = _times(tree, named["GeometryNodeInputSceneTime"].outputs["Frame"], 0.1)
    tree.links.new(scaled, named["GeometryNodeInstanceOnPoints"].inputs["Scale"])


def nodes_instance_source_deforms(scene: Any, folder: Path) -> None:
    """Instances of an object whose shape keys move."""
    nodes_instances_turn(scene, folder)
    tree = bpy.data.node_groups["nodes"]
    named = {node.bl_idname: node for node in tree.nodes}
    tree.links.remove(named["GeometryNodeInstanceOnPoints"].inputs["Scale"].links[0])
    cube = _cube()
    cube.shape_key_add(name="Basis")
    key = cube.shape_key_add(name="Tall")
    for point in key.data:
        point.co.z *= 3
    animate(key, "value", 0.0, 1.0)


def nodes_follow_object(scene: Any, folder: Path) -> None:
    """Geometry that goes where a moving object is."""
    goal = empty(scene, "Goal", (0, 0, 0))
    animate(goal, "location", -0.5, 1.0, 0)
    tree, came, goes = geometry_nodes(_ball())
    node, source = tree.nodes.new("GeometryNodeTransform"), tree.nodes.new("GeometryNodeObjectInfo")
    source.inputs["Object"].default_value = goal
    tree.links.new(source.outputs["Location"], node.inputs["Translation"])
    tree.links.new(came.outputs[0], node.inputs["Geometry"])
    tree.links.new(node.outputs[0], goes.inputs[0])


def nodes_attribute(scene: Any, folder: Path) -> None:
    """A colour attribute that the material shows changes, and no shape does."""
    tree, came, goes = geometry_nodes(_ball())
    store = tree.nodes.new("GeometryNodeStoreNamedAttribute")
    store.data_type, store.domain = "FLOAT", "POINT"
    store.inputs["Name"].default_value = "glow"
    value = next(socket for socket in store.inputs if socket.name == "Value" and socket.enabled)
    tree.links.new(_times(tree, _time(tree), 0.2), value)
    tree.links.new(came.outputs[0], store.inputs["Geometry"])
    tree.links.new(store.outputs[0], goes.inputs[0])
    shading = bpy.data.materials["Gold"].node_tree
    node = shading.nodes.new("ShaderNodeAttribute")
    node.attribute_name = "glow"
    shader = next(node for node in shading.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    shading.links.new(node.outputs["Fac"], shader.inputs["Base Color"])


def nodes_material(scene: Any, folder: Path) -> None:
    """Another material by the frame."""
    tree, came, goes = geometry_nodes(_ball())
    node, switch = tree.nodes.new("GeometryNodeSetMaterial"), tree.nodes.new("GeometryNodeSwitch")
    switch.input_type = "MATERIAL"
    compare = tree.nodes.new("ShaderNodeMath")
    compare.operation = "GREATER_THAN"
    compare.inputs[1].default_value = 2.5
    tree.links.new(_time(tree), compare.inputs[0])
    tree.links.new(compare.outputs[0], switch.inputs["Switch"])
    switch.inputs["False"].default_value = bpy.data.materials["Gold"]
    switch.inputs["True"].default_value = bpy.data.materials["Blue"]
    tree.links.new(switch.outputs[0], node.inputs["Material"])
    tree.links.new(came.outputs[0], node.inputs["Geometry"])
    tree.links.new(node.outputs[0], goes.inputs[0])


def nodes_points(scene: Any, folder: Path) -> None:
    """A cloud of points whose radius changes."""
    tree, came, goes = geometry_nodes(_ball())
    node = tree.nodes.new("GeometryNodeMeshToPoints")
    tree.links.new(_times(tree, _time(tree), 0.04), node.inputs["Radius"])
    tree.links.new(came.outputs[0], node.inputs["Mesh"])
    tree.links.new(node.outputs[0], goes.inputs[0])


def nodes_curves(scene: Any, folder: Path) -> None:
    """Curves, as hair is made of, that geometry nodes lengthen."""
    data = bpy.data.hair_curves.new("Strands")
    data.add_curves([4] * 20)
    points = [(0.08 * strand - 0.8, 0.02 * strand, 0.3 * step) for strand in range(20) for step in range(4)]
    data.attributes["position"].data.foreach_set("vector", [value for point in points for value in point])
    radius = data.attributes.get("radius") or data.attributes.new("radius", "FLOAT", "POINT")
    radius.data.foreach_set("value", [0.03] * len(points))
    tree, came, goes = geometry_nodes(_add(scene, "Strands", data, (0, -1, 0)))
    node = tree.nodes.new("GeometryNodeTransform")
    tree.links.new(_times(tree, _time(tree), 0.3), node.inputs["Scale"])
    tree.links.new(came.outputs[0], node.inputs["Geometry"])
    tree.links.new(node.outputs[0], goes.inputs[0])


def nodes_volume(scene: Any, folder: Path) -> None:
    """A volume made of the ball, whose density changes."""
    tree, came, goes = geometry_nodes(_ball())
    node = tree.nodes.new("GeometryNodeMeshToVolume")
    tree.links.new(_time(tree), node.inputs["Density"])
    tree.links.new(came.outputs[0], node.inputs["Mesh"])
    tree.links.new(node.outputs[0], goes.inputs[0])
    shading = tree.nodes.new("GeometryNodeSetMaterial")
    smoke = bpy.data.materials.new("Smoke")
    if smoke.node_tree is None:
        smoke.use_nodes = True
    smoke.node_tree.nodes.clear()
    volume = smoke.node_tree.nodes.new("ShaderNodeVolumePrincipled")
    output = smoke.node_tree.nodes.new("ShaderNodeOutputMaterial")
    smoke.node_tree.links.new(volume.outputs[0], output.inputs["Volume"])
    shading.inputs["Material"].default_value = smoke
    tree.links.new(node.outputs[0], shading.inputs["Geometry"])
    tree.links.new(shading.outputs[0], goes.inputs[0])


def collection_instance(scene: Any, folder: Path) -> None:
    """An instance of a collection in which something moves."""
    collection = bpy.data.collections.new("Set")
    collection.objects.link(_ball())
    animate(_ball(), "location", 0.6, 1.2, 2)
    shown = empty(scene, "Instance", (0.6, -1.5, 0))
    shown.instance_type, shown.instance_collection = "COLLECTION", collection


def instances_on_vertices(scene: Any, folder: Path) -> None:
    """Instances on the vertices of a mesh with shape keys; the instancer comes and goes."""
    shape_keys(scene, folder)
    child = _cube()
    child.parent, child.scale = _ball(), (0.1, 0.1, 0.1)
    _ball().instance_type = "VERTS"
    animate(_ball(), "show_instancer_for_render", False, True)


def text_size(scene: Any, folder: Path) -> None:
    """Words whose size and depth drivers set by the frame."""
    curve = bpy.data.curves.new("Words", "FONT")
    curve.body = "Wm"
    drive(curve, "size", "frame*0.2")
    drive(curve, "extrude", "frame*0.02")
    _add(scene, "Words", curve, (-0.3, -1.5, 0.5)).rotation_euler.x = 1.57


def _circle(scene: Any) -> Any:
    curve = bpy.data.curves.new("Wire", "CURVE")
    curve.dimensions = "3D"
    spline = curve.splines.new("POLY")
    spline.points.add(3)
    for point, at in zip(spline.points, ((-1, 0, 0), (0, 0, 1), (1, 0, 0), (1.5, 0, 1)), strict=True):
        point.co = (*at, 1)
    curve.bevel_depth = 0.1
    _add(scene, "Wire", curve, (0, -1, 0.3))
    return curve


def curve_bevel(scene: Any, folder: Path) -> None:
    animate(_circle(scene), "bevel_depth", 0.05, 0.3)


def curve_grows(scene: Any, folder: Path) -> None:
    animate(_circle(scene), "bevel_factor_end", 0.1, 1.0)


def metaballs(scene: Any, folder: Path) -> None:
    data = bpy.data.metaballs.new("Meta")
    data.resolution = data.render_resolution = 0.3
    data.elements.new().radius = 1
    _add(scene, "Meta", data, (0, -1, 0.8))
    second = bpy.data.metaballs.new("Meta.001")
    second.elements.new().radius = 1
    animate(_add(scene, "Meta.001", second, (0.5, -1, 0.8)), "location", 0.2, 1.5, 0)


def lattice(scene: Any, folder: Path) -> None:
    data = bpy.data.lattices.new("Cage")
    cage = _add(scene, "Cage", data, (0.9, 0.2, 0.6))
    _cube().modifiers.new("Cage", "LATTICE").object = cage
    cage.shape_key_add(name="Basis")
    key = cage.shape_key_add(name="Tall")
    for point in key.data:
        point.co.z *= 2
    animate(key, "value", 0.0, 1.0)


def hair(scene: Any, folder: Path) -> None:
    """Still hair on a ball that moves."""
    modifier = _ball().modifiers.new("Hair", "PARTICLE_SYSTEM")
    settings = modifier.particle_system.settings
    settings.type, settings.count, settings.hair_length, settings.hair_step = "HAIR", 40, 0.5, 3
    animate(_ball(), "location", -1.2, -0.3, 0)


def hair_on_deforming(scene: Any, folder: Path) -> None:
    shape_keys(scene, folder)
    modifier = _ball().modifiers.new("Hair", "PARTICLE_SYSTEM")
    settings = modifier.particle_system.settings
    settings.type, settings.count, settings.hair_length, settings.hair_step = "HAIR", 40, 0.5, 3


def hair_length(scene: Any, folder: Path) -> None:
    """Children's length is animated."""
    modifier = _ball().modifiers.new("Hair", "PARTICLE_SYSTEM")
    settings = modifier.particle_system.settings
    settings.type, settings.count, settings.hair_length, settings.hair_step = "HAIR", 20, 0.5, 3
    settings.child_type, settings.rendered_child_count = "SIMPLE", 5
    animate(settings, "child_length", 0.2, 1.0)


def _emitter(scene: Any) -> Any:
    modifier = _ball().modifiers.new("Sparks", "PARTICLE_SYSTEM")
    system = modifier.particle_system
    settings = system.settings
    settings.count, settings.frame_start, settings.frame_end, settings.lifetime = 40, 0, 5, 30
    settings.normal_factor, settings.particle_size = 6, 0.15
    settings.render_type, settings.instance_object = "OBJECT", _cube()
    system.seed = 3
    return system


def particles_baked(scene: Any, folder: Path) -> None:
    """Instances of an object fly about, by a bake in the file."""
    cache = _emitter(scene).point_cache
    cache.frame_start, cache.frame_end = 0, LAST
    with bpy.context.temp_override(scene=scene, object=_ball(), active_object=_ball(), point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)


def particles_unbaked(scene: Any, folder: Path) -> None:
    _emitter(scene)


def simulation_unbaked(scene: Any, folder: Path) -> None:
    """Geometry nodes that push the ball a bit on in each frame."""
    tree, came, goes = geometry_nodes(_ball())
    begin, end = tree.nodes.new("GeometryNodeSimulationInput"), tree.nodes.new("GeometryNodeSimulationOutput")
    begin.pair_with_output(end)
    push = tree.nodes.new("GeometryNodeTransform")
    push.inputs["Translation"].default_value = (0.1, 0, 0.1)
    tree.links.new(came.outputs[0], begin.inputs["Geometry"])
    tree.links.new(begin.outputs["Geometry"], push.inputs["Geometry"])
    tree.links.new(push.outputs["Geometry"], end.inputs["Geometry"])
    tree.links.new(end.outputs["Geometry"], goes.inputs["Geometry"])


def dynamic_paint_unbaked(scene: Any, folder: Path) -> None:
    """The cube leaves waves on the floor."""
    floor = bpy.data.objects["Floor"]
    floor.modifiers.new("Dense", "SUBSURF").render_levels = 4
    canvas = floor.modifiers.new("Canvas", "DYNAMIC_PAINT")
    bpy.context.view_layer.objects.active = floor
    with bpy.context.temp_override(object=floor, active_object=floor):
        bpy.ops.dpaint.type_toggle(type="CANVAS")
    canvas.canvas_settings.canvas_surfaces[0].surface_type = "DISPLACE"
    canvas.canvas_settings.canvas_surfaces[0].frame_end = LAST
    brush = _cube().modifiers.new("Brush", "DYNAMIC_PAINT")
    with bpy.context.temp_override(object=_cube(), active_object=_cube()):
        bpy.ops.dpaint.type_toggle(type="BRUSH")
    brush.brush_settings.paint_source = "VOLUME_DISTANCE"
    _cube().location.z = 0
    animate(_cube(), "location", -1.0, 1.0, 0)


def grease_pencil(scene: Any, folder: Path) -> None:
    bpy.ops.object.grease_pencil_add(type="STROKE", location=(0, -1, 1))
    animate(bpy.context.object, "location", -0.5, 0.8, 0)


def _library(folder: Path, change: Any) -> None:
    """Save a scene with ``change``, of which something is to be linked; the open file is lost."""
    change(still_scene(), folder)
    save(folder / "library.blend")


def _linking(folder: Path, kind: str, names: list[str], blend: Path) -> list[Any]:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    library = str(folder / "library.blend")
    with bpy.data.libraries.load(library, link=True, relative=True) as (_, wanted):
        setattr(wanted, kind, names)
    return list(getattr(wanted, kind))


def linked_object(scene: Any, folder: Path) -> None:
    """An object of a library that moves and whose shape keys do."""
    blend = Path(bpy.data.filepath)

    def moving(there: Any, folder: Path) -> None:
        shape_keys(there, folder)
        animate(_ball(), "location", -1.5, 0.0, 1)
        _ball().name = "Guest"

    _library(folder, moving)
    (guest,) = _linking(folder, "objects", ["Guest"], blend)
    bpy.context.scene.collection.objects.link(guest)


def linked_collection(scene: Any, folder: Path) -> None:
    """An instance of a library's collection in which things move."""
    blend = Path(bpy.data.filepath)

    def moving(there: Any, folder: Path) -> None:
        collection = bpy.data.collections.new("Troupe")
        there.collection.children.link(collection)
        collection.objects.link(_ball())
        collection.objects.link(_cube())
        animate(_ball(), "location", -1.5, 0.0, 1)
        _ball().name = "Guest"
        bend(there, folder)

    _library(folder, moving)
    (troupe,) = _linking(folder, "collections", ["Troupe"], blend)
    shown = empty(bpy.context.scene, "Instance", (0.3, -1.2, 0))
    shown.instance_type, shown.instance_collection = "COLLECTION", troupe


def driven_by_object(scene: Any, folder: Path) -> None:
    """A driver with a variable, which Blender evaluates without Python."""
    goal = empty(scene, "Goal")
    animate(goal, "location", 0.3, 1.2, 0)
    driver = _cube().driver_add("scale", 2).driver
    variable = driver.variables.new()
    variable.name, variable.type = "x", "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].transform_type = goal, "LOC_X"
    driver.type, driver.expression = "SCRIPTED", "x*1.5+0.2"


SHAPES: tuple[Change, ...] = (
    nothing, object_moves, object_turns, object_mirrored, child_of_empty, constraint_influence, tracks_moving,
    follows_path, shape_keys, shared_mesh_deforms, armature, bend, wave, hook, ocean, displaced_by_texture,
    build_modifier, array_count, subdivision_levels, modifier_shown, boolean_cutter, uv_warp, mesh_cache, alembic,
    cloth_baked, rigid_bodies_baked, nodes_deform, nodes_topology, nodes_instances, nodes_instances_turn,
    nodes_instance_source_deforms, nodes_follow_object, nodes_attribute, nodes_material, nodes_points, nodes_curves,
    nodes_volume, collection_instance, instances_on_vertices, text_size, curve_bevel, curve_grows, metaballs, lattice,
    hair, hair_on_deforming, hair_length, particles_baked, particles_unbaked, simulation_unbaked,
    dynamic_paint_unbaked, grease_pencil, linked_object, linked_collection, driven_by_object,
)  # fmt: skip

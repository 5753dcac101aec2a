"""Scenes whose simulations were baked on the machine that renders them, or are to be baked there."""

from __future__ import annotations

import sys
from typing import Any

import bpy
from attacks.hostile_scenes import GREEN, NotHere, Place, attack, emission, plane_mesh, wall
from attacks.stolen_goods import bake_nodes, baking_group


def bake_outside(scene: Any, place: Place, cache: Any, thing: Any) -> None:
    """Bake ``cache`` to disk by a file that lies outside, then have it read from there."""
    bpy.ops.wm.save_as_mainfile(filepath=str(place.outside / "secret_bake.blend"), compress=False)
    cache.frame_start, cache.frame_end, cache.use_disk_cache = -2, 2, True
    with bpy.context.temp_override(scene=scene, object=thing, active_object=thing, point_cache=cache):
        bpy.ops.ptcache.bake(bake=True)
    folder = place.outside / "blendcache_secret_bake"
    name = next(folder.glob("*.bphys")).name.split("_")[0]
    # What Blender has made itself it also takes away.
    folder = folder.rename(folder.with_name("bake"))
    cache.use_external = True
    cache.filepath, cache.name = str(folder), name


def green_wall(scene: Any) -> Any:
    thing, glow = wall(scene)
    glow.inputs["Color"].default_value = GREEN
    return thing


@attack
def particle_cache(scene: Any, place: Place) -> None:
    scene.use_gravity = False
    emitter = bpy.data.objects.new("Emitter", plane_mesh("Emitter", 2))
    scene.collection.objects.link(emitter)
    leaf = bpy.data.objects.new("Leaf", plane_mesh("Leaf", 20))
    emission(leaf.data, GREEN)
    scene.collection.objects.link(leaf)
    leaf.location.z = 100
    emitter.modifiers.new("Particles", "PARTICLE_SYSTEM")
    system = emitter.particle_systems[0]
    system.settings.count, system.settings.frame_start, system.settings.frame_end = 20, -1, 0
    system.settings.normal_factor = 0
    system.settings.render_type, system.settings.instance_object = "OBJECT", leaf
    system.settings.particle_size = 1
    emitter.show_instancer_for_render = False
    bake_outside(scene, place, system.point_cache, emitter)
    emitter.location.z = 200


@attack
def simulation_bake(scene: Any, place: Place) -> None:
    thing = green_wall(scene)
    group, bake = baking_group()
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    came = group.nodes.new("NodeGroupInput")
    link = group.links.new(came.outputs[0], bake.inputs["Geometry"])
    bake_nodes(thing, group, place.outside / "bakes")
    group.links.remove(link)


def replayed_gas(scene: Any, folder: str) -> None:
    """A domain that simulates as soon as a frame is set, and writes into ``folder``."""
    if sys.version_info >= (3, 13) and bpy.app.version < (4, 5):
        raise NotHere("Mantaflow ends the process in this Blender with this Python")
    domain = bpy.data.objects.new("Domain", bpy.data.meshes.new("Domain"))
    corners = [(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
    sides = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    domain.data.from_pydata(corners, [], sides)
    scene.collection.objects.link(domain)
    modifier = domain.modifiers.new("Fluid", "FLUID")
    modifier.fluid_type = "DOMAIN"
    settings = modifier.domain_settings
    settings.resolution_max, settings.cache_type = 6, "REPLAY"
    settings.cache_directory = folder
    settings.cache_frame_start, settings.cache_frame_end = 1, 2


@attack
def fluid_that_bakes_where_it_likes(scene: Any, place: Place) -> None:
    replayed_gas(scene, str(place.outside / "fluid"))


@attack
def disk_cache(scene: Any, place: Place) -> None:
    """What is simulated goes beside the scene's file, which is nobody's to write to."""
    thing = green_wall(scene)
    cache = thing.modifiers.new("Cloth", "CLOTH").point_cache
    bpy.ops.wm.save_as_mainfile(filepath=str(place.root / "scene.blend"), compress=False)
    cache.frame_start, cache.frame_end, cache.use_disk_cache = 0, 2, True
    thing.location.z = 100

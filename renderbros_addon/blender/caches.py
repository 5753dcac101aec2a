"""Paths to what was simulated or baked beforehand, and to shapes that modifiers read from files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from .file_sets import Cached
from .references import Need, Reference, at, described
from .scene_paths import absolute
from .versions import bakes_to_disk, inputs_kept


def cache_references() -> Iterator[Reference]:
    """Every path of a modifier, a particle system or a rigid body world."""
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            yield from _of_modifier(modifier, thing, f'Modifier "{modifier.name}" of {described(thing)}')
    for user, cache, block in _point_caches():
        yield from _point_cache(cache, block, user)


def point_caches() -> Iterator[tuple[Any, Any]]:
    """(cache, the data-block that has it) for every simulation of the older physics."""
    for _, cache, block in _point_caches():
        if cache is not None:
            yield cache, block


def _point_caches() -> Iterator[tuple[str, Any, Any]]:
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            user = f'Modifier "{modifier.name}" of {described(thing)}'
            if modifier.type in ("CLOTH", "SOFT_BODY"):
                yield user, modifier.point_cache, thing
            elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
                for surface in modifier.canvas_settings.canvas_surfaces:
                    yield user, surface.point_cache, thing
        for system in thing.particle_systems:
            user = f'Particle system "{system.name}" of {described(thing)}'
            yield user, system.point_cache, thing
            if system.cloth is not None:
                yield user, system.cloth.point_cache, thing
    for scene in bpy.data.scenes:
        if scene.rigidbody_world is not None:
            yield f"Rigid body world of {described(scene)}", scene.rigidbody_world.point_cache, scene


def unbaked() -> Iterator[str]:
    """Simulations that are not baked: a farm renders frames in no order, and they are right in theirs alone.

    Of what geometry nodes bake into the .blend itself, Blender doesn't tell whether there is any: that counts as none.
    """
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.show_render and any(not settled for settled in _settled(modifier, thing)):
                yield f'Modifier "{modifier.name}" of {described(thing)}'
        for system in thing.particle_systems:
            moved = system.settings.type == "EMITTER" or system.use_hair_dynamics
            # What hair does is kept as cloth.
            cache = system.point_cache if system.cloth is None else system.cloth.point_cache
            if moved and not _baked(cache, thing):
                yield f'Particle system "{system.name}" of {described(thing)}'
    for scene in bpy.data.scenes:
        world = scene.rigidbody_world
        if world is not None and world.enabled and world.collection and not _baked(world.point_cache, scene):
            yield f"Rigid body world of {described(scene)}"


def _settled(modifier: Any, thing: Any) -> Iterator[bool]:
    """For each simulation of ``modifier``, whether it is baked."""
    if modifier.type in ("CLOTH", "SOFT_BODY"):
        yield _baked(modifier.point_cache, thing)
    elif modifier.type == "DYNAMIC_PAINT" and modifier.canvas_settings is not None:
        for surface in modifier.canvas_settings.canvas_surfaces:
            # A sequence of images is made by baking alone.
            if surface.is_active and surface.surface_format == "VERTEX":
                yield _baked(surface.point_cache, thing)
    elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings is not None:
        yield bool(modifier.domain_settings.has_cache_baked_data)
    elif modifier.type == "NODES":
        for bake in modifier.bakes:
            # A Bake node that nobody baked hands on what it is given.
            if bake.node is None or bake.node.bl_idname == "GeometryNodeSimulationOutput":
                yield bool(_bake_on_disk(modifier, bake, thing))


def _bake_on_disk(modifier: Any, bake: Any, thing: Any) -> list[Path]:
    """Files of what was baked of one node, if it goes to disk."""
    parent = bake.directory if bake.use_custom_path else modifier.bake_directory
    if not parent or not bakes_to_disk(modifier, bake):
        return []
    folder = "meta" if bake.use_custom_path else f"{bake.bake_id}/meta"
    return Cached((folder,), _BAKED).files(absolute(parent, thing))


def _baked(cache: Any, block: Any) -> bool:
    """Whether every frame of a simulation is kept: baked, or in a disk cache that playing the scene has filled."""
    if cache is None:
        return False
    if cache.is_baked or cache.use_external:
        return True
    kept = {int(file.stem.split("_")[-2]) for file in written_frames(cache, block)}
    return set(range(cache.frame_start, cache.frame_end + 1, cache.frame_step)) <= kept


def written_frames(cache: Any, block: Any) -> list[Path]:
    """The files of a cache that ``block`` has."""
    return [file for found in _point_cache(cache, block, "") for file in found.files()]


def fluid_frames(domain: Any) -> Cached:
    """What lies in the folder of a fluid's cache."""
    folders = ("config", "data", "guiding", "mesh", "noise", "particles")
    return Cached(folders, r"\w+\.(uni|vdb|obj\.gz|bobj\.gz|obj|raw|npz)", baked=domain.has_cache_baked_any)


def _of_modifier(modifier: Any, thing: Any, user: str) -> Iterator[Reference]:
    if modifier.type == "MESH_CACHE":
        need = Need.MUST if modifier.filepath else Need.UNUSED
        yield Reference(user, absolute(modifier.filepath, thing), "mesh cache", at(modifier), need=need)
    elif modifier.type == "MULTIRES" and modifier.filepath:
        need = Need.MUST if modifier.is_external else Need.UNUSED
        yield Reference(user, absolute(modifier.filepath, thing), "sculpted detail", at(modifier), need=need)
    elif modifier.type == "OCEAN":
        need = Need.MUST if modifier.is_cached else Need.MAY
        frames = Cached((".",), r"(disp|foam|normal|spray|spray_inverse)_-?\d{4,}\.exr", baked=modifier.is_cached)
        yield Reference(user, absolute(modifier.filepath, thing), "image", at(modifier), frames, need)
    elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings is not None:
        domain = modifier.domain_settings
        path = absolute(domain.cache_directory, thing)
        yield Reference(user, path, "fluid cache", at(domain, "cache_directory"), fluid_frames(domain))
    elif modifier.type == "NODES":
        yield from _bakes(modifier, thing, user)


_BAKED = r"[\w.-]+\.(json|blob|vdb)"


def _bakes(modifier: Any, thing: Any, user: str) -> Iterator[Reference]:
    """Bakes of simulation and bake nodes. Whether there ever was one, Blender doesn't tell: so none is missed."""
    shared: list[Any] = []
    for bake in modifier.bakes:
        need = Need.MAY if bakes_to_disk(modifier, bake) else Need.UNUSED
        if bake.use_custom_path and bake.directory:
            frames = Cached(("meta", "blobs"), _BAKED)
            path = absolute(bake.directory, thing)
            point = _forgetting(modifier, at(bake, "directory"))
            yield Reference(user, path, "simulation bake", point, frames, need)
        elif need is Need.MAY:
            shared.append(bake)
    if modifier.bake_directory:
        folders = [f"{bake.bake_id}/{folder}" for bake in shared for folder in ("meta", "blobs")]
        frames = Cached(tuple(folders), _BAKED)
        path = absolute(modifier.bake_directory, thing)
        need = Need.MAY if shared else Need.UNUSED
        point = _forgetting(modifier, at(modifier, "bake_directory"))
        yield Reference(user, path, "simulation bake", point, frames, need)


def _forgetting(modifier: Any, point: Callable[[str], None]) -> Callable[[str], None]:
    """Sets a path of bakes and has Blender forget what it read of them: it doesn't look again on its own."""

    def point_and_forget(path: str) -> None:
        with inputs_kept(modifier):
            group, modifier.node_group = modifier.node_group, None
            modifier.node_group = group
        point(path)

    return point_and_forget


def _point_cache(cache: Any, block: Any, user: str) -> Iterator[Reference]:
    """Caches of the older physics: one file a frame, in any folder or in that of the .blend that ``block`` is from."""
    if cache is None:
        return
    for item in cache.point_caches:
        baked = bool(item.is_baked)
        if item.use_external:
            frames = Cached((".",), re.escape(item.name) + r"_\d{6}(_\d\d)?\.bphys", baked=baked)
            need = Need.MUST if item.filepath else Need.UNUSED
            yield Reference(user, absolute(item.filepath, block), "physics cache", at(item), frames, need)
        elif item.use_disk_cache:
            name = re.escape(item.name) if item.name else _coded(block.name)
            frames = Cached((".",), name + r"_\d{6}_\d\d\.bphys", baked=baked)
            blend = _blend_of(block if item.use_library_path else None)
            folder = blend.with_name(f"blendcache_{blend.stem}")
            yield Reference(user, str(folder), "physics cache", None, frames)


def _blend_of(block: Any) -> Path:
    library = getattr(block, "library", None)
    return Path(absolute(library.filepath) if library is not None else bpy.data.filepath or "untitled.blend")


def _coded(name: str) -> str:
    """How Blender writes an object's name in the name of a cache file: its bytes in hexadecimal.

    It prints them as C's ``char``, which has a sign on some processors: more than ASCII gets six more digits there.
    """
    return "".join(f"{byte:02X}" if byte < 0x80 else f"(FFFFFF)?{byte:02X}" for byte in name.encode())

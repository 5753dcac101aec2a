"""Simulations that are kept from running: Blender evaluates a file as it opens it, and they write as it does.

A fluid that is replayed writes into any folder that the scene names; a disk cache goes beside the .blend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bpy

from .caches import fluid_frames, point_caches, written_frames
from .scene_paths import absolute

_SIMULATED = frozenset({"CLOTH", "DYNAMIC_PAINT", "FLUID", "PARTICLE_SYSTEM", "SOFT_BODY"})


def still() -> Callable[[], None]:
    """Switch off every simulation of the file that has just been read; returns what switches them on again.

    To be called before the file is evaluated and undone after: what simulates then goes by paths that were looked at.
    """
    undo = ExitStack()
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type in _SIMULATED and modifier.show_viewport:
                modifier.show_viewport = False
                undo.callback(setattr, modifier, "show_viewport", True)
    for scene in bpy.data.scenes:
        world = scene.rigidbody_world
        if world is not None and world.enabled:
            world.enabled = False
            undo.callback(setattr, world, "enabled", True)
    return undo.close


def write_no_new_caches(somewhere: Callable[[], Path]) -> None:
    """Have simulations of which the job brings no cache write none, or a fluid, which must, ``somewhere``."""
    for cache, block in point_caches():
        for item in cache.point_caches:
            if item.use_disk_cache and not item.use_external and not written_frames(cache, block):
                item.use_disk_cache = False
    for thing, domain in _domains():
        if domain.cache_type == "REPLAY" and not fluid_frames(domain).files(absolute(domain.cache_directory, thing)):
            domain.cache_directory = str(somewhere())


def _domains() -> Iterator[tuple[Any, Any]]:
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN" and modifier.domain_settings is not None:
                yield thing, modifier.domain_settings

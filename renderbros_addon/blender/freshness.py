"""Whether what Cycles keeps of the frame before shows the next one as a Blender would that has just opened the file.

With persistent data on, Cycles takes over only what Blender says has changed. ``tests/bench/persistent_matrix.py`` goes
through the kinds of change there are, in each Blender: what it finds wrong is kept out here, and so is what it can't
tell. Everything else is kept, since that is where most of the speed of many short frames comes from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import bpy

from .caches import unbaked
from .references import described
from .settings import settable, value_of
from .versions import animated_paths

log = logging.getLogger("renderbros.blender")

_ENGINES = ("CYCLES", "BLENDER_WORKBENCH", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
"""Those that the matrix covers."""

_FOLLOWED = frozenset({"name", "seed", "film_exposure", "filter_width", "max_bounces", "sample_clamp_direct", "device"})
"""Settings of Cycles and of view layers that a kept scene is known to follow, or that say nothing of the picture."""

_OF_RENDER = (
    "engine", "use_simplify", "simplify_subdivision_render", "simplify_child_particles_render", "simplify_volumes",
    "use_motion_blur", "hair_type", "hair_subdiv", "use_freestyle", "use_multiview", "film_transparent",
)  # fmt: skip
"""Settings of the render that decide what Cycles makes of a scene."""

_built_with: tuple[Any, ...] = ()
"""The settings with which what is kept was made. It is of no harm if that is gone meanwhile."""

_found: dict[int, tuple[str, ...]] = {}
"""By a scene's number, which no other scene has in this process, why nothing is kept of it."""

_diced: dict[int, bool] = {}
"""In the same way, whether anything in it has adaptive subdivision."""


def keep_what_stays_fresh(scene: Any) -> None:
    """Have Blender render ``scene``, which is at its frame and has all settings, from what is kept of it, or anew."""
    global _built_with
    reasons = _reasons_once(scene) + tuple(_because_of_settings(scene))
    settings = _settings(scene)
    if reasons or settings != _built_with:
        # Blender frees what it keeps as soon as this goes off.
        scene.render.use_persistent_data = False
    if not reasons:
        scene.render.use_persistent_data = True
    _built_with = settings


def stale_because(scene: Any) -> Iterator[str]:
    """Each thing in the open file that a kept scene would not show right, in a sentence."""
    if scene.render.engine not in _ENGINES:
        yield f"How the engine {scene.render.engine} follows changes is not known."
    yield from (f"Not baked: {what}." for what in unbaked())
    for thing in bpy.data.objects:
        if any(system.settings.type == "HAIR" for system in thing.particle_systems) and _may_move(thing):
            yield f"The hair of {described(thing)} may move, and comes out a bit otherwise."
            break
    bound = any(marker.camera for one in bpy.data.scenes for marker in one.timeline_markers)
    for thing in bpy.data.objects:
        if _dicing_moves(thing) or (bound and _is_diced(thing)):
            yield f"The adaptive subdivision of {described(thing)} changes, or the camera that it is made for."
            break
    used = [material for material in bpy.data.materials if material.users and material.node_tree is not None]
    moving = {material: moves for material in used for scatters, moves in [_scattering(material.node_tree)] if scatters}
    if moving and any(map(_sets_materials, bpy.data.node_groups)):
        yield "Geometry nodes set materials, and there is subsurface scattering, which may come and go with them."
    if changing := next((material for material, moves in moving.items() if moves), None):
        yield f"{described(changing)} has subsurface scattering that may come and go."


def _reasons_once(scene: Any) -> tuple[str, ...]:
    # A file may hold a hundred thousand objects, and doesn't change while it is open.
    number = scene.session_uid
    if number not in _found:
        if len(_found) > 100:
            _found.clear()
        _found[number] = tuple(stale_because(scene))
        if _found[number]:
            log.info("each frame is rendered from scratch: %s", " ".join(_found[number]))
    return _found[number]


def _because_of_settings(scene: Any) -> Iterator[str]:
    """What depends on the task."""
    if scene.render.engine != "CYCLES":
        return
    if scene.cycles.shading_system:
        yield "Scripts of the Open Shading Language may look at anything."
    # Of the first layer, later ones take over more than they should: its table of random numbers where they have
    # fewer samples (in all versions), surfaces (4.5), passes (4.3 and 5.2).
    first, *others = [layer for layer in scene.view_layers if layer.use] or [None]
    if any(_plain(layer) != _plain(first) for layer in others):
        yield "View layers have different settings."


def _plain(layer: Any) -> list[Any]:
    """The settings of a view layer but for its name and its collections."""
    owners = (layer, layer.cycles)
    return [value_of(owner, name) for owner in owners for name in settable(owner) if name != "name"]


def _settings(scene: Any) -> tuple[Any, ...]:
    """What the kept data of ``scene`` was made with, as far as it is not known to follow that."""
    found: list[Any] = [scene.session_uid, *(value_of(scene.render, name) for name in _OF_RENDER)]
    if scene.render.engine == "CYCLES":
        owners = [scene.cycles, *(layer.cycles for layer in scene.view_layers), *scene.view_layers]
        found += [value_of(owner, name) for owner in owners for name in settable(owner) if name not in _FOLLOWED]
    return tuple(found)


def _may_move(thing: Any) -> bool:
    """Whether an object or its mesh could change from frame to frame; what only its particles do doesn't count."""
    blocks = (thing, thing.data, getattr(thing.data, "shape_keys", None), *(s.settings for s in thing.particle_systems))
    return (
        thing.parent is not None
        or thing.library is not None
        or len(thing.constraints) > 0
        or any(block is not None and block.animation_data is not None for block in blocks)
        or any(modifier.type not in ("PARTICLE_SYSTEM", "SUBSURF", "TRIANGULATE") for modifier in thing.modifiers)
    )


def has_diced(scene: Any) -> bool:
    """Whether anything in ``scene`` has adaptive subdivision, which Cycles makes for the camera."""
    # Asked once for each file: it may hold a hundred thousand objects.
    number = scene.session_uid
    if number not in _diced:
        if len(_diced) > 100:
            _diced.clear()
        _diced[number] = any(_is_diced(thing) or _dicing_moves(thing) for thing in scene.objects)
    return _diced[number]


def _is_diced(thing: Any) -> bool:
    # Since 5.0 the modifier has it, before that the object.
    owners = [getattr(thing, "cycles", None), *(one for one in thing.modifiers if one.type == "SUBSURF")]
    return any(getattr(owner, "use_adaptive_subdivision", False) for owner in owners)


def _dicing_moves(thing: Any) -> bool:
    paths = animated_paths(thing)
    if paths is None:
        return _is_diced(thing)
    return any("adaptive" in path or "dicing" in path for path in paths)


def _sets_materials(tree: Any) -> bool:
    return tree.users > 0 and any(node.bl_idname.startswith("GeometryNodeSetMaterial") for node in tree.nodes)


def _scattering(tree: Any) -> tuple[bool, bool]:
    """Whether a node tree, or one of a group in it, has subsurface scattering, and whether anything in it moves."""
    waiting, seen = [tree], set()
    scatters = moves = False
    while waiting:
        tree = waiting.pop()
        if tree.as_pointer() in seen:
            continue
        seen.add(tree.as_pointer())
        moving = animated_paths(tree)
        moves = moves or moving is None or bool(moving)
        for node in tree.nodes:
            if node.bl_idname == "ShaderNodeGroup" and node.node_tree is not None:
                waiting.append(node.node_tree)
            elif node.bl_idname == "ShaderNodeSubsurfaceScattering":
                scatters = True
            elif node.bl_idname == "ShaderNodeBsdfPrincipled":
                weight = node.inputs.get("Subsurface Weight")
                path = "" if weight is None else f"{weight.path_from_id()}.default_value"
                if weight is not None and (
                    weight.is_linked or weight.default_value > 0 or moving is None or path in moving
                ):
                    scatters = True
    return scatters, moves

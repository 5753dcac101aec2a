"""The differences between Blender 4.2 and 5.2, all in one place."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

MOVIE_FORMATS = frozenset({"FFMPEG", "AVI_JPEG", "AVI_RAW", "THEORA", "XVID", "H264"})

# EEVEE Next went by a name of its own from 4.2 to 4.5 and took over EEVEE's in 5.0.
_EEVEE_NAMES = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")


def running_series() -> str:
    """The series of this Blender, such as ``4.5``."""
    major, minor, _ = bpy.app.version
    return f"{major}.{minor}"


def file_version() -> str:
    """Version that saved the open file, such as ``2.80``.

    Up to 2.93 the minor version had two digits, and 2.80 is how people know it.
    """
    major, minor, _ = bpy.data.version
    return f"{major}.{minor:02d}" if major < 3 else f"{major}.{minor}"


def engine_name(asked: str) -> str:
    """``asked``, or EEVEE's name in this Blender if that is meant."""
    if asked in _EEVEE_NAMES:
        return "BLENDER_EEVEE_NEXT" if (4, 2) <= bpy.app.version[:2] < (5, 0) else "BLENDER_EEVEE"
    return asked


def engines() -> tuple[str, ...]:
    """Every engine name that this Blender takes: its own, registered ones, and both names of EEVEE."""
    found = {"BLENDER_WORKBENCH", *_EEVEE_NAMES}
    found.update(engine.bl_idname for engine in _registered_engines(bpy.types.RenderEngine))
    return tuple(sorted(found))


def _registered_engines(base: Any) -> Iterator[Any]:
    for engine in base.__subclasses__():
        # Base classes such as HydraRenderEngine have no identifier, or are not registered.
        if isinstance(getattr(engine, "bl_idname", None), str) and engine.is_registered:
            yield engine
        yield from _registered_engines(engine)


def formats(image_settings: Any) -> tuple[str, ...]:
    """Still image formats that this Blender writes, by Blender's names."""
    items = image_settings.bl_rna.properties["file_format"].enum_items
    return tuple(item.identifier for item in items if item.identifier not in MOVIE_FORMATS)


def set_format(image_settings: Any, file_format: str) -> None:
    """Set ``file_format``; since 5.0 the kind of medium decides which formats may be set.

    Raises TypeError for a format that this Blender can't write.
    """
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = "MULTI_LAYER_IMAGE" if file_format == "OPEN_EXR_MULTILAYER" else "IMAGE"
    image_settings.file_format = file_format


def set_h264(render: Any) -> None:
    """Set ``render`` to write an H.264 film without sound into an MP4 file; TypeError if this Blender has no such."""
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    film = render.ffmpeg
    film.format, film.codec, film.audio_codec = "MPEG4", "H264", "NONE"
    film.constant_rate_factor, film.ffmpeg_preset = "HIGH", "GOOD"


def compositor_tree(scene: Any) -> Any | None:
    """The scene's compositor nodes if it is set to use some, else None."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def new_compositor(scene: Any) -> tuple[Any, Any, Any | None]:
    """Give ``scene`` an empty compositor: its node tree, its output node, and the node group that outlives the scene.

    The last is None before 5.0, where the tree is the scene's own.
    """
    if hasattr(scene, "compositing_node_group"):
        group = bpy.data.node_groups.new("Finish", "CompositorNodeTree")
        group.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = group
        return group, group.nodes.new("NodeGroupOutput"), group
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    return tree, tree.nodes.new("CompositorNodeComposite"), None


def can_denoise() -> bool:
    """OpenImageDenoise is built in; Debian's Blender, for one, lacks it."""
    try:
        import _cycles
    except ImportError:
        return False
    return bool(_cycles.with_openimagedenoise)


def denoise_node_has_quality() -> bool:
    """Before 4.4 the compositor's Denoise node knows the highest quality only."""
    return bool(bpy.app.version >= (4, 4, 0))


def set_denoise_node(node: Any, *, prefilter: str, quality: str) -> None:
    """Set a compositor's Denoise node as Cycles names the choices; since 5.0 they are sockets with words for people."""
    if "Prefilter" in node.inputs:
        node.inputs["HDR"].default_value = True
        node.inputs["Prefilter"].default_value = prefilter.capitalize()
        node.inputs["Quality"].default_value = quality.capitalize()
        return
    node.use_hdr = True
    node.prefilter = prefilter
    if denoise_node_has_quality():
        node.quality = quality


def cycles_engine() -> Any:
    """The class through which Blender calls Cycles."""
    return next(engine for engine in _registered_engines(bpy.types.RenderEngine) if engine.bl_idname == "CYCLES")


def cycles_passes(scene: Any, layer: Any) -> list[tuple[str, str]]:
    """Names of the passes that Cycles renders of a view layer, each with the letters of its channels."""
    listing = sys.modules[f"{cycles_engine().__module__}.engine"]
    return [(name, letters) for name, letters, _ in listing.list_render_passes(scene, layer)]


@dataclass(frozen=True)
class FileSlot:
    """One file that a File Output node writes for each frame and view."""

    name: str
    """As the scene has it: may hold folders, ``#`` for digits, or nothing."""
    format: Any
    """ImageFormatSettings."""


def file_output_folder(node: Any) -> str:
    """Where a File Output node writes, as the scene has it; in front of the last separator for a multilayer file."""
    if hasattr(node, "file_output_items"):
        return str(node.directory)
    if node.format.file_format == "OPEN_EXR_MULTILAYER":
        # One file: the path is the folder and the name.
        return str(node.base_path)[: -len(_last_part(node.base_path)) or None]
    return str(node.base_path)


def file_output_slots(node: Any) -> list[FileSlot]:
    """The files that a File Output node may write for a frame."""
    if hasattr(node, "file_output_items"):
        if node.format.media_type == "MULTI_LAYER_IMAGE":
            return [FileSlot(node.file_name, node.format)]
        return [
            FileSlot(node.file_name + item.name, item.format if item.override_node_format else node.format)
            for item in node.file_output_items
        ]
    if node.format.file_format == "OPEN_EXR_MULTILAYER":
        return [FileSlot(_last_part(node.base_path), node.format)]
    return [FileSlot(slot.path, node.format if slot.use_node_format else slot.format) for slot in node.file_slots]


def expand_names(text: str, scene: Any, node: Any) -> str:
    """``text`` of a File Output node with the variables filled in that Blender knows since 5.0.

    The camera's name stays as it is: it may change from frame to frame, and a job tells its files' names beforehand.
    """
    if bpy.app.version < (5, 0, 0):
        return text
    known = {
        "blend_name": Path(bpy.data.filepath).stem,
        "scene_name": scene.name,
        "node_name": node.name,
        "resolution_x": str(scene.render.resolution_x),
        "resolution_y": str(scene.render.resolution_y),
    }
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), text)


def redirect_file_output(node: Any, folder: str, names: list[str]) -> Callable[[], None]:
    """Have a File Output node write its slots as ``names`` into ``folder``; returns what puts everything back."""
    if hasattr(node, "file_output_items"):
        kept = [(node, "directory", node.directory), (node, "file_name", node.file_name)]
        node.directory = literal_path(folder)
        if node.format.media_type == "MULTI_LAYER_IMAGE":
            node.file_name = names[0]
        else:
            items = list(node.file_output_items)
            kept += [(item, "name", item.name) for item in items]
            node.file_name = ""
            for item, name in zip(items, names, strict=True):
                item.name = name
        if hasattr(node, "use_file_extension"):
            kept.append((node, "use_file_extension", node.use_file_extension))
            node.use_file_extension = True
    elif node.format.file_format == "OPEN_EXR_MULTILAYER":
        kept = [(node, "base_path", node.base_path)]
        node.base_path = f"{folder}/{names[0]}"
    else:
        kept = [(node, "base_path", node.base_path), *((slot, "path", slot.path) for slot in node.file_slots)]
        node.base_path = folder
        for slot, name in zip(list(node.file_slots), names, strict=True):
            slot.path = name

    def put_back() -> None:
        for owner, attribute, value in kept:
            setattr(owner, attribute, value)

    return put_back


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]


def sequencer_strips(scene: Any) -> tuple[Any, ...]:
    """The strips that the scene's sequencer would show (``strips`` since 4.4, ``sequences`` before)."""
    editor = scene.sequence_editor
    return () if editor is None else strips_of(editor)


def strips_of(owner: Any) -> tuple[Any, ...]:
    """The strips of a sequencer or of a meta strip."""
    return tuple(owner.strips if hasattr(owner, "strips") else owner.sequences)


def new_strips(scene: Any) -> Any:
    """The strips of a sequencer that ``scene`` has not had before, to add to."""
    editor = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def volumes_need_whole_frame(scene: Any) -> bool:
    """Cycles samples volumes by what it learns from neighbouring pixels: since 5.0, unless told to be biased."""
    return bpy.app.version >= (5, 0, 0) and not scene.cycles.volume_biased


def cycles_preferences() -> Any | None:
    """Cycles' add-on preferences, where its devices are chosen; None in a Blender without Cycles."""
    addon = bpy.context.preferences.addons.get("cycles")
    return addon.preferences if addon else None


def literal_path(path: str) -> str:
    """``path`` so that Blender takes it as it stands: since 5.0 an output path is a template with names in braces."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (5, 0, 0) else path


def embedded_compositors() -> Iterator[tuple[Any, Any]]:
    """(scene, tree) for compositors that belong to their scene: up to 4.5; since 5.0 they are node groups."""
    for scene in bpy.data.scenes:
        tree = getattr(scene, "node_tree", None) if not hasattr(scene, "compositing_node_group") else None
        if tree is not None:
            yield scene, tree


def custom_camera_script(camera: Any) -> tuple[str, bool]:
    """The OSL file that a camera names, and whether it uses it: since 4.5."""
    if not hasattr(camera, "custom_filepath"):
        return "", False
    return camera.custom_filepath, camera.type == "CUSTOM" and camera.custom_mode == "EXTERNAL"


def is_embedded_library(library: Any) -> bool:
    """What it brings is in the open file: the library is packed, or since 5.0 its data-blocks are."""
    return bool(getattr(library, "packed_file", None) or getattr(library, "is_archive", False))


def bakes_to_disk(modifier: Any, bake: Any) -> bool:
    """Where a node's bake goes is a choice since 4.3; before, it went to disk."""
    target = getattr(bake, "bake_target", "DISK")
    return bool((modifier.bake_target if target == "INHERIT" else target) == "DISK")


def modifier_input(modifier: Any, identifier: str) -> tuple[Any, Any] | None:
    """(owner, key) of a value that a Geometry Nodes modifier gives its group, or None if it has none.

    Since 5.2 it is the attribute ``value`` of an input of the modifier's properties, before it was a custom property.
    """
    if hasattr(modifier, "properties"):
        owner = getattr(modifier.properties.inputs, identifier, None)
        return (owner, "value") if owner is not None else None
    return (modifier, identifier) if identifier in modifier else None


@contextmanager
def inputs_kept(modifier: Any) -> Iterator[None]:
    """Put back what a Geometry Nodes modifier gives its group, and how it bakes, after its group was taken away."""
    held = [modifier.properties.inputs] if hasattr(modifier, "properties") else []
    inputs = [getattr(owner, prop.identifier) for owner in held for prop in _pointers(owner)]
    values = [(one.path_from_id(), name, getattr(one, name)) for one in inputs for name in _writable(one)]
    keys = {} if held else {key: modifier[key] for key in modifier.keys()}  # noqa: SIM118  (no mapping)
    bakes = {one.bake_id: {name: getattr(one, name) for name in _writable(one)} for one in modifier.bakes}
    yield
    for path, name, value in values:
        setattr(modifier.id_data.path_resolve(path), name, value)
    for key, value in keys.items():
        modifier[key] = value
    for bake in modifier.bakes:
        for name, value in bakes.get(bake.bake_id, {}).items():
            setattr(bake, name, value)


def animated_paths(block: Any) -> set[str] | None:
    """Paths below ``block`` that keyframes or drivers move; None if that can't be told: then any may be.

    Since 4.4 an action has slots, and since 5.0 its curves are found through them only.
    """
    animation = block.animation_data
    if animation is None:
        return set()
    if len(animation.nla_tracks) > 0:
        return None
    found = {driver.data_path for driver in animation.drivers}
    action = animation.action
    if action is None:
        return found
    if hasattr(action, "fcurves"):
        return found | {curve.data_path for curve in action.fcurves}
    if animation.action_slot is None:
        return found
    bags = [strip.channelbag(animation.action_slot) for layer in action.layers for strip in layer.strips]
    return found | {curve.data_path for bag in bags if bag is not None for curve in bag.fcurves}


def _pointers(owner: Any) -> Iterator[Any]:
    yield from (prop for prop in owner.bl_rna.properties if prop.type == "POINTER" and prop.identifier != "rna_type")


def _writable(owner: Any) -> list[str]:
    return [prop.identifier for prop in owner.bl_rna.properties if not prop.is_readonly]

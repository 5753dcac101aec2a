"""The differences between Blender 4.2 and 5.2, all in one place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


def compositor_tree(scene: Any) -> Any | None:
    """The scene's compositor nodes if it is set to use some, else None."""
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group
    return scene.node_tree if scene.use_nodes else None


def show_by_compositor(scene: Any, image: Any) -> Any | None:
    """Make ``scene``'s compositor put out ``image`` and nothing else.

    Returns the node group that this made and that outlives the scene (since 5.0), or None.
    """
    group = None
    if hasattr(scene, "compositing_node_group"):
        group = tree = bpy.data.node_groups.new("Finish", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = group
        output = tree.nodes.new("NodeGroupOutput")
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        output = tree.nodes.new("CompositorNodeComposite")
    source = tree.nodes.new("CompositorNodeImage")
    source.image = image
    tree.links.new(source.outputs["Image"], output.inputs[0])
    return group


def sequencer_strips(scene: Any) -> tuple[Any, ...]:
    """The strips that the scene's sequencer would show (``strips`` since 4.4, ``sequences`` before)."""
    editor = scene.sequence_editor
    return () if editor is None else strips_of(editor)


def strips_of(owner: Any) -> tuple[Any, ...]:
    """The strips of a sequencer or of a meta strip."""
    return tuple(owner.strips if hasattr(owner, "strips") else owner.sequences)


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


def _pointers(owner: Any) -> Iterator[Any]:
    yield from (prop for prop in owner.bl_rna.properties if prop.type == "POINTER" and prop.identifier != "rna_type")


def _writable(owner: Any) -> list[str]:
    return [prop.identifier for prop in owner.bl_rna.properties if not prop.is_readonly]

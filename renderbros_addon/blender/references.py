"""Every path to a file outside the open .blend that its data-blocks hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import bpy

from .file_kinds import Kind
from .file_sets import FileSet, Named, OneFile, Sequence, Tiles, Views, WithOthers
from .named_inside import osl_includes, usd_layers
from .scene_paths import absolute
from .versions import custom_camera_script, embedded_compositors, is_embedded_library, sequencer_strips, strips_of


class Need(Enum):
    """What a picture is without the file."""

    MUST = "must"
    """Wrong: that it is missing is an error."""
    MAY = "may"
    """As it should be, or perhaps not: the file goes along if it is there."""
    UNUSED = "unused"
    """The same: the file stays."""


_AS_IT_IS = OneFile()


@dataclass(frozen=True)
class Reference:
    """A path in a scene, and who uses it for what."""

    user: str
    """The data-block, such as ``Image "brick"``."""
    path: str
    """Absolute, in the notation of the machine that saved it; may hold a UDIM token or a sequence's number."""
    kind: Kind
    point: Callable[[str], None] | None
    """Sets the path. None where the place follows from where the .blend lies."""
    stands_for: FileSet = _AS_IT_IS
    need: Need = Need.MUST

    def files(self) -> list[Path]:
        """The files that are there."""
        return self.stands_for.files(self.path)

    def missing(self) -> list[str]:
        """Paths of files that should be there and are not."""
        return self.stands_for.missing(self.path) if self.need is Need.MUST else []


def at(owner: Any, attribute: str = "filepath") -> Callable[[str], None]:
    """Sets a path that is an attribute."""
    return partial(setattr, owner, attribute)


def used(block: Any) -> Need:
    """A data-block that only its fake user keeps is in no picture."""
    return Need.MUST if block.users > bool(block.use_fake_user) else Need.UNUSED


def library_references() -> Iterator[tuple[Any, Reference]]:
    """(library, its path) for the .blend files that data is linked from, those that they link from included."""
    linked_from = _linked_blocks()
    for library in bpy.data.libraries:
        if is_embedded_library(library) or not library.filepath:
            continue
        linked = list(linked_from[library])
        # A library's path is relative to the main file, whoever wanted it.
        path = absolute(library.filepath)
        brings = ", ".join(described(block) for block in linked[:3]) + (" and more" if len(linked) > 3 else "")
        user = f'Library "{library.name}"' + (f", which brings {brings}" if linked else "")
        need = Need.MUST if linked else Need.UNUSED
        yield library, Reference(user, path, "library", at(library), need=need)


def lost_blocks() -> Iterator[tuple[str, str]]:
    """(data-block, path of its library) for what a library that is there should hold and does not."""
    for library, blocks in _linked_blocks().items():
        path = absolute(library.filepath)
        if not is_embedded_library(library) and Path(path).is_file():
            for block in blocks:
                if block.is_missing:
                    yield described(block), path


def _linked_blocks() -> defaultdict[Any, dict[Any, None]]:
    """The data-blocks that each library brings, each once."""
    found: defaultdict[Any, dict[Any, None]] = defaultdict(dict)
    for collection in bpy.data.bl_rna.properties:
        if collection.type == "COLLECTION":
            for block in getattr(bpy.data, collection.identifier):
                if block.library is not None:
                    found[block.library][block] = None
    return found


def described(block: Any) -> str:
    """A data-block as a person would name it: ``Material "Gold"``."""
    return f'{_WORDS.get(block.id_type, block.id_type.capitalize())} "{block.name}"'


_WORDS = {"CACHEFILE": "Cache file", "MOVIECLIP": "Movie clip", "NODETREE": "Node group"}


def block_references() -> Iterator[Reference]:
    """Paths in images, sounds and so on, in nodes, in cameras and in the sequencer."""
    yield from _images()
    for font in bpy.data.fonts:
        if font.filepath != "<builtin>" and not font.packed_file:
            yield Reference(described(font), absolute(font.filepath, font), "font", at(font), need=used(font))
    for sound in bpy.data.sounds:
        if not sound.packed_file:
            yield Reference(described(sound), absolute(sound.filepath, sound), "sound", at(sound), need=used(sound))
    for clip in bpy.data.movieclips:
        still = clip.source == "SEQUENCE"
        yield Reference(
            described(clip), absolute(clip.filepath, clip), "image" if still else "movie", at(clip),
            Sequence() if still else OneFile(), used(clip),
        )  # fmt: skip
    for volume in bpy.data.volumes:
        if volume.filepath:  # without a path its grids come from modifiers; what is packed is not read
            frames = (range(volume.frame_offset + 1, volume.frame_offset + volume.frame_duration + 1),)
            yield Reference(
                described(volume), absolute(volume.filepath, volume), "volume", at(volume),
                Sequence(frames) if volume.is_sequence else OneFile(), used(volume),
            )  # fmt: skip
    for cache in bpy.data.cache_files:
        stands_for = Sequence() if cache.is_sequence else WithOthers(usd_layers)
        for owner in (cache, *cache.layers):
            path = absolute(owner.filepath, cache)
            yield Reference(described(cache), path, "geometry cache", at(owner), stands_for, used(cache))
    yield from _scripts_and_lamps()
    yield from _strips()


def _images() -> Iterator[Reference]:
    shown: dict[Any, tuple[range, ...] | None] | None = None
    for image in bpy.data.images:
        if image.source not in ("FILE", "MOVIE", "SEQUENCE", "TILED"):
            continue
        # Of movies and sequences Blender reads the file, whatever is packed.
        if len(image.packed_files) and image.source in ("FILE", "TILED"):
            continue
        stands_for: FileSet = OneFile()
        if image.source == "FILE" and image.use_multiview and image.views_format == "INDIVIDUAL":
            stands_for = Views(tuple({view.file_suffix for scene in bpy.data.scenes for view in scene.render.views}))
        elif image.source == "TILED":
            stands_for = Tiles(tuple(tile.number for tile in image.tiles))
        elif image.source == "SEQUENCE":
            shown = _frames_shown() if shown is None else shown
            stands_for = Sequence(shown.get(image))
        kind: Kind = "movie" if image.source == "MOVIE" else "image"
        yield Reference(described(image), absolute(image.filepath, image), kind, at(image), stands_for, used(image))


def _frames_shown() -> dict[Any, tuple[range, ...] | None]:
    """The numbers of each sequence that its nodes show; None where something else uses it too."""
    ranges: dict[Any, list[range]] = {}
    uses: Counter[Any] = Counter()
    for _, _, tree in node_trees():
        for node in tree.nodes:
            image = getattr(node, "image", None)
            # Compositor nodes hold the range themselves; geometry nodes take a frame from anywhere.
            user = getattr(node, "image_user", node)
            if image is None or not hasattr(user, "frame_duration"):
                continue
            uses[image] += 1
            first = user.frame_offset + 1
            ranges.setdefault(image, []).append(range(first, first + user.frame_duration))
    return {image: tuple(some) if uses[image] >= image.users else None for image, some in ranges.items()}


def node_trees() -> Iterator[tuple[str, Any, Any]]:
    """(who, data-block, tree) for every node tree."""
    blocks = (bpy.data.materials, bpy.data.worlds, bpy.data.lights, bpy.data.linestyles, bpy.data.textures)
    for block in chain.from_iterable(blocks):
        if block.node_tree:
            yield described(block), block, block.node_tree
    for group in bpy.data.node_groups:
        yield f'Node group "{group.name}"', group, group
    for scene, tree in embedded_compositors():
        yield f"Compositor of {described(scene)}", scene, tree


def _scripts_and_lamps() -> Iterator[Reference]:
    script = WithOthers(_with_compiled)
    for who, block, tree in node_trees():
        for node in tree.nodes:
            if node.bl_idname not in ("ShaderNodeTexIES", "ShaderNodeScript") or not node.filepath:
                continue
            need = Need.MUST if node.mode == "EXTERNAL" else Need.UNUSED
            path = absolute(node.filepath, block)
            if node.bl_idname == "ShaderNodeTexIES":
                yield Reference(f"IES texture of {who}", path, "light profile", at(node), need=need)
            else:
                yield Reference(f"Script of {who}", path, "script", at(node), script, need)
    for camera in bpy.data.cameras:
        path, external = custom_camera_script(camera)
        if path:
            need = Need.MUST if external else Need.UNUSED
            yield Reference(
                f"Script of {described(camera)}", absolute(path, camera), "script", at(camera, "custom_filepath"),
                script, need,
            )  # fmt: skip


def _with_compiled(script: Path) -> list[Path]:
    """What a script includes, and its compiled form if that lies beside it: the renderer may not write there."""
    compiled = script.with_suffix(".oso")
    return [*osl_includes(script), *([compiled] if compiled != script and compiled.is_file() else [])]


def _strips() -> Iterator[Reference]:
    def below(strips: Iterable[Any]) -> Iterator[Any]:
        for strip in strips:
            yield strip
            if strip.type == "META":
                yield from below(strips_of(strip))

    for scene in bpy.data.scenes:
        for strip in below(sequencer_strips(scene)):
            user = f'Strip "{strip.name}" of {described(scene)}'
            # What is muted may be animated not to be.
            need = Need.UNUSED if not scene.render.use_sequencer else Need.MAY if strip.mute else Need.MUST
            if strip.type == "MOVIE":
                yield Reference(user, absolute(strip.filepath, scene), "movie", at(strip), need=need)
            elif strip.type == "IMAGE":
                names = Named(tuple(element.filename for element in strip.elements))
                yield Reference(user, absolute(strip.directory, scene), "image", at(strip, "directory"), names, need)

"""Which files a scene needs, which are missing, and keeping it to the files its job brought."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import bpy

from ..protocol.renderer import MissingFile

_SEQUENCE_NUMBER = re.compile(r"(\d+)(?=\D*\Z)")
_OUTSIDE = "renderbros-outside"
"""A folder that no job has: a path outside of the job's files is pointed there and is missing."""


@dataclass(frozen=True)
class Reference:
    """A path in a scene, as (owner, attribute), and who uses it."""

    owner: Any
    attribute: str
    user: str
    path: str
    """Absolute, in the notation of the machine that saved it; may hold a UDIM token or a sequence's number."""
    kind: str = "file"
    """``file``, ``library``, ``sequence``, ``tiles`` or ``folder``."""

    def files(self) -> list[Path]:
        """The files it stands for; those of tiles may be missing, those of a sequence or a folder are there."""
        if self.kind == "tiles":
            return [Path(p) for p in _tile_paths(self.owner, self.path)]
        if self.kind == "sequence":
            return _sequence_files(Path(self.path))
        if self.kind == "folder":
            folder = Path(self.path)
            return sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else []
        return [Path(self.path)]

    def missing(self) -> list[str]:
        """Paths that should be there and are not. A folder is a cache that may not have been made: never missing."""
        if self.kind == "folder":
            return []
        return [str(p) for p in self.files() if not p.is_file()] if self.files() else [self.path]


def references() -> list[Reference]:
    """Every path to a file outside the open .blend that its picture may need, packed and unused ones left out."""
    return [reference for reference in _all_references() if reference.path]


def needed_files() -> list[Path]:
    """Absolute paths of the files that are there, the open .blend first, each once."""
    found: dict[str, Path] = {}
    blend = Path(bpy.data.filepath)
    candidates: list[Path] = [blend]
    for reference in references():
        candidates += reference.files()
    # Whatever else Blender itself knows of: nothing that the list above lacks must be left behind.
    candidates += [Path(_native(path)) for path in bpy.utils.blend_paths(absolute=True, packed=False, local=False)]
    for path in candidates:
        absolute = Path(os.path.normpath(path))
        if absolute.is_file() and not _is_blenders_own(str(absolute)):
            found.setdefault(os.path.normcase(absolute), absolute)
    return list(found.values())


def missing_files() -> list[MissingFile]:
    """What :func:`references` refers to and is not there."""
    return [
        MissingFile(path=os.path.normpath(path), user=reference.user)
        for reference in references()
        for path in reference.missing()
    ]


def confine(root: Path, source_root: str | None) -> list[MissingFile]:
    """Point every path below ``source_root`` to its like below ``root``, and every other outside ``root`` nowhere.

    So a hostile scene can't show this machine's files in its picture. Returns what is missing then, by the path that
    the scene had.
    """
    missing: list[MissingFile] = []
    # Libraries first: loading one again brings its own images, fonts and so on, which are looked at next.
    for reference in sorted(references(), key=lambda r: r.kind != "library"):
        inside = inside_root(reference.path, root, source_root)
        if inside is None:
            if _is_blenders_own(reference.path):
                continue
            inside = str(root / _OUTSIDE / "missing")
        if os.path.normpath(inside) != os.path.normpath(reference.path):
            _point(reference, inside)
            moved = Reference(reference.owner, reference.attribute, reference.user, inside, reference.kind)
            if moved.missing():
                missing.append(MissingFile(path=reference.path, user=reference.user))
        else:
            missing += [MissingFile(path=path, user=reference.user) for path in reference.missing()]
    return missing


def inside_root(path: str, root: Path, source_root: str | None) -> str | None:
    """``path`` if it is below ``root``; its like below ``root`` if it is below ``source_root``; else None.

    ``path`` and ``source_root`` may be another platform's, so they are compared as text.
    """
    if _below(path, str(root)) is not None:
        return path
    if source_root is not None:
        rest = _below(path, source_root)
        if rest is not None:
            return str(root.joinpath(*rest))
    return None


def _below(path: str, folder: str) -> list[str] | None:
    parts, folder_parts = _parts(path), _parts(folder)
    start = parts[: len(folder_parts)]
    # Windows takes no notice of case; elsewhere two names that differ in it are two files.
    alike = _folded(start) == _folded(folder_parts) if PureWindowsPath(folder).drive else start == folder_parts
    return parts[len(folder_parts) :] if alike else None


def _parts(path: str) -> list[str]:
    """Parts of a POSIX or Windows path with ``.`` and ``..`` resolved by name alone."""
    windows = PureWindowsPath(path).drive != ""
    parts: list[str] = []
    for part in (path.replace("\\", "/") if windows else path).split("/"):
        if part == "..":
            parts[1:] = parts[1:-1]
        elif part not in ("", ".") or not parts:
            parts.append(part)
    return parts


def _folded(parts: list[str]) -> list[str]:
    return [part.casefold() for part in parts]


def _point(reference: Reference, path: str) -> None:
    setattr(reference.owner, reference.attribute, path)
    if reference.kind == "library":
        reference.owner.reload()


def _is_blenders_own(path: str) -> bool:
    """Files of Blender's installation, such as its bundled assets, are on every machine."""
    home = bpy.utils.resource_path("LOCAL") or bpy.utils.resource_path("SYSTEM")
    return bool(home) and _below(path, home) is not None


def _absolute(path: str, block: Any) -> str:
    """``path`` of the data-block ``block``, made absolute: ``//`` is where the .blend lies that ``block`` is from."""
    library = getattr(block, "library", None)
    return _native(bpy.path.abspath(_native(path), library=library))


def _native(path: str) -> str:
    """A relative path written on Windows keeps its backslashes in the file."""
    return path.replace("\\", "/") if os.sep == "/" and path.startswith("//") else path


def _all_references() -> Iterator[Reference]:
    for library in bpy.data.libraries:
        if not getattr(library, "packed_file", None) and _used(library):
            yield Reference(library, "filepath", f'Library "{library.name}"', _library_path(library), "library")
    yield from _image_references()
    for font in bpy.data.fonts:
        if font.filepath != "<builtin>" and not font.packed_file and _used(font):
            yield Reference(font, "filepath", f'Font "{font.name}"', _absolute(font.filepath, font))
    for sound in bpy.data.sounds:
        if not sound.packed_file and _used(sound):
            yield Reference(sound, "filepath", f'Sound "{sound.name}"', _absolute(sound.filepath, sound))
    for clip in bpy.data.movieclips:
        if _used(clip):
            kind = "sequence" if clip.source == "SEQUENCE" else "file"
            yield Reference(clip, "filepath", f'Movie clip "{clip.name}"', _absolute(clip.filepath, clip), kind)
    for volume in bpy.data.volumes:
        if not volume.packed_file and _used(volume) and volume.filepath:
            kind = "sequence" if volume.is_sequence else "file"
            yield Reference(volume, "filepath", f'Volume "{volume.name}"', _absolute(volume.filepath, volume), kind)
    for cache in bpy.data.cache_files:
        if _used(cache):
            kind = "sequence" if cache.is_sequence else "file"
            yield Reference(cache, "filepath", f'Cache file "{cache.name}"', _absolute(cache.filepath, cache), kind)
    yield from _node_references()
    yield from _modifier_references()
    yield from _strip_references()


def _used(block: Any) -> bool:
    return bool(block.users) or isinstance(block, bpy.types.Library)


def _library_path(library: Any) -> str:
    # An indirect library's path is kept relative to the main file, not to the library that wanted it.
    return _native(bpy.path.abspath(_native(library.filepath)))


def _image_references() -> Iterator[Reference]:
    kinds = {"FILE": "file", "MOVIE": "file", "SEQUENCE": "sequence", "TILED": "tiles"}
    for image in bpy.data.images:
        if image.source in kinds and image.filepath and not image.packed_file and _used(image):
            path = _absolute(image.filepath, image)
            yield Reference(image, "filepath", f'Image "{image.name}"', path, kinds[image.source])


def _node_trees() -> Iterator[tuple[str, Any, Any]]:
    """(who, data-block, tree) for every node tree."""
    for what, blocks in (("Material", bpy.data.materials), ("World", bpy.data.worlds), ("Light", bpy.data.lights)):
        for block in blocks:
            if block.node_tree:
                yield f'{what} "{block.name}"', block, block.node_tree
    for group in bpy.data.node_groups:
        yield f'Node group "{group.name}"', group, group


def _node_references() -> Iterator[Reference]:
    for who, block, tree in _node_trees():
        for node in tree.nodes:
            if node.bl_idname in ("ShaderNodeTexIES", "ShaderNodeScript") and node.mode == "EXTERNAL":
                what = "IES texture" if node.bl_idname == "ShaderNodeTexIES" else "Script"
                if node.filepath:
                    yield Reference(node, "filepath", f"{what} of {who}", _absolute(node.filepath, block))


def _modifier_references() -> Iterator[Reference]:
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            user = f'Modifier "{modifier.name}" of Object "{thing.name}"'
            if modifier.type == "MESH_CACHE" and modifier.filepath:
                yield Reference(modifier, "filepath", user, _absolute(modifier.filepath, thing))
            elif modifier.type == "OCEAN" and modifier.is_cached:
                yield Reference(modifier, "filepath", user, _absolute(modifier.filepath, thing), "folder")
            elif modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                domain = modifier.domain_settings
                yield Reference(domain, "cache_directory", user, _absolute(domain.cache_directory, thing), "folder")
            elif modifier.type == "NODES":
                if modifier.bake_directory:
                    path = _absolute(modifier.bake_directory, thing)
                    yield Reference(modifier, "bake_directory", user, path, "folder")
                for bake in modifier.bakes:
                    if bake.use_custom_path and bake.directory:
                        yield Reference(bake, "directory", user, _absolute(bake.directory, thing), "folder")
    # Disk caches of the older physics lie beside the .blend, in a folder named after it.
    blend = Path(bpy.data.filepath)
    yield Reference(None, "", "Physics caches", str(blend.with_name(f"blendcache_{blend.stem}")), "folder")


def _strip_references() -> Iterator[Reference]:
    from .versions import sequencer_strips

    def below(strips: Iterable[Any]) -> Iterator[Any]:
        for strip in strips:
            yield strip
            if strip.type == "META":
                yield from below(strip.strips if hasattr(strip, "strips") else strip.sequences)

    for scene in bpy.data.scenes:
        for strip in below(sequencer_strips(scene)):
            user = f'Strip "{strip.name}"'
            if strip.type == "MOVIE" and not strip.mute:
                yield Reference(strip, "filepath", user, _absolute(strip.filepath, scene))
            elif strip.type == "IMAGE" and not strip.mute and strip.elements:
                path = str(Path(_absolute(strip.directory, scene)) / strip.elements[0].filename)
                yield StripReference(strip, "directory", user, path, "file")


class StripReference(Reference):
    """An image strip: a folder, and the names of files in it."""

    def files(self) -> list[Path]:
        folder = Path(self.path).parent
        return [folder / name for name in dict.fromkeys(element.filename for element in self.owner.elements)]


def _tile_paths(image: Any, path: str) -> list[str]:
    """Paths of a tiled image's tiles: 1001, 1002 and so on, or u1_v1 and so on."""
    paths = []
    for tile in image.tiles:
        u, v = (tile.number - 1001) % 10 + 1, (tile.number - 1001) // 10 + 1
        paths.append(path.replace("<UDIM>", str(tile.number)).replace("<UVTILE>", f"u{u}_v{v}"))
    return list(dict.fromkeys(paths))


def _sequence_files(path: Path) -> list[Path]:
    """The files named like ``path`` but for the last number in the name."""
    found = _SEQUENCE_NUMBER.search(path.name)
    if not found or not path.parent.is_dir():
        return [path] if path.is_file() else []
    before, after = re.escape(path.name[: found.start()]), re.escape(path.name[found.end() :])
    alike = re.compile(rf"\A{before}\d+{after}\Z")
    return sorted(p for p in path.parent.iterdir() if alike.match(p.name) and p.is_file())

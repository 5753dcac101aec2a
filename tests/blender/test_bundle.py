"""Files that a scene needs: found, missed by name, kept inside the job's folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene_features import _tree
from scenes import fresh_scene, save

from renderbros_addon.blender.bundle import missing_files, needed_files
from renderbros_addon.blender.confine import confine
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.scene_paths import inside_root


def picture(path: Path, value: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, 4, 4)
    image.pixels.foreach_set(np.full(64, value, np.float32))
    image.file_format, image.filepath_raw = "PNG", str(path)
    image.save()
    bpy.data.images.remove(image)
    return path


def show(path: str, source: str = "FILE") -> Any:
    """Have the floor show the image at ``path``."""
    tree, _, shader = _tree("Floor")
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new(Path(path).stem, 4, 4, tiled=source == "TILED")
    node.image.source = source
    node.image.filepath = path
    tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    return node.image


def reopened(path: Path) -> None:
    save(path)
    open_blend(path)


def names() -> list[str]:
    return [path.name for path in needed_files()]


def test_images_there_and_missing(tmp_path: Path) -> None:
    fresh_scene()
    picture(tmp_path / "textures" / "wood.png")
    show("//textures/wood.png")
    show(str(tmp_path / "textures" / "gone.png"))
    packed = show(str(tmp_path / "textures" / "wood.png"))
    packed.name = "packed"
    packed.pack()
    unused = bpy.data.images.new("unused", 4, 4)
    unused.source, unused.filepath, unused.use_fake_user = "FILE", "//never.png", False
    reopened(tmp_path / "scene.blend")
    assert names() == ["scene.blend", "wood.png"]
    missing = missing_files()
    assert [(file.path, file.user) for file in missing] == [(str(tmp_path / "textures" / "gone.png"), 'Image "gone"')]


def test_tiles_and_sequences_are_taken_whole(tmp_path: Path) -> None:
    fresh_scene()
    for number in (1001, 1002):
        picture(tmp_path / f"skin.{number}.png")
    for number in (1, 2, 3):
        picture(tmp_path / f"clip_{number:03d}.png")
    picture(tmp_path / "clip_other.png")
    tiled = show("//skin.<UDIM>.png", "TILED")
    tiled.tiles.new(1002)
    tiled.tiles.new(1003)
    show("//clip_001.png", "SEQUENCE")
    reopened(tmp_path / "scene.blend")
    assert sorted(names()) == [
        "clip_001.png",
        "clip_002.png",
        "clip_003.png",
        "scene.blend",
        "skin.1001.png",
        "skin.1002.png",
    ]
    assert [Path(file.path).name for file in missing_files()] == ["skin.1003.png"]


def test_fonts_sounds_and_volumes_are_named(tmp_path: Path) -> None:
    scene = fresh_scene()
    for name, data in (("words", bpy.data.curves.new("words", "FONT")), ("smoke", bpy.data.volumes.new("smoke"))):
        scene.collection.objects.link(bpy.data.objects.new(name, data))
    system_font = next(Path(bpy.utils.resource_path("LOCAL")).rglob("*.woff2"), None)
    if system_font is not None:
        shutil.copy(system_font, tmp_path / "type.woff2")
        bpy.data.curves["words"].font = bpy.data.fonts.load(str(tmp_path / "type.woff2"))
    bpy.data.volumes["smoke"].filepath = "//smoke.vdb"
    tree, _, _ = _tree("Floor")
    lamp = tree.nodes.new("ShaderNodeTexIES")
    lamp.mode, lamp.filepath = "EXTERNAL", "//lamp.ies"
    save(tmp_path / "scene.blend")
    (tmp_path / "type.woff2").unlink(missing_ok=True)
    open_blend(tmp_path / "scene.blend")
    users = {Path(file.path).name: file.user for file in missing_files()}
    assert users["smoke.vdb"] == 'Volume "smoke"'
    assert users["lamp.ies"] == 'IES texture of Material "Floor"'
    if system_font is not None:
        assert users["type.woff2"].startswith("Font ")


def library(folder: Path) -> Path:
    """A library with a material that shows an image beside it."""
    fresh_scene()
    picture(folder / "brick.png")
    show("//brick.png")
    bpy.data.materials["Floor"].name = "Bricks"
    return save(folder / "library.blend")


MISSING_LIBRARY = 'Library "library.blend", which brings Material "Bricks"'


def linked_scene(folder: Path, library_path: Path) -> Path:
    fresh_scene()
    save(folder / "scene.blend")
    with bpy.data.libraries.load(str(library_path), link=True, relative=False) as (_, wanted):
        wanted.materials = ["Bricks"]
    bpy.data.objects["Floor"].data.materials[0] = wanted.materials[0]
    return save(folder / "scene.blend")


def test_a_librarys_own_images_are_found(tmp_path: Path) -> None:
    path = linked_scene(tmp_path, library(tmp_path / "lib"))
    open_blend(path)
    assert sorted(names()) == ["brick.png", "library.blend", "scene.blend"]
    (tmp_path / "lib" / "brick.png").unlink()
    assert [Path(file.path).name for file in missing_files()] == ["brick.png"]
    (tmp_path / "lib" / "library.blend").unlink()
    open_blend(path)
    missing = missing_files()
    assert [(Path(file.path).name, file.user) for file in missing] == [("library.blend", MISSING_LIBRARY)]


def test_absolute_paths_are_taken_along(tmp_path: Path) -> None:
    source, root = tmp_path / "artist", tmp_path / "worker"
    path = linked_scene(source, library(source / "lib"))
    open_blend(path)
    picture(source / "tex" / "wood.png")
    tree = bpy.data.materials["Gold"].node_tree
    tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images.load(str(source / "tex" / "wood.png"))
    save(path)
    shutil.copytree(source, root)
    shutil.rmtree(source)
    open_blend(root / "scene.blend")
    assert missing_files()
    assert confine(root, str(source)) == []
    assert missing_files() == []
    assert bpy.data.materials["Bricks"].node_tree is not None
    assert all(path.is_relative_to(root) for path in needed_files())
    assert len(needed_files()) == 4


def test_files_outside_the_job_are_out_of_reach(tmp_path: Path) -> None:
    fresh_scene()
    secret = picture(tmp_path / "home" / "secret.png")
    inside = picture(tmp_path / "job" / "inside.png")
    show(str(secret))
    show("//../home/secret.png")
    show(str(inside))
    reopened(tmp_path / "job" / "scene.blend")
    missing = confine(tmp_path / "job", None)
    assert [Path(file.path).name for file in missing] == ["secret.png", "secret.png"]
    paths = {bpy.path.abspath(image.filepath) for image in bpy.data.images if image.source == "FILE"}
    assert str(inside) in paths
    assert not any("secret" in path for path in paths)


@pytest.mark.parametrize(
    ("path", "source_root", "expected"),
    [
        ("/job/tex/a.png", None, "/job/tex/a.png"),
        ("/job/../etc/passwd", None, None),
        ("/jobs/a.png", None, None),
        ("/home/me/film/tex/a.png", "/home/me/film", "/job/tex/a.png"),
        ("/home/me/film/tex/../../a.png", "/home/me/film", None),
        ("C:\\Film\\Tex\\a.png", "c:\\film", "/job/Tex/a.png"),
        ("C:/Film/Tex/a.png", "C:\\Film", "/job/Tex/a.png"),
        ("D:\\Film\\a.png", "C:\\Film", None),
        ("/home/ME/film/a.png", "/home/me/film", None),
    ],
)
def test_paths_of_other_platforms(path: str, source_root: str | None, expected: str | None) -> None:
    assert inside_root(path, Path("/job"), source_root) == expected


@given(
    st.lists(st.sampled_from(["..", ".", "a", "etc", "job", ""]), max_size=8), st.sampled_from(["/", "/job/", "/src/"])
)
def test_no_path_escapes(parts: list[str], start: str) -> None:
    inside = inside_root(start + "/".join(parts), Path("/job"), "/src")
    if inside is not None:
        # POSIX keeps a leading double slash, which means the root all the same here.
        assert os.path.normpath(inside).replace("//", "/").startswith("/job")


def test_a_views_suffix_leads_nowhere(tmp_path: Path) -> None:
    """A stereo image's files are found by the views' suffixes, which are the scene's to choose."""
    scene = fresh_scene()
    scene.render.use_multiview = True
    for view in scene.render.views:
        view.file_suffix = "w/../../secret"
    show(str(picture(tmp_path / "wallw.png")))
    save(tmp_path / "scene.blend")
    assert {path.name for path in needed_files()} == {"scene.blend", "wallw.png"}
    confine(tmp_path, None)
    assert not any("/" in view.file_suffix for view in scene.render.views)

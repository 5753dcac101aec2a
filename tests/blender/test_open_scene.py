"""The scene that is open in this Blender, as a job."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest
from scene_files import shown_image
from scenes import fresh_scene, save

from renderbros_addon.blender.bundle import missing_files
from renderbros_addon.blender.confine import confine
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.open_scene import take_open_scene
from renderbros_addon.protocol.jobs import RenderSettings


def painted(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new("wood", 4, 4)
    image.file_format, image.filepath_raw = "PNG", str(path)
    image.save()
    bpy.data.images.remove(image)


def test_unsaved_changes_go_along_and_the_open_scene_stays_as_it_is(tmp_path: Path) -> None:
    scene = fresh_scene()
    blend = tmp_path / "film" / "shot.blend"
    painted(blend.parent / "textures" / "wood.png")
    shown_image(scene, "wood", 0, 1, "//textures/wood.png")
    save(blend)
    saved = blend.read_bytes()
    bpy.data.objects["Ball"].location.x = 5
    scene.frame_set(3)
    (tmp_path / "scratch").mkdir()
    taken = take_open_scene(tmp_path / "scratch", settings=RenderSettings(percentage=50))

    assert (bpy.data.filepath, scene.frame_current, scene.render.resolution_percentage) == (str(blend), 3, 100)
    assert bpy.data.is_dirty or blend.read_bytes() == saved
    assert blend.read_bytes() == saved
    assert taken.blend == blend
    assert taken.copy.parent == tmp_path / "scratch"
    assert taken.inspection.files == (str(blend), str(blend.parent / "textures" / "wood.png"))
    assert (taken.inspection.width, taken.inspection.missing) == (32, ())

    # A worker has the copy where the open file was.
    root = tmp_path / "job"
    shutil.copytree(blend.parent, root)
    shutil.copy(taken.copy, root / "shot.blend")
    open_blend(root / "shot.blend")
    assert confine(root, str(blend.parent)) == []
    assert missing_files() == []
    assert bpy.data.objects["Ball"].location.x == 5


def test_a_scene_that_was_never_saved_can_be_taken(tmp_path: Path) -> None:
    scene = fresh_scene()
    painted(tmp_path / "wood.png")
    shown_image(scene, "wood", 0, 1, str(tmp_path / "wood.png"))
    (tmp_path / "scratch").mkdir()
    taken = take_open_scene(tmp_path / "scratch")
    assert bpy.data.filepath == ""
    assert taken.blend == taken.copy
    assert taken.copy.is_file()
    assert taken.inspection.files == (str(taken.copy), str(tmp_path / "wood.png"))


def test_paint_that_is_in_memory_alone_is_told(tmp_path: Path) -> None:
    scene = fresh_scene()
    painted(tmp_path / "wood.png")
    image = shown_image(scene, "wood", 0, 1, str(tmp_path / "wood.png")).image
    image.pixels.foreach_set(np.ones(64, np.float32))
    taken = take_open_scene(tmp_path)
    assert any(
        warning.startswith('Image "wood" has changes that are not saved') for warning in taken.inspection.warnings
    )


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    fresh_scene()
    with pytest.raises(OSError, match="can't save a copy of the scene into"):
        take_open_scene(tmp_path / "gone" / "away")

"""A scene with a file of every kind: found, brought along, and the same picture where it is brought to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from blender_images import channels_of
from scene_files import FRAMES, everything

from renderbros_addon.blender.bundle import missing_files, needed_files
from renderbros_addon.blender.confine import confine
from renderbros_addon.blender.open import open_blend
from renderbros_addon.cli.submission import place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Path]]]:
    """The .blend, and the files that each part of it needs."""
    blend = tmp_path_factory.mktemp("artist") / "shots" / "shot.blend"
    blend.parent.mkdir()
    return blend, everything(blend)


def rendered(folder: Path) -> dict[str, Any]:
    """The channels of the last frame of the open scene."""
    scene = bpy.context.scene
    scene.frame_set(FRAMES)
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.render.filepath = str(folder / "frame.exr")
    bpy.ops.render.render(write_still=True)
    return channels_of(folder / "frame.exr")


def test_every_file_is_found_and_no_other(made: tuple[Path, dict[str, list[Path]]]) -> None:
    blend, parts = made
    open_blend(blend)
    assert missing_files() == []
    found = needed_files()
    assert found[0] == blend
    expected = {file for files in parts.values() for file in files}
    assert {str(file.relative_to(blend.parent)) for file in found[1:]} == {
        str(file.relative_to(blend.parent)) for file in expected
    }


def test_what_is_missing_is_told_by_data_block(made: tuple[Path, dict[str, list[Path]]], tmp_path: Path) -> None:
    blend, parts = made
    alone = tmp_path / "alone" / blend.name
    alone.parent.mkdir()
    shutil.copy(blend, alone)
    # Absolute paths lead to where everything was: that is away for a moment.
    away = blend.parent.rename(blend.parent.with_name("away"))
    try:
        open_blend(alone)
        missing = {Path(file.path).name: file.user for file in missing_files()}
    finally:
        away.rename(blend.parent)
    told = {
        "wood.png": 'Image "wood"', "sky.exr": 'Image "sky.exr"', "plate_001.png": 'Image "plate"',
        "skin.1001.png": 'Image "skin"', "skin.1002.png": 'Image "skin"', "film.mkv": 'Image "film"',
        "beep.wav": 'Sound "beep.wav"', "type.woff2": 'Font "', "points.mdd": 'Modifier "Cache" of Object "points.mdd"',
        "points.pc2": 'Modifier "Cache" of Object "points.pc2"', "smoke_0001.vdb": 'Volume "smoke"',
        "blendcache_shot": 'Modifier "Cloth" of Object "Tüch"', "lamp.ies": 'IES texture of Light "profile"',
        "stripes.osl": 'Script of Material "stripes"',
        "things.blend": 'Library "things.blend", which brings Object "linked"',
    }  # fmt: skip
    for part, name, user in (
        ("imported_geometry", "quad.obj", 'Node "Import OBJ" of Node group "import"'),
        ("alembic", "flag.abc", 'Cache file "flag.abc"'),
        ("usd", "shot.usda", 'Cache file "shot.usda"'),
    ):
        if parts[part]:
            told[name] = user
    for name, user in told.items():
        assert missing.get(name, "not told").startswith(user), name


def test_the_picture_is_the_same_where_the_files_are_brought_to(
    made: tuple[Path, dict[str, list[Path]]], tmp_path: Path
) -> None:
    blend, _ = made
    open_blend(blend)
    here = rendered(tmp_path)
    source_root, placed = place(blend, needed_files())
    root = tmp_path / "job"
    for path, source in placed:
        to = root / path
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to)
    away = blend.parent.rename(blend.parent.with_name("away"))
    try:
        open_blend(root / placed[0][0])
        assert confine(root, source_root) == []
        assert missing_files() == []
        assert all(file.is_relative_to(root) for file in needed_files())
        there = rendered(tmp_path)
        # What shows the files? Without them the picture is another.
        for folder in (
            "textures", "plate", "caches", "bakes", "lib", "lib/deep", "lib/blendcache_things",
            f"blendcache_{blend.stem}",
        ):  # fmt: skip
            hidden = (root / folder).rename(root / "hidden")
            open_blend(root / placed[0][0])
            confine(root, source_root)
            less = rendered(tmp_path)
            hidden.rename(root / folder)
            assert any(not np.array_equal(here[name], less[name]) for name in here), folder
    finally:
        away.rename(blend.parent)
    assert here.keys() == there.keys()
    for name in here:
        np.testing.assert_array_equal(here[name], there[name], name)

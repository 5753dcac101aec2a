"""What a frame comes to beside its picture, whole and tiled alike: File Output nodes, the views of a stereo frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest
from blender_images import assert_same_pixels, channels_of
from scene_features import all_passes, compositing, denoised, ends

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.inspect import inspect
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.progress import ProgressBoard
from renderbros_addon.blender.render import render
from renderbros_addon.blender.versions import set_format
from renderbros_addon.protocol.frames import frame_file_name
from renderbros_addon.protocol.jobs import name_key
from renderbros_addon.protocol.renderer import InspectRequest


def file_output_node(scene: Any, folder: str, names: list[str], *, kind: str = "OPEN_EXR") -> Any:
    """A File Output node with a slot for each name, all of them fed from Render Layers."""
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    layers, _ = ends(tree)
    node = tree.nodes.new("CompositorNodeOutputFile")
    set_format(node.format, kind)
    layered = kind == "OPEN_EXR_MULTILAYER"
    if hasattr(node, "file_output_items"):
        node.directory, node.file_name = folder, names[0] if layered else ""
        for name in ["Image"] if layered else names:
            node.file_output_items.new("RGBA", name)
    elif layered:
        node.base_path = f"{folder}/{names[0]}"
    else:
        node.base_path = folder
        node.file_slots.clear()
        for name in names:
            node.file_slots.new(name)
    for socket in list(node.inputs)[: 1 if layered else len(names)]:
        tree.links.new(layers.outputs["Image"], socket)
    return node


def passes_written(scene: Any) -> None:
    """Files below the picture's folder, elsewhere, of the same names, and in layers."""
    compositing(scene)
    file_output_node(scene, "//passes", ["diffuse_", "depth_##_z"])
    file_output_node(scene, "//../../passes", ["diffuse_"], kind="PNG")
    file_output_node(scene, "//layers", ["all"], kind="OPEN_EXR_MULTILAYER")


def test_file_outputs_come_with_the_frame_tiled_or_whole(studio: Any) -> None:
    studio.take(passes_written)
    assert studio.inspection.whole_because == ()
    assert set(studio.inspection.extras) == {
        "passes/diffuse_####.exr",
        "passes/depth_##_z.exr",
        "passes/diffuse_####.png",
        "layers/all####.exr",
    }
    before = sorted(path for path in studio.folder.rglob("*"))
    assembled = studio.tiled()
    studio.render(frame=4)
    done = studio.finished(assembled)
    whole = render(studio.request(linear=False), ProgressBoard())
    names = {extra.name for extra in done.extras}
    assert names == {
        "passes/diffuse_0002.exr",
        "passes/depth_02_z.exr",
        "passes/diffuse_0002.png",
        "layers/all0002.exr",
    }
    own = {extra.name: Path(extra.path) for extra in whole.extras}
    assert own.keys() == names
    for extra in done.extras:
        assert Path(extra.path).resolve().is_relative_to(done.path.parent)
        assert_same_pixels(Path(extra.path), own[extra.name])
    written = [path for path in studio.folder.rglob("*") if path.is_file() and path not in before]
    assert all(path.relative_to(studio.folder).parts[0].startswith("out") for path in written)


@pytest.mark.parametrize(
    ("picture", "folder", "name"),
    [
        ("/tmp/", "//passes/", "passes/x####.exr"),  # noqa: S108
        ("//out/f_", "/shots/out/passes/deep/", "deep/x####.exr"),
        ("/shots/out/f_", "//out/passes/deep/", "deep/x####.exr"),
        ("/shots/out/f_", "/shots/out/passes/", "passes/x####.exr"),
        ("//out/f_", "//out/passes/deep", "passes/deep/x####.exr"),
        ("//f_", "//", "x####.exr"),
    ],
)
def test_names_are_the_same_wherever_the_scene_lies(
    studio: Any, tmp_path: Path, picture: str, folder: str, name: str
) -> None:
    def written(scene: Any) -> None:
        compositing(scene)
        file_output_node(scene, folder, ["x"])
        scene.render.filepath = picture

    studio.take(written)
    other = tmp_path / "some" / "where" / "else"
    other.mkdir(parents=True)
    studio.blend = studio.blend.rename(other / "scene.blend")
    moved = inspect(InspectRequest(id="look", blend=str(studio.blend))).extras
    assert studio.inspection.extras == moved == (name,)


def test_a_file_output_can_write_nowhere_else(studio: Any, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"

    def hostile(scene: Any) -> None:
        compositing(scene)
        file_output_node(scene, str(target), ["../../up_", "/abs_", "..\\..\\win_", ""])
        for view in scene.render.views:
            view.file_suffix = "/../../suffix"

    studio.take(hostile)
    done = render(studio.request(linear=False), ProgressBoard())
    assert not target.exists()
    assert all(extra.name.startswith("elsewhere/") for extra in done.extras)
    assert len(done.extras) >= 3
    assert all(Path(extra.path).is_relative_to(done.path.parent) for extra in done.extras)
    assert not [path for path in tmp_path.rglob("*up_*") if not path.is_relative_to(done.path.parent)]
    # The open scene still says what it said.
    node = next(n for n in ends_tree().nodes if n.bl_idname == "CompositorNodeOutputFile")
    assert str(target) in (getattr(node, "directory", None) or node.base_path)


def ends_tree() -> Any:
    scene = bpy.context.scene
    return scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree


def test_names_that_clash_or_are_too_much_are_made_to_fit(studio: Any) -> None:
    names = [
        "com#",
        "a_#",
        "a_##",
        "foo0001.png/bar",
        "a/" * 70 + "x",
        "\U0001f600" * 90,
        *("./" * i + "same" for i in range(9)),
    ]

    def odd(scene: Any) -> None:
        compositing(scene)
        file_output_node(scene, "//", names)

    studio.take(odd)
    found = studio.inspection.extras
    assert len({name_key(name) for name in found}) == len(found) == len(names)
    done = render(studio.request(linear=False, frame=12), ProgressBoard())
    assert len({extra.name for extra in done.extras}) == len(names)


def test_too_many_files_are_refused_at_once(studio: Any) -> None:
    def many(scene: Any) -> None:
        compositing(scene)
        file_output_node(scene, "//passes", [f"slot{i}_" for i in range(201)])

    with pytest.raises(CannotServe, match="201 files"):
        studio.take(many)


def muted(scene: Any) -> None:
    compositing(scene)
    file_output_node(scene, "//passes", ["x"]).mute = True


def switched_off(scene: Any) -> None:
    compositing(scene)
    file_output_node(scene, "//passes", ["x"])
    scene.render.use_compositing = False


@pytest.mark.parametrize("change", [muted, switched_off])
def test_a_file_output_that_is_off_writes_nothing(studio: Any, change: Callable[[Any], None]) -> None:
    studio.take(change)
    assert studio.inspection.extras == ()
    done = render(studio.request(linear=False), ProgressBoard())
    assert done.extras == ()
    assert [path.name for path in done.path.parent.iterdir()] == [done.path.name]


def test_stereo_files_are_named_as_blender_names_them(studio: Any) -> None:
    def dotted(scene: Any) -> None:
        stereo("INDIVIDUAL", "WEBP")(scene)
        scene.render.filepath = "//st."

    studio.take(dotted)
    bpy.context.scene.frame_set(2)
    bpy.context.scene.render.filepath = f"{studio.folder}/own/st."
    bpy.context.scene.frame_start = bpy.context.scene.frame_end = 2
    bpy.ops.render.render(animation=True)
    names = [studio.inspection.frame_name, *studio.inspection.extras]
    assert {frame_file_name(name, 2) for name in names} == {path.name for path in (studio.folder / "own").iterdir()}


def stereo(views_format: str, file_format: str) -> Callable[[Any], None]:
    def change(scene: Any) -> None:
        scene.render.use_multiview = True
        scene.camera.data.stereo.interocular_distance = 0.4
        set_format(scene.render.image_settings, file_format)
        scene.render.image_settings.views_format = views_format

    change.__name__ = f"{views_format}-{file_format}"
    return change


@pytest.mark.parametrize("with_denoising", [False, True], ids=["noisy", "denoised"])
@pytest.mark.parametrize(
    "change",
    [stereo("INDIVIDUAL", "PNG"), stereo("STEREO_3D", "PNG"), stereo("MULTIVIEW", "OPEN_EXR_MULTILAYER")],
    ids=lambda change: change.__name__,
)
def test_stereo_tiles(studio: Any, change: Callable[[Any], None], with_denoising: bool) -> None:
    def both(scene: Any) -> None:
        change(scene)
        if with_denoising:
            denoised(scene)

    studio.take(both)
    done = studio.finished(studio.tiled())
    open_blend(studio.blend)
    whole = render(studio.request(linear=False), ProgressBoard())
    noise = 1e-3 if with_denoising else 0.0
    assert_same_pixels(done.path, whole.path, float_noise=noise)
    assert [extra.name for extra in done.extras] == [extra.name for extra in whole.extras]
    for mine, theirs in zip(done.extras, whole.extras, strict=True):
        assert_same_pixels(Path(mine.path), Path(theirs.path), float_noise=noise)
    if "INDIVIDUAL" in change.__name__:
        assert studio.inspection.frame_name == "frame_####_L.png"
        assert [extra.name for extra in done.extras] == ["frame_0002_R.png"]


@pytest.mark.parametrize("depth", ["16", "32"])
def test_multilayer_files_have_the_layers_that_blender_writes(studio: Any, depth: str) -> None:
    def change(scene: Any) -> None:
        all_passes(scene)
        scene.view_layers[0].cycles.use_pass_shadow_catcher = False
        compositing(scene)
        denoised(scene)
        set_format(scene.render.image_settings, "OPEN_EXR_MULTILAYER")
        scene.render.image_settings.color_depth, scene.render.image_settings.exr_codec = depth, "PIZ"

    studio.take(change)
    done = studio.finished(studio.tiled())
    own = studio.render(linear=False)
    assert "Composite.Combined.R" in channels_of(own) or bpy.app.version >= (5, 0, 0)
    assert_same_pixels(done.path, own, float_noise=1e-3)

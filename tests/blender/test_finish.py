"""A finished frame equals the one that Blender writes itself: pixels, bit depth, dithering, alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
import pytest
from blender_images import DENOISED_NOISE, assert_same_pixels
from scene_features import compositing, denoised, ends, set_border, size_blur, through

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.open import open_blend
from renderbros_addon.protocol.states import FailureCode


def graded(scene: Any) -> None:
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "AgX", "AgX - Punchy", 0.7, 1.3
    view.use_curve_mapping = True
    view.curve_mapping.curves[3].points.new(0.5, 0.62)
    view.curve_mapping.update()


def exposure_animated(scene: Any) -> None:
    for frame, value in ((1, 0.0), (4, 3.0)):
        scene.view_settings.exposure = value
        scene.view_settings.keyframe_insert("exposure", frame=frame)


def much_dither(scene: Any) -> None:
    scene.view_settings.view_transform, scene.render.dither_intensity = "Standard", 2.0


def overridden(scene: Any) -> None:
    image = scene.render.image_settings
    image.color_management = "OVERRIDE"
    image.view_settings.view_transform = "Filmic"


def bordered(scene: Any) -> None:
    scene.render.film_transparent = True
    set_border(scene, crop=False)


def cropped(scene: Any) -> None:
    set_border(scene, crop=True)


def as_is(scene: Any) -> None:
    """With the defaults."""


def written_as(file_format: str, depth: str, mode: str, change: Callable[[Any], None]) -> Callable[[Any], None]:
    def setup(scene: Any) -> None:
        image = scene.render.image_settings
        image.file_format, image.color_mode = file_format, mode
        if depth:
            image.color_depth = depth
        scene.render.film_transparent = mode == "RGBA"
        change(scene)

    return setup


@pytest.mark.parametrize(
    ("file_format", "depth", "mode", "change"),
    [
        ("PNG", "8", "RGB", as_is),
        ("PNG", "8", "RGBA", as_is),
        ("PNG", "16", "RGBA", as_is),
        ("PNG", "8", "BW", as_is),
        ("JPEG", "", "RGB", as_is),
        ("OPEN_EXR", "16", "RGBA", as_is),
        ("OPEN_EXR", "32", "RGB", as_is),
        ("TIFF", "16", "RGB", as_is),
        ("WEBP", "", "RGB", as_is),
        ("PNG", "8", "RGB", graded),
        ("PNG", "8", "RGB", exposure_animated),
        ("PNG", "8", "RGB", much_dither),
        ("PNG", "8", "RGB", overridden),
        ("OPEN_EXR", "16", "RGBA", overridden),
        ("PNG", "8", "RGBA", bordered),
        ("PNG", "8", "RGB", cropped),
    ],
)
def test_finished_equals_blenders_own(
    studio: Any, file_format: str, depth: str, mode: str, change: Callable[[Any], None]
) -> None:
    studio.take(written_as(file_format, depth, mode, change))
    own = studio.render(linear=False, frame=3)
    done = studio.finished(studio.tiled(frame=3), frame=3)
    assert done.path.suffix == own.suffix
    assert [p.name for p in done.path.parent.iterdir()] == [done.path.name]
    assert_same_pixels(done.path, own)


def denoised_fast(scene: Any) -> None:
    denoised(scene)
    scene.cycles.denoising_prefilter, scene.cycles.denoising_quality = "FAST", "BALANCED"


def denoised_by_colour(scene: Any) -> None:
    denoised(scene)
    scene.cycles.denoising_input_passes = "RGB"


def denoised_in_border(scene: Any) -> None:
    denoised(scene)
    scene.render.film_transparent = True
    set_border(scene, crop=False)


def denoised_in_crop(scene: Any) -> None:
    denoised(scene)
    set_border(scene, crop=True)


def composited(scene: Any) -> None:
    """Blur, glare, depth and a tint, over what passes give."""
    tree = compositing(scene)
    layers, output = ends(tree)
    scene.view_layers[0].use_pass_z = True
    scene.view_layers[0].use_pass_normal = True
    glare = through(tree, "CompositorNodeGlare", layers.outputs["Image"])
    blur = through(tree, "CompositorNodeBlur", glare)
    size_blur(blur.node, 4)
    tree.links.new(blur, output.inputs[0])


def composited_and_denoised(scene: Any) -> None:
    denoised(scene)
    composited(scene)


def noisy_shown(scene: Any) -> None:
    """The compositor shows what the denoiser got."""
    denoised(scene)
    scene.view_layers[0].cycles.denoising_store_passes = True
    scene.view_layers[0].update_render_passes()
    tree = compositing(scene)
    layers, output = ends(tree)
    tree.links.new(layers.outputs["Noisy Image"], output.inputs[0])


def albedo_shown(scene: Any) -> None:
    noisy_shown(scene)
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    layers, output = ends(tree)
    tree.links.new(layers.outputs["Denoising Albedo"], output.inputs[0])


def two_layers(scene: Any) -> None:
    """Two view layers, one without the ball, of which one is denoised, over each other."""
    denoised(scene)
    far = scene.view_layers.new("Far.away")
    far.cycles.use_denoising = False
    collection = bpy.data.collections.new("Balls")
    scene.collection.children.link(collection)
    ball = scene.objects["Ball"]
    collection.objects.link(ball)
    scene.collection.objects.unlink(ball)
    far.layer_collection.children["Balls"].exclude = True
    tree = compositing(scene)
    layers, output = ends(tree)
    other = tree.nodes.new("CompositorNodeRLayers")
    other.layer = "Far.away"
    mix = tree.nodes.new("CompositorNodeAlphaOver")
    sockets = [socket for socket in mix.inputs if socket.type == "RGBA"]
    tree.links.new(layers.outputs["Image"], sockets[0])
    tree.links.new(other.outputs["Image"], sockets[1])
    factor = next(socket for socket in mix.inputs if socket.name in ("Fac", "Factor"))
    factor.default_value = 0.5
    tree.links.new(mix.outputs[0], output.inputs[0])


def two_layers_of_which_one_is_at_the_window(scene: Any) -> None:
    two_layers(scene)
    scene.render.use_single_layer = True


def matte(scene: Any) -> None:
    """A Cryptomatte of the ball."""
    scene.view_layers[0].use_pass_cryptomatte_object = True
    tree = compositing(scene)
    layers, output = ends(tree)
    node = tree.nodes.new("CompositorNodeCryptomatteV2")
    node.source, node.scene = "RENDER", scene
    node.layer_name = "ViewLayer.CryptoObject"
    node.matte_id = "Ball"
    tree.links.new(layers.outputs["Image"], node.inputs["Image"])
    tree.links.new(node.outputs["Image"], output.inputs[0])


def out_of_focus(scene: Any) -> None:
    """The compositor blurs by the camera's focus, which is animated."""
    scene.view_layers[0].use_pass_z = True
    scene.camera.data.dof.focus_distance = 4
    scene.camera.data.keyframe_insert("dof.focus_distance", frame=1)
    scene.camera.data.dof.focus_distance = 9
    scene.camera.data.keyframe_insert("dof.focus_distance", frame=4)
    tree = compositing(scene)
    layers, output = ends(tree)
    node = tree.nodes.new("CompositorNodeDefocus")
    node.use_zbuffer, node.f_stop, node.scene = True, 8.0, scene
    tree.links.new(layers.outputs["Image"], node.inputs[0])
    tree.links.new(layers.outputs["Depth"], node.inputs[1])
    tree.links.new(node.outputs[0], output.inputs[0])


def animated_blur(scene: Any) -> None:
    composited(scene)
    tree = scene.compositing_node_group if hasattr(scene, "compositing_node_group") else scene.node_tree
    blur = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeBlur")
    socket = blur.inputs["Size"]
    for frame, size in ((1, 0.0), (4, 9.0)):
        socket.default_value = size if socket.type == "VALUE" else (size, size)
        socket.keyframe_insert("default_value", frame=frame)


def graded_alpha(scene: Any) -> None:
    denoised(scene)
    composited(scene)
    graded(scene)
    scene.render.film_transparent = True


@pytest.mark.parametrize(
    "change",
    [
        denoised,
        denoised_fast,
        denoised_by_colour,
        denoised_in_border,
        denoised_in_crop,
        composited,
        composited_and_denoised,
        noisy_shown,
        albedo_shown,
        two_layers,
        two_layers_of_which_one_is_at_the_window,
        matte,
        out_of_focus,
        animated_blur,
        graded_alpha,
    ],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize(("file_format", "depth"), [("PNG", "8"), ("OPEN_EXR", "32")])
def test_what_comes_after_sampling_equals_blenders_own(
    studio: Any, change: Callable[[Any], None], file_format: str, depth: str
) -> None:
    studio.take(written_as(file_format, depth, "RGBA", change))
    assert studio.inspection.whole_because == ()
    assembled = studio.tiled("3x2", frame=3)
    # Another frame was rendered in between.
    bpy.context.scene.frame_set(1)
    done = studio.finished(assembled, frame=3)
    open_blend(studio.blend)
    own = studio.render(linear=False, frame=3)
    assert_same_pixels(done.path, own, float_noise=DENOISED_NOISE if bpy.context.scene.cycles.use_denoising else 0.0)


def test_an_unreadable_assembly_is_named(studio: Any) -> None:
    studio.take()
    broken = studio.folder / "broken.exr"
    broken.write_bytes(b"v/1\x01" + b"\x02\0\0\0" + b"nonsense" * 9)
    with pytest.raises(CannotServe) as failure:
        studio.finished(broken)
    assert failure.value.code == FailureCode.BAD_OUTPUT
    assert len(bpy.data.scenes) == 1

"""Denoising of an assembled frame, as Cycles would have done it to the whole one.

A denoised tile differs from the denoised frame everywhere, since the denoiser looks far around each pixel; so tiles are
rendered noisy, with what the denoiser wants to know, and it runs once they are together. It is the same library that
Cycles calls, reached through the compositor's Denoise node.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..imaging.decode import Pixels
from ..imaging.errors import ImageError
from ..imaging.image_write import float_spec, new_exr
from ..imaging.passes import read_window
from ..protocol.regions import Region
from ..protocol.states import FailureCode
from .failures import worker_fault
from .render_call import call_blender
from .replay import AssembledFrame
from .versions import can_denoise, literal_path, new_compositor, set_denoise_node, set_format

_LAYER = "Noisy"
DENOISING_PASSES = (("Denoising Albedo", "RGB"), ("Denoising Normal", "XYZ"))
_INPUTS = {"RGB": (), "RGB_ALBEDO": DENOISING_PASSES[:1], "RGB_ALBEDO_NORMAL": DENOISING_PASSES}
"""Passes beside Combined that the denoiser is given, by Cycles' names for the choice."""


def denoised_layers(scene: Any) -> list[Any]:
    """The view layers that Cycles would denoise."""
    if scene.render.engine != "CYCLES" or not scene.cycles.use_denoising:
        return []
    return [layer for layer in scene.view_layers if layer.use and layer.cycles.use_denoising]


def store_what_denoising_needs(scene: Any) -> None:
    """Render noisy, with the passes that :func:`denoise` will want."""
    for layer in denoised_layers(scene):
        if _INPUTS[scene.cycles.denoising_input_passes]:
            layer.cycles.denoising_store_passes = True
    scene.cycles.use_denoising = False


def require_denoiser(scene: Any) -> None:
    """CannotServe (``no_device``) if the scene is to be denoised and this Blender can't: nobody wants noisy frames."""
    if denoised_layers(scene) and not can_denoise():
        raise worker_fault(
            FailureCode.NO_DEVICE,
            "The scene is denoised, and this Blender is built without OpenImageDenoise: render it with an official "
            "build of Blender, or turn denoising off.",
        )


def denoise(scene: Any, frame: AssembledFrame, views: list[str], folder: Path) -> None:
    """Fill ``frame.denoised`` for every view layer that is to be denoised; ``folder`` is for temporary files.

    Quality, prefilter and input passes are those that ``scene`` tells Cycles to use. Raises CannotServe.
    """
    cycles = scene.cycles
    for layer in denoised_layers(scene):
        for view in views:
            passes = (("Combined", "RGBA"), *_INPUTS[cycles.denoising_input_passes])
            named = [(f"{name}.{view}" if view else name, letters) for name, letters in passes]
            noisy = dict(zip(passes, frame.read(layer.name, named), strict=True))
            frame.denoised[layer.name, view] = _denoise(noisy, cycles, _summed(scene, layer), folder)


def _summed(scene: Any, layer: Any) -> int:
    """How many samples Cycles has added up in the pixels that it hands the denoiser.

    It divides by their number later, unless that differs from pixel to pixel. The denoiser's automatic exposure is a
    sum of logarithms, which comes out a bit otherwise for pixels ``n`` times as bright, and with it the whole picture:
    by up to 1e-5 of a value. Where ``n`` is a power of two the sums can be had back exactly, and the denoised frame
    equals Cycles' own to the last bit; so it does where sampling is adaptive.
    """
    cycles = scene.cycles
    if cycles.use_adaptive_sampling:
        return 1
    samples = int(cycles.samples)
    if layer.samples and cycles.use_layer_samples != "IGNORE":
        samples = min(samples, layer.samples) if cycles.use_layer_samples == "BOUNDED" else layer.samples
    if getattr(cycles, "use_sample_subset", False):
        samples = min(samples - cycles.sample_offset, cycles.sample_subset_length)
    return max(1, samples)


def _denoise(noisy: dict[tuple[str, str], Pixels], cycles: Any, summed: int, folder: Path) -> Pixels:
    source, target = folder / "noisy.exr", folder / "denoised.exr"
    combined, *others = noisy.values()
    height, width = combined.shape[:2]
    try:
        names = [f"{_LAYER}.{name}.{letter}" for name, letters in noisy for letter in letters]
        with new_exr(source, [float_spec(width, height, names)]) as writer:
            writer.write(0, np.concatenate([combined * np.float32(summed), *others], axis=-1))
        with _denoising_scene(source, [name for name, _ in noisy], cycles) as scene:
            scene.render.resolution_x, scene.render.resolution_y = width, height
            scene.render.filepath = literal_path(str(target))
            call_blender(scene, folder)
        channels = read_window(target, "RGB", Region.full(width, height))
        scale = np.float32(1) / np.float32(summed)
        # The denoiser leaves alpha alone.
        return np.stack([*(channels[letter] * scale for letter in "RGB"), combined[:, :, 3]], axis=-1)
    except ImageError as error:
        raise worker_fault(FailureCode.BAD_OUTPUT, f"Denoising the frame failed: {error}") from error
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


@contextmanager
def _denoising_scene(source: Path, passes: list[str], cycles: Any) -> Iterator[Any]:
    """A scene whose render is the denoised ``source``, in floats."""
    with ExitStack() as undo:
        scene = bpy.data.scenes.new("Denoise")
        undo.callback(bpy.data.scenes.remove, scene)
        render = scene.render
        render.resolution_percentage = 100
        render.use_compositing, render.use_sequencer = True, False
        render.compositor_device, render.compositor_precision = "CPU", "FULL"
        set_format(render.image_settings, "OPEN_EXR")
        render.image_settings.color_mode, render.image_settings.color_depth = "RGBA", "32"
        render.image_settings.exr_codec = "NONE"
        image = bpy.data.images.load(str(source), check_existing=False)
        undo.callback(bpy.data.images.remove, image)
        tree, output, group = new_compositor(scene)
        if group is not None:
            undo.callback(bpy.data.node_groups.remove, group)
        shown = tree.nodes.new("CompositorNodeImage")
        shown.image = image
        node = tree.nodes.new("CompositorNodeDenoise")
        set_denoise_node(node, prefilter=cycles.denoising_prefilter, quality=cycles.denoising_quality)
        for name, socket in zip(passes, ("Image", "Albedo", "Normal"), strict=False):
            tree.links.new(shown.outputs[name], node.inputs[socket])
        tree.links.new(node.outputs[0], output.inputs[0])
        yield scene

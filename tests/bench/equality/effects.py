"""Compositors of the equality bench, as artists build them: glare, lens, depth, mattes, a Denoise node.

Each takes a :class:`Board` with Render Layers on it and returns the socket with the finished picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
from scene_features import compositing


class Board:
    """A scene's compositor nodes. Nodes differ between Blender 4.5 and 5.2, and only here is that known."""

    def __init__(self, scene: Any) -> None:
        self.tree = compositing(scene)
        self.scene = scene
        self.layers = next(node for node in self.tree.nodes if node.bl_idname == "CompositorNodeRLayers")
        self.output = next(
            node for node in self.tree.nodes if node.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput")
        )
        self.layers.scene = scene
        self.layers.layer = scene.view_layers[0].name
        self.picture = self.layers.outputs["Image"]
        for layer in scene.view_layers[1:]:
            ahead = self.tree.nodes.new("CompositorNodeRLayers")
            ahead.scene, ahead.layer = scene, layer.name
            over = self.add("CompositorNodeAlphaOver")
            below, above = (socket for socket in over.inputs if socket.type == "RGBA")
            self.join(self.picture, below)
            self.join(ahead.outputs["Image"], above)
            self.picture = over.outputs["Image"]

    def add(self, kind: str, **options: Any) -> Any:
        """A node with ``options`` set: attributes, or since 5.0 inputs that go by the name people see."""
        node = self.tree.nodes.new(kind)
        for name, value in options.items():
            title = {"glare_type": "Type", "filter_type": "Type"}.get(name, name.replace("_", " ").title())
            if title in node.inputs:
                # In menus the socket has "Fog Glow" where the attribute had FOG_GLOW.
                if isinstance(value, str):
                    value = {"GAUSS": "Gaussian"}.get(value, value.title().replace("_", " "))
                node.inputs[title].default_value = value
            else:
                setattr(node, name, value)
        return node

    def join(self, source: Any, target: Any) -> None:
        """Put a socket, or a constant, into an input."""
        if isinstance(source, bpy.types.NodeSocket):
            self.tree.links.new(source, target)
        else:
            target.default_value = source

    def shader_node(self, kind: str, *sources: Any, **options: Any) -> Any:
        """The first output of one of the nodes that the compositor shares with shaders."""
        node = self.tree.nodes.new(kind)
        for name, value in options.items():
            setattr(node, name, value)
        for source, target in zip(sources, node.inputs, strict=False):
            self.join(source, target)
        return node.outputs[0]

    def mix(self, share: Any, below: Any, above: Any, blend: str = "MIX") -> Any:
        """``below`` and ``above`` blended, both colours; ``share`` of the latter."""
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type, node.clamp_factor = "RGBA", blend, True
        for source, name in ((share, "Factor_Float"), (below, "A_Color"), (above, "B_Color")):
            self.join(source, next(socket for socket in node.inputs if socket.identifier == name))
        return next(socket for socket in node.outputs if socket.identifier == "Result_Color")


def plain(board: Board) -> Any:
    """The picture as it is, of all view layers."""
    return board.picture


def glow(board: Board) -> Any:
    """Fog glow and streaks off the highlights, over a slightly blurred picture."""
    fog = board.add("CompositorNodeGlare", glare_type="FOG_GLOW", quality="HIGH", threshold=1.0, strength=0.6)
    board.join(board.picture, fog.inputs["Image"])
    streaks = board.add("CompositorNodeGlare", glare_type="STREAKS", quality="MEDIUM", threshold=3.0, strength=0.08)
    board.join(fog.outputs["Image"], streaks.inputs["Image"])
    blur = board.add("CompositorNodeBlur", filter_type="GAUSS", size=(5.0, 3.0))
    board.join(streaks.outputs["Image"], blur.inputs["Image"])
    return board.mix(0.35, streaks.outputs["Image"], blur.outputs["Image"])


def lens(board: Board) -> Any:
    """A lens that bends and disperses, and a vignette placed by shares of the frame."""
    bent = board.add("CompositorNodeLensdist", distortion=-0.04, dispersion=0.05)
    board.join(board.picture, bent.inputs["Image"])
    oval = board.add("CompositorNodeEllipseMask", size=(0.9, 0.8))
    soft = board.add("CompositorNodeBlur", filter_type="GAUSS", size=(24.0, 24.0))
    board.join(oval.outputs["Mask"], soft.inputs["Image"])
    shaded = board.mix(0.7, bent.outputs["Image"], soft.outputs["Image"], "MULTIPLY")
    place = board.add("CompositorNodeImageCoordinates")
    board.join(board.picture, place.inputs["Image"])
    return board.mix(0.06, shaded, place.outputs["Normalized"], "ADD")


def depth(board: Board) -> Any:
    """Defocus by distance, haze by mist, and light from the left by the normal pass."""
    blurred = board.add("CompositorNodeDefocus", use_zbuffer=True, f_stop=12.0, blur_max=12.0, bokeh="HEXAGON")
    # Nothing is infinitely far: the square of the depth of an empty pixel would not be a number.
    near = board.shader_node("ShaderNodeMath", board.layers.outputs["Depth"], 40.0, operation="MINIMUM")
    board.join(board.picture, blurred.inputs["Image"])
    board.join(near, blurred.inputs["Z"])
    blurred.scene = board.scene
    haze = board.shader_node("ShaderNodeMath", board.layers.outputs["Mist"], 0.4, operation="MULTIPLY")
    hazy = board.mix(haze, blurred.outputs["Image"], (0.5, 0.6, 0.75, 1.0))
    side = board.shader_node("ShaderNodeSeparateXYZ", board.layers.outputs["Normal"])
    lit = board.shader_node("ShaderNodeMath", side, -0.25, operation="MULTIPLY", use_clamp=True)
    return board.mix(lit, hazy, (1.0, 0.8, 0.5, 1.0), "ADD")


def mattes(board: Board) -> Any:
    """A Cryptomatte's object in another colour, what the AOV marks made brighter, blurred along the motion."""
    crypto = board.tree.nodes.new("CompositorNodeCryptomatteV2")
    crypto.source, crypto.scene = "RENDER", board.scene
    crypto.layer_name = f"{board.layers.layer}.CryptoObject"
    crypto.matte_id = ", ".join(_matte_objects(board.scene))
    board.join(board.picture, crypto.inputs["Image"])
    tinted = board.mix(crypto.outputs["Matte"], board.picture, (0.3, 1.0, 0.5, 1.0), "MULTIPLY")
    marked = board.shader_node("ShaderNodeMath", board.layers.outputs["Mask"], 0.3, operation="MULTIPLY")
    bright = board.mix(marked, tinted, (1.0, 0.9, 0.6, 1.0), "ADD")
    if board.scene.render.use_motion_blur:
        return bright  # Cycles has no vector pass then
    blurred = board.add("CompositorNodeVecBlur", samples=16)
    board.join(bright, blurred.inputs["Image"])
    board.join(board.layers.outputs["Depth"], next(s for s in blurred.inputs if s.name in ("Z", "Depth")))
    board.join(board.layers.outputs["Vector"], blurred.inputs["Speed"])
    return blurred.outputs["Image"]


def denoise_node(board: Board) -> Any:
    """Denoised by the compositor's own node, then glare, which shows what is left of the noise."""
    for layer in board.scene.view_layers:
        layer.cycles.denoising_store_passes = True
    node = board.add("CompositorNodeDenoise")
    board.join(
        board.layers.outputs["Noisy Image"] if board.scene.cycles.use_denoising else board.picture, node.inputs["Image"]
    )
    board.join(board.layers.outputs["Denoising Albedo"], node.inputs["Albedo"])
    board.join(board.layers.outputs["Denoising Normal"], node.inputs["Normal"])
    glare = board.add("CompositorNodeGlare", glare_type="BLOOM", quality="HIGH", threshold=0.8, size=0.4)
    board.join(node.outputs["Image"], glare.inputs["Image"])
    return glare.outputs["Image"]


EFFECTS: dict[str, Callable[[Board], Any]] = {
    "plain": plain,
    "glow": glow,
    "lens": lens,
    "depth": depth,
    "mattes": mattes,
    "denoise node": denoise_node,
}


def composite(scene: Any, effect: str) -> None:
    """Give ``scene`` the compositor called ``effect``."""
    board = Board(scene)
    finished = EFFECTS[effect](board)
    board.join(finished, board.output.inputs[0])


def _matte_objects(scene: Any) -> list[str]:
    """What Cryptomatte picks: whatever stands for the scene's subject in the first layer."""
    wanted = ("Bottle", "Table", "Pet", "Letters")
    return [thing.name for thing in scene.objects if thing.name in wanted]

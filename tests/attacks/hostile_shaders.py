"""Scenes whose scripts in Open Shading Language read the machine that renders them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bpy
from attacks.hostile_scenes import NotHere, Place, attack, wall


def osl_wall(scene: Any) -> Any:
    if not bpy.app.build_options.cycles_osl:
        raise NotHere("this Blender was built without OSL")
    # As a Python module Blender doesn't find its own packages, and nodes get their sockets by one of them.
    home = Path(bpy.utils.resource_path("LOCAL"), "python", "lib")
    for found in home.glob("**/oslquery"):
        if str(found.parent) not in sys.path:
            sys.path.append(str(found.parent))
    scene.cycles.shading_system = True
    _, glow = wall(scene)
    return glow.id_data.nodes.new("ShaderNodeScript"), glow


def osl_text(scene: Any, source: str) -> None:
    text = bpy.data.texts.new("steal.osl")
    text.write(source)
    node, glow = osl_wall(scene)
    node.mode, node.script = "INTERNAL", text
    wire(node, glow)


def wire(node: Any, glow: Any) -> None:
    # Where Blender and another OpenImageIO are loaded together, it fails to make the sockets.
    out = node.outputs[0] if node.outputs else node.outputs.new("NodeSocketColor", "Stolen")
    glow.id_data.links.new(out, glow.inputs["Color"])


@attack
def osl_texture(scene: Any, place: Place) -> None:
    osl_text(
        scene,
        f'shader steal(output color Stolen = 0)\n{{ Stolen = texture("{place.outside}/secret.png", 0.5, 0.5); }}\n',
    )


@attack
def osl_texture_by_parts(scene: Any, place: Place) -> None:
    osl_text(
        scene,
        "shader steal(output color Stolen = 0)\n"
        f'{{ Stolen = texture(concat("{place.outside}", "/sec", "ret.png"), 0.5, 0.5); }}\n',
    )


@attack
def osl_texture_in_bytecode(scene: Any, place: Place) -> None:
    osl_texture(scene, place)
    bpy.data.texts["steal.osl"].clear()
    bpy.data.texts["steal.osl"].write("shader steal(output color Stolen = 0) {}")


@attack
def osl_file_outside(scene: Any, place: Place) -> None:
    node, glow = osl_wall(scene)
    node.mode, node.filepath = "EXTERNAL", str(place.outside / "secret.osl")
    wire(node, glow)

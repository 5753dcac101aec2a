"""Scenes whose Python is to run."""

from __future__ import annotations

from typing import Any

import bpy
from attacks.hostile_scenes import Place, attack, black_scene, link_object, other_scene, strips, wall


def write_proof(place: Place) -> str:
    return f"open({place.proof!r}, 'w').write('ran')"


@attack
def registered_text(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("startup.py")
    text.write(write_proof(place))
    text.use_module = True


@attack
def handler_by_registered_text(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("handler.py")
    text.write(
        "import bpy\n"
        f"def harm(*_):\n    {write_proof(place)}\n"
        "for when in ('frame_change_pre', 'render_pre', 'depsgraph_update_post'):\n"
        "    getattr(bpy.app.handlers, when).append(harm)\n"
    )
    text.use_module = True


@attack
def driver_namespace(scene: Any, place: Place) -> None:
    text = bpy.data.texts.new("names.py")
    text.write(f"import bpy\nbpy.app.driver_namespace['harm'] = lambda: {write_proof(place)}\n")
    text.use_module = True
    thing, _ = wall(scene)
    script_driver(thing, "location", "harm()", 0)


def script_driver(owner: Any, path: str, expression: str, index: int = -1) -> None:
    driver = owner.driver_add(path, index).driver if index >= 0 else owner.driver_add(path).driver
    driver.type, driver.expression = "SCRIPTED", expression


def by_expression(place: Place) -> str:
    return f"open({place.proof!r},'w').write('1')"


@attack
def driver_of_an_object(scene: Any, place: Place) -> None:
    script_driver(wall(scene)[0], "location", by_expression(place), 0)


@attack
def driver_in_a_shader(scene: Any, place: Place) -> None:
    _, glow = wall(scene)
    script_driver(glow.inputs["Strength"], "default_value", by_expression(place))


@attack
def driver_of_a_shape_key(scene: Any, place: Place) -> None:
    thing, _ = wall(scene)
    thing.shape_key_add(name="Basis")
    script_driver(thing.shape_key_add(name="Key"), "value", by_expression(place))


@attack
def driver_of_a_scene(scene: Any, place: Place) -> None:
    script_driver(scene, "audio_volume", by_expression(place))


@attack
def driver_in_a_linked_file(scene: Any, place: Place) -> None:
    script_driver(wall(scene)[0], "location", by_expression(place), 0)
    bpy.ops.wm.save_as_mainfile(filepath=str(place.root / "linked.blend"), compress=False)
    scene = black_scene()
    link_object(scene, place.root / "linked.blend", "Wall")


def freestyle_script(scene: Any, place: Place) -> None:
    wall(scene)
    scene.render.use_freestyle = True
    layer = scene.view_layers[0]
    layer.use_freestyle = True
    layer.freestyle_settings.mode = "SCRIPT"
    text = bpy.data.texts.new("style.py")
    text.write(write_proof(place))
    module = layer.freestyle_settings.modules.new()
    module.script, module.use = text, True


@attack
def freestyle_module(scene: Any, place: Place) -> None:
    freestyle_script(scene, place)


@attack
def freestyle_module_of_a_strip(scene: Any, place: Place) -> None:
    other = other_scene()
    freestyle_script(other, place)
    strips(scene).new_scene("strip", other, 1, 1)

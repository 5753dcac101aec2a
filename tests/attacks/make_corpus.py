"""Builds every attack by the Blender that runs it: ``make_corpus.py HOME HOME_OF_THE_GREEDY``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy
from attacks import hostile_caches, hostile_reads, hostile_scripts, hostile_shaders, hostile_simulations, hostile_writes
from attacks.greedy_scenes import GREEDIER, GREEDY
from attacks.hostile_scenes import ATTACKS, HEIGHT, WIDTH, NotHere, Place, black_scene, build
from attacks.stolen_goods import furnish_outside

KINDS = (hostile_caches, hostile_reads, hostile_scripts, hostile_shaders, hostile_simulations, hostile_writes)
"""Their attacks are known once they are imported."""


def make(home: Path) -> None:
    """Each attack gets ``HOME/NAME/job`` and ``HOME/NAME/outside``; ``HOME/attacks.json`` tells of all."""
    goods = home / "goods"
    furnish_outside(goods)
    made, left_out = [], {}
    for one in ATTACKS:
        place = Place(home / one.name / "job", home / one.name / "outside")
        place.root.mkdir(parents=True)
        shutil.copytree(goods, place.outside)
        try:
            blend = build(one, place)
        except NotHere as error:
            left_out[one.name] = str(error)
            continue
        for done_already in (place.outside / "secret.oso", place.outside / "fluid", place.root / "blendcache_scene"):
            shutil.rmtree(done_already, ignore_errors=True)
            done_already.unlink(missing_ok=True)
        made.append({"name": one.name, "blend": str(blend), "by_system": one.by_system})
    told = {"attacks": made, "left_out": left_out, "width": WIDTH, "height": HEIGHT}
    (home / "attacks.json").write_text(json.dumps(told), encoding="utf-8")


def make_greedy(home: Path) -> None:
    """Each greedy scene is saved as ``HOME/NAME/scene.blend``; ``HOME/greedy.json`` tells how each may end."""
    made = {}
    for one in (*GREEDY, *GREEDIER):
        (home / one.name).mkdir()
        one.build(black_scene())
        bpy.ops.wm.save_as_mainfile(filepath=str(home / one.name / "scene.blend"), compress=False)
        made[one.name] = [code.value for code in one.codes]
    (home / "greedy.json").write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[-2]))
    make_greedy(Path(sys.argv[-1]))
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

"""Builds every attack: ``make_corpus.py HOME`` below HOME, by the Blender that runs it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from attacks import hostile_caches, hostile_reads, hostile_scripts, hostile_shaders, hostile_simulations, hostile_writes
from attacks.hostile_scenes import ATTACKS, HEIGHT, WIDTH, NotHere, Place, build
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


if __name__ == "__main__":
    make(Path(sys.argv[-1]))
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

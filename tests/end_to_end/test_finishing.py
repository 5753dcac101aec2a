"""``render --tiles`` of a denoised and composited scene gives the files that Blender itself writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from blender_images import DENOISED_NOISE, assert_same_pixels
from farm_processes import ROOT, run_json
from in_blender import script_command

FRAME = 2


def test_a_tiled_frame_is_finished_as_blender_would(tmp_path: Path) -> None:
    blend, out = tmp_path / "scene" / "scene.blend", tmp_path / "out"
    size = ("--width", "96", "--height", "64")
    subprocess.run(script_command(ROOT / "tests" / "scenes.py", "finished", blend, *size), check=True)
    done = run_json("render", blend, "--frames", str(FRAME), "--tiles", "2x2", "--workers", "2", "--out", out)
    assert done["status"] == "completed"
    assert done["notes"] == [], "it was not tiled"
    written = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert len(written) == 2, written
    beside, picture = written
    assert (beside.parent.name, picture.name) == ("elsewhere", f"frame_{FRAME:04}.png")

    # Only now, so that nothing but the farm can have written what came back.
    order = {"orders": [{"blend": str(blend), "own": str(tmp_path / "own")}], "frame": FRAME}
    orders = tmp_path / "orders.json"
    orders.write_text(json.dumps(order))
    subprocess.run(script_command(ROOT / "tests" / "bench" / "equality" / "own.py", orders), check=True)
    assert_same_pixels(out / picture, tmp_path / "own.png", float_noise=DENOISED_NOISE)
    # Since 5.0 Blender leaves the number out where it renders a still.
    [own] = (blend.parent / beside.parent).iterdir()
    assert own.stem.rstrip("0123456789") == beside.stem.rstrip("0123456789")
    assert_same_pixels(out / beside, own, float_noise=DENOISED_NOISE)

"""A scene with a file of every kind, rendered by a worker that has nothing but what was sent."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from farm_processes import ROOT, run_json
from in_blender import script_command

from renderbros_addon.imaging.fingerprint import inspect_image


def test_a_sandboxed_worker_renders_what_blender_rendered_in_place(tmp_path: Path) -> None:
    blend, direct = tmp_path / "shots" / "shot.blend", tmp_path / "direct.png"
    blend.parent.mkdir()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    words = script_command(ROOT / "tests" / "scene_files.py", blend, direct)
    subprocess.run(words, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": paths})
    done = run_json("render", blend, "--frames", "3", "--workers", "1", "--out", tmp_path / "frames")
    assert done["status"] == "completed"
    assert done["notes"] == []
    [frame] = done["frames"]
    assert frame["pixel_digest"] == inspect_image(direct).pixel_digest

from __future__ import annotations

from pathlib import Path

import bpy


def build_sample(path: Path) -> None:
    bpy.ops.wm.read_factory_settings()
    bpy.ops.wm.save_as_mainfile(filepath=str(path))

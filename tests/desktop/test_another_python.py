"""A Blender whose Python is none that the zip brings libraries for says so, and shows no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Compiled libraries bear in their names which Python they are for: this one finds none for it.
SCRIPT = """
import importlib.machinery, sys
import bpy, addon_utils
from pathlib import Path
importlib.machinery.EXTENSION_SUFFIXES[:] = [".cpython-399-x86_64-linux-gnu.so"]
place = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True)) / "renderbros_addon"
place.symlink_to(sys.argv[1], target_is_directory=True)
addon_utils.extensions_refresh()
key = "bl_ext.user_default.renderbros_addon"
addon_utils.enable(key, default_set=True)
print("enabled:", key in bpy.context.preferences.addons, hasattr(bpy.types, "RENDERBROS_PT_submit"))
print("preferences:", bpy.context.preferences.addons[key].preferences.dispatcher)
addon_utils.disable(key)
"""


def test_it_is_told_and_nothing_else_is_shown(tmp_path: Path) -> None:
    env = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT)], capture_output=True, text=True, env=env, check=True, timeout=60
    )
    assert "enabled: True False" in done.stdout
    assert "preferences: http" in done.stdout
    assert f"this Blender runs Python {sys.version_info[0]}.{sys.version_info[1]}" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout

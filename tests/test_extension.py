"""The repository is an extension: its manifest agrees with the package, and loading it is light."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

AS_BLENDER_LOADS_IT = """
import importlib.util, sys, types
root = sys.argv[1]
for above in ("bl_ext", "bl_ext.user_default"):
    sys.modules[above] = types.ModuleType(above)
    sys.modules[above].__path__ = []
name = "bl_ext.user_default.renderbros_addon"
spec = importlib.util.spec_from_file_location(name, root + "/__init__.py", submodule_search_locations=[root])
module = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.register()
module.unregister()
print(*sorted(m for m in ("pydantic", "requests", "OpenImageIO", "typer", "psutil") if m in sys.modules))
"""


def test_manifest_and_project_agree() -> None:
    assert MANIFEST["version"] == PROJECT["version"]
    assert MANIFEST["tagline"] == PROJECT["description"]
    assert MANIFEST["license"] == [f"SPDX:{PROJECT['license']}"]


def test_what_the_extension_needs_is_not_left_out_of_it() -> None:
    left_out = MANIFEST["build"]["paths_exclude_pattern"]
    for needed in ("bootstrap", "renderbros_addon", "pyproject.toml", "LICENSE", "__init__.py"):
        assert (ROOT / needed).exists()
        assert not any(needed in pattern for pattern in left_out)


def test_loading_and_registering_imports_nothing_heavy() -> None:
    words = [sys.executable, "-c", AS_BLENDER_LOADS_IT, str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

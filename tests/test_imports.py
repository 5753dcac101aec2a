"""Imports between the rooms run one way, and Blender's modules are met in two rooms only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from import_rule import MAY_IMPORT, violations

PACKAGE = Path(__file__).resolve().parents[1] / "renderbros_addon"


def test_the_package_keeps_the_rule():
    assert violations(PACKAGE) == []


def test_the_check_sees_the_package():
    # An empty tree would keep any rule.
    assert (PACKAGE / "protocol" / "regions.py").is_file()
    rooms = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}
    assert rooms <= MAY_IMPORT.keys()


def test_the_table_has_no_circle():
    def below(room: str, seen: tuple[str, ...] = ()) -> None:
        assert room not in seen, f"{' -> '.join(seen)} -> {room}"
        for other in MAY_IMPORT[room]:
            below(other, (*seen, room))

    for room in MAY_IMPORT:
        below(room)


def tree(root: Path, files: dict[str, str]) -> Path:
    package = root / "renderbros_addon"
    for name, source in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return package


@pytest.mark.parametrize(
    ("file", "source", "why"),
    [
        ("protocol/a.py", "from ..imaging import decode", "protocol must not import imaging"),
        ("protocol/a.py", "from .. import client", "protocol must not import client"),
        ("protocol/a.py", "from ..imaging.decode import read_channels as r", "protocol must not import imaging"),
        ("protocol/deep/a.py", "from ...worker import agent", "protocol must not import worker"),
        ("protocol/deep/__init__.py", "from ... import worker", "protocol must not import worker"),
        ("imaging/a.py", "from ..client.http import DispatcherClient", "imaging must not import client"),
        ("client/a.py", "from ..imaging import errors", "client must not import imaging"),
        ("dispatcher/a.py", "from ..client import http", "dispatcher must not import client"),
        ("dispatcher/a.py", "from ..blender import render", "dispatcher must not import blender"),
        ("dispatcher/api/a.py", "from ...worker import agent", "dispatcher must not import worker"),
        ("worker/a.py", "from ..blender import renderer", "worker must not import blender"),
        ("worker/a.py", "from ..dispatcher import app", "worker must not import dispatcher"),
        ("blender/a.py", "from ..worker import agent", "blender must not import worker"),
        ("dashboard/a.py", "from ..desktop import panels", "dashboard must not import desktop"),
        ("dashboard/a.py", "from ..cli import main", "dashboard must not import cli"),
        ("__init__.py", "from .cli import main", "the package must not import cli"),
        # Wherever it stands and however it is written.
        ("protocol/a.py", "def f():\n    from ..client import http", "protocol must not import client"),
        ("protocol/a.py", "if TYPE_CHECKING:\n    from ..client import http", "protocol must not import client"),
        ("protocol/a.py", "try:\n    pass\nfinally:\n    from .. import imaging as i", "must not import imaging"),
        ("protocol/a.py", "class A:\n    from ..cli import main", "protocol must not import cli"),
        ("protocol/a.py", "import os, renderbros_addon.client", "imports are relative"),
        ("client/a.py", "from renderbros_addon.protocol import jobs", "imports are relative"),
        ("cli/a.py", "import renderbros_addon", "imports are relative"),
        ("client/a.py", "importlib.import_module('..imaging', __package__)", "client must not import imaging"),
        ("client/a.py", "import_module(name='renderbros_addon.imaging')", "imports are relative"),
        ("client/a.py", "__import__('bpy')", "bpy is for the rooms"),
        ("client/a.py", "importlib.import_module(name)", "only running it would tell"),
        ("client/a.py", "from .... import x", "beyond the package"),
        ("cli/a.py", "import bootstrap.start", "nothing imports it"),
        # Blender's own modules.
        ("worker/a.py", "import bpy", "bpy is for the rooms"),
        ("worker/a.py", "import json, bpy.types as t", "bpy is for the rooms"),
        ("imaging/a.py", "from bpy.app import handlers", "bpy is for the rooms"),
        ("cli/a.py", "def f():\n    try:\n        import bpy\n    except ImportError: pass", "bpy is for the rooms"),
        ("dispatcher/a.py", "from mathutils import Vector", "mathutils is for the rooms"),
        ("__init__.py", "import bpy", "bpy is for the rooms"),
        ("helpers/a.py", "", "is no room"),
    ],
)
def test_a_violation_is_seen(tmp_path: Path, file: str, source: str, why: str):
    found = violations(tree(tmp_path, {file: source}))
    assert len(found) == 1, found
    assert found[0].startswith(file)
    assert why in found[0]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("protocol/a.py", "from . import b\nfrom .b import c\nimport json\nfrom pydantic import Field"),
        ("protocol/deep/a.py", "from .. import regions\nfrom ..regions import Region"),
        ("imaging/a.py", "from ..protocol.regions import Region"),
        ("worker/a.py", "from ..client import http\nfrom ..imaging import checker\nfrom ..protocol import jobs"),
        ("dispatcher/a.py", "from ..imaging.checker import ImageChecker"),
        ("blender/a.py", "import bpy\nfrom mathutils import Vector\nfrom ..imaging import assembly"),
        ("desktop/a.py", "import bpy\nfrom ..worker import agent"),
        ("dashboard/a.py", "from ..dispatcher import app"),
        ("cli/a.py", "from ..dashboard import pages\nfrom ..worker.agent import Agent"),
        ("__init__.py", "def register():\n    from .desktop import register\n    register()"),
        # Names that only look like it.
        ("client/a.py", "bpy = 1\nx = 'import bpy'\n# import bpy\nfrom .imaging import y\nimport bpy_free"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, file: str, source: str):
    assert violations(tree(tmp_path, {file: source})) == []


def test_each_violation_of_a_file_is_listed(tmp_path: Path):
    package = tree(tmp_path, {"protocol/a.py": "import bpy\nfrom ..client import http\n", "client/b.py": "import bpy"})
    assert [line.rpartition(": ")[0] for line in violations(package)] == [
        "client/b.py:1",
        "protocol/a.py:1",
        "protocol/a.py:2",
    ]


def test_agent_and_dispatcher_load_no_image_library():
    # They would grow by 70 MB, and a decoder's crash would be theirs: a child of their own decodes.
    modules = "renderbros_addon.dispatcher.server", "renderbros_addon.worker.agent"
    script = (
        f"import sys, {', '.join(modules)}; print(*{{'numpy', 'OpenImageIO', 'PIL', 'bpy'}}.intersection(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []

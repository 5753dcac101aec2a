from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm_processes import ROOT, Farm
from in_blender import script_command


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene whose frames differ, in Cycles, without denoiser, of an odd size."""
    blend = tmp_path_factory.mktemp("scene") / "scene.blend"
    size = ("--width", "251", "--height", "137")
    subprocess.run(script_command(ROOT / "tests" / "scenes.py", "simple", blend, *size), check=True)
    return blend


@pytest.fixture
def farm(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Farm]:
    folder = tmp_path / "farm"
    folder.mkdir()
    with Farm(folder) as running:
        yield running
        if request.session.testsfailed:
            sys.stderr.write(running.logs())

"""What ``pyproject.toml`` asks for is understood as pip understands it."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from bootstrap import interpreters, requirements

ALL = requirements.listed("bpy", "test")
VERSIONS = st.lists(st.integers(0, 40), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))


@given(requirement=st.sampled_from(ALL), version=VERSIONS)
def test_a_version_fits_when_packaging_says_so(requirement: str, version: str) -> None:
    assert requirements.fits(requirement, version) == Requirement(requirement).specifier.contains(version)


@pytest.mark.parametrize("requirement", ALL)
def test_names_and_markers_are_read_as_packaging_reads_them(requirement: str) -> None:
    parsed = Requirement(requirement)
    assert requirements.name(requirement) == parsed.name
    assert requirements.applies(requirement) == (parsed.marker is None or parsed.marker.evaluate())


def test_this_very_environment_is_complete() -> None:
    # A Blender binary is no installed package, and needs none.
    extras = ("test",) if interpreters.blender_we_run_in() else ("bpy", "test")
    assert requirements.unmet(requirements.listed(*extras)) == []


def test_what_is_not_installed_or_too_old_is_unmet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = tmp_path / "oldthing-1.2.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: oldthing\nVersion: 1.2\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert importlib.metadata.version("oldthing") == "1.2"
    wanted = ["oldthing>=1.2,<2", "oldthing>=1.3", "surely-not-installed"]
    assert requirements.unmet(wanted) == ["oldthing>=1.3", "surely-not-installed"]


@pytest.mark.skipif(interpreters.blender_we_run_in() is not None, reason="a Blender binary is no installed package")
def test_any_bpy_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert requirements.unmet([f"bpy==99.*; python_version == '{version}'"]) == []


def test_the_key_depends_on_what_is_asked_for_and_not_on_its_order() -> None:
    assert requirements.key(["a", "b"]) == requirements.key(["b", "a"])
    assert requirements.key(["a", "b"]) != requirements.key(["a", "b>=2"])
    assert requirements.key(["a"], "/usr") != requirements.key(["a"], "/opt")

"""What the extension's zips hold, as far as it can be told without the package index."""

from __future__ import annotations

import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from packaging.utils import parse_wheel_filename

from bootstrap import build, requirements, wheels

ROOT = Path(__file__).resolve().parents[2]
TARGETS = [(platform, python) for platform in wheels.PLATFORMS for python in wheels.PYTHONS]


@pytest.mark.parametrize(("platform", "python"), TARGETS)
def test_each_blender_gets_one_wheel_of_all_it_needs(platform: str, python: str) -> None:
    chosen = [wheel for wheel in wheels.needed(platform, wheels.PYTHONS, carried=False) if python in wheel.pythons]
    names = Counter(wheel.name for wheel in chosen)
    assert set(names.values()) == {1}
    wanted = {wheels.canonical(requirements.name(one)) for one in requirements.of_the_extension()}
    since = wheels.CARRIED_FROM["openimageio"]
    brought = wheels.CARRIED | ({"openimageio"} if tuple(map(int, python.split("."))) >= since else set())
    assert wanted - brought <= names.keys()
    assert not names.keys() & (brought | {"scipy", "pywavelets", "fastapi", "nicegui", "sqlalchemy"})


@pytest.mark.parametrize("platform", wheels.PLATFORMS)
def test_a_wheel_runs_where_it_is_packed(platform: str) -> None:
    for wheel in wheels.needed(platform, wheels.PYTHONS, carried=True):
        _, _, _, tags = parse_wheel_filename(wheel.file)
        assert {tag.platform for tag in tags} & {"any", *wheels.PLATFORMS[platform]}, wheel.file
        for python in wheel.pythons:
            own = "cp" + python.replace(".", "")
            assert any(tag.interpreter in (own, "py3") or tag.abi == "abi3" for tag in tags), wheel.file


def test_a_locked_version_is_one_that_the_project_allows() -> None:
    allowed = {wheels.canonical(requirements.name(one)): one for one in requirements.of_the_extension()}
    for wheel in wheels.locked():
        if wheel.name in allowed:
            assert requirements.fits(allowed[wheel.name], wheel.version), wheel.file


def test_the_manifest_of_a_zip_names_its_platform_and_wheels() -> None:
    text = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    before, after = (
        tomllib.loads(text),
        tomllib.loads(build.manifest_for(text, "linux-x64", [Path("a-1-py3-none-any.whl")])),
    )
    assert after.pop("platforms") == ["linux-x64"]
    assert after.pop("wheels") == ["./wheels/a-1-py3-none-any.whl"]
    before.pop("build")
    assert after == before


def test_a_zip_that_is_wrong_is_told(tmp_path: Path) -> None:
    text = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    broken = build.manifest_for(text, "linux-x64", [Path("a-1-py3-none-any.whl")]).replace(
        "dispatcher", "dispatcher.", 1
    )
    broken = broken.replace('Exchanges scenes and frames with a dispatcher."', 'Exchanges scenes with others."')
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("blender_manifest.toml", broken)
        archive.writestr("__init__.py", "")
        archive.writestr("wheels/b-1-py3-none-any.whl", "")
    assert sorted(build.faults(path)) == [
        "it lacks LICENSE",
        "it lacks bootstrap/start.py",
        "its manifest and its files disagree about wheels/a-1-py3-none-any.whl",
        "its manifest and its files disagree about wheels/b-1-py3-none-any.whl",
        "permissions.network: 'Exchanges scenes with others.' is not as the extensions platform wants it",
    ]


def test_submitters_and_workers_need_no_library_of_a_dispatcher() -> None:
    names = {requirements.name(one) for one in requirements.needed_by(["worker"])}
    assert "pydantic" in names
    assert not names & {"fastapi", "sqlalchemy", "nicegui", "obstore"}
    assert requirements.needed_by(["dispatcher"]) == requirements.listed() == requirements.needed_by([])

"""The extension keeps to the platform's guidelines, and each check of them would tell if it did not."""

from __future__ import annotations

import shutil
from pathlib import Path

import extension_guidelines
import pytest

from bootstrap import build

ROOT = Path(__file__).resolve().parents[1]
MANIFEST, DESK = "blender_manifest.toml", "renderbros_addon/desktop/__init__.py"

OFFENCES = {
    "the_manifest_is_of_this_schema": (MANIFEST, 'tags = ["Render"]', 'tags = ["Rendering"]'),
    "the_name_is_not_blenders": (MANIFEST, 'name = "RenderBros"', 'name = "Blender Bros"'),
    "the_license_is_free_and_here": (MANIFEST, "SPDX:MIT", "SPDX:LicenseRef-Ours"),
    "short_texts_are_short_and_end_without_punctuation": (MANIFEST, "rendered frames", "rendered frames."),
    "permissions_are_those_that_are_used": (MANIFEST, 'files = "', 'camera = "'),
    "whoever_starts_a_process_asks_for_online_access": (DESK, "", "import subprocess\nsubprocess.Popen(['x'])\n"),
    "blender_itself_never_goes_online": (DESK, "", "import urllib.request\n"),
    "it_brings_all_it_needs_and_installs_nothing": (DESK, "", "import ensurepip\n"),
    "it_does_not_update_itself": (DESK, "", "import addon_updater\n"),
    "modules_stay_in_the_extensions_namespace": (DESK, "", "from renderbros_addon import protocol\n"),
    "preferences_go_by_the_packages_name": (DESK, "", "x = bpy.context.preferences.addons['renderbros_addon']\n"),
    "nothing_of_the_old_add_ons_is_left": (DESK, "", "bl_info = {}\n"),
    "its_own_folder_is_only_read": (DESK, "", "LOG = Path(__file__).parent / 'log.txt'\n"),
    "classes_and_operators_bear_its_name": (
        DESK, "", "class Lend(bpy.types.Operator):\n    'Lend'\n    bl_idname = 'render.lend'\n",
    ),
    "tips_have_no_full_stop": (DESK, "", "x = BoolProperty(description='Lend this machine.')\n"),
    "standard_output_is_left_alone": (DESK, "", "print('hello')\n"),
    "what_registers_also_unregisters": ("__init__.py", "def unregister", "def remove"),
    "it_holds_sources_and_wheels_alone": ("renderbros_addon/desktop/helper.exe", "", "MZ"),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources that the zip holds."""
    place = tmp_path_factory.mktemp("extension")
    for name in (*build._sources(), Path(MANIFEST)):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    return place


@pytest.mark.parametrize("name", extension_guidelines.GUIDELINES)
def test_the_extension_keeps_to(name: str, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extension_guidelines.faults(ROOT, name) == []
    file, found, instead = OFFENCES[name]
    monkeypatch.setattr(build, "ROOT", copy)
    path = copy / file
    before = path.read_bytes() if path.exists() else None
    text = (before or b"").decode()
    assert found in text
    path.write_text(text.replace(found, instead, 1) if found else text + "\n" + instead, encoding="utf-8")
    try:
        assert extension_guidelines.faults(copy, name), "the check sees an offence"
    finally:
        path.unlink() if before is None else path.write_bytes(before)

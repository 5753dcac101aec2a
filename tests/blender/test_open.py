"""Damaged, foreign, newer and hostile .blend files."""

from __future__ import annotations

import gzip
from pathlib import Path

import bpy
import pytest
from scenes import fresh_scene, save

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.open import blocked_script, header_version, open_blend
from renderbros_addon.protocol.states import FailureCode, FailureKind


def refusal(path: Path) -> CannotServe:
    with pytest.raises(CannotServe) as caught:
        open_blend(path)
    assert caught.value.kind == FailureKind.SCENE
    assert path.name in str(caught.value)
    return caught.value


@pytest.fixture
def blend(tmp_path: Path) -> Path:
    fresh_scene()
    return save(tmp_path / "good.blend")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    fresh_scene()
    return save(tmp_path / "packed.blend", compress=True)


@pytest.mark.parametrize(
    ("start", "version"),
    [
        (b"BLENDER-v405RENDH", (4, 5)),
        (b"BLENDER_V279REND", (2, 79)),
        (b"BLENDER-v280REND", (2, 80)),
        (b"BLENDER17-01v0500", (5, 0)),
        (b"BLENDER17-01v1203", (12, 3)),
    ],
)
def test_headers_old_and_new(tmp_path: Path, start: bytes, version: tuple[int, int]) -> None:
    path = tmp_path / "x.blend"
    path.write_bytes(start + bytes(50))
    assert header_version(path) == version
    path.write_bytes(gzip.compress(start + bytes(50)))
    assert header_version(path) == version


def test_a_good_file_opens_however_it_is_packed(blend: Path, packed: Path) -> None:
    for path in (blend, packed):
        assert open_blend(path) == ()
        assert Path(bpy.data.filepath) == path
    assert header_version(blend) == bpy.app.version[:2]
    # Not every Blender has what it takes to look into a packed file.
    assert header_version(packed) in (bpy.app.version[:2], None)


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"BLENDER", b"\x1f\x8b" + b"junk" * 9])
def test_what_is_no_blend(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "junk.blend"
    path.write_bytes(content)
    assert refusal(path).code == FailureCode.CORRUPT_BLEND


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9])
def test_a_truncated_file_is_corrupt(blend: Path, packed: Path, share: float) -> None:
    for path in (blend, packed):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        assert refusal(path).code == FailureCode.CORRUPT_BLEND


def test_a_truncated_gzip_is_corrupt(blend: Path, tmp_path: Path) -> None:
    path = tmp_path / "zipped.blend"
    whole = gzip.compress(blend.read_bytes())
    path.write_bytes(whole)
    assert open_blend(path) == ()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(path).code == FailureCode.CORRUPT_BLEND


def test_a_newer_file_is_named_as_such(blend: Path) -> None:
    content = blend.read_bytes()
    old = content[7:8] in b"-_"
    newer = content[:9] + b"999" + content[12:] if old else content[:13] + b"9900" + content[17:]
    blend.write_bytes(newer)
    failure = refusal(blend)
    assert failure.code == FailureCode.NEWER_BLEND
    assert bpy.app.version_string[:3] in str(failure)
    blend.write_bytes(gzip.compress(newer))
    assert refusal(blend).code == FailureCode.NEWER_BLEND


@pytest.mark.parametrize("start", [b"BLENDER17-01v0909REND", b"BLENDER-v909RENDH"])
def test_a_newer_file_is_named_as_such_though_it_is_packed(tmp_path: Path, start: bytes) -> None:
    zstandard = pytest.importorskip("zstandard")
    path = tmp_path / "packed.blend"
    path.write_bytes(zstandard.compress(start + bytes(100_000)))
    failure = refusal(path)
    assert failure.code == FailureCode.NEWER_BLEND
    assert "9.9" in str(failure)
    path.write_bytes(zstandard.compress(b"something else" + bytes(100)))
    assert refusal(path).code == FailureCode.CORRUPT_BLEND


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere.blend").code == FailureCode.MISSING_FILE


def test_scripts_and_drivers_are_blocked_and_named(tmp_path: Path) -> None:
    fresh_scene()
    proof = tmp_path / "ran"
    text = bpy.data.texts.new("evil.py")
    text.write(f"open({str(proof)!r}, 'w')")
    text.use_module = True
    driver = bpy.data.objects["Ball"].driver_add("location", 0).driver
    driver.type = "SCRIPTED"
    driver.expression = f"len(__import__('pathlib').Path({str(proof)!r}).write_text('x'))"
    path = save(tmp_path / "evil.blend")
    proof.unlink(missing_ok=True)
    bpy.context.preferences.filepaths.use_scripts_auto_execute = True
    open_blend(path)
    bpy.context.scene.frame_set(2)
    assert not proof.exists()
    blocked = blocked_script()
    assert blocked
    assert "evil.py" in blocked or "pathlib" in blocked
    fresh_scene()
    save(tmp_path / "harmless.blend")
    open_blend(tmp_path / "harmless.blend")
    assert blocked_script() is None

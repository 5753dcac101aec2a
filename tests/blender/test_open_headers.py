"""The start of a .blend, and what scripts include, whatever bytes they are."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.file_kinds import is_any_kind, is_kind
from renderbros_addon.blender.named_inside import osl_includes
from renderbros_addon.blender.open import header_version
from renderbros_addon.protocol.states import FailureCode, FailureKind

FEW = settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
STARTS = [
    b"BLENDER-v405RENDH",
    b"BLENDER17-01v0502",
    b"BLENDER_V999",
    b"BLENDER",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"",
]


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A header or none, more after it, packed or not, cut or with a byte changed."""
    data = bytearray(draw(st.sampled_from(STARTS)) + draw(st.binary(max_size=40)))
    if draw(st.booleans()):
        data = bytearray(gzip.compress(bytes(data)) if draw(st.booleans()) else zlib.compress(bytes(data)))
    if data and draw(st.booleans()):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(content=contents())
@FEW
def test_a_header_is_read_or_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scene.blend"
    path.write_bytes(content)
    found, refused = read(path)
    if refused is None:
        assert found is None or (0 <= found[0] <= 99 and 0 <= found[1] <= 99)
    else:
        assert (refused.kind, refused.code) == (FailureKind.SCENE, FailureCode.CORRUPT_BLEND)
        assert "scene.blend" in str(refused)
        assert str(tmp_path) not in str(refused)


def read(path: Path) -> tuple[tuple[int, int] | None, CannotServe | None]:
    try:
        return header_version(path), None
    except CannotServe as refused:
        return None, refused


def test_a_header_of_endless_nothing(tmp_path: Path) -> None:
    path = tmp_path / "scene.blend"
    path.write_bytes(gzip.compress(bytes(64 << 20), 1))
    with pytest.raises(CannotServe):
        header_version(path)


PIECES = ['#include "', "a.h", '"', "\n", "../", "\x00", "b"]
INCLUDES = st.lists(st.sampled_from(PIECES)).map(lambda parts: "".join(parts).encode())


@given(content=st.one_of(contents(), INCLUDES))
@FEW
def test_kinds_and_includes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "script.osl"
    path.write_bytes(content)
    assert all(isinstance(found, Path) for found in osl_includes(path))
    assert is_any_kind(path)
    assert is_kind(path, "script")
    assert isinstance(is_kind(path, "image"), bool)


def test_scripts_that_include_each_other_by_detours(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        lines = [f'#include "{"b" if name == "a" else "a"}/../{other}.h"\n' for other in "ab"]
        (tmp_path / f"{name}.h").write_text("".join(lines))
    assert set(osl_includes(tmp_path / "a.h")) == {tmp_path / "b.h"}

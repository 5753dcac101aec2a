"""Assembly: the frame from tiles is the frame, to the last bit of the last pass."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderbros_addon.imaging.assembly import assemble, crop
from renderbros_addon.imaging.decode import read_channels
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.regions import Region, TileGrid

# What the four tiles of render_images.py show.
RENDERED_TILES = {
    "tile_00.exr": Region(x0=0, y0=0, x1=16, y1=36),
    "tile_01.exr": Region(x0=0, y0=36, x1=16, y1=48),
    "tile_10.exr": Region(x0=16, y0=0, x1=64, y1=36),
    "tile_11.exr": Region(x0=16, y0=36, x1=64, y1=48),
}


def metadata(path: Path) -> list[dict[str, Any]]:
    """The attributes of each part."""
    source, parts, index = oiio.ImageInput.open(str(path)), [], 0
    while source.seek_subimage(index, 0):
        spec = source.spec()
        parts.append({a.name: a.value for a in spec.extra_attribs} | {"window": (spec.full_width, spec.full_height)})
        index += 1
    source.close()
    return parts


def test_rendered_tiles_make_the_frame_that_was_rendered_whole(rendered: Path, tmp_path: Path):
    tiles = [(region, rendered / name) for name, region in RENDERED_TILES.items()]
    random.Random(3).shuffle(tiles)
    assemble(tiles, 64, 48, tmp_path / "frame.exr")
    frame, whole = inspect_image(tmp_path / "frame.exr"), inspect_image(rendered / "layers.exr")
    assert frame.channels == whole.channels
    assert {name.rpartition(".")[0] for name in whole.channels} >= {"ViewLayer.Combined", "ViewLayer.CryptoObject00"}
    assert frame.pixel_digest == whole.pixel_digest
    assert frame.phash == whole.phash


def test_metadata_and_parts_are_kept(rendered: Path, tmp_path: Path):
    tiles = [(region, rendered / name) for name, region in RENDERED_TILES.items()]
    assemble(tiles, 64, 48, tmp_path / "frame.exr")
    frame, whole = metadata(tmp_path / "frame.exr"), metadata(rendered / "layers.exr")
    assert len(frame) == len(whole)
    manifests = [name for name in whole[0] if name.startswith("cryptomatte/") and name.endswith("/manifest")]
    assert manifests
    changing = {"Date", "DateTime", "RenderTime", "Time", "openexr:chunkCount"}
    for ours, blenders in zip(frame, whole, strict=True):
        for name in blenders.keys() - changing:
            if not name.startswith("cycles."):
                assert ours[name] == blenders[name], name


def test_assembling_again_makes_the_same_file(rendered: Path, tmp_path: Path):
    tiles = [(region, rendered / name) for name, region in RENDERED_TILES.items()]
    for out in ("a", "b"):
        assemble(tiles, 64, 48, tmp_path / out)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("grid", ["1x1", "3x2", "5x7", "64x1", "1x48"])
@pytest.mark.parametrize("name", ["layers.exr", "layers_half.exr", "still_OPEN_EXR.exr"])
def test_cut_up_and_put_together(rendered: Path, tmp_path: Path, name: str, grid: str):
    tiles = []
    for region in TileGrid.parse(grid).regions(64, 48):
        path = tmp_path / f"{region}.exr"
        crop(rendered / name, region, path)
        tiles.append((region, path))
    assemble(tiles, 64, 48, tmp_path / "frame.exr")
    assert inspect_image(tmp_path / "frame.exr").pixel_digest == inspect_image(rendered / name).pixel_digest


@st.composite
def cuts(draw: st.DrawFn, region: Region) -> list[Region]:
    """``region`` cut into pieces, again and again, anywhere: seldom a grid."""
    across = region.width > 1 and (region.height == 1 or draw(st.booleans()))
    if (region.width, region.height) == (1, 1) or draw(st.integers(0, 3)) == 0:
        return [region]
    if across:
        at = draw(st.integers(region.x0 + 1, region.x1 - 1))
        halves = region.model_copy(update={"x1": at}), region.model_copy(update={"x0": at})
    else:
        at = draw(st.integers(region.y0 + 1, region.y1 - 1))
        halves = region.model_copy(update={"y1": at}), region.model_copy(update={"y0": at})
    return [*draw(cuts(halves[0])), *draw(cuts(halves[1]))]


@given(st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cover_will_do(tmp_path: Path, noise: Any, write: Any, data: st.DataObject):
    width, height = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    pixels = noise(height, width, 3)
    tiles = []
    for i, region in enumerate(data.draw(cuts(Region.full(width, height)))):
        piece = pixels[region.y0 : region.y1, region.x0 : region.x1]
        tiles.append((region, write(tmp_path / f"{i}.exr", [("RGB", piece)])))
    assemble(data.draw(st.permutations(tiles)), width, height, tmp_path / "frame.exr")
    image = read_channels(tmp_path / "frame.exr")
    assert (np.stack([image.channels[c] for c in "RGB"], -1) == pixels).all()


def test_mixed_types_stay_as_they_are(write: Any, noise: Any, tmp_path: Path):
    names, kinds = ["V.Combined.R", "V.Combined.G", "V.Combined.B", "V.Depth.Z"], ["half", "half", "half", "float"]
    pixels = noise(20, 30, 4)
    pixels[:, :, 3] *= 1e10
    whole = write(tmp_path / "whole.exr", [(names, pixels)], channel_types=kinds)
    tiles = []
    for region in TileGrid(columns=2, rows=2).regions(30, 20):
        crop(whole, region, tmp_path / f"{region}.exr")
        tiles.append((region, tmp_path / f"{region}.exr"))
    assemble(tiles, 30, 20, tmp_path / "frame.exr")
    assert inspect_image(tmp_path / "frame.exr").pixel_digest == inspect_image(whole).pixel_digest


def test_a_lossy_tile_is_not_lost_twice(write: Any, noise: Any, tmp_path: Path):
    source = write(tmp_path / "a.exr", [("RGB", noise(40, 40, 3))], attributes={"compression": "dwaa:45"})
    assemble([(Region.full(40, 40), source)], 40, 40, tmp_path / "frame.exr")
    assert inspect_image(tmp_path / "frame.exr").pixel_digest == inspect_image(source).pixel_digest
    assert metadata(tmp_path / "frame.exr")[0]["compression"] == "zip"


HALVES = (Region(x0=0, y0=0, x1=32, y1=48), Region(x0=32, y0=0, x1=64, y1=48))


@pytest.mark.parametrize(
    ("regions", "why"),
    [
        ([], "leave out the pixel 0,0"),
        (HALVES[:1], "leave out the pixel 32,0"),
        (HALVES[1:], "leave out the pixel 0,0"),
        ((*HALVES, HALVES[1]), "overlap at the pixel 32,0"),
        ((Region(x0=0, y0=0, x1=33, y1=48), HALVES[1]), "overlap at the pixel 32,0"),
        ((HALVES[0], Region(x0=32, y0=0, x1=64, y1=47)), "leave out the pixel 32,47"),
        ((HALVES[0], Region(x0=32, y0=1, x1=64, y1=48)), "leave out the pixel 32,0"),
        ((HALVES[0], Region(x0=32, y0=0, x1=65, y1=48)), "reaches over"),
    ],
)
def test_each_pixel_must_come_once(rendered: Path, tmp_path: Path, regions: tuple[Region, ...], why: str):
    # Cover is checked before any file is opened.
    tiles = [(region, rendered / "layers.exr") for region in regions]
    with pytest.raises(ImageError, match=why):
        assemble(tiles, 64, 48, tmp_path / "frame.exr")
    assert list(tmp_path.iterdir()) == []


def test_tiles_that_do_not_fit_each_other(rendered: Path, write: Any, noise: Any, tmp_path: Path):
    left = write(tmp_path / "left.exr", [("RGB", noise(48, 32, 3))])
    others = {
        "small": (write(tmp_path / "small.exr", [("RGB", noise(47, 32, 3))]), "is 32x47 pixels, not 32x48"),
        "alpha": (write(tmp_path / "alpha.exr", [("RGBA", noise(48, 32, 4))]), "other channels"),
        "half": (write(tmp_path / "half.exr", [("RGB", noise(48, 32, 3, np.float16))]), "other channels"),
        "png": (write(tmp_path / "a.png", [("RGB", noise(48, 32, 3, np.uint8))], container="png"), "png, not openexr"),
        "absent": (tmp_path / "absent.exr", "no file absent.exr"),
    }
    for right, why in others.values():
        with pytest.raises(ImageError, match=why):
            assemble(list(zip(HALVES, (left, right), strict=True)), 64, 48, tmp_path / "frame.exr")
        assert not (tmp_path / "frame.exr").exists()


def test_a_broken_tile_leaves_the_old_frame_and_nothing_else(rendered: Path, tmp_path: Path):
    frame = tmp_path / "out" / "frame.exr"
    frame.parent.mkdir()
    frame.write_bytes(b"the frame of yesterday")
    for name in RENDERED_TILES:
        whole = (rendered / name).read_bytes()
        (tmp_path / name).write_bytes(whole if name != "tile_11.exr" else whole[: len(whole) * 2 // 3])
    tiles = [(region, tmp_path / name) for name, region in RENDERED_TILES.items()]
    with pytest.raises(ImageError, match="tile_11"):
        assemble(tiles, 64, 48, frame)
    assert frame.read_bytes() == b"the frame of yesterday"
    assert list(frame.parent.iterdir()) == [frame]


def test_a_folder_that_is_not_there(rendered: Path, tmp_path: Path):
    with pytest.raises(ImageError, match="can't be written"):
        crop(rendered / "layers.exr", Region.full(8, 8), tmp_path / "nowhere" / "a.exr")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.99])
def test_a_full_disk_is_told(rendered: Path, tmp_path: Path, part: float):
    import resource
    import signal

    crop(rendered / "layers.exr", Region.full(64, 48), tmp_path / "a.exr")
    size = (tmp_path / "a.exr").stat().st_size
    (tmp_path / "a.exr").unlink()
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * part), old[1]))
        with pytest.raises(ImageError, match=r"^a\.exr can't be written"):
            crop(rendered / "layers.exr", Region.full(64, 48), tmp_path / "a.exr")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_crop_over_the_edge(rendered: Path, tmp_path: Path):
    with pytest.raises(ImageError, match="reaches over"):
        crop(rendered / "layers.exr", Region.full(64, 49), tmp_path / "a.exr")


def test_a_crop_of_what_loses_something_is_refused(rendered: Path, tmp_path: Path):
    with pytest.raises(ImageError, match=r"still_JPEG\.jpg is jpeg, .*only from bmp, openexr, png"):
        crop(rendered / "still_JPEG.jpg", Region.full(8, 8), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["PNG.png", "TIFF.tif", "BMP.bmp", "TARGA.tga", "TARGA_RAW.tga", "IRIS.rgb"])
def test_a_crop_of_another_format_has_its_pixels_and_its_kind(rendered: Path, tmp_path: Path, kind: str):
    source, cut, part = rendered / f"still_{kind}", tmp_path / kind, Region(x0=7, y0=3, x1=40, y1=47)
    crop(source, part, cut)
    whole, shown = read_channels(source), read_channels(cut)
    assert shown.container == whole.container
    assert shown.channels.keys() == whole.channels.keys()
    for name, pixels in whole.channels.items():
        assert shown.channels[name].dtype == pixels.dtype
        assert np.array_equal(shown.channels[name], pixels[3:47, 7:40]), name


def test_a_crop_is_what_blender_renders_there(rendered: Path, tmp_path: Path):
    for name, region in RENDERED_TILES.items():
        crop(rendered / "layers.exr", region, tmp_path / name)
        assert inspect_image(tmp_path / name).pixel_digest == inspect_image(rendered / name).pixel_digest

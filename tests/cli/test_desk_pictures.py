"""A frame that builds up from its tiles: every pixel where it belongs, smaller frames for larger ones."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderbros_addon.cli import desk_pictures
from renderbros_addon.client.errors import NotFound
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.imaging.image_write import float_spec, new_exr
from renderbros_addon.protocol.jobs import TileView
from renderbros_addon.protocol.problems import Problem
from renderbros_addon.protocol.regions import TileGrid
from renderbros_addon.protocol.results import Output

WIDTH, HEIGHT = 61, 43
CHANNELS = ("ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B", "ViewLayer.Combined.A", "Z.V")


class Shelf(DispatcherClient):
    """Has its blobs as files in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("http://127.0.0.1:1")
        self.folder = folder

    def download(self, sha256: str, size: int, to: Path, *_: Any, **__: Any) -> None:
        if not (self.folder / sha256).exists():
            raise NotFound(Problem(title="gone", status=404))
        shutil.copyfile(self.folder / sha256, to)


@pytest.mark.parametrize(("most", "every"), [(1 << 21, 1), (700, 2), (100, 6)])
def test_tiles_come_to_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, every: int
) -> None:
    monkeypatch.setattr(desk_pictures, "MAX_PIXELS", most)
    whole = np.random.default_rng(1).random((HEIGHT, WIDTH, len(CHANNELS)), np.float32)
    tiles = []
    for number, region in enumerate(TileGrid.parse("3x2").regions(WIDTH, HEIGHT)):
        path = tmp_path / f"tile{number}.exr"
        with new_exr(path, [float_spec(region.width, region.height, CHANNELS)]) as writer:
            writer.write(0, whole[region.y0 : region.y1, region.x0 : region.x1])
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        path.rename(tmp_path / sha256)
        facts = {
            "pixel_digest": sha256,
            "phash": "0" * 16,
            "channels": CHANNELS,
            "container": "openexr",
            "blank": False,
        }
        output = Output(sha256=sha256, size=1, width=region.width, height=region.height, **facts)
        tiles.append(TileView(region=region, output=output))
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = desk_pictures.Picture("job", 1, WIDTH, HEIGHT, len(tiles), folder)
    client = Shelf(tmp_path)
    assert picture.take(client, ()) is None
    first = picture.take(client, tuple(tiles[:2]))
    assert first is not None
    assert (first.tiles, first.of_tiles) == (2, 6)
    (tmp_path / tiles[5].output.sha256).rename(tmp_path / "kept")
    assert picture.take(client, tuple(tiles)) is not None, "one of them is gone, since the frame is finished"
    (tmp_path / "kept").rename(tmp_path / tiles[5].output.sha256)
    last = picture.take(client, tuple(tiles))
    assert last is not None
    assert last.tiles == 6
    assert picture.take(client, tuple(tiles)) is None
    shown = whole[::every, ::every, :4]
    assert (last.height, last.width) == shown.shape[:2]
    found = np.fromfile(last.path, np.float32).reshape(shown.shape)
    np.testing.assert_array_equal(found, shown[::-1])
    assert len(list(folder.iterdir())) == 2, "those that Blender may still be at"

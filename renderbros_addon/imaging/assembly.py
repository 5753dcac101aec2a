"""Frames from tiles, and tiles from frames, by copying pixels: nothing is computed, so nothing changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol.regions import MAX_SIDE, Region
from ..protocol.results import Container
from .decode import BAND_BYTES, MAX_PIXELS, ImageFile, Part, Pixels, open_exr
from .errors import ImageError
from .image_write import new_exr, new_image, spec_like

Tile = tuple[Region, Path]

CUTTABLE: frozenset[Container] = frozenset({"openexr", "png", "tiff", "bmp", "targa", "sgi"})
"""Formats of which a part can be written again as it was. The others lose something, or nothing here writes them."""


def assemble(tiles: Sequence[Tile], width: int, height: int, out: Path) -> None:
    """Write the frame of ``width`` by ``height`` pixels that ``tiles`` make up to ``out``, an EXR.

    Each tile is an EXR of its region's size; where the file itself claims to lie counts for nothing. Parts, channels,
    their types and the metadata are those of the first tile. Memory holds a band of the frame, not the frame.

    ImageError if the tiles leave a pixel out or share one, differ in parts, channels or types, are not of their
    region's size, or can't be read; ``out`` is then as it was before.
    """
    _check_cover([region for region, _ in tiles], width, height)
    ordered = sorted(tiles, key=lambda tile: (tile[0].y0, tile[0].x0))
    layout = _common_layout(ordered)
    specs = [spec_like(part, width, height) for part in layout]
    with new_exr(out, specs) as writer:
        for part in layout:
            if part.index:
                writer.next_part()
            for y, rows in _frame_bands(ordered, part, width, height):
                writer.write(y, rows)


def crop(source: Path, region: Region, out: Path, *, durable: bool = True) -> None:
    """:func:`crop_each` for a single region."""
    crop_each(source, [(region, out)], durable=durable)


def crop_each(source: Path, pieces: Sequence[Tile], *, compression: str | None = None, durable: bool = True) -> None:
    """Write the pixels of ``source`` inside each region to a file, in the same format: all parts, channels, metadata.

    Regions may overlap. The source is read once, however many there are. ``compression`` is an EXR's, in OpenImageIO's
    words, where it is to be another than the source's. ``durable``: see :func:`.image_write.new_image`.

    ImageError if a region reaches over the source's edge, if the source can't be read, or if its format is not in
    :data:`CUTTABLE`. Of each file all is there or nothing; after an error some may be missing.
    """
    with ImageFile(source) as file:
        if file.container not in CUTTABLE:
            raise ImageError(
                f"{source.name} is {file.container}, from which no part can be cut without changing pixels: "
                f"only from {', '.join(sorted(CUTTABLE))}"
            )
        with ExitStack() as closing:
            writers = []
            for region, out in pieces:
                if region.x1 > file.width or region.y1 > file.height:
                    size = f"{file.width}x{file.height}"
                    raise ImageError(f"the region {region} reaches over the {size} pixels of {source.name}")
                specs = [spec_like(part, region.width, region.height) for part in file.parts]
                for spec in specs if compression else ():
                    spec.attribute("compression", compression)
                writers.append((region, closing.enter_context(new_image(out, file.container, specs, durable=durable))))
            for part in file.parts:
                for _, writer in writers if part.index else ():
                    writer.next_part()
                for y, rows in _bands_of(file, part, [region for region, _ in pieces]):
                    for region, writer in writers:
                        if region.y0 <= y < region.y1:
                            writer.write(y - region.y0, rows[:, region.x0 : region.x1])
        if file.container != "openexr":
            for region, out in pieces:
                _require_cut(file, region, out)


def _bands_of(file: ImageFile, part: Part, regions: Sequence[Region]) -> Iterator[tuple[int, Pixels]]:
    """The part's rows that ``regions`` cross, in bands from the top, each with the row of the file it starts at.

    No region begins or ends within a band.
    """
    step = _band_rows(part.row_bytes)
    edges = sorted({edge for region in regions for edge in (region.y0, region.y1)})
    for top, bottom in pairwise(edges):
        if any(region.y0 <= top < region.y1 for region in regions):
            for y in range(top, bottom, step):
                yield y, file.rows(part, y, min(bottom, y + step))


def _require_cut(file: ImageFile, region: Region, out: Path) -> None:
    """Read ``out`` back, or ImageError: writers of other formats than EXR may convert colour and alpha unasked."""
    with ImageFile(out) as written:
        kept = [(part.channels, part.types) for part in written.parts] == [(p.channels, p.types) for p in file.parts]
        kept = kept and all(
            np.array_equal(written.rows(same, y - region.y0, y - region.y0 + len(rows)), rows[:, region.x0 : region.x1])
            for part, same in zip(file.parts, written.parts, strict=True)
            for y, rows in _bands_of(file, part, [region])
        )
    if not kept:
        out.unlink()
        raise ImageError(f"{file.path.name} is of a kind of {file.container} that can't be written again as it is")


def _check_cover(regions: Sequence[Region], width: int, height: int) -> None:
    """Each pixel of the frame in exactly one region, or ImageError."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE) or width * height > MAX_PIXELS:
        raise ImageError(f"no frame has {width}x{height} pixels")
    frame = Region.full(width, height)
    for region in regions:
        if region.intersection(frame) != region:
            raise ImageError(f"the tile {region} reaches over the frame's {width}x{height} pixels")
    # Sweep down: between two edges the same tiles are crossed, and side by side they must fill the row.
    edges = sorted({0, height, *(r.y0 for r in regions), *(r.y1 for r in regions)})
    starting: dict[int, list[Region]] = {}
    for region in regions:
        starting.setdefault(region.y0, []).append(region)
    active: list[Region] = []
    for top in edges[:-1]:
        active = sorted([r for r in active if r.y1 > top] + starting.get(top, []), key=lambda r: r.x0)
        x = 0
        for region in active:
            if region.x0 != x:
                what = "overlap at" if region.x0 < x else "leave out"
                raise ImageError(f"the tiles {what} the pixel {min(x, region.x0)},{top}")
            x = region.x1
        if x != width:
            raise ImageError(f"the tiles leave out the pixel {x},{top}")


def _common_layout(tiles: Sequence[Tile]) -> tuple[Part, ...]:
    """The parts of the first tile, after a check that all the others have the same."""
    first: tuple[Part, ...] | None = None
    for region, path in tiles:
        with open_exr(path) as file:
            if (file.width, file.height) != (region.width, region.height):
                raise ImageError(
                    f"the tile {region} in {path.name} is {file.width}x{file.height} pixels, "
                    f"not {region.width}x{region.height}"
                )
            if first is None:
                first = file.parts
            elif [(p.channels, p.types) for p in file.parts] != [(p.channels, p.types) for p in first]:
                raise ImageError(f"the tile {region} in {path.name} has other channels than the tile {tiles[0][0]}")
    if first is None:
        raise ImageError("no tiles to assemble")
    return first


def _frame_bands(tiles: Sequence[Tile], part: Part, width: int, height: int) -> Iterator[tuple[int, Pixels]]:
    """One part of the frame in bands from the top. ``tiles`` are sorted by their top row."""
    count = len(part.channels)
    step = _band_rows(width * count * part.dtype.itemsize)
    waiting, active = list(reversed(tiles)), list[tuple[Region, ImageFile]]()
    # Files stay open only while the bands cross their tile: a fine grid has more tiles than a process may have files.
    with ExitStack() as on_error:
        top = 0
        while top < height:
            while waiting and waiting[-1][0].y0 <= top:
                region, path = waiting.pop()
                active.append((region, on_error.enter_context(open_exr(path))))
            # A band ends where a tile does, so that each has its rows of the band whole.
            bottom = min([top + step, *(region.y1 for region, _ in active)])
            rows: Any = np.empty((bottom - top, width, count), part.dtype)
            for region, file in active:
                same = file.parts[part.index]
                rows[:, region.x0 : region.x1] = file.rows(same, top - region.y0, bottom - region.y0)
            yield top, rows
            for _, file in [entry for entry in active if entry[0].y1 == bottom]:
                file.close()
            active = [entry for entry in active if entry[0].y1 > bottom]
            top = bottom


def _band_rows(row_bytes: int) -> int:
    return max(1, min(256, BAND_BYTES // row_bytes))

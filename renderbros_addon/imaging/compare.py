"""Comparing two images, in memory or in files: the picture first, then every pass that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np

from ..protocol.regions import Region
from ..protocol.verdicts import Comparison, PerceptualDistances, Tolerance
from .channels import Picture, picture_of
from .decode import BAND_BYTES, DTYPES, Image, ImageFile, Part, Pixels
from .errors import ImageError
from .heatmap import Heatmap
from .judge import DEFAULT_TOLERANCE, LOSSY_TOLERANCE, calibrated, judge
from .measures import BLOCK, PassMeter
from .phash import Grey, grey_rows, phash
from .phash_grid import grid_distances, phash_grid

PICTURE = "picture"
"""Name of the pass in a file without layers."""

_LOSSY = ("jpeg", "jpeg2000", "webp")


def compare(
    expected: Image, actual: Image, region: Region | None = None, tolerance: Tolerance = DEFAULT_TOLERANCE
) -> Comparison:
    """Compare two decoded images; a pure function. See :func:`compare_files` for ``region`` and for the errors."""
    return _compare(_Decoded(expected, "EXPECTED"), _Decoded(actual, "ACTUAL"), region, tolerance, None)


def compare_files(
    expected: Path,
    actual: Path,
    region: Region | None = None,
    *,
    honest: Path | None = None,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    heatmap: Path | None = None,
) -> Comparison:
    """Compare two files, band by band: memory holds a band of each and two bytes a pixel (with ``heatmap`` five).

    ``region`` is in pixels of ``actual``; ``expected`` is the crop at that region, or of the same size as ``actual``.
    None compares the whole of both. ``honest`` is another honest render of what ``expected`` shows, of its size, by
    another class: how they differ sets the tolerance. ``heatmap`` names a PNG to be written, whole or not at all.

    ImageError if a file can't be read, or if there is nothing to compare: sizes that differ, pictures with other
    channels, or channels stored in other types.
    """
    if honest is not None:
        pair = compare_files(expected, honest)
        tolerance = calibrated(pair.passes[0], pair.perceptual.whole)
    with ExitStack() as stack:
        sources = [_opened(stack, path, label) for path, label in ((expected, "EXPECTED"), (actual, "ACTUAL"))]
        drawn = None if heatmap is None else Heatmap()
        found = _compare(sources[0], sources[1], region, tolerance, drawn)
    if drawn is not None and heatmap is not None:
        worst = found.passes[0].worst_block
        drawn.write(heatmap, worst.region.shifted(-found.region.x0, -found.region.y0) if worst else None)
    return found


def _opened(stack: ExitStack, path: Path, label: str) -> _Opened:
    try:
        return _Opened(stack.enter_context(ImageFile(path)), label)
    except ImageError as error:
        # Both may have the same name, in two folders.
        raise ImageError(f"{label}: {error}") from error


class _Source(Protocol):
    """Where pixels come from."""

    name: str
    width: int
    height: int
    dtypes: dict[str, np.dtype[np.generic]]
    """Of each channel, as stored."""
    row_bytes: int
    lossy: bool
    """Whether the format loses something of the pixels that it is given."""

    def rows(self, passes: Sequence[_Pass], y0: int, y1: int) -> Iterator[Pixels]:
        """Of each of ``passes`` the rows ``y0 <= y < y1``: shape (rows, width, channels)."""


_Pass = tuple[str, tuple[str, ...]]
# Its name and its channels' names.


class _Decoded:
    def __init__(self, image: Image, name: str) -> None:
        self.name, self.width, self.height = name, image.width, image.height
        self._channels = image.channels
        self.dtypes = {name: pixels.dtype for name, pixels in image.channels.items()}
        self.lossy = image.container in _LOSSY
        self.row_bytes = sum(image.width * dtype.itemsize for dtype in self.dtypes.values())

    def rows(self, passes: Sequence[_Pass], y0: int, y1: int) -> Iterator[Pixels]:
        for _, names in passes:
            yield np.stack([self._channels[name][y0:y1] for name in names], axis=-1)


class _Opened:
    def __init__(self, file: ImageFile, label: str) -> None:
        self._file = file
        self.name, self.width, self.height = f"{label} {file.path.name}", file.width, file.height
        self.lossy = file.container in _LOSSY or any(map(_loses, file.parts))
        self.dtypes = {
            name: DTYPES[kind] for part in file.parts for name, kind in zip(part.channels, part.types, strict=True)
        }
        self.row_bytes = sum(part.row_bytes for part in file.parts)
        self._home = {name: part for part in file.parts for name in part.channels}

    def rows(self, passes: Sequence[_Pass], y0: int, y1: int) -> Iterator[Pixels]:
        read: dict[int, Pixels] = {}
        for _, names in passes:
            columns = [self._column(read, self._home[name], name, y0, y1) for name in names]
            homes = {self._home[name].index for name in names}
            first = self._home[names[0]].channels.index(names[0])
            if len(homes) == 1 and self._home[names[0]].channels[first : first + len(names)] == names:
                # Neighbours in one part, as Blender writes them: no copy.
                yield read[homes.pop()][:, :, first : first + len(names)]
            else:
                yield np.stack(columns, axis=-1)

    def _column(self, read: dict[int, Pixels], part: Part, name: str, y0: int, y1: int) -> Pixels:
        if part.index not in read:
            read[part.index] = self._file.rows(part, y0, y1)
        return read[part.index][:, :, part.channels.index(name)]


def _compare(
    expected: _Source, actual: _Source, region: Region | None, tolerance: Tolerance, drawn: Heatmap | None
) -> Comparison:
    where = _check_sizes(expected, actual, region)
    picture = _check_pictures(expected, actual)
    passes = list(_common_passes(expected, actual, picture))
    crop = (expected.width, expected.height) == (where.width, where.height)
    lossy = expected.lossy or actual.lossy
    if lossy and tolerance == DEFAULT_TOLERANCE:
        tolerance = LOSSY_TOLERANCE
    meters = [
        PassMeter(name, channels, where.width, where.height, lossy=lossy, picture=number == 0)
        for number, (name, channels) in enumerate(passes)
    ]
    greys: list[Grey] = [np.empty((where.height, where.width), np.uint8) for _ in range(2)]
    colours = len(picture.colour)
    across = slice(where.x0, where.x1)
    across_expected = slice(0, where.width) if crop else across
    step = _band_rows(max(expected.row_bytes, actual.row_bytes))
    for y in range(0, where.height, step):
        bottom = min(y + step, where.height)
        top = 0 if crop else where.y0
        bands = zip(
            meters,
            expected.rows(passes, top + y, top + bottom),
            actual.rows(passes, where.y0 + y, where.y0 + bottom),
            strict=True,
        )
        for meter, left, right in bands:
            a, b = left[:, across_expected], right[:, across]
            if a.dtype != b.dtype:
                # A part with halves and floats is read as floats, which hold every half.
                a, b = a.astype(np.float32), b.astype(np.float32)
            found = meter.take(y, a, b)
            if meter is meters[0]:
                for grey, band in zip(greys, (a, b), strict=True):
                    grey[y:bottom] = grey_rows(_shown(band[:, :, :colours]))
                if drawn is not None:
                    drawn.take(greys[0][y:bottom], found)
    measured = tuple(meter.measures((where.x0, where.y0)) for meter in meters)
    perceptual = _perceptual(greys[0], greys[1], where)
    verdict, reason = judge(measured, perceptual, tolerance)
    lost = tuple(name for name in expected.dtypes if name not in actual.dtypes)
    if verdict == "match" and set(lost) & set(picture_of(tuple(expected.dtypes)).names):
        verdict, reason = "inconclusive", f"what could be compared matches, but {actual.name} has no alpha"
    return Comparison(
        verdict=verdict,
        reason=reason,
        region=where,
        passes=measured,
        perceptual=perceptual,
        tolerance=tolerance,
        only_expected=lost,
        only_actual=tuple(name for name in actual.dtypes if name not in expected.dtypes),
    )


def _check_sizes(expected: _Source, actual: _Source, region: Region | None) -> Region:
    """What is to be compared, in pixels of ``actual``."""
    whole = Region.full(actual.width, actual.height)
    where = region or whole
    if where.intersection(whole) != where:
        raise ImageError(f"the region {where} reaches over the {actual.width}x{actual.height} pixels of {actual.name}")
    size = (expected.width, expected.height)
    if size in ((actual.width, actual.height), (where.width, where.height)):
        return where
    told = (
        f"{expected.name} is {expected.width}x{expected.height} pixels and {actual.name} {actual.width}x{actual.height}"
    )
    if region is None:
        raise ImageError(f"{told}: images of one size can be compared, or a crop with the region that it shows")
    raise ImageError(f"{told}: {expected.name} is neither as large nor the {where.width}x{where.height} of the region")


def _check_pictures(expected: _Source, actual: _Source) -> Picture:
    """The picture that both have, after a check that all common channels are stored alike."""
    picture = picture_of(tuple(expected.dtypes))
    missing = [name for name in picture.colour if name not in actual.dtypes]
    if missing or len(picture_of(tuple(actual.dtypes)).colour) != len(picture.colour):
        theirs = ", ".join(picture_of(tuple(actual.dtypes)).colour)
        raise ImageError(
            f"they show no picture in common: {expected.name} has {', '.join(picture.colour)}, {actual.name} {theirs}"
        )
    for name, dtype in expected.dtypes.items():
        if name in actual.dtypes and actual.dtypes[name] != dtype:
            raise ImageError(
                f"{expected.name} stores {name} as {dtype}, {actual.name} as {actual.dtypes[name]}: "
                "only images of one format and depth can be compared"
            )
    return picture if picture.alpha in actual.dtypes else Picture(picture.colour, None)


def _common_passes(expected: _Source, actual: _Source, picture: Picture) -> Iterator[_Pass]:
    """The picture, then the others as the file has them: channels that share all but the last part of their names."""
    yield picture.colour[0].rpartition(".")[0] or PICTURE, picture.names
    grouped: dict[tuple[str, np.dtype[np.generic]], list[str]] = {}
    for name, dtype in expected.dtypes.items():
        if name in actual.dtypes and name not in picture.names:
            before, dot, _ = name.rpartition(".")
            grouped.setdefault((before if dot else name, dtype), []).append(name)
    for (name, _), channels in grouped.items():
        yield name, tuple(channels)


def _perceptual(expected: Grey, actual: Grey, where: Region) -> PerceptualDistances:
    distances = grid_distances(phash_grid(expected), phash_grid(actual))
    rows, columns = distances.shape
    row, column = (int(i) for i in np.unravel_index(np.argmax(distances), distances.shape))
    x0, x1 = where.width * column // columns, -(-where.width * (column + 1) // columns)
    y0, y1 = where.height * row // rows, -(-where.height * (row + 1) // rows)
    return PerceptualDistances(
        whole=int(phash(expected) - phash(actual)),
        grid_mean=float(distances.mean()),
        grid_worst=int(distances.max()),
        grid_worst_region=Region(x0=x0, y0=y0, x1=x1, y1=y1).shifted(where.x0, where.y0),
    )


def _loses(part: Part) -> bool:
    """Whether an EXR's compression loses something."""
    try:
        compression = "" if part.spec is None else str(part.spec.get_string_attribute("compression"))
    except UnicodeDecodeError:
        return False
    return compression.partition(":")[0] in ("dwaa", "dwab", "b44", "b44a", "pxr24")


def _shown(colour: Pixels) -> Pixels:
    return np.nan_to_num(colour) if colour.dtype.kind == "f" else colour


def _band_rows(row_bytes: int) -> int:
    # Whole blocks, and where rows are short enough whole chunks of every compression (see ImageFile.bands): no more,
    # since pixels that differ take many times their bytes while they are compared.
    step = min(256, max(BLOCK, BAND_BYTES // row_bytes))
    return step - step % BLOCK

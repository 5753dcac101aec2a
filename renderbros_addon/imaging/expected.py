"""Whether a finished frame shows what the submitter's small preview of it shows, by perceptual hashes alone. Pure."""

from __future__ import annotations

from ..protocol.expectations import ExpectedFrame
from ..protocol.results import Output

CELLS = 64
"""Of :data:`~..protocol.results.HashGrid`."""

STEADY = 10


def expectation(frame: int, first: Output, second: Output) -> ExpectedFrame:
    """What ``frame`` is expected to look like, from two previews of it with different noise and of different size."""
    if first.grid is None or second.grid is None:
        raise ValueError("an expectation is made of previews whose grids were taken")
    grids = zip(_cells(first.grid), _cells(second.grid), strict=True)
    reliable = 0
    for a, b in grids:
        reliable = reliable << 1 | (not _is_flat(a) and not _is_flat(b) and _apart(a, b) <= STEADY)
    return ExpectedFrame(
        frame=frame,
        phash=first.phash,
        grid=first.grid,
        reliable=f"{reliable:016x}",
        blank=first.blank and second.blank,
    )


def _cells(grid: str) -> list[int]:
    return [int(grid[at : at + 16], 16) for at in range(0, 16 * CELLS, 16)]


def _apart(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def _is_flat(cell: int) -> bool:
    """A cell of one value has no more than its first term, the mean; half of the terms of any other are set."""
    return cell.bit_count() <= 1

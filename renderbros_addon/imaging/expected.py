"""Whether a finished frame shows what is to be expected, by perceptual hashes alone. Pure, and without image libraries.

Two things are known of a frame: what the submitter's small preview of it shows, and that it lies between its neighbours
in time. What is found here is suspicion, no proof: it costs one more render, by somebody else, who settles it. Small
and dim changes, and those of brightness and colour alone, are not seen.

The bounds rest on shots of twelve frames (:file:`tests/bench/expected_frames.py` renders them anew).
"""

from __future__ import annotations

from collections.abc import Iterable

from ..protocol.expectations import ExpectedFrame
from ..protocol.results import Output

STEADY = 12

SLACK = 16

LIMIT = 20

EMPTY = 8

OTHER_PICTURE = 18

APART = 8

_CELLS = 64
_COLUMNS = 8
"""Of :data:`~..protocol.results.HashGrid`."""


def expectation(frame: int, first: Output, second: Output) -> ExpectedFrame:
    """What ``frame`` is expected to look like, from two previews of it with different noise and of different size.

    ValueError if their grids were not taken.
    """
    if first.grid is None or second.grid is None:
        raise ValueError("an expectation is made of previews whose grids were taken")
    reliable = 0
    for a, b in zip(_cells(first.grid), _cells(second.grid), strict=True):
        reliable = reliable << 1 | (not _is_flat(a) and not _is_flat(b) and _apart(a, b) <= STEADY)
    whole, again = int(first.phash, 16), int(second.phash, 16)
    return ExpectedFrame(
        frame=frame,
        phash=first.phash,
        grid=first.grid,
        reliable=f"{reliable:016x}",
        steady=not _is_flat(whole) and _apart(whole, again) <= STEADY,
        blank=first.blank and second.blank,
    )


def unexpected(phash: str, grid: str, blank: bool, expected: ExpectedFrame) -> str | None:
    """Why a frame with these hashes is not what its preview shows, in a sentence; None if it may be."""
    if expected.blank:
        shown = [number for number, cell in enumerate(_cells(grid)) if not _is_flat(cell)]
        return f"it shows something{_where(shown)} where the preview is blank" if shown else None
    if blank:
        return "it is blank, and the preview is not"
    reliable = int(expected.reliable, 16)
    excess: dict[int, int] = {}
    empty: list[int] = []
    for number, (a, b) in enumerate(zip(_cells(expected.grid), _cells(grid), strict=True)):
        if _is_flat(b) and not _is_flat(a):
            empty.append(number)
        if reliable >> (_CELLS - 1 - number) & 1 and (more := _apart(a, b) - SLACK) > 0:
            excess[number] = more
    if sum(excess.values()) >= LIMIT:
        return (
            f"{len(excess)} of {reliable.bit_count()} parts that can be told look otherwise than in the preview"
            f"{_where(excess)}"
        )
    if len(empty) >= EMPTY:
        return f"{len(empty)} parts of it have one value all over and do not in the preview{_where(empty)}"
    whole = _apart(int(phash, 16), int(expected.phash, 16))
    if expected.steady and whole >= OTHER_PICTURE:
        return f"it is another picture than the preview: {whole} of 64 bits of their hashes differ"
    return None


def out_of_line(before: str, this: str, after: str) -> str | None:
    """Why a frame does not lie between its neighbours in time, by the grids of the three; None if it may.

    It differs from both in places where they differ less from each other: so neither a cut nor a fast move is one. What
    flashes up in a single frame is.
    """
    excess: dict[int, int] = {}
    empty: list[int] = []
    for number, (a, b, c) in enumerate(zip(_cells(before), _cells(this), _cells(after), strict=True)):
        if (more := min(_apart(a, b), _apart(b, c)) - _apart(a, c) - APART) > 0:
            excess[number] = more
        if _is_flat(b) and not _is_flat(a) and not _is_flat(c):
            empty.append(number)
    if len(empty) >= EMPTY:
        return f"{len(empty)} parts of it have one value all over and do not before and after{_where(empty)}"
    if sum(excess.values()) < LIMIT:
        return None
    return f"{len(excess)} parts of it{_where(excess)} differ from the frames before and after, which are alike there"


def _cells(grid: str) -> list[int]:
    return [int(grid[at : at + 16], 16) for at in range(0, 16 * _CELLS, 16)]


def _apart(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def _is_flat(cell: int) -> bool:
    """A picture of one value has no more than its first term, the mean; half of the terms of any other are set."""
    return cell.bit_count() <= 1


def _where(cells: Iterable[int]) -> str:
    """The middle of ``cells`` in words: `` at the top left``."""
    places = [divmod(cell, _COLUMNS) for cell in cells]
    row = sum(row for row, _ in places) / len(places)
    column = sum(column for _, column in places) / len(places)
    third = _COLUMNS / 3
    down = ("top", "middle", "bottom")[int((row + 0.5) // third)]
    across = ("left", "middle", "right")[int((column + 0.5) // third)]
    return f", mostly in the {down if down == across else f'{down} {across}'}"

"""Whether a finished frame shows what is to be expected, by perceptual hashes alone. Pure; needs no image library.

Two things are known of a frame: what the submitter's small preview of it shows, and that it lies between its
neighbours in time. What is found here is suspicion, no proof: it costs one more render, by somebody else, who
settles it. Small and dim changes, and those of brightness and colour alone, are not seen.

The bounds rest on eleven shots of twelve frames at 320x180 pixels, with previews as ``submit`` makes them: moving,
still, noisy, denoised, furry, in fog, flat, fading, with a cut, without noise, through a compositor that blurs
(:file:`tests/bench/expected_frames.py` renders them anew). At 960x540, two of them were told from the same
previews.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..protocol.expectations import ExpectedFrame
from ..protocol.results import Output

STEADY = 12
"""Bits, of 64, that may differ between the two previews of a cell that is relied upon; those that noise decides
differ in 32. So 10 cells are in a noisy shot and 50 in a clear one. Two previews of one size would not do: in
flat graphics, where there is no noise, 40 % of the cells relied upon would differ from the frame's by more than
the slack, and with two sizes 1 % do."""

SLACK = 16
"""Bits that a reliable cell may differ from the frame's: honest ones differ by 6 on average, by more than 16 in 2
%, by 30 at most; a cell that shows something else differs by about 32."""

LIMIT = 20
"""Bits beyond the slack, of all cells together: more than one odd cell. Of 132 honest frames 2 have as many (20 and
26), the others 16 at most. Found are 86 % of frames that are the next one, 96 % of the third next, 97 % of those
without their biggest thing, and all without their textures."""

EMPTY = 8
"""Cells with one value all over where there was something: an eighth of the frame. No honest frame has one, since
noise and dither are in all of them. With it, all frames are found that are blank or half black."""

OTHER_PICTURE = 18
"""Bits between the hashes of the whole frame and its preview. Honest ones differ by 6, and by 14 close to black. It
adds little: another picture differs in its cells."""

APART = 8
"""Bits that a cell may differ more from both neighbours in time than these from each other. Of what is beyond,
honest frames have 12 at most. It finds less than previews do, and where there is none: 49 % of the third next
frames, 83 % of those without their biggest thing, 67 % of those without textures, 98 % of another shot's."""

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

"""The verdict on what a comparison measured: honest work of another build, a cheat, or can't be told. Pure.

The bounds rest on renders of four scenes (a product shot, an interior lit by a small lamp, fur in fog with motion
blur, flat emission) at 192x144 pixels and 64 samples, cut to crops of 64x64: honest ones by Blender 4.5 against 4.5
without AVX2, 4.3, 5.0 and 5.2, and one of each cheat. :file:`tests/bench/cheats.py` renders and judges them anew. They
were chosen on two frames of each scene.

No image library is met here: the dispatcher judges too, and what decodes is a child of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..protocol.verdicts import PassMeasures, PerceptualDistances, Tolerance, Verdict

CROWD = 0.25
"""From this fraction of a block's pixels on, differences crowd there. Measured between Blender 4.5 and 5.2 (192x144,
64 samples): at most 0.4 % of a block where the noise lines up. A 32x32 tamper fills blocks to 100 %."""

DEFAULT_TOLERANCE = Tolerance(few=0.12, many=0.20, block_few=0.25, block_many=CROWD, mean_few=0.002, mean_many=0.01)
"""``few``: of the pixels that can tell, builds differ in 5 % at most as floats and in 10 % as code values, where a
difference by one step counts, with exceptions: fur in fog without AVX2 (31 and 39 %) and 5.2 (31 and 41 % of the
product shot). ``many``: of the cheats, which each touch the whole picture, 92 % and more where there is noise. Renders
without noise, as flat emission, show fewer samples only at their edges: in 2 to 13 % of all pixels, but in 17 % and
more of those that can tell, and builds differ in 0.1 %. ``block_few``: builds differ in up to 23 % of a block (floats).
``mean``: builds are off by 0.1 %, fewer samples by 0.4 %, 2 % less light by 1.2 to 2 % (in 8-bit code values by 0.3 to
0.7 %)."""
LOSSY_TOLERANCE = DEFAULT_TOLERANCE.model_copy(
    update={"few": 0.05, "many": 0.10, "block_few": 0.35, "block_many": 0.50}
)
"""For JPEG and its like. Where builds differ by a last bit, the format makes it up to 31 % of a 16x16 block; of all
pixels it stays at 0.6 %, while 60 of 64 samples are 14 to 42 % where there is noise, and 2 % less light 7 to 14 %.
What such a format swallows passes: of flat emission, 48 of 64 samples and a colour that is 3 % darker."""
EXACT = Tolerance(origin="exact", few=0, many=0, block_few=0, block_many=0, mean_few=0, mean_many=0)
"""For two renders by the same build on the same kind of device: they are equal to the last bit, or one is wrong."""

SEA = 0.99
"""Where so many pixels outside the crowded blocks are bit-equal, both images come from one class or show a scene that
needs no rounding; a crowd of differences in that sea is then no other build's noise."""

_AID = re.compile(r"(^|\.)Denoising [^.]+(\.[^.]+)?$")
# The denoiser's inputs are made anew in every series: between 4.5 and 5.2 they differ in up to 88 % of the pixels while
# the picture is the same. Depth, normals and Cryptomatte do not differ.

_HONEST_TIMES = 3.0
"""How many times what two honest renders differ by an image may still pass: regions of a scene vary that much."""
_USELESS = 0.25
"""If honest renders differ in such a part of the pixels that can tell, a cheat's can't be told from theirs. Fog differs
nearly everywhere between 4.5 and 5.0, as with fewer samples: without calibration both are a mismatch."""
_MOST_FEW, _MOST_MANY = 0.6, 0.85
"""However much honest renders differ, so many of the pixels that can tell are not few, and so many are many: of those,
other samples change 92 % and more where there is noise."""
_CHANGED = 0.05
"""Of the pixels, by more than 1/255: where fewer differ, the hash proves nothing. A step more or less in a few pixels
of a flat picture turns it around."""

Finding = tuple[Verdict, str]


def calibrated(honest: PassMeasures, apart: int) -> Tolerance:
    """The tolerance for a scene of which two honest renders, of two classes, differ by ``honest``.

    ``apart`` are the bits between the hashes of their whole pictures: of what is flat, noise alone decides the hash.

    Never stricter than the default. ``usable`` is False where they differ too much to tell honest from cheat; then only
    gross fraud is a mismatch, and everything else is settled by replicas within a class.
    """
    base = DEFAULT_TOLERANCE
    few = max(base.few, _HONEST_TIMES * honest.told)
    worst = honest.worst_block.fraction if honest.worst_block else 0.0
    block = max(base.block_few, _HONEST_TIMES * worst)
    mean = max(base.mean_few, _HONEST_TIMES * _off(honest))
    return Tolerance(
        origin="calibrated",
        usable=honest.told < _USELESS and honest.not_finite == 0,
        few=min(_MOST_FEW, few),
        many=min(_MOST_MANY, max(base.many, 2 * few)),
        block_few=min(1.0, block),
        block_many=min(1.0, max(base.block_many, 2 * block)),
        mean_few=min(1.0, mean),
        mean_many=min(1.0, max(base.mean_many, 2 * mean)),
        other_picture=min(65, base.other_picture + 2 * apart),
    )


def judge(passes: Sequence[PassMeasures], perceptual: PerceptualDistances, tolerance: Tolerance) -> Finding:
    """The verdict and a sentence that gives its reason. The first of ``passes`` is the picture."""
    picture, others = passes[0], passes[1:]
    verdict, reason = _judge_picture(picture, perceptual, tolerance)
    if verdict != "match":
        return verdict, reason
    for other in others:
        found, why = _judge_pass(other, tolerance)
        if found == "match" or (tolerance.origin != "exact" and _AID.search(other.name)):
            continue
        # Builds may make a pass in another way while the picture stays; within a class they do not.
        sure = found == "mismatch" and picture.bit_equal == 1
        return ("mismatch" if sure else "inconclusive"), f"the picture matches, but in {other.name} {why}"
    return verdict, reason


def _judge_picture(picture: PassMeasures, perceptual: PerceptualDistances, tolerance: Tolerance) -> Finding:
    if picture.bit_equal == 1:
        return "match", "every bit of the picture is the same"
    if perceptual.whole >= tolerance.other_picture and picture.beyond_1 > _CHANGED:
        return "mismatch", f"it is another picture: their hashes are {perceptual.whole} of 64 bits apart"
    if tolerance.usable:
        return _judge_pass(picture, tolerance)
    return (
        "inconclusive",
        f"{_percent(picture.beyond_slight)} of the pixels differ, but honest renders of this scene differ so much too: "
        "only a render of the same Blender on the same kind of device can settle it",
    )


def _judge_pass(measured: PassMeasures, tolerance: Tolerance) -> Finding:
    """By one pass alone. The order of the questions is that of how sure their answers are."""
    differing, busy = _percent(measured.beyond_slight), ""
    if measured.told != measured.beyond_slight:
        busy = f", {_percent(measured.told)} of those with noise or detail,"
    if measured.bit_equal == 1:
        return "match", "every bit is the same"
    if tolerance.origin == "exact":
        count = measured.pixels - round(measured.bit_equal * measured.pixels)
        return "mismatch", f"{_pixels(count)} {'is' if count == 1 else 'are'} not bit-equal, as they had to be"
    if measured.not_finite:
        return "mismatch", f"{_pixels(measured.not_finite)} are infinite or no number in one of the images only"
    if measured.told >= tolerance.many:
        return "mismatch", (
            f"{differing} of the pixels{busy} differ, which is far beyond what another build does "
            f"({_percent(tolerance.many)}): as with fewer samples, other settings or another frame{_shift(measured)}"
        )
    worst, off = measured.worst_block, _off(measured)
    crowd = worst is not None and worst.fraction >= tolerance.block_many
    where = f"{_percent(worst.fraction)} of the block at {worst.region} differ" if worst else ""
    if crowd and measured.sea_equal >= SEA:
        return "mismatch", (
            f"{where}, while {_percent(measured.sea_equal)} of the pixels outside of such blocks are bit-equal: "
            "as with tampering"
        )
    if off >= tolerance.mean_many:
        return "mismatch", f"its mean is off by {_percent(off)}{_shift(measured)}"
    if crowd:
        return "inconclusive", f"{where}: tampering, or something that another build renders differently"
    if worst is not None and worst.fraction > tolerance.block_few:
        return "inconclusive", f"{where}: too many to be sure"
    if measured.told > tolerance.few:
        return "inconclusive", (
            f"{differing} of the pixels{busy} differ, more than the {_percent(tolerance.few)} "
            f"that is usual between builds and less than the {_percent(tolerance.many)} that proves a cheat"
        )
    if off > tolerance.mean_few:
        return "inconclusive", f"its mean is off by {_percent(off)}{_shift(measured)}: too much to be sure"
    if measured.beyond_slight == 0:
        return "match", f"{_percent(1 - measured.bit_equal)} of the pixels differ, all by less than anyone sees"
    return "match", f"{differing} of the pixels differ, few and scattered, as between builds"


def _off(measured: PassMeasures) -> float:
    """How far the mean of a colour is off, either way; 0 for what is no colour."""
    colours = [ratio for name, ratio in measured.mean_ratio.items() if name.rpartition(".")[2] in ("R", "G", "B", "Y")]
    return min(1.0, max((abs(ratio) for ratio in colours if ratio is not None), default=0.0))


def _shift(measured: PassMeasures) -> str:
    """In words where all colours moved one way, as with less light."""
    colours = [
        ratio for name, ratio in measured.mean_ratio.items() if name.rpartition(".")[2] in ("R", "G", "B") and ratio
    ]
    if len(colours) < 3 or min(abs(ratio) for ratio in colours) < 0.005:
        return ""
    if all(ratio < 0 for ratio in colours) or all(ratio > 0 for ratio in colours):
        way = "darker" if colours[0] < 0 else "brighter"
        return f"; it is {_percent(sum(map(abs, colours)) / len(colours))} {way}"
    return ""


def _pixels(count: int) -> str:
    return f"{count} pixel{'' if count == 1 else 's'}"


def _percent(fraction: float) -> str:
    if 0 < fraction < 0.0001:
        return "less than 0.01 %"
    if 0.999 < fraction < 1:
        return "over 99.9 %"
    return f"{100 * fraction:.3g} %"

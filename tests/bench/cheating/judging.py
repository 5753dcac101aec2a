"""Checks honest and cheated frames as a farm would, again and again, with other crops each time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from catalogue import HONEST, LOSSY_SCENE, Cheat
from counting import Findings, Row, worst
from expecting import Previews
from footage import CHEATER, LINEAR, Footage, Maker

from renderbros_addon.imaging.compare import compare
from renderbros_addon.imaging.decode import Image
from renderbros_addon.imaging.judge import DEFAULT_TOLERANCE, EXACT, calibrated, judge
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.verdicts import Comparison, Tolerance, Verdict

SHARE = 1 / 25
"""Of the frame's area, each crop."""
HONEST_TIMES = 10
"""An honest frame is checked so many times as often as a cheated one: less may go wrong with it."""
PLACES, HONEST_PLACES = 60, 4
"""Each check draws its crops from so many random places in the frame, and for an honest one from four times as many."""
DELIVERED_LESS = 4
"""What is delivered is checked so many times less often than linear floats, for which the targets are."""


@dataclass(frozen=True)
class Checker:
    """Who renders anew what is to be checked."""

    name: str
    maker: Maker
    same_class: bool
    draws: int
    """Checks of each cheated frame."""
    crops: int = 2
    """That one check compares."""
    least: int = 64
    """Pixels along each side of a crop, where the frame has them."""

    @property
    def tolerances(self) -> tuple[str, ...]:
        return ("exact",) if self.same_class else ("default", "calibrated")


@dataclass(frozen=True)
class Delivery:
    """What came in for a frame."""

    name: str
    stem: str
    source: int
    """The frame that its files are named after: another one if it is a copy."""
    image: Image


class Session:
    """The frames of one scene, checked by one checker."""

    def __init__(self, footage: Footage, scene: str, checker: Checker, cheats: Sequence[Cheat]) -> None:
        self._footage, self._scene, self._checker, self._cheats = footage, scene, checker, cheats
        self._previews = Previews(footage, scene)
        self._pairs: list[tuple[int, Tolerance]] = []
        self.findings = Findings()

    def run(self) -> Findings:
        """Check everything."""
        for stored in (LINEAR, "png"):
            self._pairs = [] if self._checker.same_class else list(self._calibrations(stored))
            for frame in self._footage.frames:
                self._check_frame(frame, stored)
        if self._scene == LOSSY_SCENE:
            self._pairs = []
            for frame in self._footage.frames:
                reference = self._reference(frame, "jpg")
                for delivery in self._deliveries(frame, "jpg"):
                    self._check_whole(frame, delivery, "jpg", reference)
        return self.findings

    def _reference(self, frame: int, stored: str) -> Image:
        return self._footage.honest(self._checker.maker, self._scene, frame, stored)

    def _deliveries(self, frame: int, stored: str) -> Iterator[Delivery]:
        yield Delivery(HONEST, HONEST, frame, self._footage.honest(CHEATER, self._scene, frame, stored))
        for cheat in self._cheats:
            image = self._footage.cheat(cheat, self._scene, frame, stored)
            yield Delivery(cheat.name, *self._footage.source(cheat, frame), image)

    def _calibrations(self, stored: str) -> Iterator[tuple[int, Tolerance]]:
        """What crops of honest frames by both classes make of the tolerance, each with its frame."""
        for frame in self._footage.frames:
            reference = self._reference(frame, stored)
            honest = self._footage.honest(CHEATER, self._scene, frame, stored)
            random = self._random(frame, f"calibration {stored}")
            for _ in range(PLACES):
                region = self._place(random)
                pair = compare(cropped(reference, region), honest, region)
                yield frame, calibrated(pair.passes[0], pair.perceptual.whole)

    def _check_frame(self, frame: int, stored: str) -> None:
        reference = self._reference(frame, stored)
        honest: Image | None = None
        for delivery in self._deliveries(frame, stored):
            honest = honest or delivery.image
            whole = self._check_whole(frame, delivery, stored, reference)
            if stored != LINEAR:
                self._check_crops(frame, delivery, stored, reference)
                continue
            suspicious = self._previews.suspicion(delivery.stem, delivery.source, frame)
            if suspicious is not None:
                self._note("previews", delivery.name, "mismatch" if suspicious else "match", suspicious)
            if delivery.name == HONEST:
                key = (self._checker.name, self._scene)
                share = whole.passes[0].beyond_slight / len(self._footage.frames)
                self.findings.apart[key] = self.findings.apart.get(key, 0.0) + share
            # What settles doubts: all of it rendered anew by another owner of the cheater's own class.
            truth = compare(honest, delivery.image, tolerance=EXACT)
            touched = (self._scene, delivery.name)
            share = (1 - truth.passes[0].bit_equal) / len(self._footage.frames)
            self.findings.touched[touched] = self.findings.touched.get(touched, 0.0) + share
            for kind, verdict in self._check_crops(frame, delivery, stored, reference):
                doubted = verdict == "inconclusive" or bool(suspicious)
                settled = truth.verdict if doubted and verdict != "mismatch" else verdict
                self._note(f"together {kind}", delivery.name, settled, "")
                if delivery.name == HONEST:
                    needed = doubted or verdict != "match"
                    self._note(f"replicas {kind}", HONEST, "inconclusive" if needed else "match", "")

    def _check_whole(self, frame: int, delivery: Delivery, stored: str, reference: Image) -> Comparison:
        """A full replica."""
        if self._checker.same_class:
            compared = compare(reference, delivery.image, tolerance=EXACT)
            self._note(f"whole {stored} exact", delivery.name, compared.verdict, compared.reason)
            return compared
        compared = compare(reference, delivery.image)
        self._note(f"whole {stored} default", delivery.name, compared.verdict, compared.reason)
        # There are few whole frames: each is held against all calibrations.
        for at, tolerance in self._pairs:
            if at != frame:
                verdict, reason = judge(compared.passes, compared.perceptual, tolerance)
                self._note(f"whole {stored} calibrated", delivery.name, verdict, reason)
        return compared

    def _check_crops(self, frame: int, delivery: Delivery, stored: str, reference: Image) -> list[tuple[str, Verdict]]:
        """The frame's verdict of each check, by each tolerance."""
        random = self._random(frame, f"{delivery.name} {stored}")
        others = [tolerance for at, tolerance in self._pairs if at != frame]
        times = HONEST_TIMES if delivery.name == HONEST else 1
        places = [self._place(random) for _ in range(PLACES * (HONEST_PLACES if times > 1 else 1))]
        crops = Crops(reference, delivery.image, places)
        given: list[tuple[str, Verdict]] = []
        draws = self._checker.draws if stored == LINEAR else self._checker.draws // DELIVERED_LESS
        for _ in range(draws * times):
            drawn = random.choice(len(crops.regions), self._checker.crops, replace=False)
            tolerances = {"exact": EXACT} if self._checker.same_class else {"default": DEFAULT_TOLERANCE}
            if others:
                tolerances["calibrated"] = others[random.integers(len(others))]
            for kind, tolerance in tolerances.items():
                # A mismatch is one whatever the other crop says.
                found: dict[Verdict, str] = {}
                for place in drawn:
                    if "mismatch" not in found:
                        verdict, reason = crops.judged(int(place), tolerance)
                        found[verdict] = reason
                verdict = worst(found)
                self._note(f"crops {stored} {kind}", delivery.name, verdict, found[verdict])
                given.append((kind, verdict))
        return given

    def _note(self, level: str, name: str, verdict: Verdict, reason: str) -> None:
        self.findings.note(Row(self._checker.name, level, self._scene, name), verdict, reason)

    def _place(self, random: np.random.Generator) -> Region:
        """Anywhere in the frame, each place as likely as any other."""
        width, height = self._footage.size
        across, down = (min(side, max(self._checker.least, round(sqrt(SHARE) * side))) for side in (width, height))
        x, y = int(random.integers(width - across + 1)), int(random.integers(height - down + 1))
        return Region(x0=x, y0=y, x1=x + across, y1=y + down)

    def _random(self, frame: int, what: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self._checker.name} {self._scene} {frame} {what}".encode()))


class Crops:
    """Places in a frame; what is there is compared when it is first asked for."""

    def __init__(self, reference: Image, image: Image, regions: Sequence[Region]) -> None:
        self._reference, self._image, self.regions = reference, image, regions
        self._compared: dict[int, Comparison] = {}

    def judged(self, place: int, tolerance: Tolerance) -> tuple[Verdict, str]:
        """The verdict on the crop at one of the places, and its reason."""
        if place not in self._compared:
            region = self.regions[place]
            self._compared[place] = compare(cropped(self._reference, region), self._image, region)
        compared = self._compared[place]
        return judge(compared.passes, compared.perceptual, tolerance)


def cropped(image: Image, region: Region) -> Image:
    """What a render with a border gives: its pixels are those of the whole frame."""
    rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
    channels = {name: pixels[rows, columns] for name, pixels in image.channels.items()}
    return Image(image.container, region.width, region.height, channels)

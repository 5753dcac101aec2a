"""Checks honest and cheated frames as a farm does, again and again, with other crops each time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from catalogue import HONEST, LOSSY_SCENE, Cheat
from counting import Findings, Row, worst
from expecting import Looks
from footage import CHEATER, LINEAR, Footage, Maker, picture

from renderbros_addon.dispatcher.trust import REPLICA_SHARE
from renderbros_addon.imaging.attention import Weights, draw_regions
from renderbros_addon.imaging.attention_map import attention_map
from renderbros_addon.imaging.compare import compare
from renderbros_addon.imaging.decode import Image
from renderbros_addon.imaging.judge import DEFAULT_TOLERANCE, EXACT, calibrated, judge
from renderbros_addon.imaging.phash import grey_rows
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.verdicts import Comparison, Tolerance, Verdict

HONEST_TIMES = 10
"""An honest frame is checked so many times as often as a cheated one: less may go wrong with it."""

PLACES, HONEST_PLACES = 80, 320
"""Each check takes its crops from so many places in the frame, drawn by the farm's own rule."""

Judged = tuple[Verdict, str]
"""A verdict and its reason."""


@dataclass(frozen=True)
class Checker:
    """Who renders anew what is to be checked, and how much of it."""

    name: str
    maker: Maker
    same_class: bool
    draws: int
    """Checks of each cheated frame."""
    crops: int
    """That one check compares, where it doesn't take the whole frame."""
    size: tuple[int, int]
    """Pixels of a crop."""


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
        self._looks = Looks(footage, scene)
        self._calibrations: list[tuple[int, Tolerance]] = []
        self.findings = Findings()

    def run(self) -> Findings:
        """Check everything."""
        for stored in (LINEAR, "png"):
            self._calibrations = [] if self._checker.same_class else list(self._calibrate(stored))
            for frame in self._footage.frames:
                self._check_frame(frame, stored)
        if self._scene == LOSSY_SCENE:
            self._calibrations = []
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

    def _calibrate(self, stored: str) -> Iterator[tuple[int, Tolerance]]:
        """What crops of honest frames by both classes make of the tolerance, each with its frame."""
        for frame in self._footage.frames:
            honest = self._footage.honest(CHEATER, self._scene, frame, stored)
            crops = self._crops(self._reference(frame, stored), honest, PLACES, self._random(frame, "calibration"))
            for place in range(PLACES):
                pair = crops.compared(place)
                yield frame, calibrated(pair.passes[0], pair.perceptual.whole)

    def _check_frame(self, frame: int, stored: str) -> None:
        reference = self._reference(frame, stored)
        honest: Image | None = None
        for delivery in self._deliveries(frame, stored):
            honest = honest or delivery.image
            # What settles doubts: all of it rendered anew by another owner of the cheater's own class.
            truth = compare(honest, delivery.image, tolerance=EXACT)
            suspicious = self._looks.suspicion(delivery.stem, delivery.source, frame)
            if stored == LINEAR:
                self._note("looks", delivery.name, "mismatch" if suspicious else "match", suspicious)
                self._add(self.findings.touched, delivery.name, 1 - truth.passes[0].bit_equal)
            whole = self._check_whole(frame, delivery, stored, reference)
            if stored == LINEAR and delivery.name == HONEST:
                self._add(self.findings.apart, self._checker.name, whole.passes[0].beyond_slight)
                self._add(self.findings.unequal, self._checker.name, 1 - whole.passes[0].bit_equal)
            self._check_parts(frame, delivery, stored, reference, whole, truth if suspicious else None)

    def _check_whole(self, frame: int, delivery: Delivery, stored: str, reference: Image) -> Comparison:
        """A full replica."""
        compared = compare(reference, delivery.image)
        if self._checker.same_class:
            self._note(f"whole {stored} exact", delivery.name, *_judged(compared, EXACT))
            return compared
        self._note(f"whole {stored} default", delivery.name, compared.verdict, compared.reason)
        # There are few whole frames: each is held against all calibrations.
        for at, tolerance in self._calibrations:
            if at != frame:
                self._note(f"whole {stored} calibrated", delivery.name, *_judged(compared, tolerance))
        return compared

    def _check_parts(
        self,
        frame: int,
        delivery: Delivery,
        stored: str,
        reference: Image,
        whole: Comparison,
        settled: Comparison | None,
    ) -> None:
        """Check crops of a frame many times. ``settled`` is what comes of it if it looks suspicious."""
        random = self._random(frame, f"{delivery.name} {stored}")
        honest = delivery.name == HONEST
        crops = self._crops(reference, delivery.image, HONEST_PLACES if honest else PLACES, random)
        calibrations = [tolerance for at, tolerance in self._calibrations if at != frame]
        for _ in range(self._checker.draws * (HONEST_TIMES if honest else 1)):
            places = random.sample(range(len(crops.regions)), self._checker.crops)
            tolerances = {"exact": EXACT} if self._checker.same_class else {"default": DEFAULT_TOLERANCE}
            if calibrations:
                tolerances["calibrated"] = random.choice(calibrations)
            replica = random.random() < REPLICA_SHARE
            for kind, tolerance in tolerances.items():
                verdict, reason = crops.judged(places, tolerance)
                self._note(f"crops {stored} {kind}", delivery.name, verdict, reason)
                if settled is not None:
                    verdict, reason = settled.verdict, settled.reason
                elif replica:
                    verdict, reason = _judged(whole, tolerance)
                self._note(f"together {stored} {kind}", delivery.name, verdict, reason)

    def _crops(self, reference: Image, image: Image, count: int, random: Random) -> Crops:
        grey = grey_rows(picture(image.channels)[:, :, :3])
        weights: Weights = tuple(map(tuple, attention_map(grey).tolist()))
        frame = Region.full(image.width, image.height)
        # One at a time, so that each is drawn as the first of a check is: any two of them may overlap.
        places = [draw_regions(weights, frame, self._checker.size, 1, random)[0] for _ in range(count)]
        return Crops(reference, image, places)

    def _note(self, level: str, name: str, verdict: Verdict, reason: str) -> None:
        self.findings.note(Row(self._checker.name, level, self._scene, name), verdict, reason)

    def _add(self, shares: dict[tuple[str, str], float], key: str, share: float) -> None:
        """Add one frame to a mean over all."""
        of = (self._scene, key)
        shares[of] = shares.get(of, 0.0) + share / len(self._footage.frames)

    def _random(self, frame: int, what: str) -> Random:
        return Random(zlib.crc32(f"{self._checker.name} {self._scene} {frame} {what}".encode()))


class Crops:
    """Places in a frame; what is there is compared when it is first asked for."""

    def __init__(self, reference: Image, image: Image, regions: Sequence[Region]) -> None:
        self._reference, self._image, self.regions = reference, image, regions
        self._compared: dict[int, Comparison] = {}

    def compared(self, place: int) -> Comparison:
        """The crop at one of the places, rendered anew, with the same of the frame."""
        if place not in self._compared:
            region = self.regions[place]
            self._compared[place] = compare(_cropped(self._reference, region), self._image, region)
        return self._compared[place]

    def judged(self, places: Sequence[int], tolerance: Tolerance) -> Judged:
        """The verdict on the frame by crops at some of the places."""
        found: dict[Verdict, str] = {}
        for place in places:
            # A mismatch is one whatever the others say.
            if "mismatch" not in found:
                verdict, reason = _judged(self.compared(place), tolerance)
                found[verdict] = reason
        verdict = worst(found)
        return verdict, found[verdict]


def _judged(compared: Comparison, tolerance: Tolerance) -> Judged:
    return judge(compared.passes, compared.perceptual, tolerance)


def _cropped(image: Image, region: Region) -> Image:
    """What a render with a border gives: its pixels are those of the whole frame."""
    rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
    channels = {name: pixels[rows, columns] for name, pixels in image.channels.items()}
    return Image(image.container, region.width, region.height, channels)

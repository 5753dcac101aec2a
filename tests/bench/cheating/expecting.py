"""Level 3: whether what is delivered looks like the submitter's small previews, and lies between its neighbours."""

from __future__ import annotations

from functools import cached_property

from catalogue import HONEST
from footage import CHEATER, Footage

from renderbros_addon.imaging.expected import expectation, out_of_line, unexpected
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.protocol.results import Output


class Looks:
    """What the frames of one scene look like, and what that says of deliveries."""

    def __init__(self, footage: Footage, scene: str) -> None:
        self._footage, self._scene = footage, scene

    def suspicion(self, stem: str, source: int, frame: int) -> str:
        """Why the picture in ``stem`` of the frame ``source`` may not be ``frame``; empty if nothing is odd about it.

        Its neighbours are honest.
        """
        output = self._output(stem, source)
        if output.grid is None:
            raise ValueError("a picture without a grid of hashes")
        first, second = (self._output(f"preview-{number}", frame) for number in (0, 1))
        found = unexpected(output.phash, output.grid, output.blank, expectation(frame, first, second))
        neighbours = [self._honest[at].grid for at in (frame - 1, frame + 1) if at in self._honest]
        if found is None and len(neighbours) == 2:
            found = out_of_line(str(neighbours[0]), output.grid, str(neighbours[1]))
        if found is None:
            twins = (at for at, honest in self._honest.items() if honest.pixel_digest == output.pixel_digest)
            found = next((f"the frame {at} has the same pixels" for at in twins if at != frame), None)
        return found or ""

    @cached_property
    def _honest(self) -> dict[int, Output]:
        return {frame: self._output(HONEST, frame) for frame in self._footage.frames_of(CHEATER)}

    def _output(self, stem: str, frame: int) -> Output:
        return inspect_image(self._footage.delivered(stem, self._scene, frame))

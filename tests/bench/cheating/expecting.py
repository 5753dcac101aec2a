"""Level 3: whether what is delivered looks like the submitter's small previews of it."""

from __future__ import annotations

from typing import Any

from footage import Footage

from renderbros_addon.imaging.fingerprint import inspect_image

try:
    from renderbros_addon.imaging.expected import expectation, unexpected
except ImportError:
    expectation = unexpected = None  # type: ignore[assignment]

MEASURED = unexpected is not None
"""Whether this checkout can tell."""


class Previews:
    """Of the frames of one scene, and what they say of deliveries."""

    def __init__(self, footage: Footage, scene: str) -> None:
        self._footage, self._scene = footage, scene
        self._expected: dict[int, Any] = {}

    def suspicion(self, stem: str, source: int, frame: int) -> str | None:
        """Why the picture in ``stem`` of the frame ``source`` is not what ``frame`` should be; empty if it is.

        None if nothing can be told.
        """
        if not MEASURED:
            return None
        if frame not in self._expected:
            first, second = (
                inspect_image(self._footage.delivered(f"preview-{number}", self._scene, frame)) for number in (0, 1)
            )
            self._expected[frame] = expectation(frame, first, second)
        output = inspect_image(self._footage.delivered(stem, self._scene, source))
        return unexpected(output.phash, output.grid, self._expected[frame]) or ""

"""Which channels of a file are the picture: by Blender's names for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Multilayer files say LAYER.Combined.R, with stereo LAYER.Combined.VIEW.R; a layer's name may itself hold dots.
_COMBINED = re.compile(r"\A(?P<layer>.+)\.Combined(?:\.(?P<view>[^.]+))?\.(?P<channel>[RGBA])\Z")


@dataclass(frozen=True)
class Picture:
    """Names of the channels that people look at."""

    colour: tuple[str, ...]
    """Three names, red first, or one name of a grey image."""
    alpha: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return self.colour if self.alpha is None else (*self.colour, self.alpha)


def combined_layers(channels: Iterable[str]) -> dict[str, Picture]:
    """The view layers with a whole RGBA Combined pass, in the order of their first channel.

    With stereo a key is ``LAYER`` and the view, such as ``ViewLayer.left``.
    """
    found: dict[str, dict[str, str]] = {}
    for name in channels:
        match = _COMBINED.match(name)
        if match:
            layer = match["layer"] if match["view"] is None else f"{match['layer']}.{match['view']}"
            found.setdefault(layer, {})[match["channel"]] = name
    return {layer: Picture((c["R"], c["G"], c["B"]), c["A"]) for layer, c in found.items() if c.keys() >= set("RGBA")}


def picture_of(channels: Sequence[str]) -> Picture:
    """The picture in a file with ``channels``: plain RGB, else the first Combined, else any RGB, else one channel.

    ``channels`` must not be empty.
    """
    names = set(channels)
    if names >= {"R", "G", "B"}:
        return Picture(("R", "G", "B"), "A" if "A" in names else None)
    layers = combined_layers(channels)
    if layers:
        return next(iter(layers.values()))
    for name in channels:
        prefix, dot, last = name.rpartition(".")
        if last == "R" and names >= {f"{prefix}{dot}G", f"{prefix}{dot}B"}:
            alpha = f"{prefix}{dot}A"
            return Picture((name, f"{prefix}{dot}G", f"{prefix}{dot}B"), alpha if alpha in names else None)
    grey = next((name for name in channels if name.rpartition(".")[2] in ("Y", "V")), channels[0])
    return Picture((grey,), "A" if "A" in names and grey != "A" else None)

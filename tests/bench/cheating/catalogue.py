"""The cheats that are tried, how each is made, and how seldom one may pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

LAST = 5
"""The scenes move from frame 1 to this one."""

SCENES = ("product", "interior", "fur", "titles")
LOSSY_SCENE = "product"
"""The one that is delivered as JPEG as well."""

How = Literal["rendered", "enlarged", "denoised", "copied", "forged"]


@dataclass(frozen=True)
class Cheat:
    """One way to deliver something else than the frame."""

    name: str
    how: How
    """``rendered`` with ``edits``; ``enlarged`` from such a render; ``denoised`` in such a render; ``copied`` from the
    frame ``ahead``; ``forged`` from the honest frame by the function of that name in ``forgeries``."""
    target: float | None
    """How often it may be accepted, at most; None if the design sets nothing for it."""
    edits: dict[str, Any] = field(default_factory=dict)
    ahead: int = 0
    forgery: str = ""
    amount: float = 0.0
    quick: bool = False
    """Tried by a quick run too."""

    @property
    def stem(self) -> str:
        """Name of its files."""
        return self.name.replace(" %", "pc").replace(" ", "-").replace("/", "of")


def _samples(percent: int) -> Cheat:
    return Cheat(f"{percent} % samples", "rendered", 1e-3, {"samples": percent / 100}, quick=percent in (95, 12))


CHEATS: tuple[Cheat, ...] = (
    *(_samples(percent) for percent in (95, 75, 50, 12)),
    Cheat("3/4 size enlarged", "enlarged", 1e-3, {"percentage": 75}),
    Cheat("1/2 size enlarged", "enlarged", 1e-3, {"percentage": 50}, quick=True),
    Cheat("50 % samples denoised", "denoised", 1e-3, {"samples": 0.50, "denoise": True}),
    Cheat("12 % samples denoised", "denoised", 1e-3, {"samples": 0.12, "denoise": True}, quick=True),
    Cheat("missing texture", "rendered", 1e-3, {"missing": True}, quick=True),
    Cheat("colour off 2 %", "forged", 1e-3, forgery="redder", amount=0.02, quick=True),
    Cheat("colour off 5 %", "forged", 1e-3, forgery="redder", amount=0.05),
    Cheat("light 2 % darker", "forged", 1e-2, forgery="darker", amount=0.02, quick=True),
    Cheat("light 5 % darker", "forged", 1e-2, forgery="darker", amount=0.05),
    Cheat("one lamp 2 % darker", "rendered", 1e-2, {"lamp": 0.98}),
    Cheat("wrong frame", "copied", 1e-3, ahead=2, quick=True),
    Cheat("neighbour frame", "copied", 1e-3, ahead=1),
    Cheat("stale frame", "rendered", 1e-3, {"stale": True}),
    Cheat("blank", "forged", 1e-3, forgery="blank"),
    Cheat("hidden object", "rendered", None, {"hidden": True}),
    Cheat("32x32 tamper", "forged", None, forgery="tampered", quick=True),
    Cheat("watermark", "forged", None, forgery="watermarked"),
)

HONEST = "honest"
"""Where others have a cheat's name."""

MOST_INCONCLUSIVE, MOST_PUNISHED = 1e-3, 1e-4
"""Of honest frames: how many may be inconclusive, and how many a mismatch."""


def copied_from(frame: int, ahead: int) -> int:
    """The frame that is delivered in the place of ``frame``."""
    return (frame - 1 + ahead) % LAST + 1

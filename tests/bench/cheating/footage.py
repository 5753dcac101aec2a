"""Gets the frames made, honest and not, and reads them: renders by child processes, forgeries here.

A folder holds them: what is there already is not made again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from catalogue import HONEST, LOSSY_SCENE, Cheat, copied_from
from forgeries import FORGERIES, enlarged
from in_blender import script_command

from renderbros_addon.imaging.channels import picture_of
from renderbros_addon.imaging.decode import Image, read_channels

SCRIPTS = Path(__file__).resolve().parent
LINEAR = "linear"

PREVIEWS = ({"at most": 16}, {"at most": 16, "seed": 1})
"""As the submitter's Blender makes the two previews of a frame that is no larger than they are."""


@dataclass(frozen=True)
class Maker:
    """A kind of worker: a build of Blender, and what it is told to do without."""

    name: str
    program: str = ""
    """A Blender, or a Python that has bpy; empty for the one that runs this."""
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, script: Path, argument: Path) -> list[str]:
        if not self.program:
            return script_command(script, argument)
        if "python" in Path(self.program).name:
            return [self.program, str(script), str(argument)]
        start = [self.program, "-b", "--factory-startup", "--python-exit-code", "1", "--python"]
        return [*start, str(script), "--", str(argument)]


CHEATER = Maker("this build")
"""Who makes every cheat, and the honest frames that they are held beside."""
AGAIN = Maker("same class")
"""The same in another process: who checks within a class."""
NO_AVX2 = Maker("without AVX2", environment={"CYCLES_CPU_NO_AVX2": "1"})
"""Cycles reads this variable in ``util/debug.cpp``; it takes its SSE4.2 kernels then."""


class Footage:
    """The frames in ``home``."""

    def __init__(
        self, home: Path, scenes: Sequence[str], frames: Sequence[int], size: tuple[int, int], samples: int
    ) -> None:
        self._home = home / f"{size[0]}x{size[1]}-{samples}"
        self.scenes, self.frames, self.size, self.samples = scenes, frames, size, samples
        self._blends = {scene: self._home / "scenes" / f"{scene}.blend" for scene in scenes}
        self._handles_file = self._home / "scenes" / "handles.json"

    def formats(self, scene: str) -> list[str]:
        """How a scene is delivered."""
        return ["png", "jpg"] if scene == LOSSY_SCENE else ["png"]

    def build(self) -> None:
        """Save the scenes."""
        missing = {scene: str(path) for scene, path in self._blends.items() if not path.exists()}
        if missing:
            self._blends[self.scenes[0]].parent.mkdir(parents=True, exist_ok=True)
            wanted = {"scenes": missing, "size": self.size, "samples": self.samples, "handles": str(self._handles_file)}
            self._run(CHEATER, "subjects.py", wanted)

    def shoot(self, maker: Maker, cheats: Iterable[Cheat] = (), *, previews: bool = False) -> str:
        """Render the honest frames by ``maker``, ``cheats`` and previews; the version of its Blender."""
        orders = []
        for scene in self.scenes:
            for frame in self.frames_of(maker):
                plans: list[tuple[str, dict[str, Any], list[str]]] = [(HONEST, {}, self.formats(scene))]
                if frame in self.frames:
                    for cheat in cheats:
                        if cheat.how in ("rendered", "denoised"):
                            plans.append((cheat.stem, cheat.edits, self.formats(scene)))
                        elif cheat.how == "enlarged":
                            plans.append((f"{cheat.stem}-small", cheat.edits, []))
                    if previews:
                        plans += [(f"preview-{n}", edits, ["png"]) for n, edits in enumerate(PREVIEWS)]
                for name, edits, formats in plans:
                    stem = self._stem(maker, scene, name, frame)
                    stem.parent.mkdir(parents=True, exist_ok=True)
                    order = {"scene": scene, "blend": str(self._blends[scene]), "frame": frame}
                    orders.append({**order, "edits": edits, "formats": formats, "stem": str(stem)})
        version = self._home / maker.name.replace(" ", "-") / "version.txt"
        handles = json.loads(self._handles_file.read_text())
        began = time.perf_counter()
        todo = [order for order in orders if not Path(f"{order['stem']}.exr").exists()]
        if todo or not version.exists():
            self._run(maker, "shoot.py", {"orders": todo, "handles": handles, "version": str(version)})
            print(f"{maker.name}: {len(todo)} renders in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        return version.read_text()

    def frames_of(self, maker: Maker) -> list[int]:
        """The frames that ``maker`` renders honestly: for a cheater also those that are copied."""
        if maker != CHEATER:
            return list(self.frames)
        return sorted({copied_from(frame, ahead) for frame in self.frames for ahead in (0, 1, 2)})

    def forge(self, cheats: Iterable[Cheat]) -> None:
        """Make the cheats that need no render of their own, and develop them."""
        made: list[tuple[str, str]] = []
        for scene in self.scenes:
            for frame in self.frames:
                for cheat in cheats:
                    stem = self._stem(CHEATER, scene, cheat.stem, frame)
                    last = stem.with_name(f"{stem.name}.{self.formats(scene)[-1]}")
                    if cheat.how in ("forged", "enlarged") and not last.exists():
                        channels = self._forged(cheat, scene, frame)
                        np.savez(f"{stem}.npz", **channels)
                        np.save(f"{stem}.npy", picture(channels))
                        made.append((scene, str(stem)))
        if made:
            develop = [
                {
                    "blend": str(self._blends[scene]),
                    "formats": self.formats(scene),
                    "stems": [stem for owner, stem in made if owner == scene],
                }
                for scene in self.scenes
            ]
            self._run(CHEATER, "shoot.py", {"develop": develop, "version": str(self._home / "developer.txt")})

    def _forged(self, cheat: Cheat, scene: str, frame: int) -> dict[str, Any]:
        honest = self.honest(CHEATER, scene, frame, LINEAR)
        if cheat.how == "enlarged":
            path = self._stem(CHEATER, scene, f"{cheat.stem}-small", frame)
            small = read_channels(path.with_name(f"{path.name}.exr"))
            return {
                name: enlarged(pixels, honest.width, honest.height)
                for name, pixels in small.channels.items()
                if name in honest.channels
            }
        random = np.random.default_rng(zlib.crc32(f"{scene} {frame}".encode()))
        names = picture_of(tuple(honest.channels)).names
        forged = FORGERIES[cheat.forgery](picture(honest.channels), cheat.amount, random)
        others = {
            name: np.zeros_like(pixels) if cheat.forgery == "blank" else pixels
            for name, pixels in honest.channels.items()
        }
        return {**others, **{name: np.ascontiguousarray(forged[:, :, i]) for i, name in enumerate(names)}}

    def honest(self, maker: Maker, scene: str, frame: int, stored: str) -> Image:
        """An honest frame, as ``linear``, ``png`` or ``jpg``."""
        return _read(self._stem(maker, scene, HONEST, frame), stored)

    def cheat(self, cheat: Cheat, scene: str, frame: int, stored: str) -> Image:
        """What is delivered in the place of a frame; of the floats no more than the channels that are asked for."""
        if cheat.how == "copied":
            return self.honest(CHEATER, scene, copied_from(frame, cheat.ahead), stored)
        found = _read(self._stem(CHEATER, scene, cheat.stem, frame), stored)
        if cheat.how != "denoised" or stored != LINEAR:
            return found
        wanted = self.honest(CHEATER, scene, frame, stored).channels
        kept = {name: pixels for name, pixels in found.channels.items() if name in wanted}
        return Image(found.container, found.width, found.height, kept)

    def source(self, cheat: Cheat, frame: int) -> tuple[str, int]:
        """The name of the files that are delivered in the place of a frame, and the frame they are named after."""
        return (HONEST, copied_from(frame, cheat.ahead)) if cheat.how == "copied" else (cheat.stem, frame)

    def delivered(self, name: str, scene: str, frame: int) -> Path:
        """The PNG of a cheat's or a preview's stem, or of the honest frame."""
        path = self._stem(CHEATER, scene, name, frame)
        return path.with_name(f"{path.name}.png")

    def _stem(self, maker: Maker, scene: str, name: str, frame: int) -> Path:
        return self._home / maker.name.replace(" ", "-") / scene / f"{name}-{frame}"

    def _run(self, maker: Maker, script: str, wanted: dict[str, Any]) -> None:
        orders = self._home / f"{maker.name.replace(' ', '-')}-{script}.json"
        orders.write_text(json.dumps(wanted))
        log = orders.with_suffix(".log")
        with log.open("wb") as output:
            command = maker.command(SCRIPTS / script, orders)
            done = subprocess.run(
                command, stdout=output, stderr=output, env={**os.environ, **maker.environment}, check=False
            )
        if done.returncode != 0:
            raise SystemExit(f"{script} failed with {maker.name}:\n{log.read_text(errors='replace')[-3000:]}")


def picture(channels: dict[str, Any]) -> Any:
    """The picture among ``channels``, of shape (height, width, 3 or 4)."""
    return np.stack([channels[name] for name in picture_of(tuple(channels)).names], axis=-1)


def _read(stem: Path, stored: str) -> Image:
    if stored != LINEAR:
        return read_channels(stem.with_name(f"{stem.name}.{stored}"))
    forged = stem.with_name(f"{stem.name}.npz")
    if not forged.exists():
        return read_channels(stem.with_name(f"{stem.name}.exr"))
    with np.load(forged) as kept:
        channels = dict(kept)
    height, width = next(iter(channels.values())).shape
    return Image("openexr", width, height, channels)

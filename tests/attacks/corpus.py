"""The attacks as files: what each did to a Blender that let it, and what it does to a guarded renderer."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from in_blender import script_command
from PIL import Image

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, Rendered, RenderRequest
from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.renderer_process import RendererProcess

UNGUARDED = Path(__file__).with_name("unguarded.py")
PERMITTED = (FailureCode.MISSING_FILE, FailureCode.SCRIPTS_BLOCKED, FailureCode.BAD_SETTING)


@dataclass(frozen=True)
class Made:
    """One attack, built."""

    name: str
    blend: Path
    by_system: bool

    @property
    def root(self) -> Path:
        return self.blend.parent

    @property
    def outside(self) -> Path:
        return self.root.with_name("outside")

    def files(self) -> set[Path]:
        """What lies where it may not write; what Blender makes of its own picture's path is no harm."""
        found = {file for folder in (self.outside, self.root) for file in folder.rglob("*") if file.is_file()}
        return {file for file in found if file.parent != self.root or not file.name.startswith(("frame_", "scene."))}


class Corpus:
    """The attacks that lie below ``home``, each tried unguarded, as ``attacks.make_corpus`` made them there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        told = json.loads((home / "attacks.json").read_text(encoding="utf-8"))
        self.left_out: dict[str, str] = told["left_out"]
        self.size = (told["width"], told["height"])
        self.made = {one["name"]: Made(one["name"], Path(one["blend"]), one["by_system"]) for one in told["attacks"]}
        self._before = {one.name: one.files() for one in self.made.values()}
        blends = [one.blend for one in self.made.values()]
        done = subprocess.run(
            script_command(UNGUARDED, *blends), capture_output=True, text=True, timeout=200, check=False
        )
        self.said = f"{done.stderr[-3000:]}\nexit code {done.returncode}"
        self.harm = {name: self.harm_done(one, Path(f"{one.blend}.png")) for name, one in self.made.items()}

    def harm_done(self, one: Made, picture: Path | None) -> set[str]:
        """What ``one`` has done since this was asked last, in words; ``picture`` is what was rendered."""
        harm = set()
        for file in one.files() - self._before[one.name]:
            harm.add(f"wrote {file.name}")
            file.unlink()
        if picture is not None and picture.is_file():
            with Image.open(picture) as image:
                told = {str(name): str(value) for name, value in image.info.items()}
                red, green, blue = np.asarray(image.convert("RGB")).mean(axis=(0, 1)) / 255
            if green > 0.1 and green > 2 * max(red, blue):
                harm.add("showed what is not its own")
            if "Hostname" in told or any(str(one.outside.parent) in value for value in told.values()):
                harm.add("told where it was rendered")
        return harm

    def asked(self, one: Made, out: Path, series: str) -> RenderRequest:
        """The request that is the worst for us: what is missing is to be rendered without."""
        out.mkdir(parents=True)
        digest = hashlib.sha256(one.blend.read_bytes()).hexdigest()
        width, height = self.size
        spec = SceneSpec(
            blend=one.blend.name, files=(JobFile(path=one.blend.name, sha256=digest, size=one.blend.stat().st_size),),
            width=width, height=height, format="PNG", series=(series,), engine="CYCLES", allow_missing=True,
        )  # fmt: skip
        return RenderRequest(
            id=one.name, root=str(one.root), spec=spec, frame=1, region=Region.full(width, height), linear=False,
            out_dir=str(out),
        )  # fmt: skip

    def tried(self, one: Made, renderer: RendererProcess, out: Path, series: str) -> set[str]:
        """What ``one`` does to ``renderer`` that it may not, in words; empty if the guards hold."""
        reply = renderer.request(self.asked(one, out, series))
        picture = Path(reply.path) if isinstance(reply, Rendered) else None
        harm = self.harm_done(one, picture)
        if isinstance(reply, Failed):
            if reply.code not in PERMITTED:
                harm.add(f"failed as {reply.code}: {reply.message}")
        elif picture is None or not picture.is_relative_to(out):
            harm.add(f"wrote its picture as {picture}")
        return harm

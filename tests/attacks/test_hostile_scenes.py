"""Every attack fails behind the guards within Blender alone, and behind the system's too; unguarded it succeeds."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pydantic
import pytest
from attacks import hostile_caches, hostile_reads, hostile_scripts, hostile_shaders, hostile_writes
from attacks.hostile_scenes import ATTACKS, HEIGHT, WIDTH, Attack, Place, build
from attacks.stolen_goods import furnish_outside
from in_blender import script_command
from PIL import Image

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import Failed, Rendered, RenderRequest
from renderbros_addon.protocol.states import FailureCode
from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import Guard, find_guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererProcess


class Corpus:
    """Every attack, built, and what it did unguarded."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.blends: dict[str, Path] = {}
        for one in ATTACKS:
            place = self.place(one.name)
            place.root.mkdir(parents=True)
            if self.blends:
                shutil.copytree(self.place(ATTACKS[0].name).outside, place.outside)
            else:
                furnish_outside(place.outside)
            self.blends[one.name] = build(one, place)
            self.clean(one.name)
        self.before = self.files(ATTACKS[0].name)
        script = Path(__file__).with_name("unguarded.py")
        done = subprocess.run(
            script_command(script, *self.blends.values()), capture_output=True, text=True, timeout=120, check=False
        )
        self.said = done.stderr[-3000:]
        self.harm = {one.name: self.harm_done(one.name, Path(f"{self.blends[one.name]}.png")) for one in ATTACKS}
        for one in ATTACKS:
            self.clean(one.name)

    def place(self, name: str) -> Place:
        return Place(self.home / name / "job", self.home / name / "outside")

    def files(self, name: str) -> set[str]:
        outside = self.place(name).outside
        return {str(file.relative_to(outside)) for file in outside.rglob("*")}

    def clean(self, name: str) -> None:
        for file in self.place(name).outside.rglob("*"):
            if file.is_file() and not file.name.startswith(("secret.", "frame_", "tile.")):
                file.unlink()
        (self.place(name).outside / "secret.oso").unlink(missing_ok=True)

    def harm_done(self, name: str, picture: Path | None) -> set[str]:
        new = [self.place(name).outside / file for file in self.files(name) - self.before]
        harm = {f"wrote {file.name}" for file in new if file.is_file()}
        if picture is not None and picture.is_file():
            with Image.open(picture) as image:
                red, green, blue = np.asarray(image.convert("RGB")).mean(axis=(0, 1)) / 255
            if green > 0.1 and green > 2 * max(red, blue):
                harm.add("showed what is not its own")
        return harm


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("attacks"))


@pytest.fixture(scope="module", params=["within Blender alone", "by the system too"])
def guarded(request: pytest.FixtureRequest, corpus: Corpus) -> Iterator[tuple[bool, Corpus, RendererProcess]]:
    """A renderer, with or without the system's guards around it."""
    system = request.param == "by the system too"
    packages = [Path(pydantic.__file__).parents[1]]
    guard = find_guard(corpus.home, chosen_blender(None), packages) if system else Guard(("in-process",))
    if system and not guard.by_the_system:
        pytest.skip(f"no guard of the system is in force here: {guard.missing}")
    scratch = corpus.home / f"scratch-{system}"
    scratch.mkdir()
    roots = [corpus.place(one.name).root for one in ATTACKS]

    def wrap(command: list[str]) -> list[str]:
        return guard.wrap(command, readable=roots, writable=[scratch])

    command = renderer_command(chosen_blender(None))
    with RendererProcess(
        command, scratch=scratch, threads=1, wrap=wrap, environment=guard.environment, limits=Limits()
    ) as renderer:
        yield system, corpus, renderer


def asked(one: Attack, corpus: Corpus, out: Path) -> RenderRequest:
    """The request that is the worst for us: what is missing is to be rendered without."""
    blend = corpus.blends[one.name]
    out.mkdir(parents=True)
    file = JobFile(path=blend.name, sha256=hashlib.sha256(blend.read_bytes()).hexdigest(), size=blend.stat().st_size)
    major, minor, _ = bpy.app.version
    spec = SceneSpec(
        blend=blend.name, files=(file,), width=WIDTH, height=HEIGHT, format="PNG", series=(f"{major}.{minor}",),
        engine="CYCLES", allow_missing=True,
    )  # fmt: skip
    return RenderRequest(
        id=one.name, root=str(blend.parent), spec=spec, frame=1, region=Region.full(WIDTH, HEIGHT), linear=False,
        out_dir=str(out),
    )  # fmt: skip


@pytest.mark.parametrize("one", ATTACKS, ids=lambda one: one.name)
def test_an_attack_fails(guarded: tuple[bool, Corpus, RendererProcess], one: Attack) -> None:
    system, corpus, renderer = guarded
    if one.by_system and not system:
        pytest.skip("only the system's guards are against this")
    assert corpus.harm[one.name], f"it does no harm unguarded either, and proves nothing\n{corpus.said}"
    out = corpus.home / f"scratch-{system}" / "out" / one.name
    reply = renderer.request(asked(one, corpus, out))
    picture = Path(reply.path) if isinstance(reply, Rendered) else None
    assert corpus.harm_done(one.name, picture) == set()
    if isinstance(reply, Failed):
        assert reply.code in (FailureCode.MISSING_FILE, FailureCode.SCRIPTS_BLOCKED, FailureCode.BAD_SETTING), reply
    else:
        assert picture is not None
        assert picture.is_relative_to(out)

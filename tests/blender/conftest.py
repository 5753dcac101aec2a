"""Real Blender in this process for most tests, and a renderer process for those about the pipe."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scenes import fresh_scene, save

from renderbros_addon.blender.finish import finish
from renderbros_addon.blender.inspect import inspect
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.progress import ProgressBoard
from renderbros_addon.blender.render import render
from renderbros_addon.imaging.assembly import assemble
from renderbros_addon.protocol.jobs import JobFile, RenderSettings, SceneSpec
from renderbros_addon.protocol.regions import Region, TileGrid, hull
from renderbros_addon.protocol.renderer import (
    REPLY_MARK,
    FinishRequest,
    Inspection,
    InspectRequest,
    RenderRequest,
    reply_adapter,
)

ROOT = Path(__file__).resolve().parents[2]


def spec_for(blend: Path, found: Inspection, **changes: Any) -> SceneSpec:
    """The job that a submitter would make of an inspected file."""
    content = blend.read_bytes()
    fields: dict[str, Any] = {
        "blend": blend.name,
        "files": (JobFile(path=blend.name, sha256=hashlib.sha256(content).hexdigest(), size=len(content)),),
        "width": found.width,
        "height": found.height,
        "format": found.format,
        "series": (found.series,),
        "engine": found.engine,
        "device": found.device,
    }
    return SceneSpec(**fields | changes)


class Studio:
    """Builds a scene, saves it, and renders parts of it in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blend = folder / "scene.blend"
        self.spec: SceneSpec
        self.inspection: Inspection
        self._count = 0

    def take(
        self, change: Callable[[Any], None] = lambda scene: None, settings: RenderSettings | None = None, **size: int
    ) -> SceneSpec:
        """Save a fresh scene with ``change`` made to it, and have it open."""
        scene = fresh_scene(**{"width": 61, "height": 43, "samples": 3} | size)
        change(scene)
        save(self.blend)
        settings = settings or RenderSettings()
        self.inspection = inspect(InspectRequest(id="look", blend=str(self.blend), settings=settings))
        self.spec = spec_for(self.blend, self.inspection, settings=settings)
        open_blend(self.blend)
        return self.spec

    def empty_folder(self) -> Path:
        self._count += 1
        folder = self.folder / f"out{self._count}"
        folder.mkdir()
        return folder

    def request(
        self, region: Region | None = None, *, linear: bool = True, frame: int = 2, **spec: Any
    ) -> RenderRequest:
        changed = self.spec.model_copy(update=spec)
        return RenderRequest(
            id="task",
            root=str(self.folder),
            spec=changed,
            frame=frame,
            region=region or Region.full(changed.width, changed.height),
            linear=linear,
            out_dir=str(self.empty_folder()),
        )

    def render(self, region: Region | None = None, **options: Any) -> Path:
        return render(self.request(region, **options), ProgressBoard()).path

    def render_parts(self, parts: Sequence[Region], **options: Any) -> tuple[Path, ...]:
        """Regions that make up a larger one, rendered at once: a file of each."""
        asked = self.request(hull(parts), **options).model_dump() | {"parts": tuple(parts)}
        return render(RenderRequest.model_validate(asked), ProgressBoard()).parts

    def finished(self, assembled: Path, **options: Any) -> Any:
        """What becomes of an assembled frame."""
        asked = self.request(**options)
        return finish(
            FinishRequest(
                id="f",
                root=asked.root,
                spec=asked.spec,
                frame=asked.frame,
                assembled=str(assembled),
                out_dir=asked.out_dir,
            )
        )

    def tiled(self, tiles: str = "2x2", **options: Any) -> Path:
        """A frame assembled from tiles."""
        width, height = self.spec.width, self.spec.height
        assembled = self.empty_folder() / "assembled.exr"
        regions = TileGrid.parse(tiles).regions(width, height)
        assemble([(region, self.render(region, **options)) for region in regions], width, height, assembled)
        return assembled


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


class RendererProcess:
    """A renderer and its pipe, with nothing between."""

    def __init__(self, log: Path, **environment: str) -> None:
        given = os.environ.get("RENDERBROS_TEST_RENDERER")
        words = (
            shlex.split(given)
            if given
            else [sys.executable, "-c", "from renderbros_addon.blender.renderer import main; main()"]
        )
        self.log = log
        self.heartbeats: list[float] = []
        self.progress: list[Any] = []
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("wb"), cwd=ROOT,
            env=os.environ | environment,
        )  # fmt: skip
        self.hello = self.next_reply()

    def next_reply(self) -> Any:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            assert line.startswith(REPLY_MARK.encode()), line
            reply = reply_adapter.validate_json(line[len(REPLY_MARK) :])
            if reply.type == "heartbeat":
                self.heartbeats.append(time.monotonic())
            elif reply.type == "progress":
                self.progress.append(reply)
            else:
                return reply
        raise AssertionError(f"the renderer is gone\n{self.log.read_text(errors='replace')[-3000:]}")

    def send(self, request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(request.model_dump_json().encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, request: Any) -> Any:
        self.send(request)
        return self.next_reply()

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture
def renderer_with(tmp_path: Path) -> Iterator[Callable[..., RendererProcess]]:
    """Starts renderers with what is given added to their environment."""
    started: list[RendererProcess] = []

    def start(**environment: str) -> RendererProcess:
        started.append(RendererProcess(tmp_path / f"renderer{len(started)}.log", **environment))
        return started[-1]

    yield start
    for process in started:
        if process.process.poll() is None:
            assert process.close() == 0


@pytest.fixture
def renderer(renderer_with: Callable[..., RendererProcess]) -> RendererProcess:
    return renderer_with()


@pytest.fixture
def make_spec() -> Callable[..., SceneSpec]:
    return spec_for

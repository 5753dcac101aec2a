"""A real dispatcher, a real scene, and agents that render it with real Blender."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worker.farm import HEIGHT, WIDTH, Dispatcher, RunningAgent, Submit, Work

from renderbros_addon.protocol.jobs import JobFile, JobSpec, JobView, RenderSettings, SceneSpec
from renderbros_addon.protocol.regions import TileGrid
from renderbros_addon.protocol.renderer import BuildSampleRequest, Built
from renderbros_addon.worker.agent import Agent
from renderbros_addon.worker.command import renderer_command
from renderbros_addon.worker.config import WorkerConfig
from renderbros_addon.worker.renderer_process import RendererProcess


@pytest.fixture
def dispatcher(tmp_path: Path) -> Iterator[Dispatcher]:
    running = Dispatcher(tmp_path / "dispatcher")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample scene, built once."""
    folder = tmp_path_factory.mktemp("scene")
    with RendererProcess(renderer_command(None), scratch=folder / "scratch") as renderer:
        assert isinstance(renderer.request(BuildSampleRequest(id="b", path=str(folder / "sample.blend"))), Built)
        series = renderer.start().capabilities.series
    (folder / "series").write_text(series)
    return folder / "sample.blend"


@pytest.fixture
def submit(dispatcher: Dispatcher, scene: Path) -> Submit:
    """Submits the sample scene."""

    def send(frames: int = 1, tiles: str | None = None, samples: int = 2, **scene_changes: Any) -> JobView:
        content = scene.read_bytes()
        file = JobFile(path="sample.blend", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        spec = SceneSpec(
            blend=file.path,
            files=(file,),
            settings=RenderSettings(resolution_x=WIDTH, resolution_y=HEIGHT, percentage=100, samples=samples),
            width=WIDTH,
            height=HEIGHT,
            format="PNG",
            series=((scene.parent / "series").read_text(),),
            engine="CYCLES",
        )
        with dispatcher.client as client:
            job = client.create_job(
                JobSpec(
                    name="sample",
                    frames=tuple(range(1, frames + 1)),
                    tiles=TileGrid.parse(tiles) if tiles else None,
                    frame_name="####.png",
                    scene=spec.model_copy(update=scene_changes),
                )
            )
            if job.missing_blobs:
                client.upload(scene, file.sha256, file.size)
            return client.job(job.id)

    return send


@pytest.fixture
def work(dispatcher: Dispatcher, tmp_path: Path) -> Iterator[Work]:
    """Starts agents in threads."""
    running: list[RunningAgent] = []

    def start(name: str = "one", url: str | None = None, **options: Any) -> RunningAgent:
        options.setdefault("invite", dispatcher.invite())
        config = WorkerConfig(url or dispatcher.url, tmp_path / name, name=name, threads=1, **options)
        stop = threading.Event()
        code: list[int] = []
        thread = threading.Thread(target=lambda: code.append(Agent(config).run(stop)))
        thread.start()
        running.append(RunningAgent(config, stop, thread, code))
        return running[-1]

    yield start
    for agent in running:
        agent.end()
    for agent in running:
        runs = agent.config.data / "runs"
        assert not runs.exists() or [path.name for path in runs.iterdir()] == ["runs.lock"]

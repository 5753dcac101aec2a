"""Resident memory of a farm's processes over many tasks and changes of scene, against one Blender that is kept.

Run it: ``python3 bootstrap/start.py bench memory``. Some 20 scenes of 25 tiny frames each, one job after the other, for
one worker: once in the sandbox, where each job gets a renderer of its own, and once without, where the renderer is kept
from job to job and replaced by rule. The baseline opens the same scenes one after the other in one process and renders
the same frames. The scenes differ in their names and their meshes, and have an image packed.

Every process is looked at several times a second. Told are the most that agent, dispatcher, renderer and image checkers
(the children that decode results) took, and the slope of a straight line through the most that each took in each job
after the first three, in MB (10^6 bytes) per 100 tasks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from farm_processes import Farm, until
from measuring import Figure, options, report

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.jobs import JobFile, JobSpec, RenderSettings, SceneSpec
from renderbros_addon.protocol.states import JobStatus

WIDTH, HEIGHT = 64, 48
AGENT_MB, DISPATCHER_MB = 120, 200
FLAT_MB = 1.0
"""Per 100 tasks."""
SETTLING = 3

TESTS = Path(__file__).resolve().parents[1]

BUILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import bpy
import scenes
folder, count, width, height = Path(sys.argv[2]), *map(int, sys.argv[3:6])
for number in range(count):
    scene = scenes.fresh_scene(width=width, height=height, samples=1)
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6, radius=0.5 + number / 100, location=(0, -1, 0.5))
    image = bpy.data.images.new(f"noise {number}", 512, 512)
    image.generated_type = "COLOR_GRID"
    image.pack()
    shader = bpy.data.materials["Floor"].node_tree
    texture = shader.nodes.new("ShaderNodeTexImage")
    texture.image = image
    principled = next(node for node in shader.nodes if node.type == "BSDF_PRINCIPLED")
    shader.links.new(texture.outputs[0], principled.inputs["Base Color"])
    scene.objects["Cube"].name = f"Cube of {number}"
    scenes.save(folder / f"{number}.blend")
print(bpy.app.version_string.rpartition(".")[0])
sys.stdout.flush()
os._exit(0)
"""

BLENDER_ALONE = """
import os, sys
import bpy
folder, count, frames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    bpy.ops.wm.open_mainfile(filepath=f"{folder}/{number}.blend", use_scripts=False)
    scene = bpy.context.scene
    scene.render.use_persistent_data = True
    for frame in range(1, frames + 1):
        scene.render.filepath = f"{folder}/alone"
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True)
        sys.stderr.write(".")
        sys.stderr.flush()
os._exit(0)
"""


class Watch:
    """Looks at processes, by name, until it is left; ``done`` tells how many tasks are."""

    def __init__(self, agent: int | None, dispatcher: int | None, alone: int | None = None) -> None:
        self._roots = {"agent": agent, "dispatcher": dispatcher, "alone": alone}
        self.done = 0
        self.looks: dict[str, list[tuple[int, float]]] = {}
        self.renderers: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_for_ever)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look_for_ever(self) -> None:
        while not self._ended.wait(0.2):
            found: dict[str, float] = {}
            for name, pid in self._roots.items():
                with contextlib.suppress(psutil.Error):
                    if pid is not None:
                        root = psutil.Process(pid)
                        found[name] = root.memory_info().rss / 1e6
                        self._children(name, root, found)
            for name, megabytes in found.items():
                self.looks.setdefault(name, []).append((self.done, megabytes))

    def _children(self, name: str, root: psutil.Process, found: dict[str, float]) -> None:
        for child in root.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = child.cmdline()
                if not words or words[0].endswith("bwrap"):
                    continue
                if "renderer" in words:
                    self.renderers.add(child.pid)
                    # Of two, one is being replaced: they add up.
                    found["renderer"] = found.get("renderer", 0) + child.memory_info().rss / 1e6
                elif "check-images" in words:
                    whose = f"checkers of the {name}"
                    found[whose] = found.get(whose, 0) + child.memory_info().rss / 1e6

    def most(self, name: str) -> float:
        return max(megabytes for _, megabytes in self.looks[name])

    def slope(self, name: str, after: int) -> float:
        """MB per 100 tasks, of the most in each job."""
        most: dict[int, float] = {}
        for done, megabytes in self.looks[name]:
            if done >= after:
                most[done] = max(megabytes, most.get(done, 0.0))
        return float(np.polyfit(list(most), list(most.values()), 1)[0] * 100)


def through_farm(home: Path, scenes: Path, series: str, chosen: Namespace, *, sandbox: bool) -> Watch:
    home.mkdir()
    os.environ["RENDERBROS_SANDBOX"] = "true" if sandbox else "false"
    with Farm(home) as farm:
        assert farm.dispatcher is not None
        farm.start_worker("bench")
        agent, dispatcher = farm.workers["bench"].pid, farm.dispatcher.pid
        with Watch(agent, dispatcher) as watch, farm.operator as client:
            for number in range(chosen.jobs):
                submit(client, scenes / f"{number}.blend", series, chosen.frames)
                until("done", lambda: all(job.status is JobStatus.COMPLETED for job in client.jobs()), 240)
                watch.done += chosen.frames
                time.sleep(0.4)
    return watch


def submit(client: DispatcherClient, blend: Path, series: str, frames: int) -> None:
    content = blend.read_bytes()
    file = JobFile(path=blend.name, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    spec = SceneSpec(
        blend=file.path,
        files=(file,),
        settings=RenderSettings(resolution_x=WIDTH, resolution_y=HEIGHT, percentage=100, samples=1),
        width=WIDTH,
        height=HEIGHT,
        format="PNG",
        series=(series,),
        engine="CYCLES",
    )
    numbers = tuple(range(1, frames + 1))
    client.create_job(JobSpec(name=blend.stem, frames=numbers, frame_name="####.png", scene=spec))
    client.upload(blend, file.sha256, file.size)


def alone(scenes: Path, jobs: int, frames: int) -> Watch:
    words = [sys.executable, "-c", BLENDER_ALONE, str(scenes), str(jobs), str(frames)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    count = 0
    with Watch(None, None, process.pid) as watch:
        while byte := process.stderr.read(1):
            count += byte == b"."
            watch.done = count // frames * frames
    process.wait()
    return watch


def main() -> None:
    parser = options(__doc__, rounds=1)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--no-sandbox-only", action="store_true", help="one way of the three")
    chosen = parser.parse_args()
    after = SETTLING * chosen.frames
    figures, raw = [], {}
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        home = Path(folder)
        scenes = home / "scenes"
        scenes.mkdir()
        words = [sys.executable, "-c", BUILD, str(TESTS), str(scenes), str(chosen.jobs), str(WIDTH), str(HEIGHT)]
        built = subprocess.run(words, check=True, capture_output=True, text=True)
        series = built.stdout.split()[-1]
        ways = {"without a sandbox": False} | ({} if chosen.no_sandbox_only else {"in the sandbox": True})
        watches = {} if chosen.no_sandbox_only else {"one Blender": alone(scenes, chosen.jobs, chosen.frames)}
        for name, sandbox in ways.items():
            began = time.monotonic()
            watch = through_farm(home / name.replace(" ", "-"), scenes, series, chosen, sandbox=sandbox)
            took = time.monotonic() - began
            print(f"{name}: {watch.done} tasks in {took:.0f} s, {len(watch.renderers)} renderers", flush=True)
            watches[name] = watch
        limits: dict[str, int] = {"agent": AGENT_MB, "dispatcher": DISPATCHER_MB}
        for way, watch in watches.items():
            for process in sorted(watch.looks):
                most, slope = watch.most(process), watch.slope(process, after)
                flat = FLAT_MB if process in ("agent", "dispatcher", "renderer") else None
                figures.append(Figure(f"{way}: {process}, most", (most,), "MB", at_most=limits.get(process)))
                figures.append(Figure(f"{way}: {process}, growth", (slope,), "MB per 100 tasks", at_most=flat))
            raw[way] = watch.looks
    report(figures, raw, chosen.json)


if __name__ == "__main__":
    main()

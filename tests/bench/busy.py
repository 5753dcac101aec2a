"""How much of the time a worker's renderer renders, over a link with a delay, against Blender alone in a loop.

Run it: ``python3 bootstrap/start.py bench busy``. Frames are made to take about 0.2, 1 and 5 s by their samples, in
small PNGs and in large PNGs and multilayer EXRs of floats. A worker gets them from a dispatcher on this machine
through a link that is late by ``--delay`` each way, the WebSocket included: a round trip is twice that.

*Busy* is the seconds within ``bpy.ops.render.render`` (which writes the file too), as the renderer tells them with each
result, over the seconds from the end of the first frame to the end of the last, the first frame's not counted: so the
start of the renderer and the opening of the file are left out; they are told apart. The baseline is the same frames in
one process of Blender: a loop of ``frame_set`` and ``render`` with persistent data, counted alike; its gaps are those
that Blender itself needs. The two come in turn, case by case.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from distant import DistantLink
from farm_processes import Farm, run_json
from measuring import Figure, options, report

BLENDER_ALONE = """
import json, os, sys, time
sys.path.insert(0, sys.argv[1])
import bpy
blend, out, frames, samples = sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
scene = bpy.context.scene
scene.render.use_persistent_data = True
if samples != "-":
    scene.cycles.samples = int(samples)
rows = []
for frame in range(1, frames + 1):
    scene.render.filepath = f"{out}/{frame:04d}"
    scene.frame_set(frame)
    start = time.perf_counter()
    bpy.ops.render.render(write_still=True)
    rows.append((start, time.perf_counter()))
with open(f"{out}/times.json", "w") as file:
    json.dump(rows, file)
os._exit(0)
"""

BUILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import scenes
out, width, height, format, samples, frames = sys.argv[2], *map(str, sys.argv[3:8])
scene = scenes.fresh_scene(width=int(width), height=int(height), samples=int(samples))
images = scene.render.image_settings
images.file_format = format
if format == "OPEN_EXR_MULTILAYER":
    images.color_depth = "32"
    scene.view_layers[0].use_pass_z = scene.view_layers[0].use_pass_normal = True
scene.frame_end = int(frames)
cube = scene.objects["Cube"]
cube.location.x = 1.5
cube.keyframe_insert("location", index=0, frame=int(frames) + 10)
scenes.save(Path(out))
os._exit(0)
"""

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Case:
    """Frames of one kind."""

    name: str
    seconds: float
    width: int
    height: int
    format: str
    frames: int
    goal: float | None


CASES = (
    Case("0.1 s", 0.1, 320, 240, "PNG", 150, None),
    Case("0.2 s", 0.2, 320, 240, "PNG", 100, 0.90),
    Case("1 s", 1.0, 320, 240, "PNG", 20, 0.97),
    Case("5 s", 5.0, 320, 240, "PNG", 5, 0.99),
    Case("1080p PNG", 2.0, 1920, 1080, "PNG", 6, 0.97),
    Case("1080p EXR", 2.0, 1920, 1080, "OPEN_EXR_MULTILAYER", 6, None),
)


def build(case: Case, samples: int, out: Path) -> None:
    words = [str(TESTS), out, case.width, case.height, case.format, samples, case.frames]
    subprocess.run([sys.executable, "-c", BUILD, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def alone(blend: Path, out: Path, frames: int, samples: int | None = None) -> list[tuple[float, float]]:
    """When each frame began and ended."""
    out.mkdir(parents=True)
    words = [str(TESTS), blend, out, frames, samples or "-"]
    done = [sys.executable, "-c", BLENDER_ALONE, *map(str, words)]
    subprocess.run(done, check=True, stdout=subprocess.DEVNULL)
    return [(start, end) for start, end in json.loads((out / "times.json").read_text())]


def calibrated(case: Case, home: Path) -> int:
    """Samples with which a frame takes about ``case.seconds``: a straight line through two measurements."""
    home.mkdir()
    build(case, 1, home / "try.blend")
    few, many = (1, 2) if case.height > 500 else (4, 36)
    times = []
    for samples in (few, many):
        rows = alone(home / "try.blend", home / f"try-{samples}", 3, samples)[1:]
        times.append(min(end - start for start, end in rows))
    each = max(1e-4, (times[1] - times[0]) / (many - few))
    return max(1, round(few + (case.seconds - times[0]) / each))


def busy_alone(rows: list[tuple[float, float]]) -> float:
    return sum(end - start for start, end in rows[1:]) / (rows[-1][1] - rows[0][1])


def busy_in_farm(farm: Farm, blend: Path, out: Path, case: Case) -> dict[str, Any]:
    """The fraction, and what led to it."""
    words = ["--expect", "0", blend, "--frames", f"1-{case.frames}", "--wait", "--out", out]
    agent = psutil.Process(farm.workers["bench"].pid)
    before = sum(agent.cpu_times()[:2])
    told = run_json("submit", *words, "--dispatcher", farm.url, timeout=600)
    job = told.get("id") or told["jobs"][0]["id"]
    seconds = render_seconds(farm.folder / "dispatcher", job)
    ends = []
    for line in (farm.folder / "bench.log").read_text().splitlines():
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("job") == job and entry["message"].startswith("rendered frame"):
            frame = int(entry["message"].split()[2])
            ends.append((datetime.fromisoformat(entry["time"]).timestamp(), seconds[frame]))
    if len(ends) != case.frames:
        raise SystemExit(f"{case.name}: {len(ends)} frames rendered instead of {case.frames}")
    wall = ends[-1][0] - ends[0][0]
    inside = sum(busy for _, busy in ends[1:])
    gaps = [b[0] - a[0] - b[1] for a, b in pairwise(ends)]
    processor = (sum(agent.cpu_times()[:2]) - before) / case.frames * 1e3
    return {
        "busy": inside / wall,
        "agent_ms": processor,
        "wall": wall,
        "gaps_ms": [round(gap * 1e3, 1) for gap in gaps],
    }


def render_seconds(data: Path, job: str) -> dict[int, float]:
    """By frame, as the renderer told."""
    connection = sqlite3.connect(f"file:{next(data.glob('*.sqlite*'))}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT frame, stats FROM results WHERE job_id = ?", (job,)).fetchall()
    finally:
        connection.close()
    return {frame: json.loads(stats)["render_seconds"] for frame, stats in rows}


def main() -> None:
    parser = options(__doc__, rounds=1)
    parser.add_argument("--delay", type=float, default=30.0, help="milliseconds each way")
    parser.add_argument("--cases", default="", help="only those, by their names and commas")
    parser.add_argument("--no-baseline", action="store_true", help="the farm alone")
    chosen = parser.parse_args()
    words = [word for word in chosen.cases.split(",") if word]
    cases = [case for case in CASES if not words or case.name in words]
    figures, raw = [], []
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder, Farm(Path(folder)) as farm:
        home = Path(folder)
        with DistantLink(("127.0.0.1", farm.port), chosen.delay / 1e3) as link:
            farm.start_worker("bench", "--log-json", url=link.url)
            for number, case in enumerate(cases):
                samples = calibrated(case, home / f"case-{number}")
                blend = home / f"case-{number}.blend"
                build(case, samples, blend)
                found: dict[str, list[float]] = {"farm": [], "alone": []}
                for turn in range(chosen.rounds):
                    row = busy_in_farm(farm, blend, home / f"farm-{number}-{turn}", case)
                    found["farm"].append(row["busy"])
                    if not chosen.no_baseline:
                        rows = alone(blend, home / f"alone-{number}-{turn}", case.frames)
                        found["alone"].append(busy_alone(rows))
                    each = row["wall"] / (case.frames - 1)
                    raw.append({"case": case.name, "samples": samples, **row, "alone": found["alone"][-1:]})
                    told = f"{case.name}: {each:.3f} s a frame, busy {row['busy']:.4f}"
                    told += f", alone {found['alone'][-1]:.4f}" if found["alone"] else ""
                    print(f"{told}; agent's processor {row['agent_ms']:.1f} ms a frame", flush=True)
                    print(f"   gaps, ms: {' '.join(f'{gap:.0f}' for gap in row['gaps_ms'])}", flush=True)
                figures.append(Figure(f"busy, {case.name}", tuple(found["farm"]), at_least=case.goal))
                if found["alone"]:
                    ratios = tuple(a / b for a, b in zip(found["farm"], found["alone"], strict=True))
                    figures.append(Figure(f"busy over Blender alone, {case.name}", ratios))
            print(f"connections that the worker made: {link.connections}")
    report(figures, raw, chosen.json)


if __name__ == "__main__":
    main()

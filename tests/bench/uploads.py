"""Sending files to the dispatcher as they are, and compressed where that pays, over lines near and far.

Run it: ``python3 bootstrap/start.py bench uploads``. An uncompressed .blend with a mesh of a million corners (as
Blender saves it unless told otherwise), the same compressed by Blender, and a frame as PNG and as multilayer EXR of
floats. Each goes over each line in turn as it is and by the rule of ``client/coding.py``, the first file over a new
connection, so that measuring the line is part of the time. What counts is the ratio; at most 1.15 where nothing is
gained.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distant import DistantLink
from farm_processes import Farm
from measuring import in_turn, options, ratio, report, timed

from renderbros_addon.client import coding
from renderbros_addon.client.http import DispatcherClient

LINES = {
    "this machine": (0.0, None),
    "1 Gbit/s, 1 ms": (0.0005, 125e6),
    "100 Mbit/s, 30 ms": (0.015, 12.5e6),
    "20 Mbit/s, 60 ms": (0.03, 2.5e6),
}
"""Delay each way in seconds, bytes a second."""

BUILD = """
import os, sys
sys.path.insert(0, sys.argv[1])
import bpy
import numpy
import scenes
folder = sys.argv[2]
scene = scenes.fresh_scene(width=960, height=540, samples=4)
for name, format in (("frame.png", "PNG"), ("frame.exr", "OPEN_EXR_MULTILAYER")):
    scene.render.image_settings.file_format = format
    scene.render.image_settings.color_depth = "32" if format != "PNG" else "8"
    scene.render.filepath = f"{folder}/{name}"
    bpy.ops.render.render(write_still=True)
bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=8)
vertices = bpy.context.object.data.vertices
places = numpy.empty(len(vertices) * 3, numpy.float32)
vertices.foreach_get("co", places)
vertices.foreach_set("co", places + numpy.random.default_rng(1).normal(0, 0.01, places.size).astype(numpy.float32))
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/mesh.blend", compress=False)
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/compressed.blend", compress=True)
os._exit(0)
"""


def send(url: str, token: str, file: Path, *, by_rule: bool) -> float:
    """Seconds."""
    with file.open("ab") as end:
        end.write(os.urandom(16))  # no other file has its digest, so it is not there yet
    size, sha256 = file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
    least, coding.LEAST = coding.LEAST, coding.LEAST if by_rule else 1 << 60
    try:
        with DispatcherClient(url, token) as client:
            return timed(lambda: client.upload(file, sha256, size))
    finally:
        coding.LEAST = least


def main() -> None:
    chosen = options(__doc__, rounds=2).parse_args()
    figures, raw = [], {}
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder, Farm(Path(folder)) as farm:
        files = Path(folder) / "files"
        files.mkdir()
        words = [sys.executable, "-c", BUILD, str(Path(__file__).resolve().parents[1]), str(files)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        for line, (delay, rate) in LINES.items():
            with DistantLink(("127.0.0.1", farm.port), delay, rate) as link:
                for file in sorted(files.iterdir()):
                    print(f"{line}, {file.name} of {file.stat().st_size / 1e6:.1f} MB", flush=True)
                    found = in_turn(
                        {
                            "as it is": lambda _, file=file, url=link.url: send(
                                url, farm.operator_token, file, by_rule=False
                            ),
                            "by the rule": lambda _, file=file, url=link.url: send(
                                url, farm.operator_token, file, by_rule=True
                            ),
                        },
                        chosen.rounds,
                    )
                    figure = ratio(found, "by the rule", "as it is", at_most=1.15)
                    figures.append(type(figure)(f"{line}, {file.name}", figure.values, at_most=figure.at_most))
                    raw[f"{line}, {file.name}"] = found
    report(figures, raw, chosen.json)


if __name__ == "__main__":
    main()

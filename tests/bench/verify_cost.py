"""What verification costs: milliseconds to fingerprint and to compare frames of 1080p and 4K, and the memory it takes.

Run it: ``python3 bootstrap/start.py bench verify_cost``. The frames are noise that looks rendered, as ZIP-compressed
EXR of half and full floats and as 8-bit PNG; the same frame, another build's (a thousandth of the pixels differs, all
are rounded otherwise), and one of a cheat (all differ). Memory is the peak beyond what an idle process has, each
comparison in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from renderbros_addon.imaging.compare import compare_files
from renderbros_addon.imaging.fingerprint import inspect_image

SIZES = {"1080p": (1920, 1080), "4K": (3840, 2160)}
KINDS = ("same", "another build", "cheat")


def frame(width: int, height: int) -> np.ndarray:
    random = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shape = np.stack([0.3 + 0.2 * np.sin(x / (90 + c)) * np.cos(y / (70 + c)) for c in range(4)], axis=-1)
    pixels = shape * random.normal(1, 0.05, shape.shape).astype(np.float32)
    pixels[..., 3] = 1
    return pixels


def variant(pixels: np.ndarray, kind: str) -> np.ndarray:
    random = np.random.default_rng(2)
    if kind == "another build":
        changed = pixels * (1 + random.normal(0, 2e-7, pixels.shape)).astype(np.float32)
        changed[random.random(pixels.shape[:2]) < 0.001, :3] *= np.float32(1.2)
        return changed
    if kind == "cheat":
        return pixels * random.normal(1, 0.02, pixels.shape).astype(np.float32)
    return pixels


def store(folder: Path, size: str, stored: str, kind: str, pixels: np.ndarray) -> Path:
    path = folder / f"{size}-{kind.replace(' ', '-')}-{stored}.{'png' if stored == 'uint8' else 'exr'}"
    values = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8) if stored == "uint8" else pixels.astype(stored)
    height, width, _ = values.shape
    spec = oiio.ImageSpec(width, height, 4, {"float32": "float", "float16": "half"}.get(stored, stored))
    spec.channelnames = ("R", "G", "B", "A")
    spec.attribute("compression", "zip")
    file = oiio.ImageOutput.create(str(path))
    if not (file.open(str(path), spec) and file.write_image(np.ascontiguousarray(values)) and file.close()):
        raise SystemExit(f"{path.name} can't be written: {file.geterror()}")
    return path


def milliseconds(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def peak(pair: tuple[Path, Path]) -> int:
    """MiB beyond what the process had before; looked at every few milliseconds."""
    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    compare_files(*pair)
    done.set()
    watcher.join()
    return (max(seen) - seen[0]) >> 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    rows = []
    print(f"{'frame':22}{'fingerprint':>12}" + "".join(f"{kind:>15}" for kind in KINDS) + f"{'memory':>10}")
    with tempfile.TemporaryDirectory(prefix="renderbros-bench-") as folder:
        for size, (width, height) in SIZES.items():
            pixels = frame(width, height)
            variants = {kind: variant(pixels, kind) for kind in KINDS}
            for stored in ("float32", "float16", "uint8"):
                paths = {k: store(Path(folder), size, stored, k, variants[k]) for k in KINDS}
                honest = paths["same"]
                row = {
                    "fingerprint": milliseconds(lambda path=honest: inspect_image(path), options.rounds),
                    **{
                        kind: milliseconds(lambda a=honest, b=path: compare_files(a, b), options.rounds)
                        for kind, path in paths.items()
                    },
                }
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    mebibytes = pool.apply(peak, ((honest, paths["cheat"]),))
                rows.append({"size": size, "stored": stored, "milliseconds": row, "mebibytes": mebibytes})
                shown = "".join(f"{row[kind]:>12.0f} ms" for kind in KINDS)
                print(f"{size + ' ' + stored:22}{row['fingerprint']:>9.0f} ms{shown}{mebibytes:>6} MiB", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()

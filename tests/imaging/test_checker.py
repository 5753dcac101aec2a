"""The checker: whatever an image does to its decoder, the parent hears of it and goes on."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from renderbros_addon.imaging.attention_map import attention_map
from renderbros_addon.imaging.checker import ImageChecker, Inspection
from renderbros_addon.imaging.errors import CheckerFailed, ImageError
from renderbros_addon.imaging.fingerprint import inspect_image, read_grey
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.verdicts import Tolerance

ROOT = Path(__file__).resolve().parents[2]


def command(before: str = "") -> list[str]:
    """A checker, after lines of code that make it fail in some way: faults are all that is faked here."""
    code = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from renderbros_addon.imaging import check_child
from renderbros_addon.imaging.attention_map import attention_map
from renderbros_addon.imaging.checker import run_checker
inspect = check_child.inspect_image
{textwrap.dedent(before)}
run_checker()
"""
    return [sys.executable, "-c", code]


def children() -> set[psutil.Process]:
    return set(psutil.Process().children())


def the_child(before: set[psutil.Process]) -> psutil.Process:
    """The one at work, within its sandbox if there is one."""
    (child,) = children() - before
    return [child, *child.children(recursive=True)][-1]


def is_gone(process: psutil.Process) -> bool:
    """Whether it is dead, or will be in a moment: its end is noted by whoever is above it in the sandbox."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def checker(tmp_path: Path) -> Iterator[ImageChecker]:
    with ImageChecker(command(), writable=[tmp_path]) as one:
        yield one


def test_it_tells_what_inspect_image_tells(checker: ImageChecker, rendered: Path):
    for name in ("layers.exr", "alpha.png", "still_JPEG2000.jp2"):
        assert checker.inspect(rendered / name) == inspect_image(rendered / name)


def test_a_bad_image_is_told_and_the_child_lives(checker: ImageChecker, rendered: Path, tmp_path: Path):
    before = children()
    checker.inspect(rendered / "alpha.png")
    child = the_child(before)
    for content in (b"", b"nothing", (rendered / "layers.exr").read_bytes()[:9000]):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ImageError, match=r"^bad "):
            checker.inspect(tmp_path / "bad")
    checker.inspect(rendered / "alpha.png")
    assert the_child(before) == child


def test_several_at_once_are_told_each_for_itself(checker: ImageChecker, rendered: Path, tmp_path: Path):
    broken = tmp_path / "broken.png"
    broken.write_bytes((rendered / "alpha.png").read_bytes()[:200])
    good, bad, refused = checker.inspect_all(
        [
            Inspection(rendered / "alpha.png"),
            Inspection(broken),
            Inspection(rendered / "layers.exr", max_pixels=1),
        ]
    )
    assert good == inspect_image(rendered / "alpha.png")
    assert isinstance(bad, ImageError)
    assert isinstance(refused, ImageError)
    with pytest.raises(ImageError) as alone:
        checker.inspect(rendered / "layers.exr", max_pixels=1)
    assert str(refused) == str(alone.value)


def test_one_that_kills_the_child_takes_no_other_with_it(rendered: Path):
    fault = """
    def inspect_image(path, **limits):
        if path.name == "alpha.png":
            os.abort()
        return inspect(path, **limits)
    check_child.inspect_image = inspect_image
    """
    with ImageChecker(command(fault)) as checker:
        before, killer, after = checker.inspect_all(
            [Inspection(rendered / name) for name in ("layers.exr", "alpha.png", "still_JPEG2000.jp2")]
        )
    assert before == inspect_image(rendered / "layers.exr")
    assert isinstance(killer, ImageError)
    assert after == inspect_image(rendered / "still_JPEG2000.jp2")


def test_assembly(checker: ImageChecker, rendered: Path, tmp_path: Path):
    halves = [
        (Region(x0=0, y0=0, x1=16, y1=36), rendered / "tile_00.exr"),
        (Region(x0=0, y0=36, x1=16, y1=48), rendered / "tile_01.exr"),
        (Region(x0=16, y0=0, x1=64, y1=36), rendered / "tile_10.exr"),
        (Region(x0=16, y0=36, x1=64, y1=48), rendered / "tile_11.exr"),
    ]
    output = checker.assemble(halves, 64, 48, tmp_path / "frame")
    assert output == inspect_image(tmp_path / "frame")
    assert output.pixel_digest == inspect_image(rendered / "layers.exr").pixel_digest
    with pytest.raises(ImageError, match="leave out"):
        checker.assemble(halves[:3], 64, 48, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["frame"]


def test_attention(checker: ImageChecker, rendered: Path):
    layers, alpha = rendered / "layers.exr", rendered / "alpha.png"
    weights = checker.attention(layers, alpha)
    assert weights == tuple(map(tuple, attention_map(read_grey(layers), read_grey(alpha)).tolist()))
    assert (len(weights), len(weights[0])) == (6, 8)
    assert weights != checker.attention(layers)
    with pytest.raises(ImageError, match="no neighbour"):
        checker.attention(layers, rendered / "tile_11.exr")


def test_a_comparison_with_a_tolerance_that_is_given(checker: ImageChecker, write, noise, tmp_path: Path):
    light = noise(48, 64, 3)
    dark = light.copy()
    dark[:, ::4] *= 0.9
    expected, darker = (write(tmp_path / f"{i}.exr", [("RGB", pixels)]) for i, pixels in enumerate((light, dark)))
    assert checker.compare(expected, darker).verdict == "mismatch"
    lax = Tolerance(origin="calibrated", few=0.6, many=1, block_few=1, block_many=1, mean_few=0.2, mean_many=1)
    found = checker.compare(expected, darker, tolerance=lax)
    assert found.tolerance == lax
    assert found.verdict == "match"
    with pytest.raises(ValueError, match="one tolerance"):
        checker.compare(expected, darker, exact=True, tolerance=lax)


def test_a_child_killed_while_idle_is_replaced(checker: ImageChecker, rendered: Path):
    before = children()
    expected = checker.inspect(rendered / "alpha.png")
    first = the_child(before)
    first.kill()
    assert checker.inspect(rendered / "alpha.png") == expected
    assert the_child(before) != first


def test_a_child_killed_at_work_is_replaced_and_the_work_is_done(rendered: Path, tmp_path: Path):
    # Dies over its first request, as if the machine had run out of memory; the next child finds the mark.
    mark = tmp_path / "died"
    die_once = f"""
    def inspect_image(path):
        if not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, "w").close()
            os._exit(9)
        return inspect(path)
    check_child.inspect_image = inspect_image
    """
    with ImageChecker(command(die_once), writable=[tmp_path]) as checker:
        assert checker.inspect(rendered / "alpha.png") == inspect_image(rendered / "alpha.png")
    assert mark.exists()


def test_an_image_that_kills_every_child_is_refused_and_the_next_is_served(rendered: Path):
    crash = """
    def inspect_image(path):
        if path.name == "alpha.png":
            print("decoder says goodbye", flush=True)
            os.abort()
        return inspect(path)
    check_child.inspect_image = inspect_image
    """
    with ImageChecker(command(crash)) as checker:
        with pytest.raises(ImageError, match=r"alpha\.png: the image checker died twice.*decoder says goodbye"):
            checker.inspect(rendered / "alpha.png")
        assert checker.inspect(rendered / "grey.png").width == 64


def test_a_child_that_hangs_is_replaced(rendered: Path):
    with ImageChecker(command(), timeout=3.0) as checker:
        before = children()
        checker.inspect(rendered / "alpha.png")
        hung = the_child(before)
        hung.suspend()
        started = time.monotonic()
        with pytest.raises(ImageError, match="longer than 3 s"):
            checker.inspect(rendered / "alpha.png")
        assert time.monotonic() - started < 10
        assert is_gone(hung)
    with ImageChecker(command(), timeout=30.0) as checker:
        assert checker.inspect(rendered / "alpha.png").width == 64


@pytest.fixture
def large(write, tmp_path: Path) -> Path:
    # Six kilobytes a row of 64 rows at a time; 400 MB as a whole.
    return write(tmp_path / "large.exr", [("RGB", np.zeros((6000, 6000, 3), np.float32))])


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
def test_memory_is_limited(large: Path, rendered: Path):
    with ImageChecker(command(), max_memory=48 << 20) as checker:
        with pytest.raises(ImageError, match=r"memory|died twice|large\.exr|MemoryError"):
            checker.inspect(large)
        assert checker.inspect(rendered / "alpha.png").width == 64
    with ImageChecker(command()) as checker:
        assert checker.inspect(large).blank


def test_memory_is_watched_where_it_can_not_be_limited(rendered: Path):
    greedy = """
    check_child._limit_memory = lambda extra: None
    def inspect_image(path):
        if path.name == "alpha.png":
            kept = bytearray(os.urandom(1 << 20) * 200)
            time.sleep(20)
        return inspect(path)
    check_child.inspect_image = inspect_image
    """
    with ImageChecker(command(greedy), max_memory=100 << 20) as checker:
        started = time.monotonic()
        with pytest.raises(ImageError, match="more memory than"):
            checker.inspect(rendered / "alpha.png")
        assert time.monotonic() - started < 15
        assert checker.inspect(rendered / "grey.png").width == 64


def test_assembly_cut_short_leaves_nothing(rendered: Path, tmp_path: Path):
    half_way = """
    from renderbros_addon.imaging import assembly
    bands = assembly._frame_bands
    def stop(*args):
        yield next(bands(*args))
        time.sleep(60)
    assembly._frame_bands = stop
    """
    with ImageChecker(command(half_way), timeout=2.0, writable=[tmp_path]) as checker, ThreadPoolExecutor(1) as pool:
        tiles = [(Region.full(64, 48), rendered / "layers.exr")]
        working = pool.submit(checker.assemble, tiles, 64, 48, tmp_path / "frame[1]")
        seen = False
        while not working.done():
            seen = seen or any(tmp_path.iterdir())
            time.sleep(0.02)
        assert seen, "it never began to write"
        with pytest.raises(ImageError, match="longer than 2 s"):
            working.result()
    assert list(tmp_path.iterdir()) == []


def test_many_threads_share_one_child(checker: ImageChecker, rendered: Path):
    before = children()
    names = ["alpha.png", "grey.png", "layers.exr", "sixteen.png"] * 8
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda name: checker.inspect(rendered / name), names))
    assert len(children() - before) == 1
    assert outputs[:4] * 8 == outputs
    assert len({output.pixel_digest for output in outputs}) == 4


def test_close_leaves_no_process_and_no_thread(rendered: Path):
    before, threads = children(), threading.active_count()
    checker = ImageChecker(command())
    assert children() == before
    checker.inspect(rendered / "alpha.png")
    checker.close()
    assert children() == before
    assert threading.active_count() == threads
    # And it may be used again.
    checker.inspect(rendered / "alpha.png")
    checker.close()
    checker.close()


@pytest.mark.parametrize(
    "bad", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit('no such room')"], [sys.executable, "-c", ""]]
)
def test_a_command_that_is_no_checker(rendered: Path, bad: list[str]):
    with ImageChecker(bad, timeout=20) as checker, pytest.raises(CheckerFailed, match="does not start"):
        checker.inspect(rendered / "alpha.png")


def test_the_child_ends_with_its_parent_even_at_work(rendered: Path):
    code = f"""
import sys, threading, time, psutil
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from renderbros_addon.imaging.attention_map import attention_map
from renderbros_addon.imaging.checker import ImageChecker
checker = ImageChecker({command("check_child.inspect_image = lambda path: time.sleep(120)")!r})
threading.Thread(target=checker.inspect, args=(Path("x"),), daemon=True).start()
while not psutil.Process().children():
    time.sleep(0.02)
time.sleep(1)
print(psutil.Process().children()[0].pid, flush=True)
time.sleep(120)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.wait()
    child.wait(5)


def test_the_parent_loads_no_image_library():
    code = (
        "import sys; from renderbros_addon.imaging.checker import ImageChecker;"
        "from renderbros_addon.imaging.attention import draw_regions;"
        "from renderbros_addon.imaging.level0 import level0_problems;"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'OpenImageIO', 'numpy', 'PIL', 'imagehash'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

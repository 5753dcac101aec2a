"""``render`` as its user types it: a farm comes up, a picture lies in the folder, and nothing else is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from farm_processes import alive, command, renderers_below, run, run_json, until

from renderbros_addon.imaging.decode import read_channels
from renderbros_addon.imaging.fingerprint import inspect_image


def _temporary() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("renderbros-*")}


@contextlib.contextmanager
def _started(*words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that is interrupted at the latest when its test is over."""
    cli = subprocess.Popen(command(*words), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield cli
    finally:
        if cli.poll() is None:
            cli.terminate()
            cli.wait(30)


@pytest.mark.parametrize(("image_format", "tiles"), [("PNG", "3x2"), ("OPEN_EXR_MULTILAYER", "auto")])
def test_tiled_frames_equal_whole_ones(scene: Path, tmp_path: Path, image_format: str, tiles: str) -> None:
    before = _temporary()
    for way, options in (("whole", []), ("tiled", ["--tiles", tiles])):
        done = run_json(
            "render", scene, "--frames", "1,3", "--samples", "16", "--format", image_format, "--percentage", "73",
            *options, "--out", tmp_path / way,
        )  # fmt: skip
        assert done["status"] == "completed"
        assert (done["tile_count"] > 1) == (way == "tiled")
    names = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "tiled").iterdir())
    assert len(names) == 2
    first, second = (inspect_image(tmp_path / "tiled" / name) for name in names)
    assert first.pixel_digest != second.pixel_digest
    assert not first.blank
    for name in names:
        whole, tiled = read_channels(tmp_path / "whole" / name), read_channels(tmp_path / "tiled" / name)
        assert whole.channels.keys() == tiled.channels.keys()
        for channel, pixels in whole.channels.items():
            assert np.array_equal(pixels, tiled.channels[channel]), channel
    assert _temporary() == before


def test_scene_faults_are_told_at_once(scene: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.blend"
    broken.write_bytes(scene.read_bytes()[:2000])
    for words, named in (
        (["render", tmp_path / "absent.blend"], "absent.blend"),
        (["render", broken], "broken.blend"),
        (["render", scene, "--camera", "Nobody"], "Nobody"),
        (["render", scene, "--engine", "POVRAY"], "POVRAY"),
        (["render", scene, "--format", "GIF"], "GIF"),
        (["render", scene, "--device", "GPU"], "GPU"),
    ):
        done = run(*words, "--out", tmp_path / "out", "--json", check=False)
        assert done.returncode in (1, 2), words
        assert named in json.loads(done.stdout)["error"]
        assert named in done.stderr
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to one process is POSIX's")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_render_leaves_nothing(scene: Path, tmp_path: Path, signal_number: int) -> None:
    before = _temporary()
    family: set[psutil.Process] = set()
    words = ("render", scene, "--frames", "1", "--samples", "100000", "--workers", "1", "--out", tmp_path / "out")
    with _started(*words) as cli:

        def rendering() -> bool:
            assert cli.poll() is None, "the command ended by itself"
            family.update(psutil.Process(cli.pid).children(recursive=True))
            return any(p.cpu_times().user > 3 for p in renderers_below(cli.pid))

        until("a renderer at work", rendering, 60)
        cli.send_signal(signal_number)
        assert cli.wait(20) == {signal.SIGINT: 130, signal.SIGTERM: 130, signal.SIGKILL: -9}[signal_number]
        until("all processes gone", lambda: not any(map(alive, family)), 20)
        until("all files gone", lambda: _temporary() == before, 20)
        assert not list((tmp_path / "out").glob("*"))

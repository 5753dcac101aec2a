"""``render`` as its user types it: a farm comes up, a picture lies in the folder, and nothing else is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from farm_processes import command, run, run_json, until

from renderbros_addon.imaging.decode import read_channels
from renderbros_addon.imaging.fingerprint import inspect_image


def _temporary() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("renderbros-*")}


def _processes(of: set[int]) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in of if psutil.pid_exists(pid)]


@pytest.mark.parametrize("image_format", ["PNG", "OPEN_EXR_MULTILAYER"])
def test_tiled_frames_equal_whole_ones(scene: Path, tmp_path: Path, image_format: str) -> None:
    before = _temporary()
    for way, tiles in (("whole", []), ("tiled", ["--tiles", "3x2"])):
        done = run_json(
            "render", scene, "--frames", "1,3", "--samples", "4", "--format", image_format, "--percentage", "73",
            *tiles, "--out", tmp_path / way,
        )  # fmt: skip
        assert done["status"] == "completed"
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
    cli = subprocess.Popen(
        command("render", scene, "--frames", "1", "--samples", "100000", "--workers", "1", "--out", tmp_path / "out"),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    family: set[int] = set()

    def rendering() -> bool:
        assert cli.poll() is None, "the command ended by itself"
        children = psutil.Process(cli.pid).children(recursive=True)
        family.update(p.pid for p in children)
        renderers = [p for p in children if "renderer" in p.cmdline()]
        return any(p.cpu_times().user > 3 for p in renderers)

    until("a renderer at work", rendering, 60)
    start = time.monotonic()
    cli.send_signal(signal_number)
    code = cli.wait(20)
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[signal_number] or code in (130, -15)
    until("all processes gone", lambda: not _processes(family), 20)
    until("all files gone", lambda: _temporary() == before, 20)
    assert not list((tmp_path / "out").glob("*"))
    assert time.monotonic() - start < 20

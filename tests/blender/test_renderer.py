"""The renderer process, through its pipe."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blender_images import channels_of
from scene_features import file_output
from scenes import fresh_scene, save

from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.renderer import (
    BuildSampleRequest,
    FinishRequest,
    InspectRequest,
    QuitRequest,
    RenderRequest,
)
from renderbros_addon.protocol.states import FailureCode, FailureKind


@pytest.fixture
def ask(renderer: Any, make_spec: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Inspect ``blend`` and render it, both in the renderer."""
    count = iter(range(1000))

    def render(blend: Path, *, region: Region | None = None, linear: bool = False, frame: int = 1, **spec: Any) -> Any:
        settings = spec.get("settings", RenderSettings())
        found = renderer.ask(InspectRequest(id="look", blend=str(blend), settings=settings))
        assert found.type == "inspection", found
        job = make_spec(blend, found, **spec)
        out = tmp_path / f"out{next(count)}"
        out.mkdir()
        whole = Region.full(job.width, job.height)
        return renderer.ask(
            RenderRequest(
                id="r", root=str(blend.parent), spec=job, frame=frame, region=region or whole, linear=linear,
                out_dir=str(out),
            )
        )  # fmt: skip

    return render


def simple(folder: Path, change: Callable[[Any], None] = lambda scene: None, **options: int) -> Path:
    folder.mkdir(exist_ok=True)
    change(fresh_scene(**options))
    return save(folder / "scene.blend")


def test_it_greets_renders_finishes_and_leaves(renderer: Any, make_spec: Any, tmp_path: Path) -> None:
    assert renderer.hello.capabilities.series
    blend = simple(tmp_path / "job")
    found = renderer.ask(InspectRequest(id="look", blend=str(blend)))
    assert (found.id, found.width, found.height) == ("look", 64, 48)
    outs = [tmp_path / name for name in ("own", "linear", "finished")]
    for out in outs:
        out.mkdir()
    common = {"root": str(blend.parent), "spec": make_spec(blend, found), "frame": 2}
    full = Region.full(64, 48)
    own = renderer.ask(RenderRequest(id="a", region=full, linear=False, out_dir=str(outs[0]), **common))
    linear = renderer.ask(RenderRequest(id="b", region=full, linear=True, out_dir=str(outs[1]), **common))
    finished = renderer.ask(FinishRequest(id="c", assembled=linear.path, out_dir=str(outs[2]), **common))
    assert [reply.id for reply in (own, linear, finished)] == ["a", "b", "c"]
    assert own.warnings == ()
    assert own.render_seconds > 0
    assert Path(own.path).name == "frame.png"
    assert Path(linear.path).name == "frame.exr"
    expected, actual = channels_of(Path(own.path)), channels_of(Path(finished.path))
    assert all(np.array_equal(expected[name], actual[name]) for name in expected)
    renderer.send(QuitRequest())
    assert renderer.process.wait(10) == 0


def test_it_ends_when_the_pipe_does_even_while_rendering(renderer: Any, make_spec: Any, tmp_path: Path) -> None:
    blend = simple(tmp_path / "job", width=800, height=600, samples=4000)
    found = renderer.ask(InspectRequest(id="look", blend=str(blend)))
    out = tmp_path / "out"
    out.mkdir()
    renderer.send(
        RenderRequest(
            id="long", root=str(blend.parent), spec=make_spec(blend, found), frame=1, region=Region.full(800, 600),
            linear=False, out_dir=str(out),
        )
    )  # fmt: skip
    time.sleep(2.5)
    started = time.monotonic()
    renderer.process.stdin.close()
    while line := renderer.process.stdout.readline():
        assert line.startswith(b"@renderbros ")
    assert renderer.process.wait(5) == 0
    assert time.monotonic() - started < 2


def test_its_heart_beats_and_it_tells_progress_while_it_renders(ask: Any, renderer: Any, tmp_path: Path) -> None:
    blend = simple(tmp_path / "job", width=320, height=240, samples=50)
    done = ask(blend)
    assert done.type == "rendered"
    assert done.render_seconds > 1, "too quick to tell anything"
    told = [(p.progress.sample, p.progress.samples) for p in renderer.progress]
    assert told == sorted(told)
    assert {total for _, total in told} == {50}
    assert len(told) <= 6 * done.render_seconds + 2
    assert len(renderer.heartbeats) >= int(done.render_seconds)


def test_failures_are_named_and_the_next_request_is_served(ask: Any, renderer: Any, tmp_path: Path) -> None:
    good = simple(tmp_path / "good")
    junk = tmp_path / "junk.blend"
    junk.write_bytes(b"BLENDER-v405" + bytes(400))
    failed = renderer.ask(InspectRequest(id="junk", blend=str(junk)))
    assert (failed.type, failed.id, failed.code) == ("failed", "junk", FailureCode.CORRUPT_BLEND)

    def lost_picture(scene: Any) -> None:
        import bpy

        image = bpy.data.images.new("brick", 4, 4)
        image.source, image.filepath = "FILE", "//brick.png"
        tree = bpy.data.materials["Floor"].node_tree
        tree.nodes.new("ShaderNodeTexImage").image = image

    lost = simple(tmp_path / "lost", lost_picture)
    failed = ask(lost)
    assert (failed.kind, failed.code) == (FailureKind.SCENE, FailureCode.MISSING_FILE)
    assert "brick.png" in failed.message
    assert 'Image "brick"' in failed.message
    allowed = ask(lost, allow_missing=True)
    assert allowed.type == "rendered"
    assert "brick.png" in allowed.warnings[0]

    failed = ask(good, width=63)
    assert failed.code == FailureCode.SIZE_MISMATCH
    failed = ask(good, engine="CYCLES", settings=RenderSettings(samples=2), device="GPU")
    if not any(device.kind == "GPU" for device in renderer.hello.capabilities.devices):
        assert (failed.kind, failed.code) == (FailureKind.WORKER, FailureCode.NO_DEVICE)
    assert ask(good).type == "rendered"


def test_a_request_that_is_none_is_passed_over(renderer: Any, tmp_path: Path) -> None:
    renderer.process.stdin.write(b'{"type": "render"}\nnonsense\n\xff\xfe\n\n')
    renderer.process.stdin.flush()
    assert renderer.ask(InspectRequest(id="x", blend=str(tmp_path / "no.blend"))).code == FailureCode.MISSING_FILE


def test_a_blocked_driver_is_warned_of(ask: Any, tmp_path: Path) -> None:
    def driven(scene: Any) -> None:
        import bpy

        driver = bpy.data.objects["Ball"].driver_add("location", 0).driver
        driver.type, driver.expression = "SCRIPTED", "len(bpy.data.objects)"

    done = ask(simple(tmp_path / "job", driven))
    assert done.type == "rendered"
    assert "len(bpy.data.objects)" in done.warnings[0]


def test_file_output_nodes_write_beside_the_frame_and_nowhere_else(ask: Any, tmp_path: Path) -> None:
    blend = simple(tmp_path / "job", lambda scene: file_output(scene, tmp_path / "elsewhere"))
    done = ask(blend)
    assert done.type == "rendered"
    assert not (tmp_path / "elsewhere").exists()
    [extra] = done.extras
    assert extra.name == "elsewhere/Image0001.png"
    written = [path for path in Path(done.path).parent.rglob("*") if path.is_file()]
    assert sorted(written) == sorted([Path(done.path), Path(extra.path)])


def test_a_host_file_is_not_shown(ask: Any, tmp_path: Path) -> None:
    def spying(scene: Any) -> None:
        import bpy

        secret = bpy.data.images.new("secret", 4, 4)
        secret.filepath_raw, secret.file_format = str(tmp_path / "secret.png"), "PNG"
        secret.save()
        secret.source = "FILE"
        tree = bpy.data.materials["Floor"].node_tree
        tree.nodes.new("ShaderNodeTexImage").image = secret

    failed = ask(simple(tmp_path / "job", spying))
    assert failed.code == FailureCode.MISSING_FILE
    assert "secret.png" in failed.message


def test_paths_with_odd_characters(ask: Any, tmp_path: Path) -> None:
    folder = tmp_path / "odd {name} ## 100% ü"
    folder.mkdir()
    blend = simple(folder / "job")
    assert ask(blend).type == "rendered"


def test_it_builds_the_sample(renderer: Any, tmp_path: Path) -> None:
    built = renderer.ask(BuildSampleRequest(id="s", path=str(tmp_path / "sample.blend")))
    assert (built.type, built.id) == ("built", "s")
    found = renderer.ask(InspectRequest(id="look", blend=str(tmp_path / "sample.blend")))
    assert found.whole_because == ()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_for_the_agent_to_handle(renderer: Any, tmp_path: Path) -> None:
    import signal

    renderer.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert renderer.process.poll() is None
    assert isinstance(renderer.process, subprocess.Popen)
    assert renderer.ask(InspectRequest(id="x", blend=str(tmp_path / "no.blend"))).code == FailureCode.MISSING_FILE

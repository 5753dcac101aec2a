"""An artist's way with a live farm: sign in, look, send, watch, have the frames; all by the extension's operators."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from farm_processes import Farm

from renderbros_addon.desktop import activities, connection, job_operators, jobs, pictures, submit
from renderbros_addon.imaging.decode import read_channels
from renderbros_addon.protocol.access import Role


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with Farm(tmp_path_factory.mktemp("farm")) as running:
        running.start_worker("one", "--threads", "1")
        yield running


@pytest.fixture
def submitter(artist: Any, farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The artist, signed in."""
    monkeypatch.setenv("RENDERBROS_CREDENTIALS", str(tmp_path / "kept" / "credentials.json"))
    artist.open_scene()
    artist.preferences.dispatcher = farm.url
    artist.code = artist.preferences.code = farm.operator.invite(Role.SUBMITTER).code
    bpy.ops.renderbros.login()
    artist.idle()
    assert "as submitter" in connection.told()
    return artist


def test_a_token_is_kept_outside_of_blender(submitter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert submitter.preferences.code == "", "the field is emptied once the token is stored"
    kept = tmp_path / "kept" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "rbs_" in kept.read_text()
    submitter.preferences.code = typed = "rbs_typed-but-not-sent"
    saved = tmp_path / "saved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(saved), copy=True, compress=False)
    assert typed.encode() not in saved.read_bytes()
    monkeypatch.setenv("BLENDER_USER_CONFIG", str(tmp_path))
    bpy.ops.wm.save_userpref()
    written = (tmp_path / "userpref.blend").read_bytes()
    assert typed.encode() not in written
    assert submitter.preferences.dispatcher.encode() in written, "other preferences are there"


def test_a_still_builds_up_and_frames_come_home_as_blender_makes_them(submitter: Any, farm: Farm) -> None:
    scene = submitter.scene
    chosen = scene.renderbros
    chosen.which, chosen.frames, chosen.cut = "LIST", "2-3", "GRID"
    scene.objects["Ball"].location.z += 0.3  # not saved
    before = submitter.blend.read_bytes()
    bpy.ops.renderbros.submit()
    submitter.wait("a job", jobs.listed)
    [job] = jobs.listed()
    seen: dict[str, tuple[bool, float]] = {}

    def home() -> bool:
        if (image := pictures.of_job(job.id)) is not None and image.source not in seen:
            seen[image.source] = image.is_dirty, float(np.mean(image.pixels))
        return job.here

    submitter.wait("the frames", home)
    assert job.facts["status"] == "completed"
    assert seen["GENERATED"][1] > 0.01, "tiles were shown before the frame was finished"
    assert seen["FILE"][0] is False, "the finished frame leaves nothing to be saved"
    assert submitter.blend.read_bytes() == before
    jobs.stop_watching()
    submitter.idle()
    found = sorted(path.name for path in submitter.folder.iterdir())
    assert found == ["frame_0002.png", "frame_0003.png", "shot.blend"], "nothing but frames, by Blender's names"
    for frame in (2, 3):
        scene.frame_set(frame)
        brought = Path(bpy.path.abspath(scene.render.frame_path(frame=frame)))
        assert job.files[frame] == str(brought)
        scene.render.filepath = str(submitter.folder.parent / f"own{frame}.png")
        bpy.ops.render.render(write_still=True)
        own = read_channels(Path(scene.render.filepath))
        scene.render.filepath = "//frame_####"
        theirs = read_channels(brought)
        assert own.channels.keys() == theirs.channels.keys()
        assert all(np.array_equal(own.channels[name], theirs.channels[name]) for name in own.channels)


def test_what_is_missing_is_told_before_anything_is_sent(submitter: Any, farm: Farm) -> None:
    image = bpy.data.images.new("brick", 4, 4)
    image.source, image.filepath, image.use_fake_user = "FILE", "//textures/brick.png", True
    material = submitter.scene.objects["Cube"].data.materials[0]
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    bpy.ops.renderbros.look()
    submitter.idle()
    known = submit.findings(submitter.scene)
    assert [(one["user"], Path(one["path"]).name) for one in known.missing] == [('Image "brick"', "brick.png")]
    assert known.looked is not None
    assert (known.looked["frames"], known.looked["width"], known.looked["height"]) == (4, 64, 48)
    assert known.estimated is not None
    assert known.estimated["seconds"] > 0
    bpy.ops.renderbros.submit()
    submitter.idle()
    known = submit.findings(submitter.scene)
    assert "brick" in known.problem
    assert len(known.missing) == 1
    assert jobs.listed() == []
    with farm.operator as client:
        assert all(job.name != "shot" or job.status.ended for job in client.jobs()), "nothing was sent"
    assert [path.name for path in submitter.folder.iterdir()] == ["shot.blend"]


def test_a_job_is_cancelled_and_goes_on_by_retry(submitter: Any, farm: Farm) -> None:
    submitter.scene.cycles.samples = 100_000
    bpy.ops.renderbros.submit()
    submitter.wait(
        "samples", lambda: jobs.listed() and any("samples" in one for one in jobs.listed()[0].facts["running"])
    )
    job = jobs.chosen(bpy.context)
    assert job is not None
    bpy.ops.renderbros.retry()
    submitter.idle("change")
    assert "active" in job_operators.problem(), "why something can't be done is told"
    bpy.ops.renderbros.cancel()
    submitter.wait("the cancelled job", lambda: job.facts["status"] == "cancelled")
    submitter.wait("the end of bringing", lambda: job.here)
    bpy.ops.renderbros.retry()
    submitter.wait("work again", lambda: job.facts["status"] == "active")
    with farm.operator as client:
        assert client.job(job.id).status.value == "active"
    bpy.ops.renderbros.cancel()
    submitter.wait("the cancelled job again", lambda: job.facts["status"] == "cancelled")
    submitter.idle("change")


def test_sending_is_stopped(submitter: Any, farm: Farm) -> None:
    with farm.operator as client:
        before = len(client.jobs())
    bpy.ops.renderbros.submit()
    child = activities.running(submit.PURPOSE)
    assert child is not None
    assert len(list(submitter.folder.iterdir())) == 2, "the copy that is to be sent"
    submitter.wait("a start", lambda: child.step)
    bpy.ops.renderbros.stop_sending()
    submitter.idle()
    assert submit.findings(submitter.scene).problem == ""
    assert [path.name for path in submitter.folder.iterdir()] == ["shot.blend"]
    with farm.operator as client:
        assert len(client.jobs()) == before

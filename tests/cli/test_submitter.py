"""The submitter's and operator's commands against a real dispatcher and a real worker."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from farm_processes import ROOT, Farm, command, run, run_json, until
from in_blender import script_command

TEXTURED = """
import sys
import bpy

tests, blend, texture = sys.argv[-3:]
sys.path.insert(0, tests)
from scenes import fresh_scene

scene = fresh_scene(32, 24, samples=1)
image = bpy.data.images.load(texture)
image.name = "brick"
image.use_fake_user = True
material = bpy.data.materials.new("wall")
material.use_nodes = True
node = material.node_tree.nodes.new("ShaderNodeTexImage")
node.image = image
shader = next(n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
bpy.ops.mesh.primitive_plane_add(size=4)
bpy.context.object.data.materials.append(material)
bpy.ops.wm.save_as_mainfile(filepath=blend, relative_remap=False)
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blend = tmp_path_factory.mktemp("scene") / "simple.blend"
    words = script_command(ROOT / "tests" / "scenes.py", "simple", blend, "--samples", "2")
    subprocess.run(words, check=True, capture_output=True)
    return blend


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene in ``shots`` with an image in ``textures`` beside it."""
    root = tmp_path_factory.mktemp("project")
    for name in ("shots", "textures"):
        (root / name).mkdir()
    texture = root / "textures" / "brick.ppm"
    texture.write_bytes(b"P6 2 2 255\n" + bytes(range(12)))
    blend = root / "shots" / "wall.blend"
    script = root / "textured.py"
    script.write_text(TEXTURED)
    subprocess.run(script_command(script, ROOT / "tests", blend, texture), check=True, capture_output=True)
    return blend


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with Farm(tmp_path_factory.mktemp("farm")) as running:
        running.start_worker("one", "--threads", "1")
        yield running


def test_submit_wait_and_out_bring_the_frames_home(farm: Farm, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    done = run_json("submit", scene, "--frames", "1-2", "--wait", "--out", out, "--dispatcher", farm.url)
    assert done["status"] == "completed"
    assert done["frames_done"] == 2
    assert done["previewed"] in (0, 2), "previews go on beside the job, and end with it"
    assert [Path(file["file"]).name for file in done["files"]] == sorted(p.name for p in out.iterdir())
    assert len(done["files"]) == 2

    listed = run_json("jobs", "--dispatcher", farm.url)["jobs"]
    assert done["job"] in [one["job"] for one in listed]
    told = run("jobs", "--dispatcher", farm.url).stdout
    assert done["job"] in told
    assert "completed" in told

    details = run_json("job", done["job"], "--dispatcher", farm.url)
    assert details["status"] == "completed"
    assert [frame["status"] for frame in details["frame_views"]] == ["done", "done"]
    assert details["log"], "what happened to it is told"
    words = run("job", done["job"], "--dispatcher", farm.url).stdout
    assert f"simple ({done['job']}) is completed" in words
    assert details["log"][0]["event"] in words

    again = tmp_path / "again"
    fetched = run_json("fetch", done["job"], "--out", again, "--dispatcher", farm.url)
    assert len(fetched["files"]) == 2
    for name in out.iterdir():
        assert (again / name.name).read_bytes() == name.read_bytes()
    spoilt = next(again.iterdir())
    spoilt.write_bytes(b"broken off")
    run_json("fetch", done["job"], "--out", again, "--dispatcher", farm.url)
    assert spoilt.read_bytes() == (out / spoilt.name).read_bytes()


def test_a_job_is_sent_before_its_frames_are_previewed(farm: Farm, scene: Path) -> None:
    sent = run_json("submit", scene, "--frames", "1-3", "--samples", "100000", "--dispatcher", farm.url)
    assert sent["previewed"] == 3
    log = run_json("job", sent["job"], "--dispatcher", farm.url)["log"]
    assert [one["event"] for one in log].index("job.active") < [one["event"] for one in log].index("job.previewed")
    run("cancel", sent["job"], "--dispatcher", farm.url)


def test_frames_come_home_one_by_one_and_a_film_follows(farm: Farm, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    with farm.operator as client:
        until("the worker online", lambda: bool(client.workers()), 60)
        series = [client.workers()[0].capabilities.series, "9.9"]
    words = (
        "submit", scene, "--expect", "0", "--frames", "1-4", "--samples", "200", "--chunk", "3",
        "--blender-series", ",".join(series), "--preview", "--out", out, "--dispatcher", farm.url, "--json",
    )  # fmt: skip
    seen = set()
    with subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        while running.poll() is None:
            seen.add(len(list(out.glob("*.png"))))
            time.sleep(0.05)
        assert running.stdout is not None
        told = json.loads(running.stdout.read())
    assert (running.returncode, told["status"]) == (0, "completed")
    assert seen & {1, 2, 3}, "frames came only with the end of the job"
    assert Path(told["preview"]) == out / "simple.mp4"
    assert (out / "simple.mp4").read_bytes()[4:8] == b"ftyp"
    assert sorted(p.name for p in out.iterdir()) == [*(f"frame_{n:04d}.png" for n in range(1, 5)), "simple.mp4"]
    assert any("differ a little" in note for note in told["notes"])
    assert told["series"] == series


def test_the_environment_says_where_the_dispatcher_is(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"RENDERBROS_DISPATCHER={farm.url}\n")
    monkeypatch.delenv("RENDERBROS_DISPATCHER", raising=False)
    until("the worker online", lambda: bool(run_json("workers", cwd=tmp_path)["workers"]), 60)
    [worker] = run_json("workers", cwd=tmp_path)["workers"]
    assert worker["name"] == "one"
    assert worker["status"] == "online"
    told = run("workers", cwd=tmp_path).stdout
    assert worker["id"] in told
    assert "one" in told


def test_a_texture_is_brought_along_and_without_it_the_job_fails_by_name(
    farm: Farm, textured: Path, tmp_path: Path
) -> None:
    whole = run_json(
        "submit", textured, "--expect", "0", "--frames", "1", "--out", tmp_path / "a", "--dispatcher", farm.url
    )
    assert whole["status"] == "completed"
    assert whole["sent"]["files"] == whole["sent"]["of_files"] == 2
    alone = run(
        "submit",
        textured,
        "--expect",
        "0",
        "--frames",
        "1",
        "--no-bundle",
        "--wait",
        "--json",
        "--dispatcher",
        farm.url,
        check=False,
    )
    assert alone.returncode == 1
    told = json.loads(alone.stdout)
    assert (told["status"], told["code"]) == ("failed", "missing_file")
    assert "brick" in told["error"]

    texture = textured.parents[1] / "textures" / "brick.ppm"
    hidden = texture.rename(texture.with_suffix(".away"))
    try:
        refused = run("submit", textured, "--frames", "1", "--json", "--dispatcher", farm.url, check=False)
        assert refused.returncode == 1
        told = json.loads(refused.stdout)
        assert told["code"] == "missing_file"
        assert told["missing"][0]["path"].endswith("brick.ppm")
        assert "brick" in told["missing"][0]["user"]
        allowed = run_json(
            "submit", textured, "--expect", "0", "--frames", "1", "--allow-missing", "--wait", "--dispatcher", farm.url
        )
        assert allowed["status"] == "completed"
        assert allowed["sent"]["files"] == 0, "the dispatcher has the scene already"
        assert any("brick" in note for note in allowed["notes"])
    finally:
        hidden.rename(texture)


def test_cancel_ends_a_job_and_its_frames_are_not_fetched(farm: Farm, scene: Path, tmp_path: Path) -> None:
    sent = run_json(
        "submit", scene, "--expect", "0", "--frames", "1-3", "--samples", "100000", "--dispatcher", farm.url
    )
    assert sent["status"] in ("queued", "active")
    assert run_json("cancel", sent["job"], "--dispatcher", farm.url)["status"] == "cancelled"
    nothing = run_json("fetch", sent["job"], "--out", tmp_path / "out", "--dispatcher", farm.url)
    assert nothing["files"] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["job"], ["cancel"], ["fetch", "--out", "somewhere"]])
def test_a_job_that_is_not_there_is_told(farm: Farm, words: list[str], tmp_path: Path) -> None:
    name, *rest = words
    done = run(name, "no-such-job", *rest, "--dispatcher", farm.url, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "no-such-job" in done.stderr
    assert "Traceback" not in done.stderr

"""``verify`` on files that Blender rendered: exit codes, its JSON object, its words, the heatmap."""

from __future__ import annotations

import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from farm_processes import run
from in_blender import script_command
from PIL import Image as pillow

from renderbros_addon.cli.main import main
from renderbros_addon.protocol.verdicts import Comparison


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what verify_images.py rendered, and a tampered and a cropped one."""
    out = tmp_path_factory.mktemp("images")
    script = Path(__file__).with_name("verify_images.py")
    done = subprocess.run(script_command(script, out), capture_output=True, text=True, timeout=200, check=False)
    assert (out / "neighbour.png").is_file(), f"Blender exited {done.returncode}\n{done.stderr[-3000:]}"
    with pillow.open(out / "honest.png") as honest:
        pixels = np.asarray(honest).copy()
    pixels[20:36, 40:56] = pixels[40:56, 20:36]
    pillow.fromarray(pixels).save(out / "tampered.png")
    # Half a block: a cheat, or an edge that another build sees otherwise.
    few = np.asarray(pillow.open(out / "honest.png")).copy()
    few[16:24, 32:40] ^= 8
    few[60:64, 0:8] ^= 1
    few[:, 80] ^= 1
    pillow.fromarray(few).save(out / "doubtful.png")
    pillow.fromarray(np.asarray(pillow.open(out / "honest.png"))[8:40, 16:80]).save(out / "crop.png")
    (out / "text.png").write_text("no image")
    whole = (out / "honest.exr").read_bytes()
    (out / "cut.exr").write_bytes(whole[: len(whole) // 2])
    return out


def verify(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    """The exit code and the object that ``verify --json`` prints."""
    code = main(["verify", *map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_match_in_a_process_of_its_own(images: Path):
    done = run("verify", images / "honest.exr", images / "again.exr")
    assert "match: every bit of the picture is the same" in done.stdout
    assert done.stderr == ""
    told = json.loads(run("verify", images / "honest.exr", images / "again.exr", "--json").stdout)
    assert (told["status"], told["verdict"]) == ("done", "match")
    # Without --json, a command line that is wrong must not read as inconclusive either.
    assert run("verify", images / "honest.exr", check=False).returncode == 3


@pytest.mark.parametrize("cheat", ["fewer.exr", "darker.exr", "neighbour.exr", "fewer.png", "darker.png"])
def test_a_cheat_is_a_mismatch(images: Path, capsys: pytest.CaptureFixture[str], cheat: str):
    code, told = verify(capsys, images / f"honest.{cheat[-3:]}", images / cheat)
    assert (code, told["verdict"]) == (1, "mismatch"), told["reason"]
    evidence = Comparison.model_validate({name: told[name] for name in Comparison.model_fields})
    assert told["bit_equal"] == evidence.passes[0].bit_equal < 0.7
    assert told["beyond_4"] <= told["beyond_1"] <= 1
    assert set(told["mean_ratio"]) == {"R", "G", "B"}
    assert told["worst_block"]["region"].keys() == {"x0", "y0", "x1", "y1"}
    assert told["tolerance"]["origin"] == "default"
    if cheat == "darker.exr":
        assert all(-0.021 < ratio < -0.008 for ratio in told["mean_ratio"].values())


def test_a_tamper_is_found_and_drawn(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    heatmap = tmp_path / "heat.png"
    code, told = verify(capsys, images / "honest.png", images / "tampered.png", "--heatmap", heatmap)
    assert code == 1
    worst = told["worst_block"]["region"]
    assert (worst["x0"], worst["y0"]) in [(32, 16), (48, 16), (32, 32), (48, 32)]
    assert [path.name for path in tmp_path.iterdir()] == ["heat.png"]
    drawn = np.asarray(pillow.open(heatmap)).astype(int)
    assert drawn.shape == (64, 96, 3)
    coloured = drawn.max(axis=2) - drawn.min(axis=2) > 50
    assert coloured[20:36, 40:56].mean() > 0.7
    coloured[20:36, 40:56] = False
    assert not coloured.any()


def test_in_between_nobody_can_tell(images: Path, capsys: pytest.CaptureFixture[str]):
    code, told = verify(capsys, images / "honest.png", images / "doubtful.png")
    assert (code, told["verdict"]) == (2, "inconclusive"), told["reason"]
    code, told = verify(capsys, images / "honest.png", images / "doubtful.png", "--exact")
    assert (code, told["tolerance"]["origin"]) == (1, "exact")
    code, told = verify(capsys, images / "honest.exr", images / "fewer.exr", "--honest", images / "fewer.exr")
    assert (code, told["tolerance"]["origin"]) == (2, "calibrated")


def test_a_crop_and_a_region(images: Path, capsys: pytest.CaptureFixture[str]):
    crop = ("--region", "16,8,80,40")
    code, told = verify(capsys, images / "crop.png", images / "honest.png", *crop)
    assert code == 0
    assert told["region"] == {"x0": 16, "y0": 8, "x1": 80, "y1": 40}
    assert verify(capsys, images / "crop.png", images / "tampered.png", *crop)[0] == 1
    # Both whole: what lies outside of the region does not count.
    assert verify(capsys, images / "honest.png", images / "tampered.png", "--region", "0,0,40,64")[0] == 0
    assert verify(capsys, images / "honest.png", images / "tampered.png", "--region", "30,10,70,50")[0] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["honest.png", "nothing.png"], "ACTUAL: there is no file nothing.png"),
        (["text.png", "honest.png"], "no image that can be read"),
        (["honest.exr", "cut.exr"], "cut.exr is broken"),
        (["honest.png", "honest.exr"], "stores R as uint8"),
        (["crop.png", "honest.png"], "64x32 pixels and ACTUAL honest.png 96x64"),
        (["crop.png", "honest.png", "--region", "0,0,10,10"], "neither"),
        (["honest.png", "honest.png", "--region", "0,0,97,64"], "reaches over"),
        (["honest.png", "honest.png", "--region", "5,5,5,9"], "no frame has the region"),
        (["honest.png", "honest.png", "--region", "left"], "X0,Y0,X1,Y1"),
        (["honest.png", "again.png", "--heatmap", "again.png"], "overwrite"),
        (["honest.png", "again.png", "--heatmap", "map.jpg"], "ends in .png"),
        (["honest.png", "again.png", "--heatmap", "no/map.png"], "no folder"),
    ],
)
def test_bad_input_exits_3(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
):
    monkeypatch.chdir(images)
    before = sorted(images.iterdir())
    code, told = verify(capsys, *words)
    assert (code, told["status"]) == (3, "bad_input")
    assert why in told["error"]
    assert sorted(images.iterdir()) == before


def test_an_image_bomb_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # A PNG whose header claims 60000x60000 pixels, over next to no data.
    pillow.new("L", (8, 8)).save(tmp_path / "bomb.png")
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    code, told = verify(capsys, tmp_path / "bomb.png", tmp_path / "bomb.png")
    assert code == 3
    # By our limit, or by the library's own, which is newer.
    assert "60000x60000" in told["error"] or "malicious header" in told["error"]

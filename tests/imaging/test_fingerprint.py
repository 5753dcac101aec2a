"""Fingerprints: the same for the same pixels, another for any other pixel."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import imagehash
import numpy as np
import pytest
import scipy.fftpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as pillow
from PIL import PngImagePlugin

from renderbros_addon.imaging.decode import DTYPES, read_channels
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.imaging.fingerprint import inspect_image
from renderbros_addon.imaging.phash import grey_rows, phash, to_8bit


def test_every_still_format_of_blender_is_known(rendered: Path):
    seen = {path.name: inspect_image(path) for path in sorted(rendered.glob("still_*"))}
    assert len(seen) == 13
    for name, output in seen.items():
        assert (output.width, output.height) == (64, 48), name
        assert output.channels[:3] == ("R", "G", "B"), name
        assert not output.blank, name
        assert output.size == (rendered / name).stat().st_size
        assert output.sha256 == hashlib.sha256((rendered / name).read_bytes()).hexdigest()
    # The same picture stored without loss in four ways.
    assert (
        len({seen[n].pixel_digest for n in seen if n.split(".")[0] in ("still_BMP", "still_TARGA", "still_IRIS")}) == 1
    )
    # And nearly the same picture to the eye in all that store what a screen shows.
    first = imagehash.hex_to_hash(seen["still_PNG.png"].phash)
    for name in ("still_JPEG.jpg", "still_WEBP.webp", "still_TIFF.tif", "still_JPEG2000.jp2", "still_BMP.bmp"):
        assert first - imagehash.hex_to_hash(seen[name].phash) <= 10, name


def test_a_repeat_has_other_bytes_and_the_same_pixels(rendered: Path, tmp_path: Path):
    first, again = (inspect_image(rendered / name) for name in ("layers.exr", "layers_again.exr"))
    assert first.pixel_digest == again.pixel_digest
    assert first.pixel_type == "float"
    facts = []
    for date in ("yesterday", "today"):
        info = PngImagePlugin.PngInfo()
        info.add_text("Date", date)
        with pillow.open(rendered / "alpha.png") as image:
            image.save(tmp_path / f"{date}.png", pnginfo=info)
        facts.append(inspect_image(tmp_path / f"{date}.png"))
    assert facts[0].sha256 != facts[1].sha256
    assert facts[0].pixel_digest == facts[1].pixel_digest == inspect_image(rendered / "alpha.png").pixel_digest


def test_the_digest_is_as_documented(rendered: Path):
    for name in ("layers_half.exr", "sixteen.png", "grey.exr"):
        image = read_channels(rendered / name)
        kinds = {dtype: kind for kind, dtype in DTYPES.items()}
        whole = hashlib.sha256(b"renderbros pixels 1\n")
        for channel in sorted(image.channels):
            pixels = image.channels[channel]
            values = hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()
            line = f"{channel} {kinds[pixels.dtype]} {image.width}x{image.height} {values}\n"
            whole.update(f"{len(channel)} {line}".encode())
        assert inspect_image(rendered / name).pixel_digest == whole.hexdigest()


def test_the_digest_does_not_see_how_it_is_stored(write, noise, tmp_path: Path):
    a, b = noise(37, 53, 4), noise(37, 53, 3, seed=2)
    rgba, normal = [f"V.Combined.{c}" for c in "RGBA"], [f"V.Normal.{c}" for c in "XYZ"]
    together = ([*rgba, *normal], np.concatenate([a, b], axis=2))
    files = [
        write(tmp_path / "one.exr", [together]),
        write(tmp_path / "two.exr", [(rgba, a), (normal, b)]),
        write(tmp_path / "swapped.exr", [(normal, b), (rgba, a)]),
        write(tmp_path / "raw.exr", [together], attributes={"compression": "none", "Camera": "else"}),
        write(tmp_path / "tiled.exr", [together], tile=16),
    ]
    outputs = [inspect_image(path) for path in files]
    assert len({output.pixel_digest for output in outputs}) == 1
    assert len({output.phash for output in outputs}) == 1
    assert len({output.sha256 for output in outputs}) == len(files)


def test_the_digest_sees_everything_else(write, noise, tmp_path: Path):
    a = noise(6, 4, 3)
    nudged = a.copy()
    nudged[5, 3, 2] = np.nextafter(nudged[5, 3, 2], np.float32(2))
    signed = np.where(a == a[0, 0, 0], np.float32(0.0), a)
    outputs = [
        inspect_image(write(tmp_path / f"{i}.exr", [(names, pixels)]))
        for i, (names, pixels) in enumerate(
            [
                ("RGB", a),
                ("RGB", nudged),
                ("RBG", a),
                (["R", "G", "b"], a),
                ("RGB", a.reshape(4, 6, 3)),
                ("RGB", a.astype(np.float16)),
                ("RG", a[:, :, :2]),
                ("RGB", signed),
                ("RGB", np.where(signed == 0, np.float32(-0.0), signed)),
            ]
        )
    ]
    assert len({output.pixel_digest for output in outputs}) == len(outputs)


def test_colour_under_clear_alpha_counts(tmp_path: Path):
    digests = set()
    for red in (0, 200):
        pillow.fromarray(np.full((4, 4, 4), (red, 0, 0, 0), np.uint8)).save(tmp_path / "clear.png")
        digests.add(inspect_image(tmp_path / "clear.png").pixel_digest)
    assert len(digests) == 2


def test_blank(write, tmp_path: Path):
    flat = np.full((8, 8, 4), 0.25, np.float32)
    spot, matte = flat.copy(), flat.copy()
    spot[7, 7, 1] += 0.5
    # A shadow catcher: black all over, and only alpha has a shape.
    matte[..., :3] = 0
    matte[4:, :, 3] = 0.75
    assert inspect_image(write(tmp_path / "flat.exr", [("RGBA", flat)])).blank
    assert not inspect_image(write(tmp_path / "spot.exr", [("RGBA", spot)])).blank
    assert not inspect_image(write(tmp_path / "matte.exr", [("RGBA", matte)])).blank


def test_blank_looks_over_band_and_channel_edges(write, tmp_path: Path):
    tall = np.zeros((700, 300, 30), np.float32)
    names = [f"V.Combined.{c}" for c in "RGBA"] + [f"V.P{i}.X" for i in range(26)]
    tall[:, :, 4:] = np.random.default_rng(0).random(tall[:, :, 4:].shape, np.float32)
    assert inspect_image(write(tmp_path / "blank.exr", [(names, tall)])).blank
    tall[699, 299, 0] = 1
    assert not inspect_image(write(tmp_path / "spot.exr", [(names, tall)])).blank


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_not_finite_is_refused(write, noise, tmp_path: Path, value: float, dtype: type):
    pixels = noise(9, 7, 4, dtype)
    pixels[8, 6, 3] = value
    write(tmp_path / "bad.exr", [(["V.Combined.R", "V.Combined.G", "V.Combined.B", "V.Depth.Z"], pixels)])
    with pytest.raises(ImageError, match=r"'V.Depth.Z' at pixel 6,8"):
        inspect_image(tmp_path / "bad.exr")


def test_large_finite_values_pass(write, tmp_path: Path):
    largest = np.full((64, 64, 3), np.finfo(np.float32).max, np.float32)
    assert inspect_image(write(tmp_path / "large.exr", [("RGB", largest)])).blank


@pytest.mark.parametrize("name", ["alpha.png", "grey.png", "still_JPEG.jpg", "still_BMP.bmp", "still_TARGA.tga"])
def test_phash_is_imagehashs_own(rendered: Path, name: str):
    with pillow.open(rendered / name) as image:
        assert inspect_image(rendered / name).phash == str(imagehash.phash(image))


def test_phash_of_linear_is_that_of_what_a_screen_shows(rendered: Path):
    image = read_channels(rendered / "layers.exr")
    linear = np.stack([image.channels[f"ViewLayer.Combined.{c}"] for c in "RGB"], axis=-1).astype(np.float64)
    linear = np.clip(linear, 0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    picture = pillow.fromarray(np.rint(shown * 255).astype(np.uint8))
    assert inspect_image(rendered / "layers.exr").phash == str(imagehash.phash(picture))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70)), fill=st.nothing()), st.integers(0, 9))
@settings(max_examples=60)
def test_phash_of_anything(grey: np.ndarray, seed: int):
    # On top of what hypothesis draws, noise: unrounded, the library's own value is chance where terms are equal.
    rough = grey ^ np.random.default_rng(seed).integers(0, 256, grey.shape, np.uint8)
    if min(rough.shape) > 4:
        assert str(phash(rough)) == str(imagehash.phash(pillow.fromarray(rough)))
    assert str(phash(grey)) == rounded_reference(grey)


def rounded_reference(grey: np.ndarray) -> str:
    small = np.asarray(pillow.fromarray(grey).resize((32, 32), pillow.Resampling.LANCZOS))
    low = scipy.fftpack.dct(scipy.fftpack.dct(small, axis=0), axis=1)[:8, :8].round(6)
    return str(imagehash.ImageHash(low > np.median(low)))


@pytest.mark.parametrize("level", [1, 77, 128, 255])
def test_phash_of_a_flat_picture_is_stable(level: int):
    for shape in ((32, 32), (100, 7), (1, 1)):
        assert str(phash(np.full(shape, level, np.uint8))) == "8000000000000000"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float16, np.float32])
def test_8bit_keeps_order_and_ends(dtype: type):
    if np.issubdtype(dtype, np.integer):
        ramp = np.linspace(0, np.iinfo(dtype).max, 1000).astype(dtype)
    else:
        ramp = np.array([-1, 0, *np.linspace(0, 1, 1000), 2], dtype)
    shown = to_8bit(ramp).astype(int)
    assert (shown[0], shown[-1]) == (0, 255)
    assert (np.diff(shown) >= 0).all()
    assert to_8bit(np.array([0.2140411], np.float32))[0] == 127 or np.issubdtype(dtype, np.integer)


def test_grey_of_colour_is_pillows(noise):
    colour = noise(20, 30, 3, np.uint8)
    assert (grey_rows(colour) == np.asarray(pillow.fromarray(colour).convert("L"))).all()


def test_no_scipy_is_loaded():
    # A worker inside Blender has no room for it.
    code = (
        "import sys; from renderbros_addon.imaging import assembly, checker, fingerprint, level0; import numpy as np;"
        "from renderbros_addon.imaging.phash import phash; phash(np.zeros((9, 9), np.uint8));"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'scipy', 'pywt', 'bpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

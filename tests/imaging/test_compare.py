"""Comparison: what is the same matches, every bit counts, cheats are caught, and other builds' noise passes."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as pillow

from renderbros_addon.imaging.assembly import crop
from renderbros_addon.imaging.compare import compare, compare_files
from renderbros_addon.imaging.decode import Image
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.imaging.judge import EXACT, calibrated
from renderbros_addon.imaging.measures import differences
from renderbros_addon.imaging.phash_grid import phash_grid
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.verdicts import Comparison

WIDTH, HEIGHT = 160, 128
DTYPES = [np.uint8, np.uint16, np.float16, np.float32]


def image(pixels: np.ndarray, names: str = "RGBA", container: str = "openexr") -> Image:
    height, width, count = pixels.shape
    return Image(container, width, height, {name: pixels[:, :, i] for i, name in enumerate(names[:count])})


def rendered(samples: int = 64, seed: int = 7) -> np.ndarray:
    """What a path tracer does: a mean of ``samples`` noisy values, the first of them the same for one seed."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    shape = np.stack([0.3 + 0.2 * np.sin(x / (19 + c)) * np.cos(y / (13 + c)) for c in range(3)], axis=-1)
    random = np.random.default_rng(seed)
    return np.mean([shape * random.gamma(4, 0.25, shape.shape) for _ in range(samples)], axis=0, dtype=np.float32)


HONEST = rendered()


def tampered() -> np.ndarray:
    pixels = HONEST.copy()
    pixels[50:82, 70:102] = HONEST[10:42, 20:52]
    return pixels


def coarse() -> np.ndarray:
    half = HONEST.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))
    return half.repeat(2, 0).repeat(2, 1).astype(np.float32)


def blurred() -> np.ndarray:
    return np.mean([np.roll(HONEST, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0, dtype=np.float32)


CHEATS = {
    "60 of 64 samples": lambda: rendered(60),
    "8 of 64 samples": lambda: rendered(8),
    "another seed": lambda: rendered(seed=8),
    "half resolution": coarse,
    "denoised": blurred,
    "2 % less light": lambda: HONEST * np.float32(0.98),
    "2 % more red": lambda: HONEST * np.array([1.02, 1, 1], np.float32),
    "one pixel aside": lambda: np.roll(HONEST, 1, 1),
    "blank": lambda: np.zeros_like(HONEST),
    "upside down": lambda: HONEST[::-1].copy(),
    "32x32 tamper": tampered,
}


@pytest.mark.parametrize("name", CHEATS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.uint8])
def test_a_cheat_is_a_mismatch(name: str, dtype: type):
    def stored(pixels: np.ndarray) -> np.ndarray:
        top = np.iinfo(dtype).max if dtype != np.float32 else 1
        return pixels if top == 1 else np.rint(pixels.clip(0, 1) * top).astype(dtype)

    found = compare(image(stored(HONEST)), image(stored(CHEATS[name]())))
    assert found.verdict == "mismatch", found.reason
    if name == "32x32 tamper":
        worst = found.passes[0].worst_block
        assert worst is not None
        assert worst.fraction > 0.9
        assert worst.region.intersection(Region(x0=70, y0=50, x1=102, y1=82)) == worst.region
    if name == "blank":
        assert "another picture" in found.reason
    if name == "2 % less light":
        assert "darker" in found.reason


def another_build(part: float) -> np.ndarray:
    """The honest pixels with other rounding everywhere, and a part of them, scattered, plainly different."""
    random = np.random.default_rng(3)
    pixels = HONEST * (1 + random.normal(0, 2e-7, HONEST.shape)).astype(np.float32)
    other = random.random(pixels.shape[:2]) < part
    pixels[other] *= random.normal(1, 0.1, (int(other.sum()), 1)).astype(np.float32)
    return pixels


@pytest.mark.parametrize(("part", "verdict"), [(0, "match"), (0.002, "match"), (0.02, "match"), (0.3, "mismatch")])
def test_few_and_scattered_differences_are_another_builds(part: float, verdict: str):
    assert compare(image(HONEST), image(another_build(part))).verdict == verdict


def test_what_two_honest_renders_differ_by_sets_the_tolerance():
    wild = compare(image(HONEST), image(another_build(0.24)))
    assert wild.verdict == "mismatch"
    tolerance = calibrated(wild.passes[0], wild.perceptual.whole)
    assert tolerance.usable
    assert compare(image(HONEST), image(another_build(0.24)), tolerance=tolerance).verdict == "match"
    assert compare(image(HONEST), image(rendered(60)), tolerance=tolerance).verdict == "mismatch"
    # Where honest renders have nothing in common but what they show, noise proves nothing; another picture does.
    hopeless = compare(image(HONEST), image(rendered(seed=8)))
    tolerance = calibrated(hopeless.passes[0], hopeless.perceptual.whole)
    assert not tolerance.usable
    assert compare(image(HONEST), image(rendered(60)), tolerance=tolerance).verdict == "inconclusive"
    assert compare(image(HONEST), image(np.zeros_like(HONEST)), tolerance=tolerance).verdict == "mismatch"


def test_of_a_flat_picture_the_edges_tell():
    """Fewer samples of flat things change nothing but where they end, which is a small part of the picture."""
    honest = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    honest[:, WIDTH // 2 :] = 0.7
    honest[:, WIDTH // 2] = np.linspace(0.3, 0.6, HEIGHT)[:, np.newaxis]
    fewer = honest.copy()
    fewer[:, WIDTH // 2] *= 1.03
    compared = compare(image(honest), image(fewer))
    assert compared.passes[0].beyond_slight < 0.01
    assert compared.verdict == "mismatch"
    elsewhere = honest.copy()
    elsewhere[7, 9] *= 1.03
    assert compare(image(honest), image(elsewhere)).verdict == "match"


def test_a_crowd_of_differences_proves_tampering_only_among_equal_pixels():
    crowd = another_build(0)
    crowd[48:64, 64:80] *= 1.1
    assert compare(image(HONEST), image(crowd)).verdict == "inconclusive"
    within = HONEST.copy()
    within[48:64, 64:80] *= 1.1
    assert compare(image(HONEST), image(within)).verdict == "mismatch"


def test_a_change_of_sign_of_nothing_has_its_place():
    nothing = np.zeros((16, 48, 3), np.float32)
    signed = nothing.copy()
    signed[5, 40] = -0.0
    worst = compare(image(nothing), image(signed), tolerance=EXACT).passes[0].worst_block
    assert worst is not None
    assert worst.region == Region(x0=32, y0=0, x1=48, y1=16)


@given(
    arrays.arrays(st.sampled_from(DTYPES), st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))),
    st.data(),
)
@settings(max_examples=60)
def test_any_changed_bit_is_seen(pixels: np.ndarray, data: st.DataObject):
    names = "RGBA" if pixels.shape[2] != 2 else "YA"
    same = compare(image(pixels, names), image(pixels.copy(), names))
    assert same.verdict == "match"
    assert same.passes[0].bit_equal == 1
    assert same.passes[0].worst_block is None
    changed = pixels.copy()
    y, x, channel = (data.draw(st.integers(0, length - 1)) for length in pixels.shape)
    bits = changed.view(f"u{pixels.dtype.itemsize}")
    bits[y, x, channel] ^= 1 << data.draw(st.integers(0, 8 * pixels.dtype.itemsize - 1))
    found = compare(image(pixels, names), image(changed, names), tolerance=EXACT)
    passes = [measured for measured in found.passes if measured.bit_equal < 1]
    assert len(passes) == 1
    assert passes[0].bit_equal == pytest.approx(1 - 1 / passes[0].pixels)
    worst = passes[0].worst_block
    assert worst is not None
    assert worst.region.x0 <= x < worst.region.x1
    assert worst.region.y0 <= y < worst.region.y1
    assert found.verdict == "mismatch"
    # Whatever the values, it is JSON and comes back.
    assert Comparison.model_validate_json(found.model_dump_json()) == found


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: st.tuples(*(arrays.arrays(dtype, (20, 18, 3), fill=st.nothing()) for _ in range(2)))
    )
)
@settings(max_examples=30)
def test_expected_and_actual_may_change_places(pair: tuple[np.ndarray, np.ndarray]):
    there, back = differences(*pair), differences(*reversed(pair))
    assert np.array_equal(there.differs, back.differs)
    assert np.array_equal(there.slight, back.slight)
    assert np.array_equal(there.amount, back.amount)
    assert not np.isnan(there.amount).any()


def test_the_fractions_are_those_of_code_values():
    base = np.full((64, 64, 3), 100, np.uint8)
    other = base.copy()
    for row, step in enumerate((1, 2, 4, 5)):
        other[row, :, 1] += step
    measured = compare(image(base), image(other)).passes[0]
    assert (measured.beyond_slight, measured.beyond_1, measured.beyond_4) == (4 / 64, 3 / 64, 1 / 64)
    assert measured.largest == pytest.approx(5 / 255)
    assert measured.mean_ratio == {"R": 0, "G": pytest.approx(12 / 64 / 100), "B": 0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_a_mismatch_unless_both_have_it(value: float):
    broken = HONEST.copy()
    broken[3, 5, 1] = value
    found = compare(image(HONEST), image(broken))
    assert found.verdict == "mismatch"
    assert found.passes[0].not_finite == 1
    assert found.passes[0].largest is None
    assert compare(image(broken), image(broken.copy())).verdict == "match"


def test_a_crop_is_compared_with_its_place(rendered: Path, tmp_path: Path):
    where = Region(x0=10, y0=5, x1=51, y1=40)
    crop(rendered / "layers.exr", where, tmp_path / "crop.exr")
    found = compare_files(tmp_path / "crop.exr", rendered / "layers.exr", where)
    assert found.verdict == "match"
    assert found.passes[0].name == "ViewLayer.Combined"
    assert {"ViewLayer.Depth", "ViewLayer.Normal", "ViewLayer.CryptoObject00"} <= {p.name for p in found.passes}
    aside = where.shifted(1, 0)
    assert compare_files(tmp_path / "crop.exr", rendered / "layers.exr", aside).verdict == "mismatch"
    assert compare_files(rendered / "layers.exr", rendered / "layers_again.exr", where).region == where


def test_bands_and_parts_change_nothing(write, noise, tmp_path: Path):
    a = noise(700, 400, 7)
    b = a.copy()
    b[300:332, 100:132, 5] += 0.5
    rgba, normal = [f"V.Combined.{c}" for c in "RGBA"], [f"V.Normal.{c}" for c in "XYZ"]
    write(tmp_path / "a.exr", [([*rgba, *normal], a)])
    write(tmp_path / "b.exr", [(normal, b[:, :, 4:]), (rgba, b[:, :, :4])], tile=64)
    found = compare_files(tmp_path / "a.exr", tmp_path / "b.exr")
    named = (
        dict(zip([*rgba, *normal], np.moveaxis(a, 2, 0), strict=True)),
        dict(zip([*rgba, *normal], np.moveaxis(b, 2, 0), strict=True)),
    )
    assert found == compare(*(Image("openexr", 400, 700, channels) for channels in named))
    # The picture is the same to the last bit: so are the builds, and then a pass that differs was tampered with.
    assert found.verdict == "mismatch"
    assert "V.Normal" in found.reason


@pytest.mark.parametrize(
    ("expected", "actual", "why"),
    [
        ("still_BMP.bmp", "sixteen.png", r"R as uint8.*as uint16"),
        ("layers.exr", "layers_half.exr", r"as float32.*as float16"),
        ("still_PNG.png", "grey.png", "no picture in common"),
        ("still_PNG.png", "layers.exr", "no picture in common"),
        ("layers.exr", "tile_00.exr", "64x48.*16x36"),
        ("render_images.py", "layers.exr", "EXPECTED: there is no file"),
    ],
)
def test_what_can_not_be_compared_is_refused(rendered: Path, expected: str, actual: str, why: str):
    with pytest.raises(ImageError, match=why):
        compare_files(rendered / expected, rendered / actual)


@given(arrays.arrays(np.uint8, st.tuples(st.integers(8, 90), st.integers(8, 90)), fill=st.nothing()), st.integers(0, 9))
@settings(max_examples=20)
def test_each_cell_has_imagehashs_own_hash(grey: np.ndarray, seed: int):
    rough = grey ^ np.random.default_rng(seed).integers(0, 256, grey.shape, np.uint8)
    bits = phash_grid(rough, 3, 2)
    whole = pillow.fromarray(rough).resize((96, 64), pillow.Resampling.LANCZOS)
    for row in range(2):
        for column in range(3):
            cell = whole.crop((column * 32, row * 32, column * 32 + 32, row * 32 + 32))
            assert imagehash.ImageHash(bits[row, column]) == imagehash.phash(cell)

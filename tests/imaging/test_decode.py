"""Reading: native values, and a plain error for whatever is no render."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from renderbros_addon.imaging.decode import ImageFile, read_channels
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.imaging.fingerprint import inspect_image


@pytest.mark.parametrize(
    ("container", "dtype", "channels"),
    [
        ("openexr", np.float32, "RGBA"),
        ("openexr", np.float16, "RGB"),
        ("openexr", np.uint32, "RGB"),
        ("png", np.uint8, "RGBA"),
        ("png", np.uint16, "RGB"),
        ("tiff", np.float32, "RGB"),
        ("tiff", np.uint16, "RGBA"),
    ],
)
def test_values_come_as_they_are_stored(write, noise, tmp_path: Path, container: str, dtype: type, channels: str):
    pixels = noise(33, 41, len(channels), dtype)
    extra = {"oiio:UnassociatedAlpha": 1} if container != "openexr" else None
    path = write(tmp_path / f"a.{container}", [(channels, pixels)], container=container, attributes=extra)
    image = read_channels(path)
    assert (image.container, image.width, image.height) == (container, 41, 33)
    assert list(image.channels) == list(channels)
    for i, name in enumerate(channels):
        assert image.channels[name].dtype == dtype
        assert (image.channels[name] == pixels[:, :, i]).all()


@pytest.mark.parametrize("tile", [0, 16])
def test_halves_and_floats_side_by_side(write, noise, tmp_path: Path, tile: int):
    pixels = noise(40, 30, 4)
    pixels[:, :, 3] *= 1e10
    names = ["V.Combined.R", "V.Combined.G", "V.Combined.B", "V.Depth.Z"]
    path = write(tmp_path / "a.exr", [(names, pixels)], channel_types=["half", "half", "half", "float"], tile=tile)
    channels = read_channels(path).channels
    assert [str(channels[name].dtype) for name in names] == ["float16"] * 3 + ["float32"]
    assert (channels["V.Depth.Z"] == pixels[:, :, 3]).all()
    assert (channels["V.Combined.G"] == pixels[:, :, 1].astype(np.float16)).all()


def test_any_run_of_rows_of_a_tiled_file(write, noise, tmp_path: Path):
    pixels = noise(50, 30, 3)
    with ImageFile(write(tmp_path / "a.exr", [("RGB", pixels)], tile=16)) as file:
        for y0, y1 in [(0, 1), (15, 17), (16, 32), (3, 50), (49, 50), (0, 50)]:
            assert (file.rows(file.parts[0], y0, y1) == pixels[y0:y1]).all()


def test_a_data_window_elsewhere_is_read_from_its_top(noise, tmp_path: Path):
    pixels = noise(10, 12, 3)
    spec = oiio.ImageSpec(12, 10, 3, "float")
    spec.x, spec.y, spec.full_width, spec.full_height = 100, -7, 300, 300
    output = oiio.ImageOutput.create("openexr")
    output.open(str(tmp_path / "a.exr"), spec)
    output.write_image(pixels)
    output.close()
    image = read_channels(tmp_path / "a.exr")
    assert (np.stack([image.channels[c] for c in "RGB"], -1) == pixels).all()


def test_a_name_without_extension_will_do(rendered: Path, tmp_path: Path):
    # Blobs are named by their digest alone.
    for source in [*rendered.glob("still_*"), rendered / "layers.exr"]:
        shutil.copy(source, tmp_path / "blob")
        assert inspect_image(tmp_path / "blob").pixel_digest == inspect_image(source).pixel_digest, source.name


def test_a_lying_extension_does_not_matter(rendered: Path, tmp_path: Path):
    shutil.copy(rendered / "layers.exr", tmp_path / "a.png")
    assert inspect_image(tmp_path / "a.png").container == "openexr"


def test_a_frame_beyond_the_limit_is_refused_unread(write, noise, tmp_path: Path):
    path = write(tmp_path / "a.exr", [("RGB", noise(20, 30, 3))])
    assert read_channels(path, max_pixels=600).width == 30
    with pytest.raises(ImageError, match="30x20 pixels, more than the 599"):
        read_channels(path, max_pixels=599)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path):
    # 60000 x 60000 black pixels are a few megabytes of PNG and eleven gigabytes of memory; the header is enough here.
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(ImageError, match=r"60000x60000|no image"):
        inspect_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"not an image", b"\x89PNG\r\n\x1a\n", b"v/1\x01"])
def test_what_is_no_image(tmp_path: Path, content: bytes):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ImageError, match=r"^a "):
        inspect_image(tmp_path / "a")


def test_what_is_not_there(tmp_path: Path):
    for path in (tmp_path / "nothing.png", tmp_path):
        with pytest.raises(ImageError, match="there is no file"):
            inspect_image(path)


def test_an_image_that_no_render_is(write, noise, tmp_path: Path):
    write(tmp_path / "a.iff", [("RGB", noise(8, 8, 3, np.uint8))], container="iff")
    with pytest.raises(ImageError, match="no render's format"):
        inspect_image(tmp_path / "a.iff")


def test_parts_of_different_sizes(write, noise, tmp_path: Path):
    path = write(tmp_path / "a.exr", [("RGB", noise(8, 8, 3)), (["N.X"], noise(8, 9, 1))])
    with pytest.raises(ImageError, match="differ in size"):
        inspect_image(path)


def test_two_channels_of_one_name(write, noise, tmp_path: Path):
    path = write(tmp_path / "a.exr", [("RGB", noise(8, 8, 3)), (["R"], noise(8, 8, 1))])
    with pytest.raises(ImageError, match="same name: 'R'"):
        inspect_image(path)


def test_a_picture_in_pieces(write, noise, tmp_path: Path):
    path = write(tmp_path / "a.exr", [("RG", noise(8, 8, 2)), ("B", noise(8, 8, 1))])
    with pytest.raises(ImageError, match="spread over"):
        inspect_image(path)


def test_a_channel_name_that_would_garble_a_log(write, noise, tmp_path: Path):
    path = write(tmp_path / "a.exr", [(["R", "G", "B", "x\x1b[2J"], noise(8, 8, 4))])
    with pytest.raises(ImageError, match="a name that no render has"):
        inspect_image(path)


def test_deep_images_are_refused(tmp_path: Path):
    spec = oiio.ImageSpec(4, 4, 2, "float")
    spec.channelnames = ("A", "Z")
    spec.deep = True
    data = oiio.DeepData()
    data.init(16, 2, [oiio.TypeDesc("float")] * 2, ["A", "Z"])
    for pixel in range(16):
        data.set_samples(pixel, 1)
    output = oiio.ImageOutput.create("openexr")
    assert output.open(str(tmp_path / "deep.exr"), spec)
    assert output.write_deep_image(data)
    output.close()
    with pytest.raises(ImageError, match="deep"):
        inspect_image(tmp_path / "deep.exr")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_never_a_whole_one(rendered: Path, tmp_path: Path, part: float):
    for source in (rendered / "layers.exr", rendered / "alpha.png", rendered / "sixteen.png"):
        whole = source.read_bytes()
        (tmp_path / source.name).write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ImageError):
            inspect_image(tmp_path / source.name)


def test_flipped_bytes_end_in_an_error_or_in_a_different_file(rendered: Path, tmp_path: Path):
    chance = random.Random(4)
    for source in (rendered / "layers.exr", rendered / "alpha.png", rendered / "still_TIFF.tif"):
        whole = source.read_bytes()
        for _ in range(40):
            broken = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                broken[chance.randrange(len(broken))] ^= chance.randint(1, 255)
            (tmp_path / "broken").write_bytes(broken)
            try:
                output = inspect_image(tmp_path / "broken")
            except ImageError:
                continue
            assert output.sha256 != inspect_image(source).sha256

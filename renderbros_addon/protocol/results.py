"""What a worker returns: files with their digests, or a failure with its kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import MAX_COUNT, MAX_SECONDS, Many, Prose, RelativePath, Sha256, Wire
from .regions import MAX_SIDE
from .states import FailureCode, FailureKind

Container = Literal["png", "jpeg", "openexr", "tiff", "webp", "bmp", "targa", "jpeg2000", "hdr", "dpx", "cineon", "sgi"]
"""A file format, by OpenImageIO's name."""

PixelType = Literal["uint8", "uint16", "uint32", "half", "float"]
"""How a channel is stored."""

PerceptualHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""64-bit pHash as imagehash prints it: 16 hexadecimal digits."""


HashGrid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1024}$")]
"""The pHash of each cell of an 8 by 8 grid over a picture, row by row."""


class Output(Wire):
    """An image file with the facts that level 0 of verification rests on."""

    sha256: Sha256
    """Of the file's bytes."""
    size: int = Field(ge=1, le=MAX_COUNT)
    """Bytes."""
    pixel_digest: Sha256
    """Of the decoded pixels: equal for equal pixels, whatever the metadata."""
    phash: PerceptualHash
    grid: HashGrid | None = None
    """None where nobody took it: it serves the dispatcher, which takes it itself."""
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    channels: Many[str] = Field(min_length=1, max_length=4096)
    """Channel names over all parts of the file, such as ``R`` or ``ViewLayer.Combined.R``."""
    pixel_type: PixelType | None = None
    """Of the picture's channels (RGBA, or the first Combined); None if they differ or nobody looked."""
    container: Container
    """The file's real format, read from its content."""
    blank: bool
    """Each of the picture's channels, alpha among them, has one value all over."""


class RenderStats(Wire):
    """Measured by the worker, for progress and records; never a basis for credit."""

    render_seconds: float = Field(ge=0, le=MAX_SECONDS)
    """Inside Blender's render call."""
    total_seconds: float = Field(ge=0, le=MAX_SECONDS)
    """From lease in hand to files checked."""
    at_once: int = Field(default=1, ge=1, le=MAX_COUNT)
    """Tiles that were rendered in the same call; each has its share of the time."""
    peak_memory: int | None = Field(default=None, ge=0, le=MAX_COUNT)
    """Bytes, of the renderer."""
    blender: Prose = Field(max_length=200)
    """Version and build, such as ``4.5.15 LTS (abcdef012345)``."""
    device: Prose = Field(max_length=200)
    warnings: Many[Annotated[Prose, StringConstraints(max_length=1000)]] = Field(default=(), max_length=50)


class ExtraFile(Wire):
    """A file that a frame came to beside its picture."""

    name: RelativePath
    """One of the job's ``extras`` with the frame's number in it."""
    output: Output


class TaskResult(Wire):
    """Body of ``POST /leases/{id}/result``: the blobs are there already."""

    output: Output
    extras: Many[ExtraFile] = Field(default=(), max_length=200)
    stats: RenderStats

    @property
    def digests(self) -> set[str]:
        """Of all its files."""
        return {self.output.sha256, *(extra.output.sha256 for extra in self.extras)}


class Failure(Wire):
    """Body of ``POST /leases/{id}/failure``."""

    kind: FailureKind
    code: FailureCode
    message: Annotated[Prose, StringConstraints(min_length=1, max_length=4000)]
    """What was wrong, where, and what to do."""
    log_tail: Annotated[Prose, StringConstraints(max_length=20000)] = ""
    """The end of the renderer's log."""

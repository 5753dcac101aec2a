"""The pipe between the agent and its renderer: JSON lines, requests down, replies up.

Blender and a scene's libraries write to standard output as they please, so a reply is a line that starts with
:data:`REPLY_MARK`; any other line belongs to the log.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from .base import MAX_SECONDS, RelativePath, Wire
from .costs import CostMap
from .expectations import MAX_EXPECTED, ExpectedFrame
from .frames import MAX_FRAMES
from .jobs import MAX_EXTRAS, DeviceKind, Frame, FrameNameTemplate, PathTemplate, RenderSettings, SceneSpec, Series
from .leases import Progress
from .movies import MAX_SHOWN, Playback
from .regions import Region, fill
from .states import FailureCode, FailureKind
from .workers import Capabilities

REPLY_MARK = "@renderbros "

MAX_PARTS = 16
"""Tiles that are rendered at once, at most."""


# Requests


class RenderRequest(Wire):
    """Render ``region`` of ``frame`` into ``out_dir``; a scene that is open already is kept."""

    type: Literal["render"] = "render"
    id: str
    root: str
    """Folder with the job's files, checked out."""
    spec: SceneSpec
    frame: Frame
    region: Region
    linear: bool
    out_dir: str
    """An empty folder; the renderer writes one image into it, or one for each of ``parts``."""
    parts: tuple[Region, ...] = Field(default=(), max_length=MAX_PARTS)
    """Rendered at once, since they make up ``region``, each comes to an image of its own. Only of linear frames."""

    @model_validator(mode="after")
    def _parts_fill_the_region(self) -> RenderRequest:
        if self.parts and not (self.linear and fill(self.parts, self.region)):
            raise ValueError(f"parts that don't make up the region {self.region} of a linear frame")
        return self


class FinishRequest(Wire):
    """Turn the assembled frame into the job's format, with the scene's view transform, into ``out_dir``."""

    type: Literal["finish"] = "finish"
    id: str
    root: str
    spec: SceneSpec
    frame: Frame
    assembled: str
    """Path of the assembled multilayer EXR."""
    out_dir: str


class InspectRequest(Wire):
    """Tell what a .blend is and needs, for submission."""

    type: Literal["inspect"] = "inspect"
    id: str
    blend: str
    scene: str | None = None
    settings: RenderSettings = RenderSettings()


class MeasureCostRequest(Wire):
    """Measure what ``frame`` costs, and where, on a small preview; for submission, like :class:`InspectRequest`."""

    type: Literal["measure_cost"] = "measure_cost"
    id: str
    blend: str
    scene: str | None = None
    settings: RenderSettings = RenderSettings()
    device: DeviceKind
    """To measure on; the processor where there is none of the kind."""
    frame: Frame


class PreviewRequest(Wire):
    """Tell what frames look like in small previews of them; for submission, like :class:`InspectRequest`."""

    type: Literal["preview"] = "preview"
    id: str
    blend: str
    scene: str | None = None
    settings: RenderSettings = RenderSettings()
    device: DeviceKind
    """To render on; the processor where there is none of the kind."""
    frames: tuple[Frame, ...] = Field(min_length=1, max_length=MAX_FRAMES)
    """Rising. Previewed in an order that spreads over them."""
    seconds: float = Field(gt=0, le=MAX_SECONDS)
    """What it may take, from when the file is open. The first frame is previewed however long that takes."""


class BuildSampleRequest(Wire):
    """Build the sample scene and save it as ``path``."""

    type: Literal["build_sample"] = "build_sample"
    id: str
    path: str


class EncodeRequest(Wire):
    """Make a film of finished frames, as the file ``path``."""

    type: Literal["encode"] = "encode"
    id: str
    frames: tuple[str, ...] = Field(min_length=1, max_length=MAX_SHOWN)
    """Paths of images of one size and format, in the order they are shown; one may be shown several times in a row."""
    linear: bool
    """Their pixels are scene-linear: the view transform makes colours of them."""
    playback: Playback
    path: str


class QuitRequest(Wire):
    type: Literal["quit"] = "quit"


AnyRequest = (
    RenderRequest
    | FinishRequest
    | InspectRequest
    | MeasureCostRequest
    | PreviewRequest
    | BuildSampleRequest
    | EncodeRequest
)
"""What a renderer answers."""

request_adapter: TypeAdapter[AnyRequest | QuitRequest] = TypeAdapter(
    Annotated[AnyRequest | QuitRequest, Field(discriminator="type")]
)


# Replies


class Hello(Wire):
    """First word of a renderer, once Blender is up."""

    type: Literal["hello"] = "hello"
    pid: int
    capabilities: Capabilities


class Heartbeat(Wire):
    """Every second by the clock, whatever the main thread does."""

    type: Literal["heartbeat"] = "heartbeat"


class Progressed(Wire):
    type: Literal["progress"] = "progress"
    id: str
    progress: Progress


class RenderedExtra(Wire):
    """A file beside the image: ``name`` is one of ``JobSpec.extras`` with the frame's number in it."""

    name: RelativePath
    path: str


class Rendered(Wire):
    """The task is done and its image lies at ``path``."""

    type: Literal["rendered"] = "rendered"
    id: str
    path: str
    parts: tuple[str, ...] = Field(default=(), max_length=MAX_PARTS)
    """Paths of the images of ``RenderRequest.parts`` in their order; ``path`` is the first of them."""
    extras: tuple[RenderedExtra, ...] = Field(default=(), max_length=MAX_EXTRAS)
    render_seconds: float = Field(ge=0, le=MAX_SECONDS)
    device: str
    warnings: tuple[str, ...] = ()


class CostMeasured(Wire):
    """What the frame asked for costs."""

    type: Literal["cost_measured"] = "cost_measured"
    id: str
    cost: CostMap
    device: DeviceKind
    """What it was measured on."""


class Previewed(Wire):
    """What the frames look like that could be previewed in time."""

    type: Literal["previewed"] = "previewed"
    id: str
    expected: tuple[ExpectedFrame, ...] = Field(max_length=MAX_EXPECTED)
    """Rising."""
    problems: tuple[str, ...] = ()
    """Why frames could not be previewed, a sentence for each of the first few."""


class Built(Wire):
    """The sample scene is saved."""

    type: Literal["built"] = "built"
    id: str


class Encoded(Wire):
    """The film is written."""

    type: Literal["encoded"] = "encoded"
    id: str
    frames: int
    """As many as it shows."""
    width: int
    height: int


class Failed(Wire):
    """The request could not be served; the renderer lives and takes the next."""

    type: Literal["failed"] = "failed"
    id: str
    kind: FailureKind
    code: FailureCode
    message: str


class MissingFile(Wire):
    """A file that the scene refers to and that is not there, or that is not to be sent."""

    path: str
    user: str
    """The data-block that refers to it, such as ``Image "brick"``."""
    why: str = ""
    """What is wrong with it, where it is more than that it can't be found."""

    def __str__(self) -> str:
        return f"{self.user}: {self.path}" + (f" ({self.why})" if self.why else "")


class Inspection(Wire):
    """What a .blend is, with the overrides asked for applied."""

    type: Literal["inspection"] = "inspection"
    id: str
    saved_by: str
    """Version that saved the file, such as ``2.80``."""
    series: Series
    """Of the Blender that looked."""
    scene: str
    frames: tuple[int, int, int]
    """First, last, step."""
    playback: Playback | None = None
    width: int
    height: int
    engine: str
    device: DeviceKind
    format: str
    frame_name: FrameNameTemplate
    extras: tuple[PathTemplate, ...] = ()
    """See ``JobSpec.extras``."""
    cameras: tuple[str, ...]
    whole_because: tuple[str, ...]
    """Why this scene can't be tiled for now, one sentence each; empty if it can."""
    local: bool = False
    """See ``JobSpec.local``."""
    repeatable: bool = True
    """See ``JobSpec.repeatable``; if not, a warning says why."""
    files: tuple[str, ...]
    """Absolute paths of the files it needs that are there, the .blend itself first."""
    missing: tuple[MissingFile, ...]
    warnings: tuple[str, ...] = ()


AnyReply = Hello | Heartbeat | Progressed | Rendered | Built | Encoded | Failed | Inspection | CostMeasured | Previewed

reply_adapter: TypeAdapter[AnyReply] = TypeAdapter(Annotated[AnyReply, Field(discriminator="type")])

ANSWERS: dict[type[AnyRequest], type[AnyReply]] = {
    RenderRequest: Rendered,
    FinishRequest: Rendered,
    InspectRequest: Inspection,
    MeasureCostRequest: CostMeasured,
    PreviewRequest: Previewed,
    BuildSampleRequest: Built,
    EncodeRequest: Encoded,
}
"""What answers a request, unless it is :class:`Failed`."""

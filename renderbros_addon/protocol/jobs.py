"""Jobs: what is asked for, and what is told about it."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from .base import (
    MAX_COUNT,
    Identifier,
    Many,
    Prose,
    RelativePath,
    Sha256,
    Title,
    Wire,
    checked_name,
    checked_relative_path,
    same_name,
)
from .costs import CostMap
from .expectations import MAX_EXPECTED, ExpectedFrame
from .formats import StillFormat, checked_ending
from .frames import MAX_FRAME, MAX_FRAMES, MIN_FRAME, frame_file_name
from .movies import Playback
from .regions import MAX_SIDE, Region, TileGrid
from .results import Output
from .states import FailureCode, FrameStatus, JobStatus, TaskKind, TaskStatus

DataName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
"""The name of a data-block, view layer, engine or format, as Blender spells it."""

Series = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$")]
"""A Blender series, such as ``4.5``."""


def series_number(series: str) -> tuple[int, int]:
    """``series`` as numbers that compare: 4.10 comes after 4.9."""
    major, _, minor = series.partition(".")
    return int(major), int(minor)


DeviceKind = Literal["CPU", "GPU"]

Frame = Annotated[int, Field(ge=MIN_FRAME, le=MAX_FRAME)]


def _checked_template(template: str) -> str:
    if "#" not in template:
        raise ValueError(f"a frame name needs a run of # where the number goes: {template!r}")
    return checked_ending(checked_name(template))


FrameNameTemplate = Annotated[str, AfterValidator(_checked_template)]
"""A frame's file name with ``#`` for the digits of its number, such as ``shot_####.png``."""


def _checked_path_template(template: str) -> str:
    if "#" not in template.rpartition("/")[2]:
        raise ValueError(f"a file name needs a run of # where the frame's number goes: {template!r}")
    return checked_ending(checked_relative_path(template))


PathTemplate = Annotated[str, AfterValidator(_checked_path_template)]
"""Like :data:`FrameNameTemplate`, with folders before it: ``passes/depth_####.exr``."""

_NUMBER = re.compile(r"[0-9]*#+[0-9]*")


def name_key(template: str) -> str:
    """Templates with different keys never name the same file, whatever the frame and the platform.

    ``a_#`` and ``a_##`` are two names for frame 9, but one for frame 10.
    """
    return same_name(_NUMBER.sub("#", template))


MAX_EXTRAS = 200
"""Files beside the frame itself that one frame may come to."""


class RenderSettings(Wire):
    """What the submitter overrides. None keeps what the scene says."""

    engine: DataName | None = None
    samples: int | None = Field(default=None, ge=1, le=1 << 24)
    resolution_x: int | None = Field(default=None, ge=4, le=MAX_SIDE)
    resolution_y: int | None = Field(default=None, ge=4, le=MAX_SIDE)
    percentage: int | None = Field(default=None, ge=1, le=1000)
    camera: DataName | None = None
    view_layers: tuple[DataName, ...] | None = Field(default=None, min_length=1, max_length=1000)
    seed: int | None = Field(default=None, ge=0, le=(1 << 31) - 1)
    format: DataName | None = None
    device: DeviceKind | None = None


class JobFile(Wire):
    """A file that the job brings along, by content, and where it lies below the job's root."""

    path: RelativePath
    sha256: Sha256
    size: int = Field(ge=0, le=MAX_COUNT)


MAX_SERIES = 32
"""Series that a job may name: more than Blender had in ten years."""

MAX_FILES = 20_000
"""Files of one job."""


class SceneSpec(Wire):
    """Everything a worker needs to know about the scene; the same for every task of a job."""

    blend: RelativePath
    """The .blend to open, one of ``files``."""
    files: Many[JobFile] = Field(min_length=1, max_length=MAX_FILES)
    source_root: str | None = Field(default=None, max_length=4096)
    """The folder on the submitter's machine that ``files`` were taken from: absolute paths below it are remapped."""
    scene: DataName | None = None
    """The scene to render; None for the one that was active when the file was saved."""
    settings: RenderSettings = RenderSettings()
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    """The output frame in pixels: after percentage, and after a border that the scene crops to."""
    format: StillFormat
    """The file format of a finished frame, by Blender's name."""
    series: Many[Series] = Field(min_length=1, max_length=MAX_SERIES)
    """The Blender series that may render it."""
    saved_by: Series | None = None
    """The series that saved the file: none below it can open it without losing data."""
    engine: DataName
    """The engine it will be rendered with, after overrides."""
    device: DeviceKind = "CPU"
    """The kind of device it must be rendered on; there is no falling back."""
    allow_missing: bool = False
    """Render although linked files are missing."""

    @model_validator(mode="after")
    def _series_can_open_it(self) -> SceneSpec:
        if len(set(self.series)) < len(self.series):
            raise ValueError("a series is named twice")
        for series in self.series:
            if self.saved_by is not None and series_number(series) < series_number(self.saved_by):
                raise ValueError(f"Blender {series} can't open a file that Blender {self.saved_by} saved")
        return self

    @model_validator(mode="after")
    def _blend_is_brought(self) -> SceneSpec:
        paths = [file.path for file in self.files]
        if self.blend not in paths:
            raise ValueError(f"the scene file {self.blend!r} is not among the job's files")
        # Two names that differ only in case are one file on Windows and macOS.
        folded = {same_name(path) for path in paths}
        if len(folded) != len(paths):
            raise ValueError("two of the job's files have the same path")
        folders: set[str] = set()
        for path in folded:
            while "/" in path:
                path = path.rpartition("/")[0]
                if path in folders:
                    break  # and so are all above it
                folders.add(path)
        if folders & folded:
            raise ValueError("one of the job's paths is both a file and a folder")
        return self


class JobSpec(Wire):
    """What ``POST /jobs`` takes."""

    name: Title
    priority: int = Field(default=50, ge=0, le=100)
    """Higher goes first; among equals the older job does."""
    frames: Many[Frame] = Field(min_length=1, max_length=MAX_FRAMES)
    tiles: TileGrid | None = None
    """None renders whole frames, straight to the job's format, unless ``cost`` is there."""
    cost: CostMap | None = None
    """Cut frames into tiles of equal cost by this map; the dispatcher decides how many when it queues the job."""
    chunk: int | None = Field(default=None, ge=1, le=MAX_FRAMES)
    """Consecutive frames that one worker renders if it can, which keeps its scene warm; None is by measured time."""
    frame_name: FrameNameTemplate
    extras: Many[PathTemplate] = Field(default=(), max_length=MAX_EXTRAS)
    """Other files that a frame may come to: a compositor's File Output nodes, the other views of a stereo frame."""
    playback: Playback | None = None
    """For a film of the frames; nothing of it bears on how they are rendered."""
    expected: Many[ExpectedFrame] = Field(default=(), max_length=MAX_EXPECTED)
    """What some of the frames look like in a preview; workers never see it. More may follow in a :class:`JobChange`."""
    local: bool = False
    """Each pixel of a finished frame depends on its own samples alone, so that a part rendered alone has the same
    pixels: no denoiser, compositor or sequencer, and a format that loses nothing."""
    repeatable: bool = True
    """The same Blender on the same kind of machine makes the same pixels again, whatever it rendered before."""
    notes: Many[Annotated[Prose, StringConstraints(max_length=1000)]] = Field(default=(), max_length=100)
    """What the submitter should know, such as why tiles were asked for but frames are rendered whole."""
    scene: SceneSpec

    @model_validator(mode="after")
    def _frames_rise(self) -> JobSpec:
        if any(a >= b for a, b in pairwise(self.frames)):
            raise ValueError("frames must rise, each once")
        return self

    @model_validator(mode="after")
    def _names_can_be_saved(self) -> JobSpec:
        # The longest number stands for all, and single digits, which make names of devices on Windows (COM1).
        for frame in (self.frames[0], self.frames[-1], *(frame for frame in self.frames if -10 < frame < 10)):
            checked_name(frame_file_name(self.frame_name, frame))
        longest = min(self.frames[0], -abs(self.frames[-1]))
        names = [self.frame_name, *self.extras]
        for name in self.extras:
            for frame in (longest, *range(10)):
                checked_relative_path(frame_file_name(name, frame))
        if len({name_key(name) for name in names}) != len(names):
            raise ValueError("two files of a frame have the same name")
        return self

    @model_validator(mode="after")
    def _one_way_to_cut(self) -> JobSpec:
        if self.tiles is not None and self.cost is not None:
            raise ValueError("a job is cut by a grid or by cost, not by both")
        return self

    @model_validator(mode="after")
    def _expects_frames_once(self) -> JobSpec:
        _check_once(self.expected)
        return self

    @model_validator(mode="after")
    def _tiles_have_one_series(self) -> JobSpec:
        if (self.tiles or self.cost) and len(self.scene.series) > 1:
            raise ValueError(
                "tiles from several Blender series would show seams: name one series, or render whole frames"
            )
        return self


class Reason(Wire):
    """Why a job or a task failed."""

    code: FailureCode
    message: str


class JobView(Wire):
    """What ``GET /jobs`` and ``GET /jobs/{id}`` tell."""

    id: Identifier
    name: str
    status: JobStatus
    priority: int
    created_at: datetime
    ended_at: datetime | None = None
    frames: tuple[int, ...]
    tiles: TileGrid | None
    tile_count: int = 1
    """What a frame is cut into; 1 for whole frames, and for a job by cost before it is queued."""
    width: int
    height: int
    frame_name: str
    series: tuple[Series, ...] = ()
    """The Blender series that may render it."""
    saved_by: Series | None = None
    """The series that saved the scene file."""
    playback: Playback | None = None
    notes: tuple[str, ...] = ()
    missing_blobs: tuple[Sha256, ...] = ()
    """Blobs the dispatcher still waits for while the job is ``uploading``; none in a list of jobs."""
    tasks: dict[TaskStatus, int]
    frames_done: int
    progress: float = Field(ge=0, le=1)
    """Fraction of the job's tasks that are done, counting samples of those being rendered."""
    seconds_left: float | None = None
    waiting: str | None = None
    """Why nothing is being rendered although work is queued, in a sentence; None if there is no such reason."""
    reason: Reason | None = None
    """Why it failed."""
    running: tuple[RunningTask, ...] = ()
    checks: dict[str, int] = Field(default_factory=dict)
    """How many checks of its results came to which verdict; ``open`` are being made."""

    @property
    def cut(self) -> str | None:
        """Into what each frame is cut, in words; None for whole frames."""
        if self.tiles is not None:
            return f"{self.tiles} tiles"
        return f"{self.tile_count} tiles by cost" if self.tile_count > 1 else None


class RunningTask(Wire):
    """A task under lease, for progress displays."""

    task_id: Identifier
    kind: TaskKind
    frame: int
    worker_id: Identifier
    worker_name: str
    sample: int | None = None
    samples: int | None = None
    seconds_left: float | None = None


class FrameView(Wire):
    """One frame of a job, and the files it came to."""

    frame: int
    status: FrameStatus
    files: tuple[FrameFile, ...] = ()


class FrameFile(Wire):
    """A finished file of a frame; its bytes are at ``/blobs/{sha256}``. The frame itself comes first."""

    name: RelativePath
    output: Output


class JobList(Wire):
    jobs: tuple[JobView, ...]


class FrameList(Wire):
    frames: tuple[FrameView, ...]


class TileView(Wire):
    """A part of a frame that is rendered and found good, while the frame is not finished: linear, not denoised."""

    region: Region
    output: Output
    """Its bytes are at ``/blobs/{sha256}`` until the frame is finished."""


class TileList(Wire):
    tiles: tuple[TileView, ...]


class JobChange(Wire):
    """What of a job is to be otherwise; what is None or empty stays."""

    priority: int | None = Field(default=None, ge=0, le=100)
    expected: Many[ExpectedFrame] = Field(default=(), max_length=MAX_EXPECTED)
    """Previews that were made after the job was sent. A frame that has an expectation keeps that."""

    @model_validator(mode="after")
    def _expects_frames_once(self) -> JobChange:
        _check_once(self.expected)
        return self


def _check_once(expected: tuple[ExpectedFrame, ...]) -> None:
    if len({one.frame for one in expected}) < len(expected):
        raise ValueError("two expectations of the same frame")


class LogEntry(Wire):
    """A line of a job's history."""

    id: int
    at: datetime
    event: str
    """Dotted name, such as ``task.leased`` or ``job.failed``."""
    job_id: str | None = None
    task_id: str | None = None
    worker_id: str | None = None
    detail: dict[str, object] = Field(default_factory=dict)


class JobLog(Wire):
    entries: tuple[LogEntry, ...]


JobView.model_rebuild()
FrameView.model_rebuild()

"""A film of a job's frames beside them, for a first look."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from ..protocol.base import checked_name
from ..protocol.frames import frame_file_name
from ..protocol.jobs import JobView
from ..protocol.movies import MAX_SHOWN, Playback
from ..protocol.renderer import EncodeRequest, Failed
from ..worker.renderer_process import RendererLost, RendererProcess
from . import inspection
from .fetching import FetchedFile, Fetcher
from .output import Output

_SCENE_LINEAR = ("openexr", "hdr")

_USUAL = Playback(fps=24, fps_base=1.0)
"""For a job whose submitter did not say how its scene plays."""


class NoFilm(Exception):
    """No film was made; the message says why. The frames are there all the same."""


@dataclass(frozen=True)
class Film:
    """What became of the film that was asked for. A still has none, and that is no problem."""

    path: Path | None = None
    problem: str | None = None

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"preview": str(self.path) if self.path else None}
        return found | ({"preview_error": self.problem} if self.problem else {})


def of_job(out: Output, job: JobView, fetcher: Fetcher, blender: Path | None, scratch: Path | None = None) -> Film:
    """Make a film of the frames that ``fetcher`` brought, in their folder, and tell of it.

    ``scratch`` is for what is not finished; None takes a temporary folder.
    """
    frames = _frames(job, fetcher.fetched)
    if len(frames) < 2:
        out.note(f"no film: there {'is only one frame' if frames else 'are no frames'}")
        return Film()
    try:
        with ExitStack() as stack:
            place = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="renderbros-")))
            process = stack.enter_context(inspection.renderer(blender, place))
            film = Film(_make(process, job, frames, fetcher.out, place))
    except NoFilm as why:
        out.note(f"no film: {why}")
        return Film(problem=str(why))
    out.note(f"film: {film.path}")
    return film


def _frames(job: JobView, fetched: Mapping[str, FetchedFile]) -> list[FetchedFile]:
    """Each frame's own file, without what came with it, in order."""
    names = (frame_file_name(job.frame_name, frame) for frame in sorted(job.frames))
    return [fetched[name] for name in names if name in fetched]


def _make(process: RendererProcess, job: JobView, frames: Sequence[FetchedFile], folder: Path, scratch: Path) -> Path:
    plays = job.playback or _USUAL
    images = tuple(shown(frames, plays))
    if len(images) > MAX_SHOWN:
        raise NoFilm(f"it would have {len(images)} frames, and {MAX_SHOWN} is the most")
    scratch.mkdir(parents=True, exist_ok=True)
    made = scratch / "film.mp4"
    request = EncodeRequest(
        id="film",
        frames=images,
        linear=frames[0].file.output.container in _SCENE_LINEAR,
        playback=plays,
        path=str(made),
    )
    try:
        reply = process.request(request)
    except RendererLost as lost:
        raise NoFilm(lost.message) from lost
    if isinstance(reply, Failed):
        raise NoFilm(reply.message)
    path = folder / film_name(job)
    # The folder never holds an unfinished file under that name.
    unfinished = folder / f".{uuid.uuid4().hex}.part"
    try:
        shutil.copyfile(made, unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise NoFilm(f"{path} can't be written: {error.strerror or error}") from error
    return path


def shown(frames: Sequence[FetchedFile], plays: Playback) -> Iterator[str]:
    """The images of a film, one for each moment.

    A frame stands until the next one does, so that what moves keeps its speed where frames were left out; but for a
    second at most.
    """
    most = max(1, ceil(plays.fps / plays.fps_base))
    for frame, following in zip(frames, [*frames[1:], None], strict=True):
        moments = following.frame - frame.frame if following else 1
        yield from [str(frame.path)] * min(moments, most)


def film_name(job: JobView) -> str:
    """``shot.mp4`` for a job that is called shot."""
    try:
        return checked_name(f"{job.name}.mp4")
    except ValueError:
        return f"{job.id}.mp4"

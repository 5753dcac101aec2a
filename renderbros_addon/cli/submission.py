"""From a .blend and options to a job: what to send, and where each file lies below the job's root."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pydantic import ValidationError

from ..client.errors import ClientError
from ..client.http import DispatcherClient
from ..imaging.level0 import CONTAINERS_OF_FORMATS
from ..protocol.base import checked_relative_path
from ..protocol.frames import MAX_FRAMES, parse_frames
from ..protocol.jobs import MAX_FILES, JobFile, JobSpec, JobView, RenderSettings, SceneSpec, series_number
from ..protocol.regions import TileGrid
from ..protocol.renderer import Inspection
from ..protocol.series import parse_series
from ..protocol.source_roots import SEVERAL_DRIVES, below
from .errors import CommandError, UsageError

MAX_EXPECT = 3600
"""Seconds."""


@dataclass(frozen=True)
class Wish:
    """What the submitter asked for, in valid words; see :func:`wish` for how options become one."""

    blend: Path
    """Absolute."""
    frames: tuple[int, ...] | None
    """None for the range that the scene itself has."""
    tiles: TileGrid | None
    by_cost: bool
    """Cut frames by what their parts cost."""
    scene: str | None
    settings: RenderSettings
    priority: int
    allow_missing: bool
    bundle: bool
    expect: float
    """Seconds that previewing frames may take, for the dispatcher to compare with; 0 for none."""
    chunk: int | None
    """Consecutive frames for a worker; None leaves it to the dispatcher."""
    series: tuple[str, ...] | None
    """Blender series that may render it, the oldest first; None for the one of the Blender that looks into it."""


def wish(
    blend: Path,
    *,
    frames: str | None,
    tiles: str | None,
    scene: str | None,
    resolution: str | None,
    priority: int,
    allow_missing: bool,
    bundle: bool,
    expect: float = 0,
    chunk: int | None = None,
    blender_series: str | None = None,
    **settings: object,
) -> Wish:
    """Check options that need no Blender to be judged. UsageError says which one is wrong."""
    if not blend.is_file():
        raise UsageError(f"there is no file {blend}")
    by_cost = tiles is not None and tiles.lower() == "auto"
    try:
        parsed_frames = parse_frames(frames) if frames is not None else None
    except ValueError as error:
        raise UsageError(f"--frames: {error}") from None
    try:
        grid = TileGrid.parse(tiles) if tiles is not None and not by_cost else None
    except ValueError as error:
        raise UsageError(f"--tiles: {error}, or auto") from None
    if not 0 <= expect <= MAX_EXPECT:
        raise UsageError(f"--expect: between 0 and {MAX_EXPECT} seconds, not {expect:g}")
    if chunk is not None and not 1 <= chunk <= MAX_FRAMES:
        raise UsageError(f"--chunk: between 1 and {MAX_FRAMES} frames, not {chunk}")
    try:
        series = parse_series(blender_series) if blender_series is not None else None
    except ValueError as error:
        raise UsageError(f"--blender-series: {error}") from None
    if tiles is not None and series is not None and len(series) > 1:
        raise UsageError(
            f"--blender-series: tiles rendered by different Blenders show seams: name one series, "
            f"such as {series[-1]}, or leave out --tiles"
        )
    if resolution is not None:
        settings["resolution_x"], settings["resolution_y"] = _sides(resolution)
    wanted = settings.get("format")
    if isinstance(wanted, str):
        settings["format"] = wanted = wanted.upper()
        if wanted not in CONTAINERS_OF_FORMATS:
            raise UsageError(f"--format: {wanted} is not an image format; one of {', '.join(CONTAINERS_OF_FORMATS)}")
    if not settings.get("view_layers"):
        settings["view_layers"] = None
    try:
        chosen = RenderSettings.model_validate(settings)
    except ValidationError as error:
        problem = error.errors()[0]
        option = _OPTION_OF.get(str(problem["loc"][0]), str(problem["loc"][0]))
        raise UsageError(f"--{option}: {problem['msg']}, not {problem['input']!r}") from None
    return Wish(
        blend=Path(os.path.abspath(blend)),  # noqa: PTH100  (resolving links would move files that lie beside it)
        frames=parsed_frames,
        tiles=grid,
        by_cost=by_cost,
        scene=scene,
        settings=chosen,
        priority=priority,
        allow_missing=allow_missing,
        bundle=bundle,
        expect=expect,
        chunk=chunk,
        series=series,
    )


_OPTION_OF = {"resolution_x": "resolution", "resolution_y": "resolution", "view_layers": "view-layer"}


def _sides(text: str) -> tuple[int, int]:
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise UsageError(f"--resolution: written WIDTHxHEIGHT, such as 1920x1080, not {text!r}")
    return int(width), int(height)


@dataclass(frozen=True)
class Submission:
    """A job ready to be sent, and where its blobs come from."""

    spec: JobSpec
    sources: dict[str, Path] = field(repr=False)
    """File on this machine for each SHA-256."""

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        sizes = {file.sha256: file.size for file in self.spec.scene.files}
        return sum(sizes.values())


def prepare(asked: Wish, found: Inspection, saved_as: Path | None = None) -> Submission:
    """The job for ``asked`` of the scene that the renderer ``found``.

    ``saved_as`` is the file to send as the .blend where it isn't the .blend itself, such as a copy with changes that
    are not saved yet. CommandError, naming each data-block, if linked files are missing and that was not allowed; also
    if there are too many, one can't be read or has a name that not every worker can hold. UsageError if a Blender is
    allowed that can't open the file.
    """
    series = _series(asked, found)
    if found.missing and not asked.allow_missing:
        raise CommandError(
            f"{asked.blend} refers to {_count(len(found.missing), 'file')} that can't be found or sent:\n"
            + "\n".join(f"  {file}" for file in found.missing)
            + "\nBring them back, correct the paths in Blender, or render without them by --allow-missing.",
            code="missing_file",
            missing=[file.model_dump() for file in found.missing],
        )
    frames = asked.frames or _frames_of(found)
    notes = list(found.warnings)
    tiles = asked.tiles
    if (tiles or asked.by_cost) and found.whole_because:
        notes.append("Tiles were asked for, but frames are rendered whole: " + " ".join(found.whole_because))
        tiles = None
    if found.missing:
        names = ", ".join(str(file) for file in found.missing)
        notes.append(f"Rendered without {_count(len(found.missing), 'missing file')}: {names}")
    if len(series) > 1:
        notes.append(
            f"Blender {' and '.join(series)} may render it: frames of one differ a little from those of another."
        )
    files = [Path(file) for file in found.files] if asked.bundle else []
    root, placed = place(asked.blend, files)
    if saved_as is not None:
        placed[0] = (placed[0][0], saved_as)
    jobs_files, sources = _digest(placed)
    spec = JobSpec(
        name=asked.blend.stem[:200],
        priority=asked.priority,
        frames=frames,
        tiles=tiles,
        chunk=asked.chunk,
        playback=found.playback,
        frame_name=found.frame_name,
        extras=found.extras,
        local=found.local,
        repeatable=found.repeatable,
        notes=tuple(note[:1000] for note in notes[:100]),
        scene=SceneSpec(
            blend=placed[0][0],
            files=jobs_files,
            source_root=root,
            scene=asked.scene,
            settings=asked.settings,
            width=found.width,
            height=found.height,
            format=found.format,
            series=series,
            saved_by=found.saved_by,
            engine=found.engine,
            device=found.device,
            allow_missing=asked.allow_missing,
        ),
    )
    return Submission(spec, sources)


def _series(asked: Wish, found: Inspection) -> tuple[str, ...]:
    series = asked.series or (found.series,)
    older = [one for one in series if series_number(one) < series_number(found.saved_by)]
    if older:
        raise UsageError(
            f"--blender-series: {asked.blend.name} was saved by Blender {found.saved_by}, and Blender "
            f"{' and '.join(older)} can't open it without losing data: begin with {found.saved_by}, or save it from "
            f"{older[0]}"
        )
    return series


@dataclass(frozen=True)
class Sent:
    """A job that was created, and what sending it took: contents that the dispatcher had already stay here."""

    job: JobView
    files: int
    """How many different contents the job has; two files that are equal are one."""
    size: int
    """Bytes of them."""
    files_sent: int
    bytes_sent: int

    def as_json(self) -> dict[str, int]:
        return {
            "files": self.files_sent, "bytes": self.bytes_sent, "of_files": self.files, "of_bytes": self.size,
        }  # fmt: skip

    def __str__(self) -> str:
        megabytes = f"{_megabytes(self.bytes_sent)} of {_megabytes(self.size)} MB"
        told = f"sent {self.files_sent} of {_count(self.files, 'file')}, {megabytes}"
        return told + ("; the rest was there already" if self.files_sent < self.files else "")


def submit(
    client: DispatcherClient, submission: Submission, progress: Callable[[int, int], None] | None = None
) -> Sent:
    """Create the job and send the blobs that the dispatcher lacks. ``progress`` gets bytes done and to do."""
    job = client.create_job(submission.spec)
    sizes = {file.sha256: file.size for file in submission.spec.scene.files}
    missing = [sha256 for sha256 in job.missing_blobs if sha256 in sizes]
    total, before = sum(sizes[sha256] for sha256 in missing), 0
    try:
        for sha256 in missing:
            start = before

            def tell(done: int, _: int, start: int = start) -> None:
                if progress:
                    progress(start + done, total)

            client.upload(submission.sources[sha256], sha256, sizes[sha256], tell)
            before += sizes[sha256]
    except KeyboardInterrupt:
        # Nobody would ever send the rest.
        with contextlib.suppress(ClientError):
            client.cancel_job(job.id)
        raise
    return Sent(client.job(job.id), len(sizes), submission.size, len(missing), total)


def place(blend: PurePath, others: Iterable[PurePath]) -> tuple[str, list[tuple[str, PurePath]]]:
    """The job's ``source_root``, and each file with its path below that, the .blend first.

    All paths are absolute. CommandError if there are too many, or if their names are such that not every platform can
    hold them side by side.
    """
    files = list(dict.fromkeys([blend, *others]))
    if len(files) > MAX_FILES:
        folders = Counter(str(file.parent) for file in files).most_common(3)
        most = ", ".join(f"{count} in {folder}" for folder, count in folders)
        raise CommandError(
            f"{blend} needs {len(files)} files and a job can bring {MAX_FILES} ({most}): "
            "shorten its sequences, or join them into fewer files (a movie, an Alembic or USD cache)"
        )
    if len({file.drive.casefold() for file in files}) > 1:
        root = SEVERAL_DRIVES
    else:
        root = os.path.commonpath([file.parent for file in files])
    placed = [(_below(root, file), file) for file in files]
    named: dict[str, PurePath] = {}
    for path, file in placed:
        if named.setdefault(path.casefold(), file) is not file:
            raise CommandError(
                f"{file} and {named[path.casefold()]} differ in case alone, and not every platform can hold both side "
                "by side. Rename one of them."
            )
    return root, placed


def _below(root: str, file: PurePath) -> str:
    path = "/".join(below(str(file), root) or [file.name])
    try:
        return checked_relative_path(path)
    except ValueError as error:
        raise CommandError(f"{file} can't be sent to workers on every platform: {error}. Rename it.") from None


def _digest(placed: Sequence[tuple[str, PurePath]]) -> tuple[tuple[JobFile, ...], dict[str, Path]]:
    files: list[JobFile] = []
    sources: dict[str, Path] = {}
    for path, place in placed:
        source = Path(place)
        try:
            with source.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.tell()
        except OSError as error:
            raise CommandError(f"{source} can't be read: {error.strerror or error}") from None
        files.append(JobFile(path=path, sha256=sha256, size=size))
        sources[sha256] = source
    return tuple(files), sources


def _frames_of(found: Inspection) -> tuple[int, ...]:
    first, last, step = found.frames
    frames = tuple(range(first, last + 1, max(1, step)))
    if not 0 < len(frames) <= MAX_FRAMES:
        raise CommandError(
            f"the scene {found.scene!r} runs from frame {first} to {last}: say which frames with --frames"
        )
    return frames


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _megabytes(size: int) -> str:
    # One digit after the point, or as many as a small file needs to be seen.
    return f"{size / 1e6:.1f}" if size >= 50_000 or not size else f"{size / 1e6:.1g}"

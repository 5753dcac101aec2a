"""From a .blend and options to a job: what to send, and where each file lies below the job's root."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pydantic import ValidationError

from ..client.http import DispatcherClient
from ..imaging.level0 import CONTAINERS_OF_FORMATS
from ..protocol.base import checked_relative_path
from ..protocol.frames import MAX_FRAMES, parse_frames
from ..protocol.jobs import JobFile, JobSpec, JobView, RenderSettings, SceneSpec
from ..protocol.regions import TileGrid
from ..protocol.renderer import Inspection
from .errors import CommandError, UsageError


@dataclass(frozen=True)
class Wish:
    """What the submitter asked for, in valid words; see :func:`wish` for how options become one."""

    blend: Path
    """Absolute."""
    frames: tuple[int, ...] | None
    """None for the range that the scene itself has."""
    tiles: TileGrid | None
    scene: str | None
    settings: RenderSettings
    priority: int
    allow_missing: bool
    bundle: bool


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
    **settings: object,
) -> Wish:
    """Check options that need no Blender to be judged. UsageError says which one is wrong."""
    if not blend.is_file():
        raise UsageError(f"there is no file {blend}")
    if tiles == "auto":
        raise UsageError("--tiles auto is not there yet: say how many, such as --tiles 2x2")
    try:
        parsed_frames = parse_frames(frames) if frames is not None else None
    except ValueError as error:
        raise UsageError(f"--frames: {error}") from None
    try:
        grid = TileGrid.parse(tiles) if tiles is not None else None
    except ValueError as error:
        raise UsageError(f"--tiles: {error}") from None
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
        scene=scene,
        settings=chosen,
        priority=priority,
        allow_missing=allow_missing,
        bundle=bundle,
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


def prepare(asked: Wish, found: Inspection) -> Submission:
    """The job for ``asked`` of the scene that the renderer ``found``.

    CommandError, naming each data-block, if linked files are missing and that was not allowed; also if a file can't
    be read or has a name that not every worker can hold.
    """
    if found.missing and not asked.allow_missing:
        raise CommandError(
            f"{asked.blend} refers to {_count(len(found.missing), 'file')} that can't be found:\n"
            + "\n".join(f"  {file.user}: {file.path}" for file in found.missing)
            + "\nBring them back, correct the paths in Blender, or render without them by --allow-missing.",
            code="missing_file",
            missing=[file.model_dump() for file in found.missing],
        )
    frames = asked.frames or _frames_of(found)
    notes = list(found.warnings)
    tiles = asked.tiles
    if tiles and found.whole_because:
        notes.append("Tiles were asked for, but frames are rendered whole: " + " ".join(found.whole_because))
        tiles = None
    if found.missing:
        names = ", ".join(f"{file.user}: {file.path}" for file in found.missing)
        notes.append(f"Rendered without {_count(len(found.missing), 'missing file')}: {names}")
    files = [Path(file) for file in found.files] if asked.bundle else []
    root, placed = place(asked.blend, files)
    jobs_files, sources = _digest(placed)
    spec = JobSpec(
        name=asked.blend.stem[:200],
        priority=asked.priority,
        frames=frames,
        tiles=tiles,
        frame_name=found.frame_name,
        extras=found.extras,
        notes=tuple(note[:1000] for note in notes[:100]),
        scene=SceneSpec(
            blend=placed[0][0],
            files=jobs_files,
            source_root=str(root),
            scene=asked.scene,
            settings=asked.settings,
            width=found.width,
            height=found.height,
            format=found.format,
            series=(found.series,),
            engine=found.engine,
            device=found.device,
            allow_missing=asked.allow_missing,
        ),
    )
    return Submission(spec, sources)


def submit(
    client: DispatcherClient, submission: Submission, progress: Callable[[int, int], None] | None = None
) -> JobView:
    """Create the job and send the blobs that the dispatcher lacks. ``progress`` gets bytes done and to do."""
    job = client.create_job(submission.spec)
    sizes = {file.sha256: file.size for file in submission.spec.scene.files}
    missing = [sha256 for sha256 in job.missing_blobs if sha256 in sizes]
    total, before = sum(sizes[sha256] for sha256 in missing), 0
    for sha256 in missing:
        start = before

        def tell(done: int, _: int, start: int = start) -> None:
            if progress:
                progress(start + done, total)

        client.upload(submission.sources[sha256], sha256, sizes[sha256], tell)
        before += sizes[sha256]
    return client.job(job.id)


def place(blend: Path, others: Iterable[Path]) -> tuple[Path, list[tuple[str, Path]]]:
    """The common folder of the files, and each file with its path below that folder, the .blend first.

    All paths are absolute. CommandError if they have no folder in common or a name that not every platform can hold.
    """
    files = list(dict.fromkeys([blend, *others]))
    try:
        root = Path(os.path.commonpath([file.parent for file in files]))
    except ValueError:
        drives = ", ".join(sorted({file.drive for file in files}))
        raise CommandError(
            f"{blend} uses files on several drives ({drives}), which can't be laid out below one folder: "
            "pack them into the file (File > External Data > Pack Resources)"
        ) from None
    return root, [(_below(root, file), file) for file in files]


def _below(root: PurePath, file: Path) -> str:
    path = file.relative_to(root).as_posix()
    try:
        return checked_relative_path(path)
    except ValueError as error:
        raise CommandError(f"{file} can't be sent to workers on every platform: {error}. Rename it.") from None


def _digest(placed: Sequence[tuple[str, Path]]) -> tuple[tuple[JobFile, ...], dict[str, Path]]:
    files: list[JobFile] = []
    sources: dict[str, Path] = {}
    for path, source in placed:
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

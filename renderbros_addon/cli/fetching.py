"""Bringing finished frames home."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..client.http import DispatcherClient
from ..protocol.formats import checked_ending
from ..protocol.jobs import FrameFile, FrameView
from ..protocol.states import FrameStatus
from .errors import CommandError, UsageError

_MOST_SINGLY = 4
"""Frames that are asked for one by one; the list of more is had in one request."""


@dataclass(frozen=True)
class FetchedFile:
    """A finished file on this machine."""

    frame: int
    path: Path
    file: FrameFile
    is_picture: bool
    """The frame itself, not a file beside it."""

    def as_json(self) -> dict[str, Any]:
        facts = self.file.output.model_dump(include={"sha256", "size", "pixel_digest", "phash", "width", "height"})
        return {"frame": self.frame, "file": str(self.path), **facts}


def usable_folder(out: Path) -> Path:
    """``out``, absolute; UsageError if frames could not be written there, which is better known before they exist.

    The folder itself is made with the first frame.
    """
    out = out.absolute()
    existing = next(place for place in (out, *out.parents) if place.exists())
    if not existing.is_dir():
        raise UsageError(f"--out: {existing} is a file, not a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UsageError(f"--out: nothing can be written into {existing}: {error.strerror or error}") from None
    return out


class Fetcher:
    """Brings a job's frames into the folder ``out``, each once, or again if it is replaced.

    The folder never holds an unfinished file's name.
    """

    def __init__(self, client: DispatcherClient, job_id: str, out: Path) -> None:
        self.out = out
        self.fetched: dict[str, FetchedFile] = {}
        self._client = client
        self._job_id = job_id

    @property
    def files(self) -> list[FetchedFile]:
        """What has been brought, frame by frame, each frame's picture first."""
        return sorted(self.fetched.values(), key=lambda file: (file.frame, not file.is_picture, file.path))

    def fetch(self, only: Collection[int] | None = None) -> list[FetchedFile]:
        """Bring the frames that have been finished since the last call; what was brought, in order.

        ``only`` names frames that are known to be all that are new.
        """
        if only is None or len(only) > _MOST_SINGLY:
            return self._bring(self._client.frames(self._job_id).frames)
        return self._bring(self._client.frame(self._job_id, number) for number in sorted(only))

    def _bring(self, frames: Iterable[FrameView]) -> list[FetchedFile]:
        new: list[FetchedFile] = []
        for frame in frames:
            if frame.status is not FrameStatus.DONE:
                continue
            for file in frame.files:
                known = self.fetched.get(file.name)
                # Another file by that name has been rendered since by somebody else: the first one's worker cheated.
                if known is not None and known.file.output.sha256 == file.output.sha256:
                    continue
                path = self.out.joinpath(*file.name.split("/"))
                try:
                    checked_ending(file.name)  # A dispatcher that we don't know well must not leave a .bashrc.
                    path.parent.mkdir(parents=True, exist_ok=True)
                except ValueError as error:
                    raise CommandError(f"the dispatcher offers a frame that is no image: {error}") from error
                except OSError as error:
                    raise CommandError(f"{path.parent} can't be made: {error.strerror or error}") from error
                if not _is(path, file):
                    if file.output.size > shutil.disk_usage(path.parent).free:
                        raise CommandError(f"{file.name} has {file.output.size / 1e6:.0f} MB: there is no room for it")
                    self._client.download(file.output.sha256, file.output.size, path)
                self.fetched[file.name] = FetchedFile(frame.frame, path, file, file is frame.files[0])
                new.append(self.fetched[file.name])
        return new


def _is(path: Path, file: FrameFile) -> bool:
    """Whether ``path`` is that very file already."""
    if not path.is_file() or path.stat().st_size != file.output.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.output.sha256

"""A job's files laid out as its scene expects them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from ..protocol.jobs import SceneSpec
from ..protocol.leases import Task
from .cache import BlobCache, Download
from .room import is_nearly_full

log = logging.getLogger("renderbros.worker")

FILES = "files"
_ASSEMBLED = "assembled"


class Checkouts:
    """One folder a job below ``folder``, made for its first task and kept while tasks or the renderer use it.

    A folder can be there before its job: a renderer that is started ahead sees one and no other.
    """

    def __init__(self, cache: BlobCache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._users: dict[str, int] = {}
        self._places: dict[str, Path] = {}
        self._reserved: list[Path] = []
        self._lock = threading.Lock()
        self._making = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def is_nearly_full(self) -> bool:
        """Is there no room on the disk for what a job needs and makes?"""
        return is_nearly_full(self._folder)

    def job_folder(self, job_id: str) -> Path:
        """All of one job, for the sandbox to show. It stays the same until the job is retired."""
        with self._lock:
            return self._place(job_id)

    def reserve(self) -> Path:
        """An empty folder, which will be that of the next job that gets one."""
        place = self._folder / f"next-{secrets.token_hex(4)}"
        place.mkdir()
        with self._lock:
            self._reserved.append(place)
        return place

    def is_reserved(self, place: Path) -> bool:
        """Whether a folder waits for the next job still."""
        with self._lock:
            return place in self._reserved

    def give_up(self, place: Path) -> None:
        """Nobody waits with the folder any more that was reserved; nothing changes if a job has it."""
        with self._lock:
            if place not in self._reserved:
                return
            self._reserved.remove(place)
        remove_tree(place)

    def _place(self, job_id: str) -> Path:
        if job_id not in self._places:
            # Never a name that there was before: a renderer may still see the folder that was removed, under that name.
            new = self._folder / f"{job_id}-{secrets.token_hex(4)}"
            self._places[job_id] = self._reserved.pop(0) if self._reserved else new
        return self._places[job_id]

    def root(self, job_id: str) -> Path:
        """Where a job's files lie; there after :meth:`take`."""
        return self.job_folder(job_id) / FILES

    def assembled(self, task: Task) -> Path:
        """Where the assembled frame of a ``finish`` task lies; there after :meth:`take`."""
        return self.job_folder(task.job_id) / _ASSEMBLED / f"{task.id}.exr"

    def take(self, task: Task, spec: SceneSpec, download: Download, wanted: Callable[[], None]) -> None:
        """Have the files of ``task`` in place and keep them until :meth:`give_back`.

        ``wanted`` is called between files and may raise to give up. What it, ``download`` or the cache raise comes
        through, and nothing is kept then.
        """
        with self._lock:
            self._users[task.job_id] = self._users.get(task.job_id, 0) + 1
        try:
            with self._making:
                if not self.root(task.job_id).exists():
                    self._lay_out(task.job_id, spec, download, wanted)
                if task.assembled:
                    self._fetch_assembled(task, download)
        except BaseException:
            self.give_back(task)
            raise

    def give_back(self, task: Task) -> None:
        """The task is over, well or not."""
        with self._lock:
            self._users[task.job_id] -= 1
        if task.assembled:
            remove_tree(self.assembled(task))

    def retire(self, keep: str | None) -> None:
        """Remove the checkouts that no task uses, but for the job that the renderer has open."""
        # A job that is being laid out has a user, so this need not wait for a download.
        with self._lock:
            unused = [job_id for job_id in self._places if not self._users.get(job_id) and job_id != keep]
            for job_id in unused:
                remove_tree(self._places.pop(job_id))
                self._users.pop(job_id, None)
        if unused:
            self._cache.trim()

    def _lay_out(self, job_id: str, spec: SceneSpec, download: Download, wanted: Callable[[], None]) -> None:
        needed = sum({file.sha256: file.size for file in spec.files}.values())
        if needed > self._cache.limit:
            raise OSError(
                errno.ENOSPC,
                f"the job's files take {needed / 2**20:.0f} MiB, and this worker's cache may take "
                f"{self._cache.limit / 2**20:.0f} MiB",
            )
        part = self.job_folder(job_id) / f"{FILES}.part"
        with _removed_on_error(part):
            for file in spec.files:
                wanted()
                to = part.joinpath(*file.path.split("/"))
                to.parent.mkdir(parents=True, exist_ok=True)
                self._cache.place(file.sha256, file.size, to, download)
            part.rename(self.root(job_id))
        log.debug("checked out %d files", len(spec.files), extra={"job": job_id})

    def _fetch_assembled(self, task: Task, download: Download) -> None:
        to = self.assembled(task)
        to.parent.mkdir(parents=True, exist_ok=True)
        remove_tree(to)
        # The lease does not tell the size of an assembled frame: the cache can make no room for it beforehand.
        self._cache.place(task.assembled or "", 0, to, download)


@contextlib.contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    remove_tree(path)
    try:
        yield
    except BaseException:
        remove_tree(path)
        raise


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all in it, if it is there; what can't be removed now is logged and left."""
    if not path.is_dir() or path.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            if os.name == "nt":
                path.chmod(stat.S_IWRITE)
            path.unlink()
        return

    def make_writable_and_retry(function: Callable[[str], object], name: str, _: object) -> None:
        try:
            # Windows removes no read-only file, and a scene's process may have locked its folders.
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("can't remove %s yet: %s", name, error)

    shutil.rmtree(path, onerror=make_writable_and_retry)

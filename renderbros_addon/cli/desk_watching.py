"""All of an artist's jobs, told to their Blender as they come along, and the frames of those that it wants."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..client.errors import ClientError, DispatcherUnreachable, NotFound
from ..client.events import AnyEvent, EventStream
from ..client.http import DispatcherClient
from ..protocol.desk import Bring, Brought, BroughtAll, DeskJob, Jobs, Trouble, WatchRequest
from ..protocol.events import StateChange, TaskProgress
from ..protocol.jobs import JobView
from ..protocol.states import TaskKind
from .connecting import connect
from .desk import Pipe, connecting, without_options
from .desk_pictures import Picture
from .errors import CommandError
from .fetching import Fetcher

MOST_SHOWN = 100
"""Jobs, the newest first."""

LIST_SECONDS = 30.0
"""Between two looks at all jobs while the dispatcher's events come."""
DEAF_SECONDS = 2.0
"""The same while none come."""
PROGRESS_SECONDS = 1.0
"""Between two looks at a job for its progress within frames."""
GAP_SECONDS = 0.25
"""Between two looks at anything."""
TROUBLE_SECONDS = 5.0
"""Before the next try, when the dispatcher can't be reached."""


def watch(pipe: Pipe, request: WatchRequest) -> None:
    """Until the parent hangs up. ClientError and UsageError if there is no way to the dispatcher from the start."""
    pictures = Path(request.pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    with connect(connecting(request)) as client:
        watcher = _Watcher(pipe, client, pictures)
        for job, out in request.bring.items():
            watcher.bring(Bring(job=job, out=out))
        watcher.run()


class _Wanted:
    """A job whose frames are to come here."""

    def __init__(self, client: DispatcherClient, job: str, out: Path) -> None:
        self.fetcher = Fetcher(client, job, out)
        self.job = job
        self.new = True
        """Nothing was asked for yet: all that is done is to come."""


class _Watcher:
    def __init__(self, pipe: Pipe, client: DispatcherClient, pictures: Path) -> None:
        self._pipe = pipe
        self._client = client
        self._folder = pictures
        self._shown: dict[str, DeskJob] = {}
        self._views: dict[str, JobView] = {}
        self._wanted: dict[str, _Wanted] = {}
        self._pictures: dict[str, Picture] = {}
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._progressed: set[str] = set()
        self._frames: dict[str, set[int]] = {}
        self._tiles: dict[str, int] = {}
        self._all_stale = True
        self._listed = self._looked = float("-inf")
        self._stream = EventStream(
            client.url,
            client.token,
            self._heard,
            pipe.hung_up,
            ca=client.ca,
            pin=client.pin,
            insecure=client.insecure,
            on_connect=self._connected,
        )

    def run(self) -> None:
        self._list()
        self._stream.start()
        troubled = False
        while not self._pipe.hung_up.is_set():
            try:
                self._look()
                if troubled:
                    # Nothing need have changed meanwhile: that it is heard of again is the news.
                    self._pipe.say(Jobs(jobs=()))
                    troubled = False
            except (ClientError, CommandError, OSError) as error:
                self._pipe.say(Trouble(message=without_options(str(error))))
                troubled = True
                self._all_stale = True
                self._pipe.hung_up.wait(TROUBLE_SECONDS)
            self._pipe.changed.wait(GAP_SECONDS)
            self._pipe.changed.clear()

    def bring(self, order: Bring) -> None:
        """Begin or end to bring the frames of a job."""
        if order.out is None:
            self._wanted.pop(order.job, None)
        else:
            self._wanted[order.job] = _Wanted(self._client, order.job, Path(order.out))
        with self._lock:
            self._stale.add(order.job)

    # What is heard, in the thread of the events

    def _connected(self) -> None:
        with self._lock:
            self._all_stale = True

    def _heard(self, event: AnyEvent) -> None:
        with self._lock:
            if isinstance(event, TaskProgress) and event.job_id is not None:
                self._progressed.add(event.job_id)
            elif isinstance(event, StateChange) and (job := event.entry.job_id) is not None:
                self._stale.add(job)
                frame = event.entry.detail.get("frame")
                if isinstance(frame, int):
                    if event.entry.event.startswith("frame."):
                        self._frames.setdefault(job, set()).add(frame)
                    elif event.entry.event == "task.accepted":
                        self._tiles[job] = frame

    # What is done about it, in the main thread

    def _look(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self.bring(self._pipe.orders.get_nowait())
        now = time.monotonic()
        patience = LIST_SECONDS if self._stream.connected else DEAF_SECONDS
        with self._lock:
            everything, self._all_stale = self._all_stale, False
            stale, self._stale = self._stale, set()
            frames, self._frames = self._frames, {}
            tiles, self._tiles = self._tiles, {}
            if now - self._looked >= PROGRESS_SECONDS:
                stale |= self._progressed
                self._progressed = set()
                self._looked = now
        if everything or now - self._listed >= patience or any(job not in self._views for job in stale):
            self._list()
            stale |= {job for job in self._views if not self._views[job].status.ended} | set(self._wanted)
            for wanted in self._wanted.values():
                wanted.new = True  # Frames may have been done unheard.
        else:
            for job in stale:
                self._take(self._client.job(job))
        self._say({*stale})
        for job in stale & self._views.keys():
            self._bring(job, frames.get(job, set()), ended=self._views[job].status.ended)
            self._picture(job, tiles.get(job), everything)

    def _list(self) -> None:
        self._listed = time.monotonic()
        found = self._client.jobs()[:MOST_SHOWN]
        self._views = {job.id: job for job in found}
        before, self._shown = self._shown, {job.id: DeskJob.of(job) for job in found}
        if list(before) != list(self._shown):
            self._pipe.say(Jobs(jobs=tuple(self._shown.values()), all=True))
        else:
            changed = tuple(job for job in self._shown.values() if before[job.id] != job)
            if changed:
                self._pipe.say(Jobs(jobs=changed))

    def _take(self, view: JobView) -> None:
        self._views[view.id] = view

    def _say(self, jobs: set[str]) -> None:
        changed = []
        for job in jobs & self._views.keys():
            told = DeskJob.of(self._views[job])
            if self._shown.get(job) != told:
                self._shown[job] = told
                changed.append(told)
        if changed:
            self._pipe.say(Jobs(jobs=tuple(changed)))

    def _bring(self, job: str, frames: set[int] | None, *, ended: bool) -> None:
        wanted = self._wanted.get(job)
        if wanted is None:
            return
        if wanted.new:
            frames, wanted.new = None, False
        if not (ended or frames or frames is None):
            return
        self._guarded(job, lambda: self._fetch(wanted, None if ended else frames))
        if ended and job in self._wanted:
            del self._wanted[job]
            self._pipe.say(BroughtAll(job=job, files=len(wanted.fetcher.files)))

    def _fetch(self, wanted: _Wanted, frames: set[int] | None) -> None:
        for file in wanted.fetcher.fetch(frames):
            self._pipe.say(Brought(job=wanted.job, frame=file.frame, path=str(file.path), is_picture=file.is_picture))

    def _picture(self, job: str, frame: int | None, everything: bool) -> None:
        """Show what there is of a frame, the latest that a tile has come of."""
        view = self._views[job]
        if job not in self._wanted or view.tile_count < 2 or view.status.ended:
            self._pictures.pop(job, None)
            return
        if frame is None and everything:
            frame = next((task.frame for task in view.running if task.kind is TaskKind.RENDER), view.frames[0])
        if frame is None:
            return
        picture = self._pictures.get(job)
        if picture is None or picture.frame != frame:
            picture = Picture(job, frame, view.width, view.height, view.tile_count, self._folder)
            self._pictures[job] = picture
        shown = picture
        self._guarded(job, lambda: self._show(shown))

    def _show(self, picture: Picture) -> None:
        made = picture.take(self._client, self._client.tiles(picture.job, picture.frame))
        if made is not None:
            self._pipe.say(made)

    def _guarded(self, job: str, work: Callable[[], None]) -> None:
        """What goes wrong with the files of one job must not end the watch over the others."""
        try:
            work()
        except NotFound:
            return
        except DispatcherUnreachable:
            raise
        except (ClientError, CommandError, OSError) as error:
            wanted = self._wanted.pop(job, None)
            if wanted is not None:
                self._pipe.say(Trouble(message=without_options(str(error)), job=job))

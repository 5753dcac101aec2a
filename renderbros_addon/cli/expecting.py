"""Previewing frames here, so that the dispatcher can see whether those that come back show the same.

The job is sent first: nobody waits for previews to get frames.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from ..client.errors import ClientError, Conflict
from ..client.http import DispatcherClient
from ..protocol.leases import Progress
from ..protocol.renderer import Inspection
from ..worker.renderer_process import RendererProcess, RendererStopped
from . import inspection
from .errors import CommandError
from .submission import Wish

_GRACE_SECONDS = 60.0
"""Beyond twice what previews may take: opening the file and its first frame take what they take, up to here."""

_TELL_SECONDS = 2.0


def _silent(words: str) -> None:
    del words


class Previews:
    """Previews of a job's frames, made by ``process`` and sent to the dispatcher. One run, which ends ``process``.

    ``connect`` gives a client of its own. As a context the run goes on beside what happens within, and at its end is
    given up, since nobody needs what has not been previewed by then.
    """

    def __init__(
        self,
        process: RendererProcess,
        asked: Wish,
        found: Inspection,
        job_id: str,
        frames: tuple[int, ...],
        connect: Callable[[], DispatcherClient],
        note: Callable[[str], None],
    ) -> None:
        self._process = process
        self._asked = asked
        self._found = found
        self._job_id = job_id
        self._frames = frames
        self._connect = connect
        self._note = note
        # What depends on the frames rendered before looks otherwise in a preview.
        self._wanted = bool(asked.expect and found.repeatable)
        self._beside = threading.Thread(target=self.run, name="previews")
        self.sent = 0
        """Frames whose previews the dispatcher has."""

    def run(self, step: Callable[[str], None] | None = None) -> None:
        """Preview as many frames as can be in time, and send what they look like. ``step`` is told what is being done.

        A frame that can't be previewed is expected to look like anything, which a note tells.
        """
        try:
            if self._wanted:
                self._preview(step or _silent)
        finally:
            self._process.close()

    def _preview(self, step: Callable[[str], None]) -> None:
        asked, told = self._asked, time.monotonic()

        def tell(progress: Progress) -> None:
            nonlocal told
            if progress.sample and time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                step(f"previewing frames: {progress.sample} of {progress.samples}")

        step(f"previewing frames, for up to {asked.expect:g} s")
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        limit = threading.Timer(2 * asked.expect + _GRACE_SECONDS, give_up)
        limit.start()
        try:
            reply = inspection.preview(
                self._process, asked.blend, asked.scene, asked.settings, self._found.device, self._frames,
                asked.expect, tell,
            )  # fmt: skip
            made, problems = reply.expected, reply.problems
        except CommandError as error:
            made, problems = (), (str(error),)
        except RendererStopped:
            made, problems = (), ("Its first frame takes too long.",) if late.is_set() else ()
        finally:
            limit.cancel()
        if problems:
            which = "not all of its frames were" if made else "none of its frames was"
            self._note(f"note: {which} previewed, which would help to tell wrong frames: {problems[0]}")
        if not made:
            return
        try:
            with self._connect() as client:
                client.expect(self._job_id, made)
        except Conflict:
            return  # The job is over.
        except ClientError as error:
            self._note(f"note: the previews could not be sent, which would help to tell wrong frames: {error}")
            return
        self.sent = len(made)
        step(f"previewed {len(made)} of {len(self._frames)} frames")

    def __enter__(self) -> Previews:
        self._beside.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._beside.join()

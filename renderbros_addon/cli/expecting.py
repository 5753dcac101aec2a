"""Previewing frames here, so that the dispatcher can see whether those that come back show the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ..protocol.leases import Progress
from ..protocol.renderer import Inspection
from ..worker.renderer_process import RendererProcess, RendererStopped
from . import inspection
from .errors import CommandError
from .submission import Submission, Wish

_GRACE_SECONDS = 60.0
"""Beyond twice what previews may take: opening the file and its first frame take what they take, up to here."""

_TELL_SECONDS = 2.0


def expected(
    process: RendererProcess, asked: Wish, found: Inspection, prepared: Submission, step: Callable[[str], None]
) -> Submission:
    """``prepared`` with what its frames are expected to look like: as many of them as can be previewed in time.

    ``step`` is told what is being done. A frame that can't be previewed is expected to look like anything, which a note
    of the job tells. ``process`` may be dead afterwards: a preview that takes far too long is stopped that way.
    """
    # What depends on the frames rendered before looks otherwise in a preview.
    if not asked.expect or not found.repeatable:
        return prepared
    frames = prepared.spec.frames
    told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.sample and time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            step(f"previewing frames: {progress.sample} of {progress.samples}")

    step(f"previewing frames, for up to {asked.expect:g} s")
    limit = threading.Timer(2 * asked.expect + _GRACE_SECONDS, process.kill)
    limit.start()
    try:
        reply = inspection.preview(
            process, asked.blend, asked.scene, asked.settings, found.device, frames, asked.expect, tell
        )
        made, problems = reply.expected, reply.problems
    except CommandError as error:
        made, problems = (), (str(error),)
    except RendererStopped:
        made, problems = (), ("Its first frame takes too long.",)
    finally:
        limit.cancel()
    notes = prepared.spec.notes
    if problems:
        which = "None of its frames was" if not made else "Not all of its frames were"
        notes += (f"{which} previewed, which would help to tell wrong frames: {problems[0]}"[:1000],)
    if made:
        step(f"previewed {len(made)} of {len(frames)} frames")
    return replace(prepared, spec=prepared.spec.model_copy(update={"expected": made, "notes": notes[-100:]}))

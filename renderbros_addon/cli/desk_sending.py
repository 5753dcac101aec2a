"""A scene of a desktop Blender on its way to the farm: looked into, estimated, sent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..client.http import DispatcherClient
from ..protocol.desk import DeskJob, Estimated, Looked, LookRequest, Missing, Sent, Step, SubmitRequest
from ..protocol.renderer import Inspection
from ..worker.renderer_process import RendererProcess
from . import costing, expecting, inspection, submission
from .connecting import Connecting, connect
from .desk import Pipe, connecting
from .errors import CommandError
from .starting import started


def look_or_submit(pipe: Pipe, request: LookRequest | SubmitRequest) -> None:
    """Serve ``request``; its copy of the scene is gone afterwards. CommandError and its kinds if something is wrong."""
    with _copy(request), started(None) as launched:
        asked = submission.wish(
            Path(request.blend),
            frames=request.frames,
            tiles=request.tiles,
            scene=request.scene,
            resolution=None,
            priority=request.priority,
            allow_missing=request.allow_missing or isinstance(request, LookRequest),
            bundle=True,
            expect=request.expect if isinstance(request, SubmitRequest) else 0,
            chunk=request.chunk,
            blender_series=request.series,
        )
        # What Blender opens is the copy; the job knows it by the name of the artist's file.
        here = replace(asked, blend=Path(request.saved_as))
        pipe.say(Step(text="Looking into the scene"))
        with inspection.renderer(None, launched.scratch, launched.process) as process:
            found = _as_saved(inspection.inspect(process, here.blend, here.scene, here.settings), request)
            if isinstance(request, SubmitRequest):
                _submit(pipe, request, process, asked, here, found)
            else:
                _look(pipe, request, process, asked, here, found)


@contextmanager
def _copy(request: LookRequest | SubmitRequest) -> Iterator[None]:
    """Within, the copy is there; then it is removed, if it isn't the artist's own file."""
    copy = Path(request.saved_as)
    try:
        yield
    finally:
        if request.temporary or copy != Path(request.blend):
            with contextlib.suppress(OSError):
                copy.unlink()
        if request.temporary:
            with contextlib.suppress(OSError):
                copy.parent.rmdir()


def _as_saved(found: Inspection, request: LookRequest | SubmitRequest) -> Inspection:
    files = tuple(request.blend if file == request.saved_as else file for file in found.files)
    return found.model_copy(update={"files": files})


def _look(
    pipe: Pipe,
    request: LookRequest,
    process: RendererProcess,
    asked: submission.Wish,
    here: submission.Wish,
    found: Inspection,
) -> None:
    prepared = submission.prepare(asked, found, here.blend)
    missing = tuple(Missing(path=one.path, user=one.user, why=one.why) for one in found.missing)
    pipe.say(
        Looked(
            frames=len(prepared.spec.frames),
            width=found.width,
            height=found.height,
            engine=found.engine,
            device=found.device,
            format=found.format,
            files=len(prepared.sources),
            size=prepared.size,
            missing=missing,
            notes=tuple(note for note in prepared.spec.notes if not note.startswith("Rendered without")),
            whole_because=found.whole_because,
        )
    )
    if not request.estimate:
        return
    frame = prepared.spec.frames[len(prepared.spec.frames) // 2]
    pipe.say(Step(text=f"Measuring what frame {frame} takes, on a small preview"))
    try:
        reply = inspection.measure_cost(process, here.blend, here.scene, here.settings, found.device, frame)
    except CommandError as error:
        pipe.say(Estimated(problem=str(error)))
        return
    pipe.say(Estimated(seconds=sum(reply.cost.cells) + reply.cost.overhead, device=reply.device))


def _submit(
    pipe: Pipe,
    request: SubmitRequest,
    process: RendererProcess,
    asked: submission.Wish,
    here: submission.Wish,
    found: Inspection,
) -> None:
    to = connecting(request)
    with connect(to) as client:
        # Before files are read, which may take long: says what is wrong with the dispatcher, or with our token.
        client.tokens()
        pipe.say(Step(text="Reading the files"))
        prepared = submission.prepare(asked, found, here.blend)
        # It measures in what is open here.
        costed = costing.measured(process, here, found, prepared, lambda words: pipe.say(Step(text=words)))
        upload = submission.submit(client, costed, _told(pipe))
        pipe.say(Sent(job=DeskJob.of(upload.job), files=upload.files_sent, size=upload.bytes_sent))
    previews = expecting.Previews(
        process, here, found, upload.job.id, costed.spec.frames, lambda: _client(to), lambda _: None
    )
    previews.run(lambda words: pipe.say(Step(text=words[:1].upper() + words[1:])))


def _client(to: Connecting) -> DispatcherClient:
    return connect(to)


def _told(pipe: Pipe) -> Callable[[int, int], None]:
    shown = -1.0

    def tell(done: int, size: int) -> None:
        nonlocal shown
        fraction = min(1.0, done / size) if size else 1.0
        if fraction - shown >= 0.01 or fraction < shown or done >= size:
            shown = fraction
            pipe.say(Step(text=f"Sending {done / 1e6:.1f} of {size / 1e6:.1f} MB", fraction=fraction))

    return tell

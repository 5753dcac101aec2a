"""The renderer process: one Blender that keeps a scene open and serves requests from a pipe until the pipe closes.

Standard input has one JSON request a line. Replies are lines on the original standard output that start with
``REPLY_MARK``; whatever Blender and its libraries print goes to standard error, which is the log.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from pydantic import ValidationError

from ..imaging.errors import ImageError
from ..protocol.jobs import SceneSpec
from ..protocol.renderer import (
    REPLY_MARK,
    AnyReply,
    AnyRequest,
    BuildSampleRequest,
    Built,
    EncodeRequest,
    Failed,
    Heartbeat,
    Hello,
    InspectRequest,
    MeasureCostRequest,
    MissingFile,
    PreviewRequest,
    Progressed,
    QuitRequest,
    Rendered,
    RenderRequest,
    request_adapter,
)
from ..protocol.states import FailureCode, FailureKind
from .configure import NotRestored, apply_engine, pick_scene
from .confine import confine
from .cost import measure_cost
from .devices import capabilities
from .expect import preview
from .failures import CannotServe, scene_fault
from .finish import finish
from .inspect import blocked_warning, inspect
from .movie import encode
from .open import blocked_script, open_blend
from .progress import ProgressBoard
from .render import render
from .sample import build_sample

log = logging.getLogger("renderbros.blender")

HEARTBEAT_SECONDS = 1.0
TICK_SECONDS = 0.2
"""Progress is told at most so often."""


def main() -> int:
    """Serve requests until standard input ends or says quit. Does not return: leaving takes :func:`_leave`."""
    replies = Replies()
    # Ctrl-C reaches the whole group; when to end is for the agent to say, by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    code = 1
    try:
        replies.send(Hello(pid=os.getpid(), capabilities=capabilities()))
        board = ProgressBoard()
        threading.Thread(target=_beat, args=(replies, board), name="heartbeat", daemon=True).start()
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(lines,), name="requests", daemon=True).start()
        Renderer(replies, board).serve(lines)
        code = 0
    except Exception:
        log.exception("the renderer ends")
    _leave(code)
    return code


class Replies:
    """The agent's end of the pipe. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        sys.stdout.flush()
        self._fd = os.dup(1)
        os.dup2(2, 1)

    def send(self, reply: AnyReply) -> None:
        """Write one line at once. A pipe that nobody reads any more ends the process."""
        line = f"{REPLY_MARK}{reply.model_dump_json()}\n".encode()
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:
                _leave(1)


class Renderer:
    """Serves one request after another, with at most one file open."""

    def __init__(self, replies: Replies, board: ProgressBoard) -> None:
        self._replies = replies
        self._board = board
        self._open: tuple[object, ...] | None = None
        self._missing: list[MissingFile] = []
        self._open_warnings: tuple[str, ...] = ()

    def serve(self, lines: queue.SimpleQueue[bytes]) -> None:
        """Serve until told to quit."""
        while True:
            try:
                request = request_adapter.validate_json(lines.get())
            except ValidationError as error:
                log.error("not a request: %s", error)
                continue
            if isinstance(request, QuitRequest):
                return
            self._replies.send(self._answer(request))

    def _answer(self, request: AnyRequest) -> AnyReply:
        try:
            return self._serve(request)
        except CannotServe as error:
            return Failed(id=request.id, kind=error.kind, code=error.code, message=str(error))
        except NotRestored:
            log.exception("the open file is dropped")
            self._open = None
            return _broken(request.id, FailureCode.CRASHED)
        except MemoryError:
            self._open = None
            return _broken(request.id, FailureCode.OUT_OF_MEMORY)
        except ImageError as error:
            message = f"The rendered file can't be read: {error}"
            return Failed(id=request.id, kind=FailureKind.WORKER, code=FailureCode.BAD_OUTPUT, message=message)
        except Exception:
            # A defect of ours or of an add-on: the task goes elsewhere and this renderer starts from a fresh file.
            log.exception("a request failed")
            self._open = None
            return _broken(request.id, FailureCode.CRASHED)

    def _serve(self, request: AnyRequest) -> AnyReply:
        if isinstance(request, InspectRequest):
            self._open = None
            return inspect(request)
        if isinstance(request, MeasureCostRequest):
            self._open = None
            return measure_cost(request)
        if isinstance(request, PreviewRequest):
            self._open = None
            return preview(request, self._board)
        if isinstance(request, BuildSampleRequest):
            self._open = None
            build_sample(Path(request.path))
            return Built(id=request.id)
        if isinstance(request, EncodeRequest):
            self._open = None
            return encode(request)
        self._keep_open(Path(request.root), request.spec)
        written = render(request, self._board) if isinstance(request, RenderRequest) else finish(request)
        return Rendered(
            id=request.id,
            path=str(written.path),
            parts=tuple(map(str, written.parts)),
            extras=written.extras,
            render_seconds=written.seconds,
            device=written.device,
            warnings=tuple(self._warnings()),
        )

    def _keep_open(self, root: Path, spec: SceneSpec) -> None:
        """Have the job's file open, and nothing of it pointing outside of the job's folder."""
        # Another engine rewires a compositor for good, and a scene once shown stays shown: both take a fresh file.
        key = (root, spec.blend, spec.files, spec.source_root, spec.scene, spec.settings.engine)
        if key != self._open:
            self._open = None
            root = root.resolve()
            self._open_warnings = open_blend(root / spec.blend)
            self._missing = confine(root, spec.source_root)
            # For all of its tasks: when the engine changes, Blender drops what it keeps for the next frame.
            apply_engine(pick_scene(spec.scene), spec.settings.engine)
            self._open = key
        if self._missing and not spec.allow_missing:
            raise scene_fault(FailureCode.MISSING_FILE, _missing_message(self._missing))

    def _warnings(self) -> list[str]:
        warnings = list(self._open_warnings)
        if self._missing:
            warnings.append(_missing_message(self._missing))
        blocked = blocked_script()
        if blocked:
            warnings.append(blocked_warning(blocked))
        return [warning[:1000] for warning in warnings]


def _missing_message(missing: list[MissingFile]) -> str:
    shown = "; ".join(f"{file.path} (used by {file.user})" for file in missing[:10])
    more = f"; and {len(missing) - 10} more" if len(missing) > 10 else ""
    return f"Missing: {shown}{more}."


def _broken(request_id: str, code: FailureCode) -> Failed:
    reason = traceback.format_exc(limit=-3)[-3000:]
    return Failed(id=request_id, kind=FailureKind.WORKER, code=code, message=f"The renderer broke: {reason}")


def _beat(replies: Replies, board: ProgressBoard) -> None:
    """Tell that the process lives, by the clock, and how far the render is."""
    next_beat = time.monotonic()
    while True:
        if time.monotonic() >= next_beat:
            replies.send(Heartbeat())
            next_beat += HEARTBEAT_SECONDS
        news = board.news()
        if news:
            replies.send(Progressed(id=news[0], progress=news[1]))
        time.sleep(TICK_SECONDS)


def _listen(lines: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on. The end of the pipe means that the agent is gone: nobody wants what is being rendered."""
    with open(0, "rb", closefd=False) as pipe:
        for line in pipe:
            if line.strip():
                lines.put(line)
    _leave(0)


def _leave(code: int) -> None:
    """End the process now: Blender's own way out can hang while a thread of ours lives."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)

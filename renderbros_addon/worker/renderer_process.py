"""The renderer as the agent sees it: a child that answers requests, or is lost in a way that has a name."""

from __future__ import annotations

import logging
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, overload

from pydantic import ValidationError

from ..protocol.leases import Progress
from ..protocol.renderer import (
    ANSWERS,
    AnyReply,
    AnyRequest,
    BuildSampleRequest,
    Built,
    CostMeasured,
    Encoded,
    EncodeRequest,
    Failed,
    FinishRequest,
    Heartbeat,
    Hello,
    Inspection,
    InspectRequest,
    MeasureCostRequest,
    Previewed,
    PreviewRequest,
    Progressed,
    QuitRequest,
    Rendered,
    RenderRequest,
)
from ..protocol.states import FailureCode
from .exits import name_exit
from .launch import launch
from .limits import Limits
from .log_ring import LogRing, clean_text
from .memory import oom_kills, volunteer_for_oom_kill
from .renderer_child import RendererChild
from .watch import WATCH_SECONDS, RendererWatch
from .windows_job import WindowsJob

log = logging.getLogger("renderbros.worker")


_NOTHING = Heartbeat()


class RendererLost(Exception):
    """The renderer is gone, or had to be killed. ``log_tail`` is the end of what it wrote."""

    def __init__(self, code: FailureCode, message: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.log_tail = log_tail


class RendererStopped(Exception):
    """:meth:`RendererProcess.kill` was called while a request was being served."""


class RendererProcess:
    """One renderer child.

    ``command`` starts it; it may write below ``scratch`` (made if need be). ``max_memory`` is in bytes; ``limits`` has
    the others, of which disk counts in ``scratch`` and in the folders ``watched``. The timeouts are in seconds:
    ``start_timeout`` until it says hello, ``heartbeat_timeout`` without a heartbeat, ``hang_timeout`` without progress
    and without using the processor, ``task_timeout`` for one request as a whole. ``shaders`` is a folder for compiled
    kernels that outlives it. ``wrap`` puts a sandbox around the command, and ``environment`` is told to it.
    ``on_spawn`` gets the child's process id. ``launched`` is the child, where ``launch`` has started it already.

    Requests come from one thread; :meth:`kill` may come from any.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        scratch: Path,
        max_memory: int | None = None,
        limits: Limits | None = None,
        watched: Sequence[Path] = (),
        threads: int | None = None,
        start_timeout: float = 180.0,
        heartbeat_timeout: float = 30.0,
        hang_timeout: float = 600.0,
        task_timeout: float | None = None,
        shaders: Path | None = None,
        wrap: Callable[[list[str]], list[str]] | None = None,
        environment: Mapping[str, str] | None = None,
        on_spawn: Callable[[int], None] | None = None,
        launched: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self._command = list(command)
        self._scratch = scratch
        self._max_memory = max_memory
        self._limits = limits
        self._job: WindowsJob | None = None
        self._watch = RendererWatch(
            max_memory=max_memory,
            limits=limits,
            folders=[scratch, *watched],
            heartbeat_timeout=heartbeat_timeout,
            hang_timeout=hang_timeout,
        )
        self._threads = threads
        self._start_timeout = start_timeout
        self._task_timeout = task_timeout
        self._shaders = shaders
        self._wrap = wrap
        self._environment = environment
        self._on_spawn = on_spawn
        self._launched = launched

        self._ring = LogRing()
        self._child: RendererChild | None = None
        self._hello: Hello | None = None
        self._lost: RendererLost | None = None
        self._stopped = False
        self._life = threading.Lock()
        self._oom_kills = 0

    # Life and death

    def begin(self) -> None:
        """Start the child without waiting until it is up; RendererLost if it can't be started."""
        if self._child is None and not self._lost:
            self._child = self._spawn()

    def start(self) -> Hello:
        """Start the child, unless it was, and return its hello; RendererLost if it does not come up."""
        if self._lost:
            raise self._lost
        if self._hello:
            return self._hello
        child = self._child or self._spawn()
        reply = self._await(child, None, None, self._start_timeout)
        if not isinstance(reply, Hello):
            raise self._lose(child, FailureCode.CRASHED, "the renderer's first word was not a hello")
        self._hello = reply
        return reply

    @property
    def alive(self) -> bool:
        """Whether it has started, still runs and was neither lost nor killed."""
        return self._hello is not None and self.up

    @property
    def up(self) -> bool:
        """Whether its child runs, though it may not have said hello yet."""
        return self._child is not None and not self._lost and not self._stopped and self._child.running

    @property
    def memory(self) -> int:
        """Resident bytes at the last look, which is at most :data:`WATCH_SECONDS` before the end of a request."""
        return self._watch.used

    @property
    def peak_memory(self) -> int:
        """The most resident bytes it was seen to use."""
        return self._watch.peak

    @property
    def log_tail(self) -> str:
        """The end of what it has written."""
        return self._ring.tail()

    @property
    def silent_seconds(self) -> float:
        """Seconds since it last gave a sign of life."""
        return time.monotonic() - self._child.last_sign_of_life if self._child else 0.0

    def kill(self) -> None:
        """End it and everything below it, at once. A request being served raises RendererStopped."""
        with self._life:
            self._stopped = True
            child = self._child
        if child:
            child.kill()

    def close(self) -> None:
        """Ask it to quit; kill it if it has not gone within two seconds."""
        child = self._child
        if child and child.running and not self._stopped:
            child.send(_line(QuitRequest()))
            child.hang_up()
            try:
                child.process.wait(2)
            except subprocess.TimeoutExpired:
                log.info("the renderer did not quit when asked; killing it")
        self.kill()
        if child:
            child.wait_for_last_words()

    def __enter__(self) -> RendererProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Requests

    @overload
    def request(
        self, request: RenderRequest | FinishRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Rendered | Failed: ...
    @overload
    def request(
        self, request: InspectRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Inspection | Failed: ...
    @overload
    def request(
        self, request: MeasureCostRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> CostMeasured | Failed: ...
    @overload
    def request(
        self, request: PreviewRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Previewed | Failed: ...
    @overload
    def request(
        self, request: BuildSampleRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Built | Failed: ...
    @overload
    def request(
        self, request: EncodeRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Encoded | Failed: ...
    def request(
        self, request: AnyRequest, on_progress: Callable[[Progress], None] | None = None
    ) -> Rendered | Built | Encoded | Failed | Inspection | CostMeasured | Previewed:
        """Have ``request`` served, starting the child if need be.

        Raises RendererLost when the renderer crashed, hung, ran out of memory or out of time (it is dead then, and a
        new one is needed), RendererStopped after :meth:`kill`.
        """
        self.send(request)
        return self._answer(request, on_progress, None)  # type: ignore[no-any-return]

    def send(self, request: AnyRequest) -> None:
        """Give the child a request, which it serves when it is through with those it got before.

        The answers are to be taken in the same order; whoever loses the renderer before that sends it anew.
        """
        self.start()
        if self._child is None:
            raise RuntimeError("a renderer that started has a child")
        self._child.send(_line(request))

    def answer(
        self,
        request: RenderRequest | FinishRequest,
        on_progress: Callable[[Progress], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Rendered | Failed:
        """The answer to a request that was sent; raises as :meth:`request`. Its time limit counts from now.

        ``meanwhile`` is called at once and then several times a second.
        """
        return self._answer(request, on_progress, meanwhile)  # type: ignore[no-any-return]

    def _answer(
        self, request: AnyRequest, on_progress: Callable[[Progress], None] | None, meanwhile: Callable[[], None] | None
    ) -> Any:
        child = self._child
        if child is None:
            raise RuntimeError("nothing was sent")
        refused = self._ring.refused_memory
        reply = self._await(child, request.id, on_progress, self._task_timeout, meanwhile)
        if isinstance(reply, Rendered) and self._ring.refused_memory > refused:
            message = "the renderer was refused memory that it asked for, so its picture may lack something"
            raise self._lose(child, FailureCode.OUT_OF_MEMORY, message)
        if isinstance(reply, (Failed, ANSWERS[type(request)])):
            return reply
        raise self._lose(child, FailureCode.CRASHED, f"the renderer answered {request.type} with {reply.type}")

    def _spawn(self) -> RendererChild:
        self._oom_kills = oom_kills()
        with self._life:
            if self._stopped:
                raise RendererStopped("the renderer was killed before it started")
            try:
                process = self._launched or launch(
                    self._command,
                    self._scratch,
                    threads=self._threads,
                    shaders=self._shaders,
                    wrap=self._wrap,
                    environment=self._environment,
                )
                self._child = child = RendererChild(process, self._ring)
            except OSError as error:
                self._lost = RendererLost(FailureCode.CRASHED, f"the renderer can't be started: {error}")
                raise self._lost from error
        volunteer_for_oom_kill(child.process.pid)
        self._job = WindowsJob(child.process, self._limits) if self._limits else None
        if self._on_spawn:
            self._on_spawn(child.process.pid)
        return child

    # Waiting and watching

    def _await(
        self,
        child: RendererChild,
        request_id: str | None,
        on_progress: Callable[[Progress], None] | None,
        timeout: float | None,
        meanwhile: Callable[[], None] | None = None,
    ) -> AnyReply:
        """The reply to a request; the hello if ``request_id`` is None."""
        began = time.monotonic()
        self._watch.begin(began)
        while True:
            if self._stopped:
                raise RendererStopped("the renderer was killed on purpose")
            if meanwhile:
                meanwhile()
            reply: AnyReply | ValidationError | None
            try:
                reply = child.replies.get(timeout=WATCH_SECONDS)
            except queue.Empty:
                reply = _NOTHING
            now = time.monotonic()
            if breach := self._watch.look(child, now, serving=request_id is not None):
                raise self._lose(child, breach.code, breach.message)
            if reply is None:
                raise self._lose_ended(child)
            if isinstance(reply, ValidationError):
                said = clean_text(str(reply))[:500]
                raise self._lose(child, FailureCode.CRASHED, f"the renderer answered nonsense: {said}")
            if isinstance(reply, Hello):
                return reply
            if isinstance(reply, Progressed):
                self._watch.progressed(now)
                if reply.id == request_id and on_progress:
                    on_progress(reply.progress)
            elif not isinstance(reply, Heartbeat) and (request_id is None or reply.id == request_id):
                return reply
            if timeout is not None and now - began > timeout:
                if request_id is None:
                    raise self._lose(child, FailureCode.HUNG, f"the renderer did not come up within {timeout:g} s")
                raise self._lose(child, FailureCode.TIMED_OUT, f"the task took longer than the {timeout:g} s allowed")

    # Losing it

    def _lose(self, child: RendererChild, code: FailureCode, message: str) -> RendererLost | RendererStopped:
        """Kill it and return what to raise: our reason, unless :meth:`kill` came first."""
        child.kill()
        child.wait_for_last_words()
        if self._stopped:
            return RendererStopped("the renderer was killed on purpose")
        self._lost = RendererLost(code, message, self._ring.tail())
        log.warning("renderer lost (%s): %s", code, message)
        return self._lost

    def _lose_ended(self, child: RendererChild) -> RendererLost | RendererStopped:
        try:
            status = child.process.wait(2)
        except subprocess.TimeoutExpired:
            return self._lose(child, FailureCode.CRASHED, "the renderer closed its pipe without a word")
        child.wait_for_last_words()
        found = name_exit(
            status,
            self._ring.tail(),
            wrapped=self._wrap is not None,
            oom_killed=oom_kills() > self._oom_kills,
            used=self._watch.peak,
            max_memory=self._max_memory,
        )
        return self._lose(child, found.code, found.message)


def _line(message: AnyRequest | QuitRequest) -> bytes:
    return message.model_dump_json().encode() + b"\n"

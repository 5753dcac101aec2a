"""A started renderer child: its pipes, its log, its processes. What its replies mean is RendererProcess's business."""

from __future__ import annotations

import logging
import queue
import subprocess
import threading
import time
from typing import IO

from pydantic import ValidationError

from ..protocol.renderer import (
    REPLY_MARK,
    AnyReply,
    Heartbeat,
    Progressed,
    reply_adapter,
)
from .log_ring import LogRing, lines_of
from .process_tree import ProcessTree

log = logging.getLogger("renderbros.worker")
renderer_log = logging.getLogger("renderbros.worker.renderer")


_REPLY_LIMIT = 32 << 20
_LOG_LINE_LIMIT = 1 << 16
_MOST_UNHEARD = 1000
"""Replies that may wait to be heard. Progress comes forty times a second at most, and a request has one answer."""
_MARK = REPLY_MARK.encode()


class RendererChild:
    """Reads all that ``process`` says, which was started by ``launch``."""

    def __init__(self, process: subprocess.Popen[bytes], ring: LogRing) -> None:
        self.process = process
        self.tree = ProcessTree(self.process)
        self.replies: queue.SimpleQueue[AnyReply | ValidationError | None] = queue.SimpleQueue()
        """Replies but for heartbeats; an error for one that made no sense; None for the end of the pipe."""
        self.last_sign_of_life = time.monotonic()
        self._ring = ring
        self._to_child: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._readers = [self._thread(self._read_replies, self.process.stdout)]
        self._readers.append(self._thread(self._read_errors, self.process.stderr))
        # A pipe to a child that has stopped reading blocks for good, so writing has its own thread.
        self._thread(self._write_requests, self.process.stdin)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def send(self, line: bytes) -> None:
        """Queue one line for the child's standard input."""
        self._to_child.put(line)

    def hang_up(self) -> None:
        """Close the child's standard input once everything queued is written; a renderer ends on that."""
        self._to_child.put(None)

    def kill(self) -> None:
        """End the child and everything below it, at once."""
        self.tree.kill()
        self.hang_up()

    def wait_for_last_words(self, seconds: float = 1.0) -> None:
        """Give the readers time to take in what is left in the pipes of a dead child."""
        for reader in self._readers:
            reader.join(seconds)

    def _thread(self, work: object, stream: IO[bytes] | None) -> threading.Thread:
        name = f"renderer-{getattr(work, '__name__', '')}"
        thread = threading.Thread(target=work, args=(stream,), name=name, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _read_replies(self, stream: IO[bytes]) -> None:
        with stream:
            for line in lines_of(stream, _REPLY_LIMIT):
                if not line.startswith(_MARK):
                    renderer_log.debug("%s", self._ring.add(line))
                    continue
                try:
                    reply = reply_adapter.validate_json(line[len(_MARK) :])
                except ValidationError as error:
                    self._ring.add(line)
                    self.replies.put(error)
                    continue
                self.last_sign_of_life = time.monotonic()
                if isinstance(reply, Heartbeat):
                    continue
                unheard = self.replies.qsize()
                if unheard < (_MOST_UNHEARD if isinstance(reply, Progressed) else 2 * _MOST_UNHEARD):
                    self.replies.put(reply)
                elif not isinstance(reply, Progressed):
                    # Nobody asked for so many: it means to fill our memory.
                    log.warning("the renderer talks without end; killing it")
                    self.kill()
                    break
        self.replies.put(None)

    def _read_errors(self, stream: IO[bytes]) -> None:
        with stream:
            for line in lines_of(stream, _LOG_LINE_LIMIT):
                renderer_log.debug("%s", self._ring.add(line))

    def _write_requests(self, stream: IO[bytes]) -> None:
        try:
            with stream:
                while (line := self._to_child.get()) is not None:
                    stream.write(line)
                    stream.flush()
        except OSError as error:
            log.debug("the renderer's pipe is closed: %s", error)

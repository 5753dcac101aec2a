"""``desk``: a child of a desktop Blender, which does what must not hold that up. See ``protocol/desk.py``."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ..client.errors import ClientError, DispatcherUnreachable, Refused, Untrusted
from ..dispatcher.tokens import INVITE
from ..imaging.errors import ImageError
from ..protocol.desk import (
    AnyDeskRequest,
    Bring,
    ChangeRequest,
    Connected,
    DeskJob,
    DeskReply,
    Failed,
    Jobs,
    LoginRequest,
    LogoutRequest,
    Missing,
    SceneRequest,
    SignedOut,
    TestRequest,
    WatchRequest,
    desk_adapter,
)
from . import logs
from .connecting import Connecting, connect
from .errors import DONE, FAILED, INTERRUPTED, USAGE, CommandError, UsageError

_NAMES = {
    "--frames": "Frames", "--tiles": "Tiles", "--blender-series": "Blender Versions", "--expect": "Preview for (s)",
    "--insecure": "Without TLS", "--pin": "Pinned Certificate", "--ca": "Certificate Authority", "--out": "Output Path",
    "--allow-missing": "Render Without Missing Files",
}  # fmt: skip
"""What the panels and preferences call that which commands have options for."""

LAST_SECONDS = 4.0
"""For an orderly end once Blender has hung up; what then still runs is left behind by its process."""


def main() -> int:
    """Do what the first line of standard input asks for, until done or hung up; the exit code."""
    logs.set_up(level=logging.WARNING, as_json=False)
    lines = _lines(0)
    try:
        request = desk_adapter.validate_json(next(lines, b""))
    except ValidationError as error:
        print(f"renderbros: not a request of this version: {error.errors()[0]['msg']}", file=sys.stderr)
        return USAGE
    pipe = Pipe(lines)
    try:
        _serve(pipe, request)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CommandError, ClientError, ImageError, OSError, ValueError) as error:
        pipe.say(_failed(error, request))
        return FAILED
    return DONE


class Pipe:
    """The parent's end: what it still asks for, and words to it."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self.orders: queue.SimpleQueue[Bring] = queue.SimpleQueue()
        self.hung_up = threading.Event()
        self.changed = threading.Event()
        """Set when an order has come, or the parent has hung up."""
        self._lock = threading.Lock()
        self._lines = lines
        threading.Thread(target=self._hear, name="parent-watch", daemon=True).start()

    def say(self, reply: DeskReply) -> None:
        """One line to the parent; any thread may call."""
        line = reply.model_dump_json().encode() + b"\n"
        with self._lock, contextlib.suppress(BrokenPipeError):  # then we hear of its end as well
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()

    def _hear(self) -> None:
        for line in self._lines:
            with contextlib.suppress(ValidationError):
                self.orders.put(Bring.model_validate_json(line))
                self.changed.set()
        self.hung_up.set()
        self.changed.set()
        # The main thread may be waiting for an answer; what is of no use to it any more is cleaned up on the way out.
        if os.name == "posix":
            os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(LAST_SECONDS)
        os._exit(INTERRUPTED)


def _serve(pipe: Pipe, request: AnyDeskRequest) -> None:
    if isinstance(request, SceneRequest):
        from .desk_sending import look_or_submit

        look_or_submit(pipe, request)
    elif isinstance(request, WatchRequest):
        from .desk_watching import watch

        watch(pipe, request)
    elif isinstance(request, ChangeRequest):
        with connect(connecting(request)) as client:
            change = {
                "cancel": client.cancel_job,
                "pause": client.pause_job,
                "resume": client.resume_job,
                "retry": client.retry_job,
            }[request.verb]
            pipe.say(Jobs(jobs=(DeskJob.of(change(request.job)),)))
    else:
        _sign(pipe, request)


def _sign(pipe: Pipe, request: TestRequest | LoginRequest | LogoutRequest) -> None:
    from . import access_commands as access

    to = connecting(request)
    if isinstance(request, LogoutRequest):
        with contextlib.suppress(ClientError, UsageError):  # forgotten here it is in any case
            access.forget(to.settings())
        pipe.say(SignedOut(dispatcher=request.dispatcher))
        return
    if isinstance(request, LoginRequest):
        chosen, code = to.settings(), request.code
        own = access.keep(chosen, access.redeemed(chosen, code) if code.startswith(INVITE) else code)
    else:
        with connect(to) as client:
            own = access.own_of(client.tokens())
    pipe.say(Connected(dispatcher=request.dispatcher, role=own.role.value, name=own.name))


def connecting(request: AnyDeskRequest) -> Connecting:
    """The options by which commands would go where ``request`` does."""
    return Connecting(
        dispatcher=request.dispatcher,
        ca=Path(request.ca) if request.ca else None,
        pin=request.pin,
        insecure=request.insecure,
    )


def _lines(stream: int) -> Iterator[bytes]:
    """The lines of a file descriptor. A thread that waits in Python's own reader would be in the way at the end."""
    rest = b""
    with contextlib.suppress(OSError):
        while more := os.read(stream, 1 << 16):
            *lines, rest = (rest + more).split(b"\n")
            yield from lines


def _failed(error: Exception, request: AnyDeskRequest) -> Failed:
    detail = error.detail if isinstance(error, CommandError) else {}
    missing = detail.get("missing")
    return Failed(
        message=_words(error, request),
        code=str(detail.get("code") or ""),
        missing=tuple(map(Missing.model_validate, missing if isinstance(missing, list) else ())),
    )


def _words(error: Exception, request: AnyDeskRequest) -> str:
    """What ``error`` says to somebody who sees no command line."""
    if isinstance(error, DispatcherUnreachable) and not isinstance(error, Untrusted):
        return f"{error}\nIs a dispatcher running there? The extension's preferences say where to look."
    if isinstance(error, Refused) and error.problem.status == 401:
        told = without_options(str(error))
        return f"{told}\nSign in at {request.dispatcher} in the extension's preferences, by an invite or a token."
    return without_options(str(error))


def without_options(text: str) -> str:
    """``text`` with the names that the panels have for what the command line's options ask for."""
    for option, name in _NAMES.items():
        text = re.sub(rf"(?<![\w-]){option}(?![\w-])", name, text)
    return text

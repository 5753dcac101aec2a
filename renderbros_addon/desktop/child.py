"""Child processes that do what must not hold up Blender: JSON lines in and out, and an end together with it.

A child is ``bootstrap/start.py desk`` in Blender's own Python, which needs neither a scene nor a window. It gets what
to do as the first line of its standard input (see ``protocol/desk.py``), so that nothing secret shows in a list of
processes. The end of that input tells it to end: Blender has closed it, or has died.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import bpy

START = Path(__file__).resolve().parents[2] / "bootstrap" / "start.py"

OFFLINE = (
    "Blender may not go online: allow it in Preferences > System > Network > Allow Online Access, "
    "or start it with --online-mode"
)

_POLITE_SECONDS = 5.0
"""For a child to end in good order before it is killed."""

_MOST_UNHEARD = 5000
_LONGEST_LINE = 16 << 20


class NotAllowed(Exception):
    """The user's preferences forbid it; the message says what to change."""


class Child:
    """A running child. NotAllowed unless this Blender may go online; OSError if no process can be started."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        if not bpy.app.online_access:
            raise NotAllowed(OFFLINE)
        self.replies: queue.Queue[dict[str, Any]] = queue.Queue(_MOST_UNHEARD)
        """What it says, for the main thread to hear."""
        self._log: deque[str] = deque(maxlen=40)
        self._process = subprocess.Popen(
            command("desk"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            # A .env that lies wherever Blender was started is not meant for it.
            cwd=tempfile.gettempdir(),
            start_new_session=os.name == "posix",
            creationflags=_windows_flags(),
        )
        self._threads: list[threading.Thread] = []
        self._thread(self._hear, self._process.stdout)
        self._thread(self._note, self._process.stderr)
        self._ending = False
        self.tell(request)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether anything of it is left: the process, words of it that were not read yet, a thread of ours."""
        return any(thread.is_alive() for thread in self._threads) or self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def log_tail(self) -> str:
        """The end of what it wrote to standard error."""
        return "\n".join(self._log)

    def tell(self, request: Mapping[str, Any]) -> None:
        """Send one line, which must be short: a full pipe would hold up Blender. One to a dead child is dropped."""
        stream = self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()

    def end(self) -> None:
        """Ask it to end, and see to it that it does; returns at once."""
        if not self._ending:
            self._ending = True
            self._hang_up()
            self._thread(self._see_it_end, None)

    def wait(self) -> None:
        """End it, and return once it has ended with all its threads. What it still says is not heard."""
        self.end()
        for thread in self._threads:
            while thread.is_alive():
                # A reader may wait for room.
                with contextlib.suppress(queue.Empty):
                    while True:
                        self.replies.get_nowait()
                thread.join(0.05)

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _see_it_end(self, _: object) -> None:
        try:
            self._process.wait(_POLITE_SECONDS)
        except subprocess.TimeoutExpired:
            from ..worker.process_tree import ProcessTree

            ProcessTree(self._process).kill()

    def _thread(self, work: Any, stream: IO[bytes] | None) -> None:
        self._threads.append(threading.Thread(target=work, args=(stream,), name="renderbros-child", daemon=True))
        self._threads[-1].start()

    def _hear(self, stream: IO[bytes]) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(_LONGEST_LINE):
                reply = _reply(line)
                if reply is None:
                    self._log.append(line.decode(errors="replace").rstrip())
                else:
                    self.replies.put(reply)
        self._process.wait()

    def _note(self, stream: IO[bytes]) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            while line := stream.readline(1 << 16):
                self._log.append(line.decode(errors="replace").rstrip())


def command(*words: str) -> list[str]:
    """The command line that runs ``words`` beside this Blender: in its Python, or where that can't run, in itself."""
    if _is_module() or _is_python(sys.executable):
        return [sys.executable, str(START), *words]
    return [
        bpy.app.binary_path, "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(START),
        "--", *words,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """The environment in which the libraries of the extension are found, and renderers are this very Blender."""
    env = dict(os.environ) | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    if not _is_module():
        env["RENDERBROS_BLENDER"] = bpy.app.binary_path
        spec = importlib.util.find_spec("pydantic")
        if spec is not None and spec.origin:
            env["RENDERBROS_PACKAGES"] = str(Path(spec.origin).parents[1])
    return env


def _is_module() -> bool:
    """Whether this is Blender as a module of a Python, which has all it needs; Blenders before 4.4 don't tell."""
    return bool(getattr(bpy.app, "module", False)) or not bpy.app.binary_path


def _is_python(path: str) -> bool:
    return bool(path) and Path(path).name.lower().startswith("python")


def _reply(line: bytes) -> dict[str, Any] | None:
    """The reply in ``line``; None for one that Blender or a library printed."""
    if not line.startswith(b'{"type":'):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _windows_flags() -> int:
    if os.name != "nt":
        return 0
    return int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)) | int(getattr(subprocess, "CREATE_NO_WINDOW", 0))

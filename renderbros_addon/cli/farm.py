"""A farm on this machine: a dispatcher and workers as child processes."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil

from ..dispatcher.tokens import INVITE, new_secret
from ..protocol.on_disk import write_secret
from ..worker.identity import kept_secret
from .errors import CommandError
from .janitor import end_tree, remove
from .own_process import spawn, undisturbed
from .settings import PREFIX, Settings, rendering_environment

_NONE: Mapping[str, str] = {}

START_SECONDS = 60.0
STOP_SECONDS = 15.0


class LocalFarm:
    """A dispatcher and workers, as ``chosen`` says, that live as long as this context; see :meth:`ready`.

    ``folder`` keeps their data, and all settings hold. None makes a temporary folder that goes with the farm, whatever
    ends it; of the settings those about rendering hold, while the dispatcher is one of its own, on a free port, that
    has nothing to do with any other one that the settings may name. It logs into files, whose end is told when one of
    the processes fails, unless ``chosen.verbose``.
    """

    def __init__(self, chosen: Settings, folder: Path | None = None) -> None:
        self.url = ""
        self.workers = chosen.workers
        self.operator_token: str | None = None
        """Of a farm whose dispatcher starts for the first time; see :meth:`ready`."""
        self.sign_in: str | None = None
        """A page that signs in whoever opens it first."""
        self._settings = chosen
        self._kept = folder
        self._folder = folder or Path()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, IO[bytes]] = {}
        self._janitor: subprocess.Popen[bytes] | None = None
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __enter__(self) -> LocalFarm:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def path(self, name: str) -> Path:
        """A place in the farm's folder, for what shall go when the farm goes."""
        return self._folder / name

    def entrust(self, folder: Path) -> None:
        """Have ``folder`` removed with the farm, whatever ends it."""
        self._tell_janitor(str(folder))

    def check(self) -> None:
        """Raise CommandError if one of the farm's processes has ended."""
        for name, child in self._children.items():
            code = child.poll()
            if code is not None:
                raise CommandError(f"the farm's {name} ended with code {code}{self._last_words(name)}")

    def stop(self) -> None:
        """End all processes, workers first so that they can hand back what they hold, and remove what is temporary."""
        with undisturbed():
            workers = [child for name, child in self._children.items() if name != "dispatcher"]
            dispatchers = [child for name, child in self._children.items() if name == "dispatcher"]
            for group in (workers, dispatchers):
                _end(group)
            for log in self._logs.values():
                log.close()
            if self._kept is None and self._folder != Path():
                remove(self._folder)
            if self._janitor and self._janitor.stdin:
                with contextlib.suppress(OSError):
                    self._janitor.stdin.close()
                self._janitor.wait()
            self._children.clear()

    def _start(self) -> None:
        if self._kept is None:
            self._folder = Path(tempfile.mkdtemp(prefix="renderbros-"))
            self._janitor = spawn("janitor", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self._tell_janitor(str(self._folder))
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
        port = str(_free_port() if self._kept is None else self._settings.port)
        # Nobody looks at the pages of a farm that is gone in a minute.
        # Nobody but us has to do with it, either.
        pages = ["--no-dashboard", "--private"] if self._kept is None else ["--sign-in-link"]
        invites = [new_secret(INVITE) for _ in range(self.workers)]
        codes = self.path("invites")
        write_secret(codes, "\n".join(invites))
        dispatcher = self._spawn(
            "dispatcher", "dispatcher", "--data", self.path("dispatcher"), "--port", port, "--json", *pages,
            "--invites-file", codes,
        )  # fmt: skip
        self._listen(dispatcher)
        if self._kept is None:
            # The workers start beside the dispatcher: what they need until they look for it takes as long as it does.
            self.url = f"http://127.0.0.1:{port}"
        else:
            self.ready()
        threads = self._settings.threads or max(1, (os.cpu_count() or 1) // self.workers)
        chosen = self._settings.owner if self._kept else None
        owner = chosen or kept_secret(self.path("owner.secret"))
        for i, invite in enumerate(invites, 1):
            name = f"worker-{i}"
            options = ["--dispatcher", self.url, "--name", name, "--threads", str(threads)]
            secrets = {f"{PREFIX}OWNER": owner, f"{PREFIX}INVITE": invite}
            self._spawn(name, "worker", "--data", self.path("workers"), *options, secrets=secrets)

    def _spawn(self, name: str, *words: str | Path, secrets: Mapping[str, str] = _NONE) -> subprocess.Popen[bytes]:
        stdout = subprocess.PIPE if name == "dispatcher" else subprocess.DEVNULL
        stderr: IO[bytes] | None = None
        where: dict[str, Any] = {"env": rendering_environment(self._settings)}
        if self._kept is None:
            where["cwd"] = self._folder  # where no .env lies
            if not self._settings.verbose:
                stderr = self._logs[name] = self.path(f"{name}.log").open("ab")
        else:
            where["env"] = os.environ | where["env"]
        # Not as options: other users of the machine see command lines.
        where["env"] = where["env"] | secrets
        child = spawn(*words, "--stop-with-parent", stdout=stdout, stderr=stderr, **where)
        self._children[name] = child
        self._tell_janitor(str(child.pid))
        return child

    def _tell_janitor(self, line: str) -> None:
        if self._janitor and self._janitor.stdin:
            self._janitor.stdin.write(line.encode() + b"\n")
            self._janitor.stdin.flush()

    def ready(self) -> None:
        """Wait until the dispatcher answers at ``url``; CommandError if it does not come up."""
        try:
            told = json.loads(self._said.get(timeout=START_SECONDS))
            self.url = str(told["url"])
            self.operator_token, self.sign_in = told.get("operator_token"), told.get("sign_in")
            self.path("invites").unlink(missing_ok=True)  # It has read them.
        except queue.Empty:
            raise CommandError(f"the dispatcher did not start in {START_SECONDS:.0f} s") from None
        except (ValueError, KeyError, TypeError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._children["dispatcher"].wait(STOP_SECONDS)
            raise CommandError(f"the dispatcher did not start{self._last_words('dispatcher')}") from None

    def _listen(self, dispatcher: subprocess.Popen[bytes]) -> None:
        """Take the dispatcher's first line, which tells its address."""

        def listen() -> None:
            if dispatcher.stdout:
                self._said.put(dispatcher.stdout.readline())

        threading.Thread(target=listen, daemon=True).start()

    def _last_words(self, name: str) -> str:
        if name not in self._logs:
            return ""
        tail = self.path(f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
        return ":\n" + "\n".join(tail) if tail else ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    """Have ``children`` end by themselves, and kill those that don't."""
    for child in children:
        if child.stdin:
            with contextlib.suppress(OSError):
                child.stdin.close()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess):
                end_tree(psutil.Process(child.pid))
            child.wait()
        if child.stdout:
            child.stdout.close()

"""A real dispatcher on a real socket, and what the tests of the agent do with it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.config import DispatcherConfig
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.jobs import JobView, LogEntry
from renderbros_addon.worker.command import checker_command
from renderbros_addon.worker.config import WorkerConfig

WIDTH, HEIGHT = 48, 32
OPERATOR = f"rbo_{'fedcba9876543210' * 4}"
"""The token of the dispatcher's operator."""

LONG = 200_000
"""Samples that take minutes: for tasks that are to be disturbed."""


def until(what: str, true: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"in {seconds:g} s never came true: {what}"
        time.sleep(0.05)


class Dispatcher:
    """A dispatcher in a thread, that can go away and come back on the same port with the same data."""

    def __init__(self, data: Path, **more: Any) -> None:
        usual: dict[str, Any] = {"checker_command": checker_command(), "operator_token": OPERATOR, "port": 0}
        self._config = DispatcherConfig(**usual, data=data, **more)
        self.url = ""

    def start(self) -> None:
        from renderbros_addon.dispatcher.server import serve

        up = threading.Event()

        def on_ready(url: str) -> None:
            self.url = url
            up.set()

        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=serve, args=(self._config,), kwargs={"on_ready": on_ready, "stop": self._stop}
        )
        self._thread.start()
        assert up.wait(30)
        self._config = replace(self._config, port=int(self.url.rsplit(":", 1)[1]))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    @property
    def client(self) -> DispatcherClient:
        """Of the operator."""
        return DispatcherClient(self.url, OPERATOR)

    def invite(self) -> str:
        """The code of an invite for a worker."""
        with self.client as operator:
            return operator.invite(Role.WORKER).code

    def events(self, job: JobView, *names: str) -> list[LogEntry]:
        return [entry for entry in self.client.log(job.id).entries if not names or entry.event in names]


Submit = Callable[..., JobView]


@dataclass
class RunningAgent:
    config: WorkerConfig
    stop: threading.Event
    thread: threading.Thread
    code: list[int]

    def end(self) -> int:
        """Stop it; its exit code."""
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.code[0]


Work = Callable[..., RunningAgent]


def speaking_child(fault: str) -> list[str]:
    """The command of a child that speaks the renderer's protocol and has ``fault``."""
    return [sys.executable, str(Path(__file__).with_name("speaking_child.py")), fault]

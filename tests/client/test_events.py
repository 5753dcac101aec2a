from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from faults import FaultyProxy, free_port
from serving import serving

from renderbros_addon.client import events, retry
from renderbros_addon.client.events import EventStream
from renderbros_addon.protocol.events import CancelLease, StateChange, TaskProgress, WorkAvailable
from renderbros_addon.protocol.jobs import LogEntry
from renderbros_addon.protocol.leases import Progress

WORK = WorkAvailable()
CANCEL = CancelLease(lease_id="lease-1")
CHANGE = StateChange(entry=LogEntry(id=1, at=datetime.now(UTC), event="job.queued", job_id="j"))


def progress(lease: str, sample: int) -> TaskProgress:
    return TaskProgress(lease_id=lease, progress=Progress(sample=sample, samples=1000))


class Speaker:
    """A WebSocket endpoint that says what is put into ``say`` and keeps what it hears."""

    def __init__(self) -> None:
        self.say: queue.Queue[str] = queue.Queue()
        self.heard: queue.Queue[TaskProgress] = queue.Queue()
        self.callers: list[tuple[str | None, str]] = []
        self.refuse = False
        self.app = FastAPI()
        self.app.add_api_websocket_route("/api/v1/events", self._talk)

    async def _talk(self, line: WebSocket) -> None:
        self.callers.append((line.headers.get("Authorization"), line.url.query))
        if self.refuse:
            await line.close()
            return
        await line.accept()

        async def hear() -> None:
            while True:
                self.heard.put(TaskProgress.model_validate_json(await line.receive_text()))

        ear = asyncio.create_task(hear())
        try:
            while not ear.done():
                while not self.say.empty():
                    await line.send_text(self.say.get())
                await asyncio.sleep(0.01)
            ear.result()
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            ear.cancel()


class Listener:
    """A stream in a test's hands; stopped at the end."""

    def __init__(self, url: str, token: str | None = "secret", **extra) -> None:  # noqa: S107
        self.events: queue.Queue = queue.Queue()
        self.connects = 0
        self.stop = threading.Event()
        self.stream = EventStream(url, token, self._take, self.stop, on_connect=self._connected, **extra)
        self.stream.start()

    def _take(self, event) -> None:
        self.events.put(event)
        if event == CANCEL:
            raise ValueError("a listener's own fault")

    def _connected(self) -> None:
        self.connects += 1

    def next(self):
        return self.events.get(timeout=10)

    def until_connected(self, times: int) -> None:
        deadline = time.monotonic() + 10
        while self.connects < times or not self.stream.connected:
            assert time.monotonic() < deadline, f"connected {self.connects} times, not {times}"
            time.sleep(0.01)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        began = time.monotonic()
        self.stream.join(10)
        assert time.monotonic() - began < 4, "it ends soon after it is told to"
        assert not any(t.is_alive() and t.name.startswith("events-") for t in threading.enumerate())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
def proxy(speaker: Speaker, mount: Callable[[FastAPI], int]) -> Iterator[FaultyProxy]:
    with FaultyProxy(("127.0.0.1", mount(speaker.app))) as proxy:
        yield proxy


def test_a_worker_hears_and_tells(speaker: Speaker, proxy: FaultyProxy) -> None:
    with Listener(proxy.url) as listener:
        listener.until_connected(1)
        assert speaker.callers == [("Bearer secret", "")]
        speaker.say.put(WORK.model_dump_json())
        assert listener.next() == WORK
        listener.stream.send(progress("lease-1", 5))
        assert speaker.heard.get(timeout=10) == progress("lease-1", 5)


def test_a_viewer_says_what_it_wants_to_see(speaker: Speaker, proxy: FaultyProxy) -> None:
    with Listener(proxy.url, None, job="job-7") as listener:
        speaker.say.put(CHANGE.model_dump_json())
        assert listener.next() == CHANGE
    assert speaker.callers == [(None, "role=viewer&job=job-7")]


def test_nothing_that_is_said_breaks_it(speaker: Speaker, proxy: FaultyProxy) -> None:
    with Listener(proxy.url) as listener:
        for text in ("not json", '{"type": "of the future"}', "[]", CANCEL.model_dump_json(), WORK.model_dump_json()):
            speaker.say.put(text)
        assert listener.next() == CANCEL, "the listener raises at this one"
        assert listener.next() == WORK
        assert listener.connects == 1


def test_it_comes_back_after_a_cut(speaker: Speaker, proxy: FaultyProxy) -> None:
    with Listener(proxy.url) as listener:
        for times in range(1, 4):
            listener.until_connected(times)
            speaker.say.put(WORK.model_dump_json())
            assert listener.next() == WORK
            proxy.cut_all()
        listener.until_connected(4)


def test_it_comes_back_after_a_restart_of_the_dispatcher(speaker: Speaker) -> None:
    port = free_port()
    with Listener(f"http://127.0.0.1:{port}") as listener:
        time.sleep(0.2)
        assert not listener.stream.connected
        listener.stream.send(progress("lease-1", 1))  # no harm, no effect
        for times in (1, 2):
            with serving(speaker.app, port):
                listener.until_connected(times)
                speaker.say.put(WORK.model_dump_json())
                assert listener.next() == WORK
        assert speaker.heard.empty()


def test_a_dead_line_is_noticed(speaker: Speaker, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.3)
    monkeypatch.setattr(events, "OPEN_TIMEOUT", 1.0)
    with Listener(proxy.url) as listener:
        listener.until_connected(1)
        proxy.stall()
        deadline = time.monotonic() + 10
        while listener.stream.connected:
            assert time.monotonic() < deadline, "it believes in a line that is dead"
            time.sleep(0.02)
        proxy.resume()
        listener.until_connected(2)


def test_telling_never_blocks_and_the_latest_wins(speaker: Speaker, proxy: FaultyProxy) -> None:
    with Listener(proxy.url) as listener:
        listener.until_connected(1)
        proxy.stall()
        began = time.monotonic()
        for sample in range(1, 100_001):
            listener.stream.send(progress("lease-1", sample % 1000))
        listener.stream.send(progress("lease-1", 1000))
        assert time.monotonic() - began < 10
        proxy.resume()
        heard = [speaker.heard.get(timeout=10)]
        while heard[-1] != progress("lease-1", 1000):
            heard.append(speaker.heard.get(timeout=10))


def test_who_is_turned_away_asks_again(speaker: Speaker, proxy: FaultyProxy) -> None:
    speaker.refuse = True
    with Listener(proxy.url) as listener:
        deadline = time.monotonic() + 10
        while len(speaker.callers) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        speaker.refuse = False
        listener.until_connected(1)

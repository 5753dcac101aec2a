"""Run as a program, in a namespace of mounts of its own: a dispatcher whose disk is full while a frame is finished.

    full_disk.py FOLDER

Prints, as JSON, what it came to. The disk is a small tmpfs, and what fills it is a file.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from dispatcher.pictures import job_spec, render, whole_picture, write_png
from dispatcher.running import OPERATOR, Worker, config, submit, until

from renderbros_addon.client.errors import DispatcherError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.blobs import RESERVE
from renderbros_addon.dispatcher.server import serve
from renderbros_addon.dispatcher.service import Dispatcher
from renderbros_addon.imaging.fingerprint import inspect_image

SIZE = (1024, 512)
"""Of the frame, in pixels: its floats take 8 MiB."""

DISK = RESERVE + (96 << 20)


class Ballast:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "ballast"

    def fill(self, left: int) -> None:
        """Leave ``left`` bytes of the disk free."""
        with self._path.open("ab") as file:
            while (free := shutil.disk_usage(self._path.parent).free) > left:
                file.write(bytes(min(1 << 20, free - left)))
                file.flush()

    def remove(self) -> None:
        self._path.unlink()


class Heard(logging.Handler):
    """What the dispatcher's log said of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.exc_info[1] if record.exc_info else ''}")


def main() -> None:
    folder = Path(sys.argv[1])
    data = folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(data)], check=True)
    heard = Heard()
    logging.getLogger("renderbros.dispatcher").addHandler(heard)
    ready, stop = threading.Event(), threading.Event()
    urls: list[str] = []
    services: list[Dispatcher] = []
    told = {
        "on_ready": lambda url: (urls.append(url), ready.set()),
        "stop": stop,
        "extend": lambda _, dispatcher: services.append(dispatcher),
    }
    thread = threading.Thread(target=serve, args=(config(data),), kwargs=told)
    thread.start()
    try:
        assert ready.wait(30)
        print(json.dumps(finish_on_a_full_disk(urls[0], folder, services[0], heard)))
    finally:
        stop.set()
        thread.join(15)


def finish_on_a_full_disk(url: str, folder: Path, service: Dispatcher, heard: Heard) -> dict[str, object]:
    data = folder / "data"
    ballast = Ballast(data)
    worker = Worker(url, folder, retry_for=0.5)
    with DispatcherClient(url, OPERATOR) as operator:
        job = submit(operator, job_spec(tiles=(2, 1), scene={"width": SIZE[0], "height": SIZE[1]}), folder)
        first, last = worker.lease(2) or worker.lease(1)
        worker.deliver(first)
        path, result = render(last.task, worker.folder, size=SIZE)
        worker.client.upload(path, result.output.sha256, result.output.size)
        ballast.fill(2 << 20)
        worker.client.result(last.id, result)
        until("there is no room to put the frame together", lambda: any("rame" in text for text in heard.texts), 20)
        assembling = str(operator.job(job).status)
        ballast.remove()
        service.intake.recover()  # as the sweeper does by the clock
        [finish] = until("the frame is put together", lambda: worker.lease(1), 20)
        ballast.fill(RESERVE // 2)
        try:
            worker.deliver(finish)
            refused = 0
        except DispatcherError as error:
            refused = error.problem.status
        finishing = str(operator.job(job).status)
        ballast.remove()
        worker.deliver(finish)
        until("it is done", lambda: operator.job(job).status.ended, 20)
        [frame] = operator.frames(job).frames
        until("what led to it is gone", lambda: len([one for one in (data / "blobs").rglob("*") if one.is_file()]) == 2)
        return {
            "status": str(operator.job(job).status),
            "while full": [assembling, finishing],
            "refused": refused,
            "found": frame.files[0].output.pixel_digest,
            "expected": inspect_image(write_png(folder / "whole.png", whole_picture(1, SIZE))).pixel_digest,
            "left": [one.name for one in (*(data / "scratch").iterdir(), *(data / "spool").iterdir())],
            "log": heard.texts,
        }


if __name__ == "__main__":
    main()

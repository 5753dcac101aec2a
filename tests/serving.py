"""A real server for an ASGI app, on a real socket, in a thread of the test's own process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI


@contextmanager
def serving(app: Any, port: int = 0, *, cert: Path | None = None, key: Path | None = None) -> Iterator[int]:
    """Serve ``app`` on 127.0.0.1 and give the port; it is down again on leaving."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=port,
            log_level="error",
            timeout_graceful_shutdown=1,
            ssl_certfile=str(cert) if cert else None,
            ssl_keyfile=str(key) if key else None,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server did not start in time"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"


class Switch:
    """An ASGI app that hands on to whatever app is ``current``: one server for many tests."""

    def __init__(self) -> None:
        self.current: Any = FastAPI()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.current(scope, receive, send)

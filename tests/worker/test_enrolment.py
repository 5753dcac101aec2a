"""What a worker says of itself on the wire when it enrols."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from renderbros_addon.worker.agent import Agent
from renderbros_addon.worker.config import WorkerConfig

OWNER = "correct horse battery staple"


@pytest.fixture
def turned_away() -> Iterator[HTTPServer]:
    """A dispatcher that wants nobody, and keeps what it was told in ``bodies``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            problem = json.dumps({"type": "about:blank", "title": "no", "status": 403, "detail": "not here"}).encode()
            self.send_response(403)
            self.send_header("Content-Type", "application/problem+json")
            self.send_header("Content-Length", str(len(problem)))
            self.end_headers()
            self.wfile.write(problem)

        def log_message(self, *_: object) -> None:
            pass

    bodies: list[dict[str, object]] = []
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.bodies = bodies  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_tells_the_secret_of_its_owner_and_logs_none(
    turned_away: HTTPServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{turned_away.server_port}"
    config = WorkerConfig(url, tmp_path / "data", name="one", threads=1, owner=OWNER)
    assert Agent(config).run(threading.Event()) == 1
    assert [body["owner"] for body in turned_away.bodies] == [OWNER]  # type: ignore[attr-defined]
    assert "not here" in caplog.text
    assert OWNER not in caplog.text + repr(config)

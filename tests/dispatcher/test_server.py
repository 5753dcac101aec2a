"""How a dispatcher starts, refuses to start, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from dispatcher.pictures import job_spec
from dispatcher.running import OPERATOR, Worker, config, running, submit, until
from websockets.sync.client import connect

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.errors import ConfigurationError
from renderbros_addon.dispatcher.server import serve
from renderbros_addon.protocol.states import JobStatus

ROOT = Path(__file__).resolve().parents[2]
AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}


def refused(data: Path, **changes: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        serve(config(data, **changes), on_ready=lambda url: pytest.fail("it started"))
    return str(error.value)


def test_only_this_machine_unless_told_otherwise(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "example.com"):  # noqa: S104
        message = refused(tmp_path / "data", host=host)
        assert "--insecure" in message
        assert "--tls-cert" in message
    assert not (tmp_path / "data").exists(), "refused before anything was made"


def test_insecure_in_so_many_words(tmp_path: Path) -> None:
    with running(tmp_path / "data", host="0.0.0.0", insecure=True) as url:  # noqa: S104
        port = url.rsplit(":", 1)[1]
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).ok


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tls_cert": Path("missing.pem")}, "both a certificate and a key"),
        ({"tls_cert": Path("missing.pem"), "tls_key": Path("missing.key")}, "no file missing.pem"),
        ({"port": 70000}, "between 0 and 65535"),
        ({"database": "mysql://user@host/name"}, "SQLite file or PostgreSQL"),
        ({"database": "nonsense"}, "Not the URL of a database"),
        ({"database": "postgresql://nobody:hush@127.0.0.1:1/none"}, "can't be used"),
        ({"storage": "nonsense://bucket"}, "blob store"),
        ({"host": "no.such.host.invalid", "insecure": True}, "no address"),
    ],
)
def test_what_can_not_work_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    message = refused(tmp_path / "data", **changes)
    assert words in message
    assert "hush" not in message
    with running(tmp_path / "data"):
        pass  # nothing is left locked


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert "--port" in refused(tmp_path / "data", port=other.getsockname()[1])


def test_one_dispatcher_a_folder(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        message = refused(tmp_path / "data")
        assert "in use by another dispatcher" in message
        assert str(os.getpid()) in message
    with running(tmp_path / "data"):
        pass


def test_it_stops_soon_although_clients_wait_and_listen(tmp_path: Path) -> None:
    answers: list[int] = []
    threads = []
    with ExitStack() as stack, running(tmp_path / "data") as url:
        worker = Worker(url, tmp_path)
        stack.enter_context(
            connect(f"{url.replace('http', 'ws')}/api/v1/events", additional_headers=AS_OPERATOR, proxy=None)
        )
        headers = {"Authorization": f"Bearer {worker.enrolled.token}"}

        def ask() -> None:
            request = f"{url}/api/v1/leases?wait=30"
            answers.append(requests.post(request, json={"count": 1}, headers=headers, timeout=40).status_code)

        for _ in range(3):
            threads.append(threading.Thread(target=ask))
            threads[-1].start()
        time.sleep(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    for thread in threads:
        thread.join(5)
    assert answers == [200] * 3, "an empty batch, not an error"


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import sys; from pathlib import Path; from dispatcher.running import config; "
        "from renderbros_addon.dispatcher.server import serve; "
        "serve(config(Path(sys.argv[1])), on_ready=lambda url: print(url, flush=True))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with connect(f"{url.replace('http', 'ws')}/api/v1/events", additional_headers=AS_OPERATOR, proxy=None):
        process.send_signal(number)
        process.wait(6)
    process.stdout.close()
    assert not (tmp_path / "data" / "dispatcher.holder.json").exists(), "it said good-bye to its folder"


def test_a_restart_in_the_middle_of_a_job_loses_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        job_id = submit(client, job_spec(frames=tuple(range(8))), tmp_path)
        for lease in worker.lease(2):
            worker.deliver(lease)
        held = worker.lease(2)
        assert len(held) == 2
    with running(data) as url, DispatcherClient(url, OPERATOR) as client:
        worker.client.close()
        worker.client = DispatcherClient(url, worker.enrolled.token)
        assert not worker.client.renew(held[0].id).cancel, "the lease lives on"
        for lease in held:
            assert worker.deliver(lease).wanted
        [left] = worker.lease()
        again = Worker(url, tmp_path)
        assert again.enrolled == worker.enrolled
        assert again.client.renew(left.id).cancel, "one that has just begun holds nothing"
        assert again.work(job_id).status is JobStatus.COMPLETED


def test_leases_expire_by_the_clock(tmp_path: Path) -> None:
    with running(tmp_path / "data", lease_seconds=0.5) as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        job_id = submit(client, job_spec(), tmp_path)
        [lease] = worker.lease()
        until("it is taken back", lambda: not client.job(job_id).running, 10)
        assert worker.client.renew(lease.id).cancel
        assert worker.lease(wait=5)


def test_silent_workers_are_offline_until_seen_again(tmp_path: Path) -> None:
    with running(tmp_path / "data", offline_seconds=1.0) as url, DispatcherClient(url, OPERATOR) as client:
        worker = Worker(url, tmp_path)
        worker.lease()
        [view] = client.workers()
        assert view.status == "online"
        until("it is offline", lambda: client.workers()[0].status == "offline", 10)
        time.sleep(0.3)  # it is noted four times in that while at most
        worker.lease()
        assert client.workers()[0].status == "online"


def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with running(tmp_path / "data", tls_cert=cert, tls_key=key) as url:
        assert url.startswith("https://")
        assert requests.get(f"{url}/healthz", verify=str(cert), timeout=10).ok


def test_the_holder_of_a_folder_is_told_even_if_its_note_is_broken(tmp_path: Path) -> None:
    with running(tmp_path / "data"):
        (tmp_path / "data" / "dispatcher.holder.json").write_text(json.dumps([]))
        assert "in use by another dispatcher." in refused(tmp_path / "data")

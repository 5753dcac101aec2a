"""What workers send: nobody learns of what others have sent, and what comes to nothing goes."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from dispatcher.bench import Bench
from dispatcher.pictures import claimed, job_spec
from dispatcher.running import OPERATOR, Worker, running, submit, until

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher import litter, results, sent_blobs, spare
from renderbros_addon.dispatcher.blobs import BlobStore

THEIRS = b"what another worker has rendered" * 100
DIGEST = hashlib.sha256(THEIRS).hexdigest()
UNKNOWN = hashlib.sha256(b"what nobody has").hexdigest()


class Sender:
    """A worker's requests as they go over the line, with what its client would make of them left out."""

    def __init__(self, url: str, folder: Path, name: str) -> None:
        self.worker = Worker(url, folder, name, owner=f"the owner of {name}, a secret")
        self._url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.worker.enrolled.token}"

    def ask(self, method: str, sha256: str, **more: Any) -> requests.Response:
        return self.session.request(method, f"{self._url}/api/v1/blobs/{sha256}", timeout=10, **more)

    def put(self, data: bytes, first: int = 0, total: int | None = None) -> requests.Response:
        total = len(data) if total is None else total
        headers = {"Content-Range": f"bytes {first}-{first + len(data) - 1}/{total}"}
        return self.ask("PUT", DIGEST, data=data, headers=headers)

    def name(self, lease_id: str, sha256: str) -> requests.Response:
        told = claimed(sha256=sha256, size=len(THEIRS)).model_dump(mode="json")
        return self.session.post(f"{self._url}/api/v1/leases/{lease_id}/result", json=told, timeout=10)


def seen(response: requests.Response) -> tuple[int, Any, str]:
    """All of an answer that could tell two of them apart."""
    # The digest of the text, in which their own digests stand.
    headers = {name.lower(): value for name, value in response.headers.items()}
    for name in ("date", "content-digest"):
        headers.pop(name, None)
    return response.status_code, headers, response.text.replace(DIGEST, "DIGEST").replace(UNKNOWN, "DIGEST")


def test_what_others_have_sent_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as operator:
        first, second = (Sender(url, tmp_path, name) for name in ("first", "second"))
        job = submit(operator, job_spec(frames=(1, 2)), tmp_path)
        [theirs], [mine] = first.worker.lease(), second.worker.lease()
        until("it is known that they have leases", lambda: len(operator.job(job).running) == 2)
        assert first.put(THEIRS).status_code == 201
        assert first.ask("HEAD", DIGEST).status_code == 200
        for method in ("HEAD", "GET"):
            assert seen(second.ask(method, DIGEST)) == seen(second.ask(method, UNKNOWN))
        assert seen(second.name(mine.id, DIGEST)) == seen(second.name(mine.id, UNKNOWN))
        assert second.name(mine.id, DIGEST).json()["type"].endswith("missing_blob")
        # Its upload takes all the bytes, as the first one did.
        half = len(THEIRS) // 2
        part = second.put(THEIRS[:half], total=len(THEIRS))
        assert (part.status_code, part.headers["Upload-Offset"]) == (202, str(half))
        assert second.put(b"x" * half, half, len(THEIRS)).status_code == 422, "bytes that are guessed are no proof"
        assert second.name(mine.id, DIGEST).status_code == 409
        assert second.put(THEIRS).status_code == 201
        assert second.ask("HEAD", DIGEST).status_code == 200
    # What has been sent counts for whichever dispatcher is on the database.
    with running(tmp_path / "data", port=int(url.rsplit(":", 1)[1])):
        assert second.name(mine.id, DIGEST).status_code == 200
        assert second.name(mine.id, DIGEST).status_code == 200, "the same again gets the same answer"
        assert first.name(theirs.id, DIGEST).status_code == 200, "nor is it gone because another one's was no picture"


def test_what_comes_to_nothing_is_bounded_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litter, "UNCLAIMED_AFTER", 0.3)
    monkeypatch.setattr(litter, "LOOK_FOR_UNCLAIMED_EVERY", 0.1)
    blobs, spool = tmp_path / "data" / "blobs", tmp_path / "data" / "spool"
    with (
        running(tmp_path / "data", max_unclaimed_bytes=2 * len(THEIRS)) as url,
        DispatcherClient(url, OPERATOR) as operator,
    ):
        sender = Sender(url, tmp_path, "greedy")
        submit(operator, job_spec(), tmp_path)
        [lease] = sender.worker.lease()
        assert sender.put(THEIRS).status_code == 201
        other = hashlib.sha256(b"y" * len(THEIRS)).hexdigest()
        begun = {"Content-Range": f"bytes 0-9/{len(THEIRS)}"}
        assert sender.ask("PUT", other, data=b"y" * 10, headers=begun).status_code == 202
        refused = sender.ask("PUT", UNKNOWN, data=b"z" * len(THEIRS))
        assert (refused.status_code, refused.json()["type"]) == (429, "/problems/over_quota")
        time.sleep(1.0)
        assert sender.ask("HEAD", DIGEST).status_code == 200, "its lease may come to it yet"
        assert len(list(spool.glob("*.part"))) == 1
        sender.worker.client.release(lease.id)
        until("only the scene is left", lambda: len([one for one in blobs.rglob("*") if one.is_file()]) == 1, 10)
        until("nothing is half there", lambda: not list(spool.glob("*.part")), 10)
        assert sender.ask("HEAD", DIGEST).status_code == 404
        assert sender.put(THEIRS).status_code == 201, "late results are welcome"


def test_a_file_that_is_named_while_it_is_deleted_is_there(bench: Bench, tmp_path: Path) -> None:
    """One worker's file is turned down and deleted, and in that moment another one sends the same and names it."""
    blobs = BlobStore(str(tmp_path / "blobs"), tmp_path / "spool", 1 << 20)
    worker = bench.worker()
    bench.job(frames=(1, 2))
    [lease] = bench.lease(worker)
    blobs.append(DIGEST, 0, len(THEIRS), [THEIRS])
    deleting = threading.Event()

    def delete(sha256: str) -> None:
        deleting.set()
        time.sleep(0.3)
        blobs.delete(sha256)

    thread = threading.Thread(target=spare.delete_all, args=(bench.store, [DIGEST], delete))
    thread.start()
    assert deleting.wait(10)
    with blobs.begin(DIGEST, 0, len(THEIRS), worker) as upload:
        upload.write(THEIRS)
        upload.finish(lambda: bench.change(lambda tx: sent_blobs.note(tx, worker, DIGEST, len(THEIRS))))
    assert spare.delete_all(bench.store, [DIGEST], blobs.delete) == 0, "it was sent, and may be named"
    told = claimed(sha256=DIGEST, size=len(THEIRS))
    assert not bench.change(lambda tx: sent_blobs.claim(tx, worker, [DIGEST]))
    bench.change(lambda tx: results.receive(tx, lease.id, worker, told))
    thread.join(10)
    assert spare.delete_all(bench.store, [DIGEST], blobs.delete) == 0, "it is named"
    assert blobs.size(DIGEST) == len(THEIRS)
    assert bench.change(lambda tx: sent_blobs.claim(tx, worker, [DIGEST])) == {DIGEST}

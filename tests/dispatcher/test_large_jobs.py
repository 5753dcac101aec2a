"""Jobs of very many files: to make one takes no statement for each file, and nobody makes many at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from dispatcher.pictures import job_spec
from dispatcher.running import OPERATOR, running
from sqlalchemy import event
from sqlalchemy.engine import Engine

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.jobs import MAX_FILES
from renderbros_addon.protocol.states import JobStatus


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("large") / "data") as url:
        yield url


def account(url: str, name: str) -> str:
    with DispatcherClient(url, OPERATOR) as operator, DispatcherClient(url) as anyone:
        return anyone.redeem(operator.invite(Role.SUBMITTER).code, name).token


def large() -> str:
    files = [{"path": f"{number}.blend", "sha256": f"{number:064x}", "size": 1} for number in range(MAX_FILES)]
    return job_spec(scene={"files": files, "blend": "0.blend"}).model_dump_json()


def made(url: str, token: str, spec: str) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return requests.post(f"{url}/api/v1/jobs", data=spec, headers=headers, timeout=60).status_code


def test_few_statements_for_many_files(url: str) -> None:
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    token = account(url, "of many files")
    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert made(url, token, large()) == 201
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert statements < 500


def test_so_many_at_once(url: str) -> None:
    token, spec = account(url, "in a hurry"), large()
    with ThreadPoolExecutor(6) as threads:
        got = Counter(threads.map(lambda _: made(url, token, spec), range(6)))
    assert set(got) == {201, 429}


def test_blobs_that_were_there_before_their_job(url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    files = []
    with DispatcherClient(url, OPERATOR) as operator:
        for number in range(3):
            path = folder / f"{number}.blend"
            path.write_bytes(b"file %d" % number)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            operator.upload(path, sha256, path.stat().st_size)
            files.append({"path": path.name, "sha256": sha256, "size": path.stat().st_size})
        whole = operator.create_job(job_spec(scene={"files": files, "blend": "0.blend"}))
        assert operator.job(whole.id).status is JobStatus.QUEUED
        other = [*files, {"path": "3.blend", "sha256": "0" * 64, "size": 1}]
        part = operator.create_job(job_spec(scene={"files": other, "blend": "0.blend"}))
        assert operator.job(part.id).missing_blobs == ("0" * 64,)

"""Bodies that would take long to read, or to find all faults of: who sends one holds up nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import requests
from dispatcher.pictures import enrolment
from dispatcher.running import OPERATOR, enrolled, running

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("bodies") / "data") as url:
        yield url


def sent(url: str, path: str, token: str | None, body: str) -> tuple[int, float]:
    """What it is answered, and the longest that somebody else waits meanwhile, in seconds."""
    longest = 0.0
    over = threading.Event()

    def ask() -> None:
        nonlocal longest
        while not over.is_set():
            began = time.perf_counter()
            requests.get(f"{url}/healthz", timeout=60)
            longest = max(longest, time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        headers = JSON if token is None else {**JSON, "Authorization": f"Bearer {token}"}
        answer = requests.post(f"{url}/api/v1{path}", data=body.encode(), headers=headers, timeout=60)
    finally:
        over.set()
        asking.join()
    return answer.status_code, longest


def array(of: str, number: int) -> str:
    return f"[{','.join([of] * number)}]"


FIELDS = ",".join(f'"{number}":0' for number in range(200_000))


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/workers", f'{{"a":{array("[]", 1_000_000)}}}', 413),
        ("/tokens", f'{{"a":{array("[]", 1_000_000)}}}', 413),
        ("/jobs", f'{{"a":{array("[]", 1_000_000)}}}', 401),
        ("/workers", f'{{"a":{array("[]", 10_000)}}}', 413),
        ("/workers", f"{{{FIELDS[:10_000]}0}}", 422),
    ],
)
def test_of_a_stranger(url: str, path: str, body: str, status: int) -> None:
    assert sent(url, path, "rbs_" + "0" * 64, body)[0] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"results":{array("0", 240_000)}}}', 422),
        (f'{{"results":[{{"files":{array("{}", 240_000)}}}]}}', 422),
        (f"{{{FIELDS}}}", 422),
        (f'{{"results":{array("0", 300_000)}}}', 413),
    ],
    ids=["results", "files", "fields", "values"],
)
def test_of_a_worker(url: str, body: str, status: int) -> None:
    worker = enrolled(url, enrolment(f"costly {len(body)}", f"an owner of {len(body)} bytes"))
    got, longest = sent(url, "/leases/results", worker.token, body)
    assert got == status
    assert longest < 1.0


def test_of_a_submitter(url: str) -> None:
    got, longest = sent(url, "/jobs", OPERATOR, f'{{"frames":{array(chr(34) + "a" + chr(34), 240_000)}}}')
    assert got == 422
    assert longest < 1.0


def test_who_sends_many_is_held_off(url: str) -> None:
    worker = enrolled(url, enrolment("many", "an owner of many"))
    body = f'{{"results":{array("0", 249_000)}}}'
    assert {sent(url, "/leases/results", worker.token, body)[0] for _ in range(25)} == {422, 429}

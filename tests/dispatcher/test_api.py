"""The API over real sockets: answers, errors, idempotency, waiting, events."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from dispatcher.pictures import BLEND, BLEND_SHA, FULL, claimed, enrolment, job_spec, render, result_of
from dispatcher.running import OPERATOR, Worker, enrolled, running, submit, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from renderbros_addon.client.errors import Conflict, DispatcherError
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.protocol.events import TaskProgress, event_adapter
from renderbros_addon.protocol.handing_in import HandedIn, InlineFile, ResultBatch
from renderbros_addon.protocol.leases import Acceptance, LeaseRequest, Progress
from renderbros_addon.protocol.problems import CONTENT_TYPE
from renderbros_addon.protocol.results import ExtraFile, Failure
from renderbros_addon.protocol.states import FailureCode, FailureKind, JobStatus

Json = dict[str, Any]


class _Impatient(requests.Session):
    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        return super().request(*arguments, **{"timeout": 30} | named)


http = _Impatient()
http.headers["Authorization"] = f"Bearer {OPERATOR}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("api") / "data", max_tasks=1000, max_json_bytes=1 << 20) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[DispatcherClient]:
    """Leaves no open job behind for the next test's workers."""
    with DispatcherClient(url, OPERATOR, retry_for=5) as client:
        yield client
        for job in client.jobs():
            if not job.status.ended:
                with contextlib.suppress(Conflict):  # it has ended since
                    client.cancel_job(job.id)


@pytest.fixture
def api(url: str) -> str:
    return f"{url}/api/v1"


def problem(response: requests.Response, status: int, word: str) -> Json:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == CONTENT_TYPE
    body: Json = response.json()
    assert body["type"] == f"/problems/{word}"
    assert body["status"] == status
    return body


# Errors


def test_every_error_is_a_problem_document(api: str, url: str) -> None:
    problem(http.get(f"{api}/jobs/none"), 404, "unknown_job")
    problem(http.get(f"{api}/jobs/none/frames"), 404, "unknown_job")
    problem(http.get(f"{api}/jobs/none/log"), 404, "unknown_job")
    problem(http.post(f"{api}/jobs/none/cancel"), 404, "unknown_job")
    problem(http.post(f"{api}/workers/none/ban"), 404, "unknown_worker")
    problem(http.get(f"{api}/workers/none"), 404, "unknown_worker")
    problem(http.get(f"{url}/nothing"), 404, "not_found")
    problem(http.delete(f"{api}/jobs"), 405, "method_not_allowed")
    problem(http.get(f"{api}/jobs/NOT-AN-ID!"), 422, "bad_request")
    problem(http.post(f"{api}/jobs", data="{", headers={"Content-Type": "application/json"}), 422, "bad_request")


def test_a_refused_request_never_echoes_a_secret(api: str) -> None:
    body = enrolment("bad").model_dump(mode="json") | {"name": "", "extra": 1}
    answer = problem(http.post(f"{api}/workers", json=body), 422, "bad_request")
    assert body["secret"] not in json.dumps(answer)
    assert [error["where"] for error in answer["errors"]] == ["body.name", "body.extra"]
    body = enrolment("short").model_dump(mode="json") | {"secret": "hush"}
    assert "hush" not in http.post(f"{api}/workers", json=body).text


def test_bodies_have_a_limit_with_and_without_a_length(api: str) -> None:
    problem(http.post(f"{api}/jobs", data=b" " * (2 << 20)), 413, "too_large")
    chunks = (b" " * 65536 for _ in range(32))
    problem(http.post(f"{api}/jobs", data=chunks), 413, "too_large")


def test_a_job_has_a_limit_of_tasks(api: str) -> None:
    spec = job_spec(frames=tuple(range(300)), tiles=(2, 2))
    answer = problem(http.post(f"{api}/jobs", json=spec.model_dump(mode="json")), 422, "too_many_tasks")
    assert "1200 tasks" in answer["detail"]
    assert "at most 1000" in answer["detail"]


def test_pages_of_other_sites_get_no_answer(api: str, url: str) -> None:
    problem(http.get(f"{api}/jobs", headers={"Origin": "https://evil.example"}), 403, "foreign_origin")
    problem(http.get(f"{api}/jobs", headers={"Origin": "null"}), 403, "foreign_origin")
    problem(http.get(f"{api}/jobs", headers={"Host": "evil.example"}), 403, "foreign_host")
    assert http.get(f"{api}/jobs", headers={"Origin": url}).status_code == 200
    with pytest.raises(InvalidStatus):
        connect(f"{api.replace('http', 'ws')}/events?role=viewer", origin="https://evil.example")  # type: ignore[arg-type]


def test_workers_need_their_token(api: str, url: str, tmp_path: Path, client: DispatcherClient) -> None:
    body = {"count": 1}
    problem(requests.post(f"{api}/leases", json=body, timeout=30), 401, "unauthorized")
    wrong = {"Authorization": "Bearer wrong"}
    assert problem(http.post(f"{api}/leases", json=body, headers=wrong), 401, "unauthorized")
    assert http.post(f"{api}/leases", json=body, headers=wrong).headers["www-authenticate"] == "Bearer"
    worker = Worker(url, tmp_path, "to be banned")
    client.ban_worker(worker.enrolled.id)
    right = {"Authorization": f"Bearer {worker.enrolled.token}"}
    problem(http.post(f"{api}/leases", json=body, headers=right), 403, "banned")
    client.pardon_worker(worker.enrolled.id)
    assert worker.lease() == ()


def test_the_same_name_and_secret_are_the_same_worker(client: DispatcherClient) -> None:
    first = enrolled(client.url, enrolment("twin"))
    assert client.enrol(enrolment("twin")) == first
    assert enrolled(client.url, enrolment("another")) != first
    views = [worker for worker in client.workers() if worker.name == "twin"]
    assert len(views) == 1
    assert first.token not in str(views)


# Idempotency


def test_the_same_key_creates_one_job(api: str, client: DispatcherClient) -> None:
    headers = {"Idempotency-Key": "only once"}
    body = job_spec().model_dump(mode="json")
    first, second = (http.post(f"{api}/jobs", json=body, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    other = job_spec(name="another").model_dump(mode="json")
    problem(http.post(f"{api}/jobs", json=other, headers=headers), 422, "key_reused")
    assert http.post(f"{api}/jobs", json=other).json()["id"] != first.json()["id"]


def test_one_key_at_the_same_time_creates_one_job(api: str, client: DispatcherClient) -> None:
    body = job_spec(name="raced").model_dump(mode="json")
    answers: list[str] = []

    def create() -> None:
        while (answer := http.post(f"{api}/jobs", json=body, headers={"Idempotency-Key": "race"})).status_code == 429:
            time.sleep(0.05)  # so many at once are too many
        answers.append(answer.json()["id"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len(set(answers)) == 1


def test_the_same_key_gives_the_same_leases(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "keyed")
    submit(client, job_spec(frames=tuple(range(8))), tmp_path)
    first = worker.lease(2, key="k")
    assert len(first) == 2
    assert worker.lease(2, key="k") == first
    assert {lease.id for lease in worker.lease(2)}.isdisjoint(lease.id for lease in first)
    worker.client.close()


def test_a_retry_is_made_once(api: str, client: DispatcherClient, tmp_path: Path) -> None:
    job_id = submit(client, job_spec(), tmp_path)
    client.cancel_job(job_id)
    headers = {"Idempotency-Key": "again"}
    answers = [http.post(f"{api}/jobs/{job_id}/retry", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    problem(http.post(f"{api}/jobs/{job_id}/retry"), 409, "conflict")


# Jobs


def test_a_job_waits_for_its_blobs(client: DispatcherClient, tmp_path: Path) -> None:
    content = b"another scene"
    sha256 = hashlib.sha256(content).hexdigest()
    files = [{"path": "scene.blend", "sha256": sha256, "size": len(content)}]
    job = client.create_job(job_spec(scene={"files": files}))
    assert (job.status, job.missing_blobs) == (JobStatus.UPLOADING, (sha256,))
    assert client.job(job.id).missing_blobs == (sha256,)
    assert {one.missing_blobs for one in client.jobs()} == {()}, "a list would hold thousands"
    path = tmp_path / "scene.blend"
    path.write_bytes(content)
    client.upload(path, sha256, len(content))
    assert client.job(job.id).status is JobStatus.QUEUED
    assert client.create_job(job_spec(scene={"files": files})).status is JobStatus.QUEUED


def test_a_file_of_another_size_is_refused(api: str, client: DispatcherClient, tmp_path: Path) -> None:
    submit(client, job_spec(), tmp_path)
    files = [{"path": "scene.blend", "sha256": BLEND_SHA, "size": len(BLEND) + 1}]
    body = job_spec(scene={"files": files}).model_dump(mode="json")
    problem(http.post(f"{api}/jobs", json=body), 422, "wrong_size")


def test_changes_to_a_job(client: DispatcherClient, tmp_path: Path) -> None:
    job_id = submit(client, job_spec(frames=(1, 2)), tmp_path)
    assert client.set_priority(job_id, 99).priority == 99
    assert client.pause_job(job_id).status is JobStatus.PAUSED
    assert client.pause_job(job_id).status is JobStatus.PAUSED
    assert client.resume_job(job_id).status is JobStatus.QUEUED
    assert client.cancel_job(job_id).status is JobStatus.CANCELLED
    with pytest.raises(DispatcherError):
        client.pause_job(job_id)
    assert client.retry_job(job_id).status is JobStatus.QUEUED
    names = [entry.event for entry in client.log(job_id).entries]
    assert names == [
        "job.created", "job.queued", "job.priority", "job.paused", "job.resumed", "job.cancelled", "job.retried",
    ]  # fmt: skip
    later = client.log(job_id, after=client.log(job_id).entries[-2].id).entries
    assert [entry.event for entry in later] == ["job.retried"]


def test_frames_of_a_job(api: str, client: DispatcherClient, tmp_path: Path) -> None:
    job_id = submit(client, job_spec(frames=(-2, 3)), tmp_path)
    assert [frame.frame for frame in client.frames(job_id).frames] == [-2, 3]
    assert client.frame(job_id, -2).status == "waiting"
    problem(http.get(f"{api}/jobs/{job_id}/frames/4"), 404, "unknown_frame")


# Leases


def test_a_waiting_request_is_woken_by_work(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "patient")
    submit(client, job_spec(), tmp_path)
    for lease in worker.lease():
        worker.client.release(lease.id)
    client.cancel_job(client.jobs()[0].id)
    got: list[float] = []

    def ask() -> None:
        assert worker.lease(wait=20)
        got.append(time.monotonic())

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.4)
    began = time.monotonic()
    client.create_job(job_spec())
    thread.join(10)
    assert got, "never woken"
    assert got[0] - began < 0.8, "by the event, not by the next look"


def test_a_wait_ends(url: str, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "idle")
    began = time.monotonic()
    assert worker.lease(wait=0.5) == ()
    assert 0.4 < time.monotonic() - began < 5


def test_who_went_away_while_waiting_gets_nothing(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "gone")
    host, port = url.removeprefix("http://").split(":")
    body = b'{"count": 1}'
    head = (
        f"POST /api/v1/leases?wait=20 HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {worker.enrolled.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
        time.sleep(0.3)
    time.sleep(0.2)
    job_id = submit(client, job_spec(), tmp_path)
    time.sleep(1.5)
    assert client.job(job_id).running == ()
    assert len(worker.lease()) == 1


def test_renewal_progress_and_release(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "steady")
    job_id = submit(client, job_spec(), tmp_path)
    [lease] = worker.lease()
    renewal = worker.client.renew(lease.id, Progress(sample=8, samples=32, seconds_left=1.5))
    assert (renewal.cancel, renewal.pause, renewal.seconds) == (False, False, 60.0)
    job = client.job(job_id)
    assert job.progress == 0.25
    assert (job.running[0].sample, job.running[0].worker_name) == (8, "steady")
    client.pause_worker(worker.enrolled.id)
    assert worker.client.renew(lease.id).pause
    client.resume_worker(worker.enrolled.id)
    worker.client.release(lease.id)
    worker.client.release(lease.id)
    worker.client.release("unknown")
    assert client.job(job_id).running == ()
    assert worker.client.renew(lease.id).cancel, "over"
    assert worker.client.renew("unknown").cancel
    stranger = Worker(url, tmp_path, "stranger")
    [again] = worker.lease()
    assert stranger.client.renew(again.id).cancel, "another's"


def test_a_failure_is_told_to_the_submitter(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "failing")
    job_id = submit(client, job_spec(), tmp_path)
    message = "The image bricks.png is missing."
    for _ in range(2):  # nobody else can say otherwise
        [lease] = worker.lease()
        worker.client.fail(lease.id, Failure(kind=FailureKind.SCENE, code=FailureCode.MISSING_FILE, message=message))
    job = client.job(job_id)
    assert job.status is JobStatus.FAILED
    assert job.reason is not None
    assert (job.reason.code, job.reason.message) == (FailureCode.MISSING_FILE, message)
    entries = [entry for entry in client.log(job_id).entries if entry.event == "task.failure"]
    assert entries[0].detail["code"] == "missing_file"


def test_a_result_needs_its_blob(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "hasty")
    submit(client, job_spec(), tmp_path)
    [lease] = worker.lease()
    with pytest.raises(DispatcherError) as refused:
        worker.client.result(lease.id, claimed(sha256="9" * 64))
    assert refused.value.problem.type == "/problems/missing_blob"
    assert worker.deliver(lease).wanted


@pytest.mark.parametrize("lie", ["pixel_digest", "size", "width"])
def test_a_result_that_is_not_what_it_claims_is_rejected(
    url: str, client: DispatcherClient, tmp_path: Path, lie: str
) -> None:
    worker = Worker(url, tmp_path, f"liar about {lie}")
    spec = job_spec(scene={"width": 64}) if lie == "width" else job_spec()
    job_id = submit(client, spec, tmp_path)
    [lease] = worker.lease()
    task = lease.task.model_copy(update={"region": FULL})
    path, result = render(task, tmp_path)
    changes = {"pixel_digest": "f" * 64} if lie == "pixel_digest" else {"size": 1} if lie == "size" else {}
    worker.client.upload(path, result.output.sha256, result.output.size)
    worker.client.result(lease.id, result_of(result.output.model_copy(update=changes)))
    until("it is rejected", lambda: "result.rejected" in [entry.event for entry in client.log(job_id).entries])
    job = client.job(job_id)
    assert job.status is JobStatus.ACTIVE
    assert client.frames(job_id).frames[0].status == "waiting"


def test_results_handed_in_together_stand_each_for_itself(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker, other = Worker(url, tmp_path, "brisk"), Worker(url, tmp_path, "slow")
    job_id = submit(client, job_spec(tuple(range(1, 301))), tmp_path)
    [theirs] = other.lease()
    leases = worker.client.lease(LeaseRequest(count=4)).leases
    made = [render(lease.task, tmp_path) for lease in leases]
    sent = [
        HandedIn(lease_id=lease.id, result=result, files=(InlineFile.of(result.output.sha256, path.read_bytes()),))
        for lease, (path, result) in zip(leases, made, strict=True)
    ]
    first, second, *_ = sent
    bad = [
        # The picture of another frame, under its own digest; a file that is not what it is called; nobody's file.
        second.model_copy(update={"result": first.result, "files": first.files}),
        first.model_copy(update={"files": (InlineFile.of("1" * 64, b"what else"),)}),
        first.model_copy(update={"files": (InlineFile.of(first.result.output.sha256, b"what else"),)}),
        first.model_copy(update={"lease_id": theirs.id}),
        sent[2].model_copy(update={"files": ()}),
    ]
    answer = worker.client.results(ResultBatch(results=(*bad[1:], first, bad[0])))
    assert answer is not None
    words = [one.problem.word if one.problem else one.acceptance for one in answer.results]
    refused = ["unknown_file", "wrong_digest", "unknown_lease", "missing_blob"]
    assert words == [*refused, Acceptance(wanted=True), Acceptance(wanted=True)]
    again = worker.client.results(ResultBatch(results=(first, *sent[2:])))
    assert again is not None
    assert [one.acceptance for one in again.results] == [Acceptance(wanted=True)] * 3
    other.deliver(theirs)

    def suspected() -> list[Any]:
        return [entry.task_id for entry in client.log(job_id).entries if entry.event == "result.suspicion"]

    # Though both came at once, and were looked at together.
    until("the copied picture is seen", lambda: suspected() == [leases[1].task.id])


def test_a_result_that_comes_again_brings_nothing_else_in(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(url, tmp_path, "hoarding")
    submit(client, job_spec(), tmp_path)
    [lease] = worker.lease()
    path, result = render(lease.task, tmp_path)
    picture = InlineFile.of(result.output.sha256, path.read_bytes())
    first = HandedIn(lease_id=lease.id, result=result, files=(picture,))
    worker.client.results(ResultBatch(results=(first,)))

    junk = tmp_path / "junk"
    junk.write_bytes(b"junk" * 1000)
    digest = hashlib.sha256(junk.read_bytes()).hexdigest()
    output = result.output.model_copy(update={"sha256": digest, "size": 4000})
    more = result.model_copy(update={"extras": (ExtraFile(name="more.png", output=output),)})
    inline = HandedIn(lease_id=lease.id, result=more, files=(InlineFile.of(digest, junk.read_bytes()),))
    answer = worker.client.results(ResultBatch(results=(inline, first)))
    assert answer is not None
    assert [one.problem and one.problem.status for one in answer.results] == [409, None]
    held = {"Authorization": f"Bearer {worker.enrolled.token}"}
    assert requests.head(f"{url}/api/v1/blobs/{digest}", headers=held, timeout=30).status_code == 404, "dropped"

    worker.client.upload(junk, digest, 4000)
    for _ in range(2):
        with pytest.raises(Conflict):
            worker.client.result(lease.id, more)
    assert requests.head(f"{url}/api/v1/blobs/{digest}", headers=held, timeout=30).status_code == 200, "still its own"


def test_nobody_shows_by_its_digest_alone_that_it_has_a_file(
    url: str, client: DispatcherClient, tmp_path: Path
) -> None:
    worker = Worker(url, tmp_path, "guessing")
    submit(client, job_spec(), tmp_path)
    [lease] = worker.lease()
    result = claimed(sha256=BLEND_SHA)
    files = (InlineFile.of(BLEND_SHA, b"not the scene"),)
    answer = worker.client.results(ResultBatch(results=(HandedIn(lease_id=lease.id, result=result, files=files),)))
    assert answer is not None
    [taken] = answer.results
    assert taken.problem is not None
    assert taken.problem.word == "wrong_digest"


# Events


def ws(api: str, query: str = "", token: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return connect(f"{api.replace('http', 'ws')}/events{query}", additional_headers=headers, proxy=None)


def hear(socket: Any, kind: str, seconds: float = 5) -> Any:
    """The next event of a type."""
    deadline = time.monotonic() + seconds
    while True:
        event = event_adapter.validate_json(socket.recv(timeout=max(0.01, deadline - time.monotonic())))
        if event.type == kind:
            return event


def test_a_worker_hears_of_work_of_its_end_and_of_pauses(
    api: str, url: str, client: DispatcherClient, tmp_path: Path
) -> None:
    worker = Worker(url, tmp_path, "listening")
    with ws(api, token=worker.enrolled.token) as socket:
        job_id = submit(client, job_spec(), tmp_path)
        hear(socket, "work_available")
        [lease] = worker.lease()
        client.pause_worker(worker.enrolled.id)
        assert hear(socket, "pause").paused
        client.resume_worker(worker.enrolled.id)
        assert not hear(socket, "pause").paused
        began = time.monotonic()
        client.cancel_job(job_id)
        assert hear(socket, "cancel").lease_id == lease.id
        assert time.monotonic() - began < 1


def test_a_viewer_sees_changes_and_progress_of_its_job(
    api: str, url: str, client: DispatcherClient, tmp_path: Path
) -> None:
    worker = Worker(url, tmp_path, "shown")
    job_id = submit(client, job_spec(), tmp_path)
    with (
        ws(api, f"?role=viewer&job={job_id}", OPERATOR) as viewer,
        ws(api, "?job=other", OPERATOR) as other,
        ws(api, token=worker.enrolled.token) as mine,
    ):
        [lease] = worker.lease()
        change = hear(viewer, "change")
        assert change.entry.job_id == job_id
        progress = TaskProgress(lease_id=lease.id, progress=Progress(sample=3, samples=4))
        mine.send("not a message")
        mine.send(progress.model_dump_json())
        told = hear(viewer, "progress")
        assert (told.job_id, told.task_id, told.progress.sample) == (job_id, lease.task.id, 3)
        worker.deliver(lease)
        until("done", lambda: client.job(job_id).status.ended)
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.2)


def test_a_stranger_hears_nothing(api: str) -> None:
    for token in (None, "wrong"):
        with pytest.raises((InvalidStatus, ConnectionClosed)), ws(api, token=token) as socket:
            socket.recv(timeout=2)


# Health


def test_health_and_metrics(url: str, client: DispatcherClient, tmp_path: Path) -> None:
    submit(client, job_spec(), tmp_path)
    assert http.get(f"{url}/healthz").json() == {"status": "alive"}
    assert http.get(f"{url}/readyz").json() == {"status": "ready"}
    client.health()
    text = http.get(f"{url}/metrics").text
    assert 'renderbros_jobs{status="queued"} 1.0' in text
    assert 'renderbros_events_total{event="job.created"}' in text
    assert 'route="/jobs"' in text

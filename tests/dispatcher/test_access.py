"""Who may do what: roles, invites, tokens, and that nobody learns of what is another's."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from dispatcher.bench import Bench
from dispatcher.clock import Clock
from dispatcher.pictures import BLEND_SHA, enrolment, job_spec
from dispatcher.running import OPERATOR, Worker, config, invited, running, submit, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from renderbros_addon.client.errors import Conflict, DispatcherError, NotFound, Refused
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher import accounts, invites, workers
from renderbros_addon.dispatcher.app import create_app
from renderbros_addon.dispatcher.dependencies import ROLES
from renderbros_addon.dispatcher.errors import Forbidden
from renderbros_addon.dispatcher.rates import Limit, Limited, Rates, TooMany
from renderbros_addon.dispatcher.store import Store
from renderbros_addon.protocol.access import InviteRequest, Role, Ticket
from renderbros_addon.protocol.leases import LeaseRequest


@dataclass
class People:
    """A dispatcher, and those who come to it."""

    url: str
    folder: Path

    def submitter(self, name: str) -> DispatcherClient:
        with DispatcherClient(self.url, OPERATOR) as operator:
            code = operator.invite(Role.SUBMITTER, label=name).code
        with DispatcherClient(self.url) as anyone:
            return DispatcherClient(self.url, anyone.redeem(code, name).token, retry_for=2)

    def status(self, method: str, path: str, token: str | None, **more: Any) -> int:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=30, **more).status_code


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("people")
    with running(folder / "data") as url:
        yield People(url, folder)


@pytest.fixture
def operator(people: People) -> Iterator[DispatcherClient]:
    with DispatcherClient(people.url, OPERATOR, retry_for=5) as client:
        yield client
        for job in client.jobs():
            if not job.status.ended:
                client.cancel_job(job.id)


def _routes(router: Any) -> Iterator[Any]:
    for route in router.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        yield from _routes(inner) if inner is not None else [route]


def _calls(dependant: Any) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from _calls(one)


OPEN = {"/healthz", "/readyz", "/openapi.json"}
BY_INVITE = {("POST", "/workers"), ("POST", "/tokens")}


def test_every_route_says_whose_it_is(tmp_path: Path) -> None:
    app = create_app(config(tmp_path / "data"))
    try:
        described = asyncio.run(_described(app))
        seen: dict[str, frozenset[Role]] = {}
        for route in _routes(app):
            path = str(getattr(route, "path", "")).removeprefix("/api/v1")
            dependant = getattr(route, "dependant", None)
            if dependant is None or path in OPEN or path.endswith("/events"):
                continue
            named = [ROLES[call] for call in _calls(dependant) if call in ROLES]
            assert named, f"{path} is for nobody in particular"
            for method in route.methods:
                if frozenset() in named:
                    assert (method, path) in BY_INVITE, f"{method} {path} is open to strangers"
                seen[f"{method} {path}"] = named[0]
        assert described <= set(seen) | {f"GET {path}" for path in OPEN}
        assert seen["GET /metrics"] == {Role.OPERATOR}
        assert seen["POST /leases"] == {Role.WORKER}
        assert len(seen) > 35
    finally:
        app.state.dispatcher.close()


async def _described(app: Any) -> set[str]:
    return {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, ways in app.openapi()["paths"].items()
        for method in ways
    }


def test_who_may_call_what(people: People, operator: DispatcherClient, tmp_path: Path) -> None:
    mine = people.submitter("mine")
    worker = Worker(people.url, tmp_path, "roles").enrolled.token
    job = submit(operator, job_spec(), tmp_path)
    table = {
        ("GET", "/jobs"): (200, 403, 200, 401),
        ("GET", f"/jobs/{job}"): (404, 403, 200, 401),
        ("GET", f"/jobs/{job}/frames"): (404, 403, 200, 401),
        ("GET", f"/jobs/{job}/frames/1"): (404, 403, 200, 401),
        ("GET", f"/jobs/{job}/frames/1/tiles"): (404, 403, 200, 401),
        ("GET", f"/jobs/{job}/log"): (404, 403, 200, 401),
        ("GET", f"/jobs/{job}/checks"): (404, 403, 200, 401),
        ("POST", f"/jobs/{job}/cancel"): (404, 403, 200, 401),
        ("GET", "/workers"): (403, 403, 200, 401),
        ("POST", "/workers/none/ban"): (403, 403, 404, 401),
        ("GET", "/invites"): (403, 403, 200, 401),
        ("POST", "/invites"): (403, 403, 422, 401),
        ("GET", "/tokens"): (200, 403, 200, 401),
        ("POST", "/leases"): (403, 422, 403, 401),
        ("POST", "/events/ticket"): (201, 403, 201, 401),
    }
    for (method, path), wanted in table.items():
        found = tuple(people.status(method, path, token) for token in (mine.token, worker, OPERATOR, None))
        assert found == wanted, (method, path)
    assert requests.get(f"{people.url}/metrics", timeout=10).status_code == 401
    assert people.status("GET", "/jobs", "rbo_" + "0" * 64) == 401


def test_what_is_not_mine_is_as_if_it_were_not(people: People, tmp_path: Path) -> None:
    mine, theirs = people.submitter("mine"), people.submitter("theirs")
    job = submit(mine, job_spec(), tmp_path)
    assert [one.id for one in mine.jobs()] == [job]
    assert theirs.jobs() == ()
    told = []
    for job_id in (job, "0" * 24):
        with pytest.raises(NotFound) as caught:
            theirs.job(job_id)
        told.append(str(caught.value).replace(job_id, "ID"))
    assert told[0] == told[1]
    mine.cancel_job(job)


def test_a_digest_is_no_proof_of_having_the_file(people: People, tmp_path: Path) -> None:
    secret = b"another studio's scene"
    sha = hashlib.sha256(secret).hexdigest()
    spec = job_spec(scene={"files": [{"path": "scene.blend", "sha256": sha, "size": len(secret)}]})
    path = tmp_path / "secret.blend"
    path.write_bytes(secret)
    mine, theirs = people.submitter("mine"), people.submitter("theirs")
    first = mine.create_job(spec)
    mine.upload(path, sha, len(secret))
    assert mine.job(first.id).status == "queued"
    assert mine.create_job(spec).missing_blobs == ()

    copied = theirs.create_job(spec)
    assert copied.missing_blobs == (sha,)
    with pytest.raises(NotFound):
        theirs.blob_size(sha)
    assert people.status("GET", f"/blobs/{sha}", theirs.token) == 404
    assert people.status("PUT", f"/blobs/{sha}", theirs.token, data=b"x" * len(secret)) == 422
    assert theirs.job(copied.id).status == "uploading"
    # Half of somebody else's upload is nobody's to end.
    other = hashlib.sha256(secret * 2).hexdigest()
    for client in (mine, theirs):
        client.create_job(
            job_spec(scene={"files": [{"path": "scene.blend", "sha256": other, "size": 2 * len(secret)}]})
        )
    part = {"Content-Range": f"bytes 0-{len(secret) - 1}/{2 * len(secret)}", "Authorization": f"Bearer {mine.token}"}
    url = f"{people.url}/api/v1/blobs/{other}"
    assert requests.put(url, data=secret, headers=part, timeout=10).status_code == 202
    kept = [
        requests.head(url, headers={"Authorization": f"Bearer {one.token}"}, timeout=10).headers["Upload-Offset"]
        for one in (mine, theirs)
    ]
    assert kept == [str(len(secret)), "0"]
    theirs.upload(path, sha, len(secret))
    assert theirs.job(copied.id).status == "queued"
    assert people.status("PUT", f"/blobs/{'0' * 64}", theirs.token, data=b"unasked") == 403
    for client in (mine, theirs):
        for job in client.jobs():
            client.cancel_job(job.id)


def test_a_worker_reads_the_blobs_of_its_leases_and_no_others(
    people: People, operator: DispatcherClient, tmp_path: Path
) -> None:
    worker = Worker(people.url, tmp_path, "reader")
    job = submit(operator, job_spec(), tmp_path)
    assert people.status("GET", f"/blobs/{BLEND_SHA}", worker.client.token) == 404
    assert people.status("PUT", f"/blobs/{'0' * 64}", worker.client.token, data=b"x") == 403
    [lease] = worker.lease()
    assert people.status("GET", f"/blobs/{BLEND_SHA}", worker.client.token) == 200
    idle = Worker(people.url, tmp_path, "idle")
    assert people.status("GET", f"/blobs/{BLEND_SHA}", idle.client.token) == 404
    worker.deliver(lease)
    until("done", lambda: operator.job(job).status.ended)
    assert people.status("GET", f"/blobs/{BLEND_SHA}", worker.client.token) == 404
    # What came of the job is the submitter's to read, and nobody else's.
    output = operator.frames(job).frames[0].files[0].output.sha256
    assert people.status("GET", f"/blobs/{output}", idle.client.token) == 404


def test_the_tiles_of_a_frame_that_is_not_finished_are_its_submitters(people: People, tmp_path: Path) -> None:
    mine, theirs = people.submitter("mine"), people.submitter("theirs")
    worker = Worker(people.url, tmp_path, "tiler")
    job = submit(mine, job_spec(frames=(1, 2), tiles=(2, 1)), tmp_path)
    assert mine.tiles(job, 1) == ()
    [first] = worker.lease()
    worker.deliver(first)
    [tile] = until("a tile", lambda: mine.tiles(job, 1))
    assert tile.region == first.task.region
    mine.download(tile.output.sha256, tile.output.size, tmp_path / "tile.exr")
    assert people.status("GET", f"/blobs/{tile.output.sha256}", theirs.token) == 404
    with pytest.raises(NotFound):
        theirs.tiles(job, 1)
    [second] = worker.lease()
    worker.deliver(second)
    until("the frame without its last step", lambda: len(mine.tiles(job, 1)) == 2)
    assert mine.tiles(job, 2) == ()
    worker.work(job)
    assert mine.tiles(job, 1) == ()


def test_submitters_are_not_told_whose_machines_render(
    people: People, operator: DispatcherClient, tmp_path: Path
) -> None:
    mine = people.submitter("mine")
    worker = Worker(people.url, tmp_path, "alices-laptop")
    job = submit(mine, job_spec(), tmp_path)
    headers = {"Authorization": f"Bearer {mine.token}"}
    with connect(f"{people.url.replace('http', 'ws')}/api/v1/events", additional_headers=headers, proxy=None) as heard:
        stranger = submit(operator, job_spec(name="not mine"), tmp_path)
        operator.cancel_job(stranger)
        [lease] = worker.lease()
        running_ = mine.job(job).running
        assert len(running_) == 1
        worker.deliver(lease)
        until("done", lambda: mine.job(job).status.ended)
        texts = []
        while "job.completed" not in (texts or [""])[-1]:
            texts.append(str(heard.recv(timeout=5)))
    told = str(running_) + "".join(texts) + mine.log(job).model_dump_json() + mine.job(job).model_dump_json()
    assert "alices-laptop" not in told
    assert worker.enrolled.id not in told
    assert stranger not in told
    assert running_[0].worker_id in told
    output = mine.frames(job).frames[0].files[0].output
    mine.download(output.sha256, output.size, tmp_path / "frame.png")
    assert people.status("GET", f"/blobs/{output.sha256}", people.submitter("theirs").token) == 404


def test_an_invite_is_for_one_and_for_its_role(people: People, operator: DispatcherClient) -> None:
    made = operator.invite(Role.SUBMITTER, label="for Ada")
    with DispatcherClient(people.url) as anyone:
        body = {"json": {"code": made.code, "name": "Ada"}}
        headers = {"Idempotency-Key": "the same"}
        post = lambda: requests.post(f"{people.url}/api/v1/tokens", headers=headers, timeout=10, **body)  # noqa: E731
        first, again = post(), post()
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json(), "an answer that got lost is given again"
        with pytest.raises(Refused, match="was used"):
            anyone.redeem(made.code)
        with pytest.raises(Refused, match="no such invite"):
            anyone.redeem("rbi_" + "0" * 64)
        with pytest.raises(Refused, match="for a worker"):
            anyone.redeem(operator.invite(Role.WORKER).code)
        with pytest.raises(Refused, match="needs an invite"):
            anyone.enrol(enrolment("uninvited"))
        void = operator.invite(Role.WORKER)
        operator.revoke_invite(void.invite.id)
        with pytest.raises(Refused, match="revoked"):
            anyone.enrol(enrolment("uninvited").model_copy(update={"invite": void.code}))
        told = invited(people.url, enrolment("invited"))
        assert anyone.enrol(told) == anyone.enrol(told.model_copy(update={"invite": None})), "known by its secret"
    listed = {one.id: one for one in operator.invites()}
    assert listed[made.invite.id].used_by == first.json()["account"]["id"]
    assert made.code not in str(listed)


def test_tokens_end_and_change(people: People, operator: DispatcherClient) -> None:
    mine, theirs = people.submitter("mine"), people.submitter("theirs")
    before = mine.token
    [own] = mine.tokens()
    assert own.own
    mine.rotate_token()
    assert mine.token != before
    assert mine.jobs() == ()
    assert people.status("GET", "/jobs", before) == 200, "for a moment, for what is under way"
    with pytest.raises(NotFound):
        theirs.revoke_token(own.id)
    operator.revoke_token(own.id)
    for token in (mine.token, before):
        assert people.status("GET", "/jobs", token) == 401
    with pytest.raises(Conflict, match="last operator"):
        operator.revoke_token(next(one.id for one in operator.tokens() if one.own))


def test_a_token_before_a_rotation_ends(bench: Bench, clock: Clock) -> None:
    account = bench.change(lambda tx: accounts.make(tx, Role.SUBMITTER, "s", "rbs_one"))
    bench.change(lambda tx: accounts.rotate(tx, account.id, "rbs_two", "rbs_one"))

    def known(token: str) -> bool:
        with bench.store.read() as conn:
            return accounts.by_token(conn, token, clock()) is not None

    assert [known("rbs_one"), known("rbs_two")] == [True, True]
    clock.forward(accounts.GRACE.total_seconds() + 1)
    assert [known("rbs_one"), known("rbs_two")] == [False, True]
    code = "rbi_" + "1" * 64
    bench.change(lambda tx: invites.make(tx, InviteRequest(role=Role.WORKER, seconds=60), code, None))
    clock.forward(61)
    late = enrolment("late").model_copy(update={"invite": code})
    with pytest.raises(Forbidden, match="expired"):
        bench.change(lambda tx: workers.admit(tx, late))


def test_the_token_before_a_rotation_can_not_take_the_account_over(people: People, operator: DispatcherClient) -> None:
    with DispatcherClient(people.url) as anyone:
        stolen = anyone.redeem(operator.invite(Role.SUBMITTER).code, "owner").token
    with DispatcherClient(people.url, stolen) as owner, DispatcherClient(people.url, stolen) as thief:
        ticket = thief.call("POST", "/events/ticket", Ticket).ticket
        own = owner.rotate_token().token
        with pytest.raises(Refused):
            thief.rotate_token()
    assert people.status("GET", "/jobs", own) == 200
    address = f"{people.url.replace('http', 'ws')}/api/v1/events?ticket={ticket}"
    with pytest.raises((InvalidStatus, ConnectionClosed)), connect(address, proxy=None) as opened:
        opened.recv(timeout=2)


def test_invites_end_with_the_operator_who_made_them(people: People, operator: DispatcherClient) -> None:
    with DispatcherClient(people.url) as anyone:
        other = anyone.redeem(operator.invite(Role.OPERATOR).code, "other")
        with DispatcherClient(people.url, other.token) as second:
            code = second.invite(Role.OPERATOR).code
        operator.revoke_token(other.account.id)
        with pytest.raises(Refused):
            anyone.redeem(code, "back again")


def test_headers_and_bodies_of_strangers(people: People) -> None:
    for origin in ("http://[", "//[x]"):
        assert requests.get(f"{people.url}/healthz", headers={"Origin": origin}, timeout=30).status_code == 403
    assert people.status("POST", "/tokens", None, data=b" " * (70 << 10)) == 413
    enrolment = {"name": "one", "secret": "s" * 40, "invite": "\ud800", "capabilities": {}}
    assert people.status("POST", "/workers", None, data=json.dumps(enrolment).encode()) in (403, 422)


def test_a_ban_keeps_out_the_owners_new_workers(people: People, operator: DispatcherClient, tmp_path: Path) -> None:
    owner = "an owner's secret of some length"
    cheat = Worker(people.url, tmp_path, "cheat", owner=owner)
    operator.ban_worker(cheat.enrolled.id)
    with DispatcherClient(people.url) as anyone:
        told = invited(people.url, enrolment("sibling", owner))
        with pytest.raises(Refused, match="banned"):
            anyone.enrol(told)
        operator.pardon_worker(cheat.enrolled.id)
        anyone.enrol(told)  # the invite was not spent


def test_a_workers_token_that_is_made_void(people: People, operator: DispatcherClient, tmp_path: Path) -> None:
    worker = Worker(people.url, tmp_path, "leaky")
    operator.renew_worker_token(worker.enrolled.id)
    with pytest.raises(Refused):
        worker.client.lease(LeaseRequest())
    with DispatcherClient(people.url) as anyone:
        again = anyone.enrol(enrolment("leaky", "all of them are of one owner"))
    assert again.id == worker.enrolled.id
    assert again.token != worker.enrolled.token
    assert people.status("GET", "/jobs", again.token) == 403, "known again"


@pytest.mark.parametrize(("shut_out", "status"), [("renew_worker_token", 401), ("ban_worker", 403)])
def test_who_is_shut_out_while_it_waits_for_work_gets_none(
    people: People, operator: DispatcherClient, tmp_path: Path, shut_out: str, status: int
) -> None:
    worker = Worker(people.url, tmp_path, f"waiting for {status}")
    got: list[int] = []

    def ask() -> None:
        got.append(people.status("POST", "/leases?wait=20", worker.enrolled.token, json={"count": 1}))

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(0.3)
    getattr(operator, shut_out)(worker.enrolled.id)
    waiting.join(3)
    assert got == [status], "at once, and not when there is work"


def test_a_token_that_is_void_takes_no_lease(tmp_path: Path) -> None:
    """Another dispatcher made it void, whose word was lost."""
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR) as operator:
        worker = Worker(url, tmp_path, "unheard")
        got: list[int] = []

        def ask() -> None:
            headers = {"Authorization": f"Bearer {worker.enrolled.token}"}
            asked = f"{url}/api/v1/leases?wait=20"
            got.append(requests.post(asked, headers=headers, json={"count": 1}, timeout=30).status_code)

        waiting = threading.Thread(target=ask)
        waiting.start()
        time.sleep(0.3)
        other = Store(f"sqlite:///{next((tmp_path / 'data').glob('*.sqlite3')).as_posix()}")
        other.change(lambda tx: workers.renew_token(tx, worker.enrolled.id))
        other.close()
        job_id = submit(operator, job_spec(), tmp_path)
        waiting.join(5)
        assert got == [401]
        assert operator.job(job_id).running == ()


def test_a_browser_hears_by_a_ticket_once(people: People, operator: DispatcherClient) -> None:
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    ticket = requests.post(f"{people.url}/api/v1/events/ticket", headers=headers, timeout=10).json()["ticket"]
    address = f"{people.url.replace('http', 'ws')}/api/v1/events?ticket={ticket}"
    with connect(address, proxy=None) as heard:
        operator.invite(Role.SUBMITTER)
        assert "invite.made" in str(heard.recv(timeout=5))
    with pytest.raises((InvalidStatus, ConnectionClosed)), connect(address, proxy=None) as again:
        again.recv(timeout=2)


def test_limits_of_rates(tmp_path: Path) -> None:
    now = [0.0]
    rates = Rates({Limited.REQUESTS: Limit(10, 20)}, lambda: now[0])
    for _ in range(20):
        rates.take(Limited.REQUESTS, "a")
    with pytest.raises(TooMany) as caught:
        rates.take(Limited.REQUESTS, "a")
    assert caught.value.headers == {"Retry-After": "1"}
    rates.take(Limited.REQUESTS, "b")
    now[0] = 1.0
    rates.take(Limited.REQUESTS, "a", 10)
    with rates.holding("uploads", "a", 1), pytest.raises(TooMany), rates.holding("uploads", "a", 1):
        pass
    with rates.holding("uploads", "a", 1):
        pass
    # A farm of a hundred workers and 400 tasks a second, a minute long, from one address.
    farm, now[0] = Rates(clock=lambda: now[0]), 0.0
    for i in range(400 * 5 * 60):
        now[0] = i / 2000
        farm.take(Limited.REQUESTS, f"worker-{i % 100}")


def test_guesses_are_slowed_down_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "renderbros.security")
    limits = {Limited.FAILURES: Limit(1, 3), Limited.INVITES: Limit(1, 3)}
    with running(tmp_path / "data", limits=limits) as url:
        people = People(url, tmp_path)
        wrong = "rbo_" + "5" * 64
        statuses = [people.status("GET", "/jobs", wrong) for _ in range(5)]
        assert statuses[:3] == [401] * 3
        assert 429 in statuses[3:]
        codes = [people.status("POST", "/tokens", None, json={"code": "rbi_" + "6" * 64}) for _ in range(5)]
        assert codes[:3] == [403] * 3
        assert 429 in codes[3:]
        assert people.status("GET", "/jobs", OPERATOR) == 200, "who is known is let in, from the same address too"
        # The client waits as it is told.
        with pytest.raises(DispatcherError):
            DispatcherClient(url, wrong, retry_for=0.0).jobs()
    text = caplog.text
    assert "failed sign-in" in text
    assert "rate limited" in text
    assert wrong not in text
    assert any(getattr(record, "address", None) == "127.0.0.1" for record in caplog.records)


def test_the_first_start_tells_the_operators_token_and_no_other_does(tmp_path: Path) -> None:
    from renderbros_addon.dispatcher.first_operator import new_operator
    from renderbros_addon.dispatcher.service import Dispatcher

    told = []
    for _ in range(2):
        service = Dispatcher(config(tmp_path / "data", operator_token=None))
        try:
            service.start()
            told.append(service.new_operator_token)
            if len(told) == 1:
                another = new_operator(service.config)
            with service.store.read() as conn:
                known = [accounts.by_token(conn, token, service.store.clock()) for token in (told[0] or "", another)]
            assert all(known)
        finally:
            service.close()
    assert told[0] is not None
    assert told[0].startswith("rbo_")
    assert told[1] is None
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("*.sqlite3*"))
    assert told[0].encode() not in kept
    assert another.encode() not in kept

"""Whatever happens, no secret is in a log or on the dispatcher's disk; and the pages show nothing to strangers."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import requests
from dispatcher.pictures import enrolment, job_spec
from dispatcher.running import OPERATOR, Worker, config, running, submit, until

from renderbros_addon.client.errors import Refused
from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.service import Dispatcher
from renderbros_addon.protocol.access import Role


def test_no_log_and_no_file_holds_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "renderbros")
    owner = "the secret of one owner of workers"
    secrets = {"operator": OPERATOR, "owner": owner}
    with running(tmp_path / "data") as url, DispatcherClient(url, OPERATOR, retry_for=5) as operator:
        invite = operator.invite(Role.SUBMITTER)
        secrets["invite"] = invite.code
        with DispatcherClient(url) as anyone:
            secrets["submitter"] = anyone.redeem(invite.code, "Ada").token
            with pytest.raises(Refused):
                anyone.redeem(invite.code, "Eve")
            with pytest.raises(Refused):
                anyone.enrol(enrolment("nobody", owner))
        with DispatcherClient(url, secrets["submitter"], retry_for=5) as submitter:
            worker = Worker(url, tmp_path, "one", owner=owner)
            secrets |= {"worker": worker.enrolled.token, "its own": enrolment("one").secret}
            job = submit(submitter, job_spec((1, 2)), tmp_path)
            for lease in worker.lease(2):
                worker.deliver(lease)
            until("done", lambda: submitter.job(job).frames_done)
            with pytest.raises(Refused):
                submitter.workers()
            secrets["rotated"] = submitter.rotate_token().token
        operator.ban_worker(worker.enrolled.id)
        for token in ("rbo_" + "7" * 64, "rbw_" + "8" * 64, "a password typed by mistake"):
            secrets[token[:4]] = token
            requests.get(f"{url}/api/v1/jobs", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    words = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for event in ("invite made", "invite used", "invite refused", "failed sign-in", "refused by role", "token rotated",
                  "worker enrolled", "worker refused", "worker banned"):  # fmt: skip
        assert event in words, event
    kept = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert any(path.suffix == ".sqlite3" for path in kept)
    for name, secret in secrets.items():
        assert secret not in words, name
        for path, content in kept.items():
            assert secret.encode() not in content, (name, path)


def test_the_pages_are_for_those_who_signed_in(tmp_path: Path) -> None:
    from dispatcher.running import serve_with_pages

    with serve_with_pages(tmp_path / "data") as (url, service), requests.Session() as browser:
        get = lambda path: browser.get(f"{url}{path}", allow_redirects=False, timeout=10)  # noqa: E731
        for path in ("/", "/job/none", "/pictures/none/1", "/files/none/1/0", "/_nicegui_ws/socket.io/"):
            assert (get(path).status_code, get(path).headers.get("Location")) == (303, "/sign-in"), path
        wrong = browser.post(f"{url}/sign-in", data={"token": "rbo_" + "9" * 64}, timeout=10)
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        assert browser.post(f"{url}/sign-in", data={"token": OPERATOR}, headers={"Origin": "https://evil.example"},
                            timeout=10).status_code == 403  # fmt: skip
        right = browser.post(f"{url}/sign-in", data={"token": OPERATOR}, timeout=10)
        cookie = right.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
        assert OPERATOR not in cookie + right.text
        assert get("/").status_code == 200
        assert get("/job/none").status_code == 200
        assert get("/pictures/none/1").status_code == 404
        assert browser.post(f"{url}/sign-out", timeout=10, allow_redirects=False).status_code == 303
        assert get("/").status_code == 303
        link = service.signed_in.link(url)
        assert link
        assert browser.get(link, timeout=10).status_code == 200
        assert get("/").status_code == 200
        assert requests.get(link, timeout=10).status_code == 401, "it is good once"


def test_a_session_ends_with_its_account(tmp_path: Path) -> None:
    from renderbros_addon.dashboard.signing_in import caller_of_session
    from renderbros_addon.dispatcher import accounts
    from renderbros_addon.dispatcher.errors import Unauthorized

    service = Dispatcher(config(tmp_path / "data"))
    try:
        service.start()
        account = service.store.change(lambda tx: accounts.make(tx, Role.SUBMITTER, "s", "rbs_" + "1" * 64))
        session = service.signed_in.sessions.make(account.id)
        assert caller_of_session(service, session).id == account.id
        service.store.change(lambda tx: accounts.revoke(tx, account.id))
        with pytest.raises(Unauthorized):
            caller_of_session(service, session)
    finally:
        service.close()

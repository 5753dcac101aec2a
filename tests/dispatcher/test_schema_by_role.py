"""Whatever somebody sends to the API, in whichever role, it does not break, and tells and changes nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import schemathesis
from dispatcher.pictures import BLEND, BLEND_SHA, enrolment, job_spec
from dispatcher.running import OPERATOR, Worker, enrolled, running, submit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from renderbros_addon.client.http import DispatcherClient
from renderbros_addon.dispatcher.rates import Limit, Limited
from renderbros_addon.protocol.access import Role
from renderbros_addon.protocol.leases import Lease

CANARY = "canary"
"""In every name that those have who are not the caller; no made-up request has it."""
UNLIMITED = {which: Limit(1e6, 1e6) for which in Limited if which is not Limited.BYTES}


@dataclass
class Others:
    """People at work, and what they have."""

    url: str
    submitter: DispatcherClient
    worker: Worker
    finished: str
    at_work: str
    lease: Lease
    ids: dict[str, list[str]]
    """Of theirs, by what a path calls them."""

    def undisturbed(self) -> None:
        assert {job.id for job in self.submitter.jobs()} == {self.finished, self.at_work}
        assert self.submitter.job(self.at_work).status == "active"
        assert self.submitter.job(self.finished).status == "completed"
        assert not self.worker.client.renew(self.lease.id).cancel
        assert self.submitter.blob_size(BLEND_SHA) == len(BLEND)


def submitter(url: str, name: str) -> DispatcherClient:
    with DispatcherClient(url, OPERATOR) as operator:
        code = operator.invite(Role.SUBMITTER, label=name).code
    with DispatcherClient(url) as anyone:
        return DispatcherClient(url, anyone.redeem(code, name).token, retry_for=2)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Others]:
    folder = tmp_path_factory.mktemp("roles")
    with running(folder / "data", limits=UNLIMITED) as url:
        mine = submitter(url, f"{CANARY} person")
        worker = Worker(url, folder, f"{CANARY} machine", owner=f"{CANARY} owner of the machine")
        finished = submit(mine, job_spec(name=f"{CANARY} one", frames=(1,)), folder)
        worker.work(finished)
        at_work = submit(mine, job_spec(name=f"{CANARY} two", frames=(1,)), folder)
        [lease] = worker.lease()
        with DispatcherClient(url, OPERATOR) as operator:
            outputs = [file.output.sha256 for file in operator.frames(finished).frames[0].files]
            ids = {
                "job_id": [finished, at_work],
                "lease_id": [lease.id],
                "worker_id": [worker.enrolled.id],
                "sha256": [BLEND_SHA, *outputs],
                "token_id": [token.id for token in operator.tokens()],
                "invite_id": [operator.invite(Role.WORKER, label=f"{CANARY} to come").invite.id],
            }
        yield Others(url, mine, worker, finished, at_work, lease, ids)


@settings(max_examples=5, phases=[Phase.generate], suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def _try(operation: schemathesis.APIOperation, others: Others, token: str | None, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    try:
        case = data.draw(operation.as_strategy(generation_mode=mode))
    except Unsatisfiable:  # where nothing can be sent, nothing wrong can be
        case = data.draw(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    with suppress(KeyError, TypeError, ValueError):
        if 0 <= float(case.query["wait"]) <= 3600:
            case.query["wait"] = 0.01  # it would really wait
    foreign = False
    for name in case.path_parameters or {}:
        if name in others.ids and data.draw(st.booleans()):
            case.path_parameters[name] = data.draw(st.sampled_from(others.ids[name]))
            foreign = True

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Whatever sign-in was made up for the case."""
        request.headers.pop("Authorization", None)
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    answer = case.call(auth=sign)
    assert answer.status_code < 500, (case, answer.status_code)
    if token == OPERATOR:
        return
    assert CANARY.encode() not in answer.content, case
    assert BLEND not in answer.content, case
    if foreign and "/leases/" in operation.path and answer.status_code < 400:
        # The same is said of leases that there are not; whether it did anything, is looked at in the end.
        assert answer.status_code == 204 or answer.json()["cancel"]
    elif foreign:
        assert answer.status_code >= 400, (case, answer.status_code)
    if token is None:
        assert answer.status_code >= 400, (case, answer.status_code)
    else:
        assert answer.status_code != 401, case


@pytest.mark.parametrize("role", ["submitter", "worker", "nobody", "operator"])
def test_nobody_reads_or_changes_what_is_anothers(others: Others, role: str, tmp_path: Path) -> None:
    if role == "worker":
        token: str | None = enrolled(others.url, enrolment("stranger", "an owner of another machine")).token
    else:
        token = {"submitter": submitter(others.url, "stranger").token, "nobody": None, "operator": OPERATOR}[role]
    schema = schemathesis.openapi.from_url(f"{others.url}/openapi.json")
    # The operator may do anything to anybody: what others have is at risk there, and test_schema sees to the rest.
    chosen = schema.include(path_regex="/blobs/|/log|/frames|/checks") if role == "operator" else schema
    tried = 0
    for found in chosen.exclude(path_regex="/rotate|/healthz|/readyz").get_all_operations():
        _try(found.ok(), others, token)
        tried += 1
    assert tried >= (7 if role == "operator" else 29)
    others.undisturbed()

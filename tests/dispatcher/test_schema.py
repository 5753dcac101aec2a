"""Whatever is sent to the API, fitting its own description or not, is answered as that description says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from dispatcher.pictures import enrolment
from dispatcher.running import OPERATOR, enrolled, running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("schema") / "data") as url:
        yield url


@pytest.fixture(scope="module")
def token(url: str) -> str:
    """A worker's."""
    return enrolled(url, enrolment()).token


@settings(
    max_examples=5,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(data=st.data())
def _call(operation: schemathesis.APIOperation, mode: GenerationMode, token: str, data: st.DataObject) -> None:
    case = data.draw(operation.as_strategy(generation_mode=mode))
    with suppress(KeyError, TypeError, ValueError):
        if 0 <= float(case.query["wait"]) <= 3600:
            case.query["wait"] = 0.01  # it would really wait
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)


def test_the_api_is_as_it_describes_itself(url: str, token: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    paths = set()
    for found in schema.exclude(path_regex="/blobs/|/rotate").get_all_operations():
        operation = found.ok()
        paths.add(operation.path)
        chosen = token if "/leases" in operation.path else OPERATOR
        _call(operation, GenerationMode.POSITIVE, chosen)
        # Where nothing can be sent, nothing wrong can be.
        with suppress(Unsatisfiable):
            _call(operation, GenerationMode.NEGATIVE, chosen)
    assert {"/api/v1/jobs", "/api/v1/leases/{lease_id}/result", "/api/v1/workers", "/readyz"} <= paths

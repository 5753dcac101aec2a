from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from serving import Switch, serving


class Mount(Protocol):
    def __call__(self, app: Any) -> int: ...


@pytest.fixture(scope="session")
def _switch() -> Iterator[tuple[Switch, int]]:
    switch = Switch()
    with serving(switch) as port:
        yield switch, port


@pytest.fixture
def mount(_switch: tuple[Switch, int]) -> Mount:
    """Serve an app for the rest of the test on a server that all tests share; gives its port."""

    def put(app: Any) -> int:
        _switch[0].current = app
        return _switch[1]

    return put

"""What ``GET /metrics`` tells: counters of events, and the database's counts at the moment of asking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..protocol.base import API_PREFIX
from ..protocol.jobs import LogEntry
from .store import Store
from .tables import jobs, leases, results, tasks, workers


class Metrics:
    """A registry of its own for each dispatcher, so that several can live in one process."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "renderbros_events", "Changes committed by this process, by event.", ["event"], registry=self._registry
        )
        self._requests = Counter(
            "renderbros_http_requests",
            "Requests answered by this process.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._registry.register(_Counts(store))

    def count(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            self._events.labels(entry.event).inc()

    def request(self, method: str, route: str, status: int) -> None:
        self._requests.labels(method, route, status).inc()

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)


class _Counts(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())  # or registering would ask a database that has no tables yet

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._store.read() as conn:
            for name, table in (("jobs", jobs), ("tasks", tasks), ("workers", workers)):
                family = GaugeMetricFamily(f"renderbros_{name}", f"Number of {name}, by status.", labels=["status"])
                for status, number in conn.execute(select(table.c.status, func.count()).group_by(table.c.status)):
                    family.add_metric([status], number)
                yield family
            for name, table, status, what in (
                ("leases_held", leases, "held", "Leases that workers hold."),
                ("results_pending", results, "pending", "Results that are still to be judged."),
            ):
                number = conn.execute(select(func.count()).where(table.c.status == status)).scalar_one()
                yield GaugeMetricFamily(f"renderbros_{name}", what, value=number)


class CountRequests:
    """ASGI middleware: counts requests by route, never by path, which anyone can make up."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Without the prefix, which some versions of FastAPI leave out here.
                route = getattr(scope.get("route"), "path", "none").removeprefix(API_PREFIX)
                self._metrics.request(scope["method"], route, message["status"])
            await send(message)

        await self._app(scope, receive, counting)

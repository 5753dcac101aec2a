"""The ASGI application: routes, limits and errors around one dispatcher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from ..protocol.base import API_PREFIX
from . import api_access, api_events, api_health, api_jobs, api_leases, api_workers, problems
from .api_blobs import blobs_router
from .blob_rights import BlobHolder
from .config import DispatcherConfig
from .dependencies import CallingAnybody, Service, charged
from .limits import LOOPBACK_NAMES, Limits
from .metrics import CountRequests
from .service import Dispatcher
from .store import Clock, utc_now


async def blob_holder(service: Service, caller: CallingAnybody) -> BlobHolder:
    """What the caller may do with blobs."""
    return service.blob_rights.of(caller)


def create_app(config: DispatcherConfig, *, clock: Clock = utc_now) -> FastAPI:
    """An application that starts its dispatcher when the server starts, and stops it with the server.

    The data folder is locked from here on. ConfigurationError as in ``DispatcherConfig.check``, and if the folder, the
    database or the blob store can't be used.
    """
    return app_around(Dispatcher(config, clock))


def app_around(dispatcher: Dispatcher) -> FastAPI:
    """The application for a dispatcher, started or not."""
    config = dispatcher.config

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        dispatcher.hub.open()
        await run_in_threadpool(dispatcher.start)
        try:
            yield
        finally:
            await run_in_threadpool(dispatcher.close)
            dispatcher.hub.close()

    app = FastAPI(
        title="RenderBros dispatcher",
        version="1",
        lifespan=lifespan,
        # Their pages load scripts from elsewhere; the description itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
    )
    app.state.dispatcher = dispatcher
    problems.install(app)
    # Routes are looked through in this order: first what each task asks for.
    app.include_router(api_leases.router, prefix=API_PREFIX)
    app.include_router(blobs_router(dispatcher.blobs, dispatcher.blob_arrived, blob_holder), prefix=API_PREFIX)
    for part in (api_jobs, api_workers, api_access, api_events):
        app.include_router(part.router, prefix=API_PREFIX)
    app.include_router(api_health.router)

    app.add_middleware(CountRequests, metrics=dispatcher.metrics)
    names = LOOPBACK_NAMES.union(config.names) if config.loopback else None

    async def charge(request: HTTPConnection, requests: float) -> None:
        await charged(request, dispatcher, requests)

    app.add_middleware(Limits, max_json=config.max_json_bytes, blobs=f"{API_PREFIX}/blobs/", names=names, charge=charge)
    return app

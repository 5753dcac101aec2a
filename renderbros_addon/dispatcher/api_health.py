"""For whoever watches over the dispatcher: is it alive, is it ready, what are its figures?"""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from .dependencies import CallingOperator, Service
from .errors import RequestRefused
from .problems import DOCUMENTED

router = APIRouter(tags=["health"], responses=DOCUMENTED)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers. In the event loop itself, so that busy threads don't make it look dead."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(service: Service) -> dict[str, str]:
    """The database answers, and all parts run."""
    try:
        with service.store.read() as conn:
            conn.execute(text("SELECT 1"))
    except Exception as error:
        raise RequestRefused("the database does not answer", status=503, word="not_ready", title="Not ready") from error
    if not service.ready:
        raise RequestRefused("starting or stopping", status=503, word="not_ready", title="Not ready")
    return {"status": "ready"}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(service: Service, _: CallingOperator) -> Response:
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

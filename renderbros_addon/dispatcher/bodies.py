"""Bodies of requests as JSON, without what would take long to find fault with."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import HTTPException
from fastapi.routing import APIRoute

MOST_FIELDS = 64
"""Of one object: no message has more than half as many. Every field too many would be told of by an error of its own,
and to make a hundred thousand of those takes seconds, for which nobody else is heard."""


class JsonRoute(APIRoute):
    """A route whose requests are read so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def reading(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return reading


class _JsonRequest(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), object_pairs_hook=_object)


def _object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(fields) > MOST_FIELDS:
        raise HTTPException(422, f"an object of {len(fields)} fields: no message has so many")
    return dict(fields)

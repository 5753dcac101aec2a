"""The child's side of :mod:`.checker`: decodes on request, under limits, and ends with its parent."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

# Not used here, but loaded before the limits hold: its libraries' own size doesn't count, and they may start threads.
import OpenImageIO  # noqa: F401
import psutil

from ..protocol.regions import Region
from ..protocol.verdicts import Tolerance
from .assembly import assemble
from .attention_map import attention_map
from .compare import compare_files
from .errors import ImageError
from .fingerprint import inspect_image, read_grey
from .judge import DEFAULT_TOLERANCE, EXACT


def serve(mark: str) -> int:
    """Answer requests from standard input, each with a line after ``mark`` on standard output, until it ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    # Decoders print as they please: from here on that goes to standard error.
    os.dup2(2, 1)
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_feed, args=(requests,), daemon=True).start()
    _reply(replies, mark, {"id": 0, "ready": True})
    while True:
        request = json.loads(requests.get())
        try:
            answer = _answer(request)
        except Exception as error:
            answer = {"error": _reason(error)}
        _reply(replies, mark, {"id": request["id"], **answer})


def _reason(error: Exception) -> str:
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, MemoryError):
        return "it takes more memory than the checker may have"
    # Decoders raise what they like over broken files; the type is what a report needs.
    return f"{type(error).__name__}: {error}"


def _inspected(image: dict[str, Any]) -> dict[str, Any]:
    return inspect_image(Path(image["path"]), **image["limits"]).model_dump(mode="json")


def _inspected_or_reason(image: dict[str, Any]) -> dict[str, Any] | str:
    try:
        return _inspected(image)
    except Exception as error:
        return _reason(error)


def _feed(requests: queue.Queue[str]) -> None:
    # In a thread of its own, so that a parent's death ends the child in the middle of a decode too.
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    match request["op"]:
        case "limit":
            _limit_memory(int(request["max_memory"]))
            return {"output": None}
        case "inspect":
            return {"output": _inspected(request)}
        case "inspect all":
            return {"output": [_inspected_or_reason(image) for image in request["images"]]}
        case "assemble":
            tiles = [(Region.model_validate(region), Path(path)) for region, path in request["tiles"]]
            out = Path(request["out"])
            assemble(tiles, request["width"], request["height"], out)
            return {"output": inspect_image(out).model_dump(mode="json")}
        case "compare":
            found = compare_files(
                Path(request["expected"]),
                Path(request["actual"]),
                request["region"] and Region.model_validate(request["region"]),
                honest=request["honest"] and Path(request["honest"]),
                tolerance=_tolerance(request),
                heatmap=request["heatmap"] and Path(request["heatmap"]),
            )
            return {"output": found.model_dump(mode="json")}
        case "attention":
            neighbour = request["neighbour"] and read_grey(Path(request["neighbour"]))
            return {"output": attention_map(read_grey(Path(request["path"])), neighbour).tolist()}
    raise ValueError(f"no such request: {request['op']}")


def _tolerance(request: dict[str, Any]) -> Tolerance:
    if request["exact"]:
        return EXACT
    return Tolerance.model_validate(request["tolerance"]) if request["tolerance"] else DEFAULT_TOLERANCE


def _limit_memory(extra: int) -> None:
    if sys.platform != "linux":
        return  # macOS ignores the limit and Windows has none: there the parent's watch is all.
    import resource

    # Address space, since Linux has no limit on resident memory; what is mapped already doesn't count.
    limit = psutil.Process().memory_info().vms + extra
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reply(replies: TextIO, mark: str, answer: dict[str, Any]) -> None:
    replies.write(f"{mark}{json.dumps(answer)}\n")
    replies.flush()

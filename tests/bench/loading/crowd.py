"""Many workers in one process that render nothing: they lease, upload a picture made before, and hand in the result.

Usage: crowd.py ORDERS, a JSON file. Prints one JSON object. Speaks HTTP by itself, since a library would take more of
the processor than the dispatcher that is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

API = "/api/v1"


@dataclass
class Tally:
    """What the workers saw, in seconds on the monotonic clock."""

    leased: list[float] = field(default_factory=list)
    """How long each request took that brought tasks."""
    uploaded: list[float] = field(default_factory=list)
    handed_in: list[float] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0
    done: int = 0


class Caller:
    """One connection that is kept."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._host, self._port = host, port
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def call(
        self, method: str, path: str, body: bytes, kind: str = "application/json", key: str = "", *, root: bool = False
    ) -> bytes:
        more = f"Idempotency-Key: {key}\r\n" if key else ""
        about = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        head = f"{method} {'' if root else API}{path} HTTP/1.1\r\n{self._head}{more}{about}\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (int(line.split(":")[1]) for line in answer.split("\r\n") if line.lower().startswith("content-length:")), 0
        )
        content = await self._reader.readexactly(length) if length else b""
        if answer[9] != "2":
            raise SystemExit(f"{method} {path}: {answer.splitlines()[0]} {content[:500]!r}")
        return content

    def close(self) -> None:
        self._writer.close()


async def work(caller: Caller, orders: dict[str, Any], pictures: dict[str, Any], tally: Tally, name: int) -> None:
    job: str | None = None
    number = 0
    while tally.done < orders["tasks"]:
        number += 1
        wanted = json.dumps({"count": orders["batch"], "open_job": job}).encode()
        start = time.monotonic()
        # Every agent's request has a key.
        answer = await caller.call("POST", "/leases?wait=5", wanted, key=f"worker {name} request {number} {start}")
        leases = json.loads(answer)["leases"]
        if not leases:
            continue
        tally.leased.append(time.monotonic() - start)
        tally.first = tally.first or start
        job = leases[0]["task"]["job_id"]
        if orders["seconds"]:
            await asyncio.sleep(orders["seconds"] * len(leases))
        made = [(lease["id"], pictures[str(lease["task"]["frame"])]) for lease in leases]
        if orders["together"]:
            await hand_in_together(caller, made, tally)
        else:
            await hand_in_each(caller, made, tally)


async def hand_in_together(caller: Caller, made: list[tuple[str, dict[str, Any]]], tally: Tally) -> None:
    start = time.monotonic()
    body = b",".join(
        b'{"lease_id":"%b","result":%b,"files":[{"sha256":"%b","content":"%b"}]}'
        % (lease.encode(), picture["result"], picture["sha256"].encode(), picture["base64"])
        for lease, picture in made
    )
    answer = await caller.call("POST", "/leases/results", b'{"results":[%b]}' % body, key=f"results {made[0][0]}")
    tally.last = time.monotonic()
    for taken in json.loads(answer)["results"]:
        if taken["acceptance"] is None:
            raise SystemExit(f"a result was refused: {taken}")
        tally.handed_in.append(tally.last - start)
        tally.done += 1


async def hand_in_each(caller: Caller, made: list[tuple[str, dict[str, Any]]], tally: Tally) -> None:
    """As with a dispatcher that takes one result at a time, and its file before it."""
    for lease, picture in made:
        start = time.monotonic()
        await caller.call("PUT", f"/blobs/{picture['sha256']}", picture["png"], "application/octet-stream")
        now = time.monotonic()
        tally.uploaded.append(now - start)
        await caller.call("POST", f"/leases/{lease}/result", picture["result"], key=f"result of {lease}")
        tally.last = time.monotonic()
        tally.handed_in.append(tally.last - now)
        tally.done += 1


async def idle(caller: Caller, orders: dict[str, Any], tally: Tally) -> None:
    """Three requests a task that ask for nothing."""
    while tally.done < orders["tasks"]:
        tally.first = tally.first or time.monotonic()
        for _ in range(3):
            await caller.call("GET", "/healthz", b"", root=True)
        tally.last = time.monotonic()
        tally.done += 1


async def main() -> None:
    orders = json.loads(Path(sys.argv[1]).read_text())
    pictures = json.loads(Path(orders["pictures"]).read_text())
    for picture in pictures.values():
        picture["png"] = bytes.fromhex(picture["png"])
        picture["base64"] = base64.b64encode(picture["png"])
        picture["result"] = picture["result"].encode()
    tally = Tally()
    callers = [Caller(orders["host"], orders["port"], token) for token in orders["tokens"]]
    for caller in callers:
        await caller.open()
    processor = resource.getrusage(resource.RUSAGE_SELF)
    workers = [
        asyncio.create_task(
            idle(caller, orders, tally) if orders.get("floor") else work(caller, orders, pictures, tally, name)
        )
        for name, caller in enumerate(callers)
    ]
    while tally.done < orders["tasks"]:
        ended, _ = await asyncio.wait(workers, timeout=0.05, return_when=asyncio.FIRST_EXCEPTION)
        for task in ended:
            task.result()
    used = resource.getrusage(resource.RUSAGE_SELF)
    for task in workers:
        task.cancel()
    for caller in callers:
        caller.close()
    told = {
        "leased": sorted(tally.leased),
        "uploaded": sorted(tally.uploaded),
        "handed_in": sorted(tally.handed_in),
        "seconds": tally.last - tally.first,
        "processor": used.ru_utime + used.ru_stime - processor.ru_utime - processor.ru_stime,
    }
    print(json.dumps(told))


asyncio.run(main())

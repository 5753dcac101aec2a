"""A machine that was let in and sends garbage, or takes work and walks away."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import secrets
from typing import Any

import requests
from access import invite
from machines import OWNER
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

_TIMEOUT = 5.0


class Stranger:
    """Enrols under a new name at ``url`` with the ``capabilities`` of an honest worker."""

    def __init__(self, url: str, capabilities: dict[str, Any], chance: random.Random) -> None:
        self._api = f"{url}/api/v1"
        self._chance = chance
        body = {
            "name": f"stranger-{secrets.token_hex(4)}",
            "secret": secrets.token_hex(32),
            "owner": OWNER,
            "invite": invite(url),
            "capabilities": capabilities,
        }
        self.name = body["name"]
        self._session = requests.Session()
        self._session.trust_env = False
        answer = self._session.post(f"{self._api}/workers", json=body, timeout=_TIMEOUT)
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def lease(self) -> dict[str, Any] | None:
        answer = self._session.post(f"{self._api}/leases?wait=1", json={"count": 1}, timeout=_TIMEOUT)
        leases = answer.json().get("leases") if answer.ok else None
        return leases[0] if leases else None

    def release(self, lease: dict[str, Any]) -> None:
        self._session.delete(f"{self._api}/leases/{lease['id']}", timeout=_TIMEOUT)

    def send_garbage(self, lease: dict[str, Any]) -> list[int]:
        """All kinds of nonsense about a lease, and last a result that is none; the answers' statuses."""
        said = [self._send(*one) for one in self._nonsense(lease["id"])]
        self._babble()
        noise = self._chance.randbytes(5000)
        if self._chance.random() < 0.5:
            noise = b"\x89PNG\r\n\x1a\n" + noise
        sha256 = hashlib.sha256(noise).hexdigest()
        said.append(self._send("PUT", f"/blobs/{sha256}", noise, {}))
        output = {
            "sha256": sha256, "size": len(noise), "pixel_digest": sha256, "phash": sha256[:16], "width": 64,
            "height": 36, "channels": ["R", "G", "B", "A"], "container": "png", "blank": False,
        }  # fmt: skip
        stats = {"render_seconds": 0, "total_seconds": 0, "blender": "?", "device": "?"}
        result = json.dumps({"output": output, "stats": stats}).encode()
        said.append(self._send("POST", f"/leases/{lease['id']}/result", result, {"Content-Type": "application/json"}))
        return said

    def _nonsense(self, lease: str) -> list[tuple[str, str, bytes, dict[str, str]]]:
        as_json = {"Content-Type": "application/json"}
        noise = self._chance.randbytes(2000)
        sha256 = hashlib.sha256(noise).hexdigest()
        packed = gzip.compress(bytes(50 << 20), 9)
        bomb = {"Content-Encoding": "gzip", "Content-Range": f"bytes 0-{(50 << 20) - 1}/{50 << 20}"}
        return [
            ("POST", f"/leases/{lease}/result", b"[" * 20_000, as_json),
            ("POST", f"/leases/{lease}/result", noise, as_json),
            ("POST", f"/leases/{lease}/renew", b'{"progress": {"sample": 1e999}}', as_json),
            ("POST", f"/leases/{secrets.token_hex(12)}/result", b"{}", as_json),
            ("POST", "/leases/..%2f..%2fetc/renew", b"{}", as_json),
            ("POST", "/leases", b'{"count": 99999999999999999999}', as_json),
            ("PUT", f"/blobs/{'0' * 64}", noise, {}),
            ("PUT", f"/blobs/{sha256}", packed, bomb),
            ("PUT", f"/blobs/{sha256}", packed[: len(packed) // 2], bomb),
        ]

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        try:
            answer = self._session.request(method, self._api + path, data=body, headers=headers, timeout=_TIMEOUT)
        except requests.RequestException:
            return 0  # the dispatcher may be down at the moment, or have hung up on us
        return answer.status_code

    def _babble(self) -> None:
        token = str(self._session.headers["Authorization"])
        url = f"ws{self._api.removeprefix('http')}/events"
        try:
            with connect(url, additional_headers={"Authorization": token}, proxy=None, open_timeout=_TIMEOUT) as line:
                for word in ("{", "[]", "x" * 100_000, '{"type": "cancel", "lease_id": "a"}', b"\x00\xff" * 100):
                    line.send(word)
        except (OSError, WebSocketException):
            return

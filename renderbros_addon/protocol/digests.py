"""What a message was when it was sent: its digest, in the header that RFC 9530 gives it.

TCP's own checksum lets one damaged packet in some ten million pass, and boxes on the way make damage after it was
checked. A digit that became another one is a valid message still: another frame would be rendered, and be accepted.
"""

from __future__ import annotations

import base64
import hashlib

HEADER = "Content-Digest"

_PREFIX = "sha-256=:"


def content_digest(body: bytes | bytearray) -> str:
    """The header's value for ``body``."""
    return f"{_PREFIX}{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def is_garbled(body: bytes | bytearray, told: str | None) -> bool:
    """Is ``body`` not what it was, by the header's value? Without one, or by other digests, nobody can tell."""
    return told is not None and told.strip().startswith(_PREFIX) and told.strip() != content_digest(body)

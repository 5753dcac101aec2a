"""How long nobody has touched keyboard or mouse of an X display, in the words of X11 itself.

Xlib would end the whole process when the display goes away, and libXss is not everywhere. What is said here: X Window
System Protocol (X11R6), sections *Connection Setup* and *QueryExtension*; X11 Screen Saver Extension, *QueryInfo*.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 2.0
_LOCAL_FAMILY, _WILD_FAMILY = 256, 65535
_COOKIE = b"MIT-MAGIC-COOKIE-1"
_DISPLAY = re.compile(r"(?:unix)?:(\d+)(?:\.\d+)?")


def is_local(display: str) -> bool:
    """Whether ``display``, as in the variable of that name, is one of this machine's."""
    return _DISPLAY.fullmatch(display) is not None


def idle_seconds(display: str, environ: Mapping[str, str]) -> float:
    """Seconds since the last input at the local ``display``. OSError or ValueError if it does not tell."""
    found = _DISPLAY.fullmatch(display)
    if found is None:
        raise ValueError(f"no display of this machine: {display!r}")
    number = found[1]
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_SECONDS)
        line.connect(f"/tmp/.X11-unix/X{number}")  # noqa: S108  (where X has it)
        root = _greet(line, _cookie(number, environ))
        name = b"MIT-SCREEN-SAVER"
        line.sendall(struct.pack("<BxHHxx", 98, 2 + len(name) // 4, len(name)) + name)
        present, opcode = struct.unpack_from("<BB", _reply(line), 8)
        if not present:
            raise ValueError("the display has no extension MIT-SCREEN-SAVER")
        line.sendall(struct.pack("<BBHI", opcode, 1, 2, root))
        (milliseconds,) = struct.unpack_from("<I", _reply(line), 16)
        return float(milliseconds) / 1e3


def _greet(line: socket.socket, cookie: bytes) -> int:
    """Open the connection; the root window's id."""
    name = _COOKIE if cookie else b""
    line.sendall(struct.pack("<BxHHHHxx", 0x6C, 11, 0, len(name), len(cookie)) + _padded(name) + _padded(cookie))
    status, _, _, words = struct.unpack("<BxHHH", _exactly(line, 8))
    told = _exactly(line, words * 4)
    if status != 1:
        raise ValueError("the display does not let us in")
    vendor, formats = struct.unpack_from("<H", told, 16)[0], told[21]
    (root,) = struct.unpack_from("<I", told, 32 + -(-vendor // 4) * 4 + 8 * formats)
    return int(root)


def _reply(line: socket.socket) -> bytes:
    told = _exactly(line, 32)
    if told[0] != 1:
        raise ValueError(f"the display answers with error {told[1]}")
    return told + _exactly(line, struct.unpack_from("<I", told, 4)[0] * 4)


def _exactly(line: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = line.recv(count - len(got))
        if not more:
            raise ValueError("the display hung up")
        got += more
    return got


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)


def _cookie(number: str, environ: Mapping[str, str]) -> bytes:
    """The secret of the display in the user's Xauthority file; empty if there is none, which some displays allow."""
    place = Path(environ.get("XAUTHORITY") or Path(environ.get("HOME", "/")) / ".Xauthority")
    try:
        text = place.read_bytes()
    except OSError:
        return b""
    at, host = 0, socket.gethostname().encode()
    while at + 2 <= len(text):
        (family,) = struct.unpack_from(">H", text, at)
        at += 2
        parts = []
        for _ in range(4):
            if at + 2 > len(text):
                return b""
            (length,) = struct.unpack_from(">H", text, at)
            parts.append(text[at + 2 : at + 2 + length])
            at += 2 + length
        address, its_number, name, cookie = parts
        here = family == _WILD_FAMILY or (family == _LOCAL_FAMILY and address == host)
        if here and its_number in (b"", number.encode()) and name == _COOKIE:
            return cookie
    return b""

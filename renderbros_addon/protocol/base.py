"""What every message has in common: strict models, digests, identifiers, safe relative paths."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, StringConstraints

API_PREFIX = "/api/v1"

# Every number on the wire has an upper bound: Python's integers have none, but databases and floats do.
MAX_COUNT = (1 << 53) - 1
"""The largest count or number of bytes: the last integer that JSON carries exactly everywhere (RFC 8259)."""

MAX_SECONDS = 1e9
"""The longest duration: some thirty years."""


class Wire(BaseModel):
    """A message. Immutable, and unknown fields are an error, so that a typing slip never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T")
Many = Annotated[tuple[T, ...], FailFast()]
"""A sequence in a request. It is looked at up to the first fault: telling of each of a hundred thousand takes seconds,
for which nobody else is heard."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""An identifier the dispatcher gave out: safe in URLs, logs and file names."""

# Windows refuses these whatever the extension; a frame named so could never be saved there.
_WINDOWS_DEVICES = re.compile(
    r"\A(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?\Z", re.IGNORECASE | re.DOTALL
)


# Separators, wildcards, Unicode's category Cc, and what turns the direction of writing: by that a name that ends in
# exe.png can be shown as one that ends in gnp.exe, and the other way round.
_NEVER_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]')

MAX_DEPTH = 64
"""Folders in each other below a job's root."""


def checked_name(name: str) -> str:
    """Return ``name`` if it is one plain file name on every platform, else raise ValueError."""
    if not name or name in (".", "..") or len(name.encode()) > 255:
        raise ValueError(f"not a file name: {name!r}")
    if _NEVER_IN_NAMES.search(name):
        raise ValueError(f"a file name must not hold separators, wildcards or control characters: {name!r}")
    if name[-1] in " ." or _WINDOWS_DEVICES.match(name):
        raise ValueError(f"not a file name that every platform can hold: {name!r}")
    return name


def same_name(path: str) -> str:
    """What two paths have in common that are one file somewhere: Windows and macOS ignore case, macOS also whether an
    accent is a character of its own."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def checked_relative_path(path: str) -> str:
    """Return ``path`` if it is relative, uses ``/`` and stays below its root, else raise ValueError."""
    if len(path) > 1024:
        raise ValueError("a path of over 1024 characters")
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise ValueError(f"a path of over {MAX_DEPTH} folders")
    for part in parts:
        checked_name(part)
    return path


# Unicode's categories Cc and Cs, but for tabs and ends of lines: they would steer the terminal of whoever reads.
_NEVER_IN_PROSE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _readable(text: str) -> str:
    return _NEVER_IN_PROSE.sub("", text)


Prose = Annotated[str, AfterValidator(_readable)]
"""Words for people, of whatever origin. What only machines read in them is dropped (PostgreSQL can't store a NUL): the
rest may matter."""

Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")]
"""A name for people, on one line."""

FileName = Annotated[str, AfterValidator(checked_name)]
RelativePath = Annotated[str, AfterValidator(checked_relative_path)]

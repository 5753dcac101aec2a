"""Open a .blend that may be hostile, damaged or too new."""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..protocol.states import FailureCode
from .failures import scene_fault
from .same_frame import forget
from .stilling import still
from .versions import running_series

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import zstandard
except ImportError:  # official Blenders bring it along, distributions' may not
    zstandard = None  # type: ignore[assignment]

log = logging.getLogger("renderbros.blender")

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_WINDOW = 128 << 20
"""Bytes. Blender's own files need far less; a file that asks for more is left to Blender to judge."""
# BLENDER, pointer size (_ or -), byte order (v or V), version in three digits: 12 bytes, up to 4.5 (5.0 may write it).
_OLD_HEADER = re.compile(rb"BLENDER[_-][vV](\d)(\d\d)")
# BLENDER, header's length, -, format version, v, version in four digits: 17 bytes, since 5.0.
_NEW_HEADER = re.compile(rb"BLENDER\d\d-\d\dv(\d\d)(\d\d)")


def header_version(path: Path) -> tuple[int, int] | None:
    """The version that saved ``path``, as (major, minor), from its header; None where zstd hides it from us.

    Raises CannotServe (``corrupt_blend``, ``missing_file``) if it isn't a .blend, or not there.
    """
    try:
        with path.open("rb") as file:
            start = file.read(17)
        if start.startswith(_GZIP_MAGIC):
            with gzip.open(path) as unpacked:
                start = unpacked.read(17)
    except FileNotFoundError:
        raise scene_fault(FailureCode.MISSING_FILE, f"The scene file {path.name} is not there.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise scene_fault(FailureCode.CORRUPT_BLEND, f"{path.name} can't be read: {error}.") from error
    if start.startswith(_ZSTD_MAGIC):
        unpacked_start = _zstd_start(path)
        if unpacked_start is None:
            return None
        start = unpacked_start
    found = _NEW_HEADER.match(start) or _OLD_HEADER.match(start)
    if not found:
        raise scene_fault(FailureCode.CORRUPT_BLEND, f"{path.name} is not a .blend file, or its start is damaged.")
    return int(found[1]), int(found[2])


def _zstd_start(path: Path) -> bytes | None:
    """The first bytes of what is packed in ``path``; None if they can't be had without Blender."""
    if zstandard is None:
        return None
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(file) as s:
            return s.read(17)
    except (OSError, zstandard.ZstdError):
        return None


def open_blend(path: Path) -> tuple[str, ...]:
    """Open ``path`` with all of its scripts, drivers and handlers blocked; return what Blender warned of.

    Its simulations do not run before it is evaluated next.

    Raises CannotServe: ``missing_file``, ``corrupt_blend`` or ``newer_blend``. The file open before is gone then, or
    is still there: open another before going on.
    """
    _refuse_newer(path, header_version(path))
    forget()
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    warnings: tuple[str, ...] = ()
    with _load_noticed() as loaded:
        try:
            bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
        except RuntimeError as error:
            # Blender raises for anything it reports as an error while loading, a missing library for one.
            if not loaded:
                reason = str(error).strip().removeprefix("Error: ")
                if re.search(r"newer|too new|unsupported version", reason, re.IGNORECASE):
                    raise _newer(path, "a newer Blender") from error
                raise scene_fault(
                    FailureCode.CORRUPT_BLEND, f"{path.name} is damaged, Blender can't open it: {reason}"
                ) from error
            warnings = tuple(line.strip() for line in str(error).splitlines() if line.strip())
    if not loaded:
        raise scene_fault(FailureCode.CORRUPT_BLEND, f"Blender did not open {path.name} and gave no reason.")
    _refuse_newer(path, tuple(bpy.data.version[:2]))
    _disarm_freestyle()
    return warnings


def _disarm_freestyle() -> None:
    """Freestyle runs its Python modules whatever Blender was told of scripts, for any scene that a picture is made of.

    A scene that is to be rendered by them is refused elsewhere: its layers stay in scripting mode.
    """
    for scene in bpy.data.scenes:
        for layer in scene.view_layers:
            for module in layer.freestyle_settings.modules:
                module.use = False
                module.script = None


def blocked_script() -> str | None:
    """What Blender kept from running since the file was opened, such as a driver's expression; None if nothing."""
    return bpy.app.autoexec_fail_message if bpy.app.autoexec_fail else None


def _refuse_newer(path: Path, version: tuple[int, ...] | None) -> None:
    if version is not None and version > bpy.app.version[:2]:
        raise _newer(path, f"Blender {version[0]}.{version[1]}")


def _newer(path: Path, saved_by: str) -> Exception:
    return scene_fault(
        FailureCode.NEWER_BLEND,
        f"{path.name} was saved by {saved_by}, and this is Blender {running_series()}, which would lose data: "
        "render it with that version or later, or save it from this one.",
    )


@contextmanager
def _load_noticed() -> Iterator[list[str]]:
    """Yield a list that gets an entry when Blender has loaded a file; while this lasts its simulations are off."""
    loaded: list[str] = []
    with ExitStack() as undo:

        @bpy.app.handlers.persistent  # type: ignore[untyped-decorator]
        def note(*_: object) -> None:
            loaded.append(bpy.data.filepath)
            undo.callback(still())

        bpy.app.handlers.load_post.append(note)
        undo.callback(bpy.app.handlers.load_post.remove, note)
        yield loaded

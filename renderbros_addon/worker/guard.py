"""Which guards stand around a renderer on this machine, and a command with all of them around it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import kernel_guard
from .limits import Limits
from .sandbox import SYSTEM, Sandbox, also_needed, find_sandbox, graphics_devices, refusal
from .seatbelt import Seatbelt, find_seatbelt

log = logging.getLogger("renderbros.worker")

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = ("renderbros_addon", "bootstrap", "__init__.py", "pyproject.toml", "blender_manifest.toml", "wheels")
_SETTINGS = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "localtime", "timezone", "locale.alias", "fonts",
    "OpenCL", "vulkan", "glvnd", "egl", "drirc", "nvidia", "alternatives", "os-release", "debian_version",
    "nsswitch.conf", "passwd", "mime.types", "python3", "static", "ssl/openssl.cnf",
)  # fmt: skip
"""Of /etc: what the loader, fonts, graphics drivers and Python look into."""
_KERNEL = (
    "self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "devices", "modules", "uptime", "loadavg",
    "sys/kernel", "sys/vm", "driver",
)  # fmt: skip
_PLAIN_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Guard:
    """What keeps a renderer from the rest of this machine."""

    layers: tuple[str, ...]
    """The guards in force, by their names, the strongest first."""
    missing: str = ""
    """Which are not, and why, for people."""
    limits: Limits = field(default_factory=Limits)
    wanted: bool = True
    _sandbox: Sandbox | None = None
    _seatbelt: Seatbelt | None = None
    _launcher: tuple[str, ...] = ()
    _landlock: bool = False
    _seccomp: bool = False
    _tools: tuple[Path, ...] = ()

    @property
    def by_the_system(self) -> bool:
        """The operating system itself keeps files and network from the renderer, whatever runs in it."""
        return self._sandbox is not None or self._seatbelt is not None or (self._landlock and self._seccomp)

    @property
    def environment(self) -> dict[str, str]:
        """What a renderer must know of its guards. Scenes are trusted where the owner wants no sandbox."""
        return {"RENDERBROS_NO_OSL": "1"} if self.wanted and not self.by_the_system else {}

    def wrap(self, command: list[str], *, readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
        """``command`` with all guards around it; of people's files it sees ``readable`` and ``writable`` alone.

        The first of ``writable`` is its scratch folder, which is there.
        """
        words = list(command)
        if self._launcher:
            asked = self._asked(words, readable, writable)
            words = [*self._launcher, json.dumps(asked), *words]
        if self._seatbelt:
            words = self._seatbelt.wrap(words, readable=[*self._tools, *readable], writable=writable)
        if self._sandbox:
            shared = writable[0] / "shm" if writable else None
            if shared is not None:
                shared.mkdir(exist_ok=True)
            words = self._sandbox.wrap(words, readable=readable, writable=writable, shared=shared)
        return words

    def _asked(self, command: list[str], readable: Sequence[Path], writable: Sequence[Path]) -> dict[str, object]:
        asked: dict[str, object] = {"limits": self.limits.of_a_process(), "seccomp": self._seccomp}
        asked["processes"] = _is_script(command[0])
        if self._landlock:
            asked["landlock"] = True
            asked["read"] = [
                *SYSTEM,
                *also_needed(),
                *(f"/etc/{name}" for name in _SETTINGS),
                *(f"/proc/{name}" for name in _KERNEL),
                *map(str, (*self._tools, *readable)),
            ]
            asked["write"] = [*map(str, writable), *(["/dev/shm"] if self._sandbox else [])]  # noqa: S108
            # Python looks for packages by listing the folders that hold them.
            asked["listed"] = [str(_ROOT)]
            asked["devices"] = [*(f"/dev/{name}" for name in _PLAIN_DEVICES), *graphics_devices()]
        return asked


def find_guard(
    data: Path, blender: Path | None, packages: Sequence[Path], *, wanted: bool = True, limits: Limits | None = None
) -> Guard:
    """The guards that were tried here and work. Without ``wanted`` there are the limits alone.

    ``data`` is the worker's data folder, ``blender`` the binary that renders, None for the wheel of this Python;
    ``packages`` are folders of libraries.
    """
    limits = limits or Limits()
    tools = _tools(blender, packages)
    launcher = _launcher()
    if not wanted:
        layers = ("limits",) if launcher else ()
        return Guard((*layers, "in-process"), "the sandbox is switched off", limits, wanted=False, _launcher=launcher)
    sandbox, why_no_sandbox = find_sandbox(data, tools)
    seatbelt = find_seatbelt()
    missing = [why_no_sandbox] if why_no_sandbox and seatbelt is None else []
    landlock, seccomp = (
        bool(launcher) and kernel_guard.landlock_abi() > 0,
        bool(launcher) and kernel_guard.has_seccomp(),
    )
    guard = Guard((), "", limits, True, sandbox, seatbelt, launcher, landlock, seccomp, tuple(tools))
    if landlock or seccomp:
        tried = guard.wrap([shutil.which("true") or "true"], readable=[], writable=[])
        if reason := refusal(tuple(tried)):
            missing.append(f"Landlock and seccomp do not work here: {reason}")
            landlock = seccomp = False
    if sys.platform.startswith("linux"):
        if not launcher:
            missing.append("Landlock, seccomp and limits need a Python that runs by itself")
        else:
            missing += [
                f"this kernel has no {name}"
                for name, there in (("Landlock", landlock), ("seccomp", seccomp))
                if not there
            ]
    names = [
        name
        for name, there in (
            ("bwrap", sandbox), ("sandbox-exec", seatbelt), ("landlock", landlock), ("seccomp", seccomp),
            ("limits", launcher), ("in-process", True),
        )
        if there
    ]  # fmt: skip
    told = "; ".join(missing)
    found = Guard(tuple(names), told, limits, True, sandbox, seatbelt, launcher, landlock, seccomp, tuple(tools))
    (log.info if found.by_the_system else log.warning)(
        "renderers are guarded by %s%s", ", ".join(names), f" ({told})" if told else ""
    )
    return found


def _tools(blender: Path | None, packages: Sequence[Path]) -> list[Path]:
    """What a renderer needs to run, wherever it lies."""
    tools = [_ROOT / name for name in _PROGRAM]
    tools += [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent]
    # A binary may be a link to its folder's own; a virtual environment's Python usually is.
    tools += [Path(sys.executable).resolve().parent.parent]
    if blender:
        tools += [blender.parent, blender.resolve().parent]
    tools += packages
    return [tool.absolute() for tool in dict.fromkeys(tools)]


def _launcher() -> tuple[str, ...]:
    """A Python and the script that guards itself before it becomes the renderer; empty where there is no such."""
    if os.name != "posix":
        return ()
    # Inside a Blender whose Python does not run by itself the bootstrap has told so.
    python = shutil.which("python3") if os.environ.get("RENDERBROS_SELF") else sys.executable
    return (python, "-I", "-S", kernel_guard.__file__) if python else ()


def _is_script(program: str) -> bool:
    """A wrapper around Blender may have to start other programs."""
    try:
        with Path(shutil.which(program) or program).open("rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False

"""The environment of a renderer: only what Blender needs to run, nothing that tells or opens anything."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_KEPT = frozenset(
    {
        "PATH",
        "LANG",
        "LANGUAGE",
        "TZ",
        "SYSTEMROOT",
        "WINDIR",
        "SYSTEMDRIVE",
        "COMSPEC",
        "PATHEXT",
        "OS",
        "NUMBER_OF_PROCESSORS",
        "PROCESSOR_ARCHITECTURE",
        "PROCESSOR_IDENTIFIER",
        "PROGRAMFILES",
        "PROGRAMDATA",
        "LD_LIBRARY_PATH",
        "RENDERBROS_HOME",
        "RENDERBROS_PACKAGES",
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        "HIP_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "ONEAPI_DEVICE_SELECTOR",
        "GALLIUM_DRIVER",
    }
)
_KEPT_PREFIXES = ("LC_", "LIBGL_", "MESA_", "EGL_", "__EGL_", "__GLX_", "VK_")
_SECRET = re.compile(r"TOKEN|SECRET|KEY|PASS|CREDENTIAL|AUTH", re.IGNORECASE)


def scrubbed_environment(
    scratch: Path, *, threads: int | None = None, shaders: Path | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment for a renderer that may write below ``scratch`` only.

    ``shaders`` is a folder that outlives the renderer, for compiled kernels and shaders, which take seconds to
    minutes to make. ``environ`` (``os.environ`` for None) is what to pick from.
    """
    given = os.environ if environ is None else environ
    env = {
        name: value
        for name, value in given.items()
        if (name.upper() in _KEPT or name.upper().startswith(_KEPT_PREFIXES)) and not _SECRET.search(name)
    }
    home, temp = scratch / "home", scratch / "tmp"
    for folder in (home, temp):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    caches = shaders or home / "cache"
    caches.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_RUNTIME_DIR"):
        env[name] = str(home)
    for name in ("TMPDIR", "TEMP", "TMP"):
        env[name] = str(temp)
    for name in ("XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "CUDA_CACHE_PATH"):
        env[name] = str(caches)
    env.setdefault("LANG", "C.UTF-8")
    # OpenBLAS would start a thread and map memory for every core just because numpy was imported.
    env |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads or 1)}
    env |= {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    if threads:
        env["RENDERBROS_THREADS"] = str(threads)
    return env

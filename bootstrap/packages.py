"""The private folder of packages that a Blender runs RenderBros with.

Blender's own installation is never written to. A folder serves one Python version and one list of requirements; it
is filled under another name and renamed when whole. Agents and dispatchers then run in Blender's own Python, which
is light; only the renderer and the tests stay inside Blender.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from bootstrap import homes, interpreters, pip, requirements
from bootstrap.problems import Problem

# imagehash asks for scipy and PyWavelets (40 MB), which only hashes that RenderBros does not use need.
_WITHOUT_ITS_REQUIREMENTS = "imagehash"
_INSTEAD_OF_THEM = "pillow"


def provide(args: list[str], blender: Any, *, developer: bool) -> None:
    """Make the packages importable here, or go on in Blender's own Python and not return.

    ``blender`` is the ``bpy`` module. Problem if packages are missing and may not or can't be installed.
    """
    if hasattr(signal, "SIGPIPE"):
        # As any Python does: a pipe that somebody closes is an error of that write, not the end of the process.
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    folder = _folder(args, blender, developer=developer)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    if args[:1] == ["renderer"]:
        return
    # Renderers get another home folder, and must still find the packages.
    os.environ["RENDERBROS_HOME"] = str(homes.home())
    os.environ["RENDERBROS_BLENDER"] = blender.app.binary_path
    os.environ["RENDERBROS_PACKAGES"] = str(folder)
    alone = _runs_alone()
    if alone and not developer:
        raise SystemExit(interpreters.run_instead([sys.executable, interpreters.START], args))
    if developer:
        # Tests start children with sys.executable and import the project in them.
        os.environ["PYTHONPATH"] = os.pathsep.join((str(interpreters.START.parents[1]), str(folder)))
    if not alone:
        interpreters.announce_self(
            [blender.app.binary_path, "-b", "--python-exit-code", "1", "--python", str(interpreters.START), "--"]
        )


def _folder(args: list[str], blender: Any, *, developer: bool) -> Path:
    if (given := os.environ.get("RENDERBROS_PACKAGES")) and Path(given).is_dir():
        return Path(given)
    wanted = requirements.listed("test") if developer else requirements.listed()
    if not developer and (wheels := _folder_of_the_wheels(args)):
        return wheels
    tag = f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}-{requirements.key(wanted)}"
    folder = homes.home() / "packages" / tag
    if folder.is_dir():
        return folder
    if args[:1] == ["renderer"]:
        raise Problem(f"no packages for this Blender in {folder}; the worker that starts a renderer installs them")
    if "--offline-mode" in sys.argv:
        raise Problem(
            f"this Blender lacks packages that RenderBros needs, and --offline-mode forbids to get them. Run it once "
            f"without that option, or copy {folder} from a machine with the same Blender."
        )
    with homes.locked(folder.with_name(f"{tag}.lock")):
        if not folder.is_dir():
            _install(folder, wanted, blender, developer=developer)
    return folder


def _folder_of_the_wheels(args: list[str]) -> Path | None:
    """Where Blender unpacked the wheels of the extension, if they and Blender's own packages are all it takes."""
    lacking = requirements.unmet(requirements.needed_by(args))
    # What Blender brings itself has no metadata; its own Python finds it as well.
    if any(importlib.util.find_spec(requirements.name(one).replace("-", "_")) is None for one in lacking):
        return None
    return Path(str(importlib.metadata.distribution("pydantic").locate_file("")))


def _install(folder: Path, wanted: list[str], blender: Any, *, developer: bool) -> None:
    size = 400 if developer else 80
    print(
        f"renderbros: first start in Blender {blender.app.version_string}: installing libraries into {folder} "
        f"(about {size} MB to download, once)",
        file=sys.stderr,
        flush=True,
    )
    try:
        for left in folder.parent.glob(f"{folder.name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f"{folder.name}.new-", dir=folder.parent))
        installer = pip.Installer(_pip_command())
        apart = [r for r in wanted if requirements.name(r) == _WITHOUT_ITS_REQUIREMENTS]
        rest = [r for r in wanted if r not in apart]
        installer([*rest, _INSTEAD_OF_THEM, *_numpy_as_here()], "--target", str(new))
        # Scripts, which know this folder by a name it won't keep; pip would also stumble over them in the next step.
        shutil.rmtree(new / "bin", ignore_errors=True)
        installer(apart, "--target", str(new), "--no-deps")
        new.chmod(0o755)  # others may use it, as in a container
        new.replace(folder)
    except OSError as error:
        raise Problem(
            f"could not fill {folder}: {error}\nFree some space, or name another folder in RENDERBROS_HOME."
        ) from error


def _numpy_as_here() -> list[str]:
    """numpy at the version that this Blender brings, which stays the one that is imported; empty if it has none."""
    try:
        return [f"numpy=={importlib.metadata.version('numpy')}"]
    except importlib.metadata.PackageNotFoundError:
        return []


def _pip_command() -> list[str]:
    if not _runs_alone():
        raise Problem(
            f"the Python of this Blender ({sys.executable or 'none'}) does not run by itself, so nothing can be "
            "installed with it. Use RenderBros from Python 3.13 or 3.11 instead, or the official Blender."
        )
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    for place in spec.submodule_search_locations if spec and spec.submodule_search_locations else ():
        for wheel in Path(place, "_bundled").glob("pip-*.whl"):
            return [sys.executable, str(wheel / "pip")]
    raise Problem(
        f"the Python of this Blender ({sys.executable}) has no pip. On Debian and Ubuntu: sudo apt install python3-pip"
    )


def _runs_alone() -> bool:
    """Whether Blender's Python works as a program of its own."""
    if not sys.executable or not Path(sys.executable).name.lower().startswith("python"):
        return False
    probe = "import sys, sqlite3, ssl; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.split() == [str(part) for part in sys.version_info[:2]]

"""The private virtual environment that a plain Python runs RenderBros in.

One environment serves every clone with the same requirements on the same Python. The project itself is never
installed into it: each clone runs its own files.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bootstrap import homes, interpreters, pip, requirements
from bootstrap.problems import Problem


def is_complete(*, developer: bool) -> bool:
    """Whether this very Python has all it takes, be it the private environment or one that its user made."""
    if handed := os.environ.get("RENDERBROS_PACKAGES"):
        # A Blender handed over to its own Python: bpy is not for it, the rest lies in that folder.
        if handed not in sys.path and Path(handed).is_dir():
            sys.path.append(handed)
        return True
    if _is_private() and _has_stamp(Path(sys.prefix), developer=developer):
        return True
    return not requirements.unmet(requirements.listed("bpy", "test") if developer else requirements.listed("bpy"))


def provide(*, developer: bool) -> list[str | Path]:
    """The command line that runs ``start.py`` in the private environment, which is made or mended first if need be."""
    place = homes.home() / f"env-{requirements.key(requirements.listed('bpy'), sys.base_prefix)}"
    python = _python_of(place)
    if not (python.exists() and _has_stamp(place, developer=developer)):
        with homes.locked(place.with_suffix(".lock")):
            if not (python.exists() and _has_stamp(place, developer=False)):
                _make(place)
            if developer and not _has_stamp(place, developer=True):
                _say("installing what the tests need (about 300 MB)")
                _pip(place)(requirements.listed("bpy", "test"))
                _write_stamp(place, developer=True)
    return [python, interpreters.START]


def _is_private() -> bool:
    """Whether this very Python is that of a private environment."""
    home = homes.home()
    return home.is_dir() and Path(sys.prefix).parent.samefile(home)


def _make(place: Path) -> None:
    """Build the environment from nothing; what an interrupted start left is removed first."""
    _say(
        f"first start with Python {sys.version_info[0]}.{sys.version_info[1]}: "
        f"installing Blender and libraries into {place} (about 400 MB to download, once)"
    )
    try:
        shutil.rmtree(place, ignore_errors=True)
        _create(place)
        _pip(place)(requirements.listed("bpy"))
    except OSError as error:
        raise Problem(
            f"could not make {place}: {error}\n"
            "Free some space (about 1.5 GB are needed), or name another folder in RENDERBROS_HOME."
        ) from error
    _write_stamp(place, developer=False)


def _create(place: Path) -> None:
    """Make an empty environment, with the first way that this Python offers."""
    base = [sys.executable, "-m"]
    ways = []
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        ways.append([*base, "venv", str(place)])
    if importlib.util.find_spec("virtualenv"):
        ways.append([*base, "virtualenv", "--quiet", str(place)])
    if importlib.util.find_spec("venv") and importlib.util.find_spec("pip"):
        ways.append([*base, "venv", "--without-pip", str(place)])
    for way in ways:
        if subprocess.run(way, stdout=sys.stderr.fileno(), check=False).returncode == 0:
            return
        shutil.rmtree(place, ignore_errors=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise Problem(
        f"this Python {version} ({sys.executable}) can't make a virtual environment. "
        f"On Debian and Ubuntu: sudo apt install python{version}-venv"
    )


def _pip(place: Path) -> pip.Installer:
    inside = [str(_python_of(place)), "-m", "pip"]
    if subprocess.run([*inside, "--version"], capture_output=True, check=False).returncode == 0:
        return pip.Installer(inside)
    return pip.Installer([sys.executable, "-m", "pip", "--python", str(_python_of(place))])


def _python_of(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp(place: Path, *, developer: bool) -> tuple[Path, str]:
    """The file that says an install came to its end, and its content."""
    if developer:
        return place / "renderbros-test-ready", requirements.key(requirements.listed("bpy", "test"))
    return place / "renderbros-ready", requirements.key(requirements.listed("bpy"))


def _has_stamp(place: Path, *, developer: bool) -> bool:
    path, content = _stamp(place, developer=developer)
    try:
        return path.read_text(encoding="utf-8") == content
    except OSError:
        return False


def _write_stamp(place: Path, *, developer: bool) -> None:
    path, content = _stamp(place, developer=developer)
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _say(text: str) -> None:
    print(f"renderbros: {text}", file=sys.stderr, flush=True)

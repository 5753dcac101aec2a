"""Which Python or Blender runs us, and which else could. Understood by any Python 3.7."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bootstrap.problems import Problem

START = Path(__file__).resolve().with_name("start.py")

WHEEL_VERSIONS = ((3, 11), (3, 13))
"""The Pythons that Blender as a module is built for; ``pyproject.toml`` says which Blender each one takes."""

SELF_VARIABLE = "RENDERBROS_SELF"
"""JSON list: the command line that starts ``start.py`` the way this process runs it, for child processes."""


def blender_we_run_in():  # type: () -> object
    """The ``bpy`` module if this is a Blender binary, else None.

    A binary has imported ``bpy`` before any script runs; the wheel, which is slow to import, is not touched.
    """
    bpy = sys.modules.get("bpy")
    if bpy is None or getattr(bpy.app, "module", False) or not bpy.app.binary_path:
        return None
    return bpy


def announce_self(command):  # type: (list) -> None
    """Let child processes be started with ``command`` plus their arguments."""
    os.environ[SELF_VARIABLE] = json.dumps(command)


def run_instead(command, args):  # type: (list, list) -> int
    """Replace this process by ``command`` with ``args``; where that can't be done, run it and pass its exit code on."""
    words = [str(word) for word in command] + list(args)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.name == "posix":
        remove_session_folder()
        os.execv(words[0], words)  # noqa: S606  (no shell is wanted)
    child = subprocess.Popen(words)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the console sent it to the child as well, which ends in its own way
            continue


def remove_session_folder():  # type: () -> None
    """Remove the temporary folder that a Blender made for itself: it does so only when it quits by itself."""
    bpy = sys.modules.get("bpy")
    folder = getattr(getattr(bpy, "app", None), "tempdir", "")
    if folder and Path(folder).name.startswith("blender_"):
        shutil.rmtree(folder, ignore_errors=True)


def continue_elsewhere(args, blender):  # type: (list, object) -> int
    """Run ``args`` in a fitting Python or in a Blender found on this machine; Problem if there is none."""
    if blender is not None:
        raise Problem(
            "this Blender ({}, with Python {}.{}) is too old: get Blender 4.2 or newer from https://www.blender.org".format(
                blender.app.version_string, *sys.version_info[:2]
            ),
            exit_code=2,
        )
    python = find_python()
    if python:
        return run_instead([*python, START], args)
    binary = find_blender()
    if binary:
        return run_instead([binary, "-b", "--python-exit-code", "1", "--python", START, "--"], args)
    raise Problem(
        "this is Python {}.{}, and RenderBros needs Python 3.13 or 3.11, or a Blender.\n"
        "No python3.13, python3.11 or blender was found on the PATH. Get one of:\n"
        "  Python 3.13 (renders with Blender 5.2) or 3.11 (Blender 4.5)  https://www.python.org/downloads/\n"
        "  Blender 4.2 or newer                                          https://www.blender.org/download/".format(
            *sys.version_info[:2]
        ),
        exit_code=2,
    )


def find_python():  # type: () -> list
    """The command line of another Python that Blender's wheel fits; empty if none runs."""
    candidates = []
    for major, minor in sorted(WHEEL_VERSIONS, reverse=True):
        found = shutil.which("python{}.{}".format(major, minor))
        if found:
            candidates.append(((major, minor), [found]))
        launcher = shutil.which("py") if os.name == "nt" else None
        if launcher:
            candidates.append(((major, minor), [launcher, "-{}.{}".format(major, minor)]))
    for version, command in candidates:
        # A name on the PATH may be a shim for a version that is not there, or not chosen, and only fails.
        if _output([*command, "-c", "import sys; print(*sys.version_info[:2])"]) == "{} {}".format(*version):
            return command
    return []


def find_blender():  # type: () -> str
    """The path of a Blender on the PATH that runs; empty if there is none."""
    found = shutil.which("blender")
    return found if found and _output([found, "--version"]).startswith("Blender ") else ""


def _output(command):  # type: (list) -> str
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
            universal_newlines=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

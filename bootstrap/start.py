"""The one entry: ``python3 bootstrap/start.py COMMAND``, or ``blender -b --python bootstrap/start.py -- COMMAND``.

It makes sure that what RenderBros needs is there, then runs the command: in a plain Python in a private virtual
environment, in a Blender from a private folder of packages. It never installs into the Python or the Blender that
runs it. ``test [PYTEST OPTIONS]`` runs the tests, ``bench NAME`` a measurement; ``prepare [test]`` installs what is
needed (for the tests too) and ends. ``build`` makes the extension's zips.

This file and ``interpreters.py`` must be understood by any Python 3.7, which has to say which Python is needed.
"""

import os
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEVELOPER_COMMANDS = ("test", "bench")


def main():  # type: () -> int
    """Run the command in ``sys.argv``; the exit code."""
    # Python puts this file's folder first, where short names such as "packages" would hide others' modules.
    sys.path[:] = [str(ROOT)] + [p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "bootstrap")]

    from bootstrap import interpreters
    from bootstrap.problems import Problem

    try:
        blender = interpreters.blender_we_run_in()
        args = _arguments(inside_blender=blender is not None)
        if sys.version_info[:2] < (3, 11):
            return interpreters.continue_elsewhere(args, blender)
        if args[:1] == ["build"]:
            from bootstrap import build

            return build.main(args[1:])
        wants = args[1:2] if args[:1] == ["prepare"] else args[:1]
        developer = wants in [[command] for command in DEVELOPER_COMMANDS]
        if blender is not None:
            from bootstrap import packages

            packages.provide(args, blender, developer=developer)
        else:
            from bootstrap import environment

            if not environment.is_complete(developer=developer):
                if sys.version_info[:2] not in interpreters.WHEEL_VERSIONS:
                    return interpreters.continue_elsewhere(args, None)
                return interpreters.run_instead(environment.provide(developer=developer), args)
        return _run(args)
    except Problem as problem:
        print("renderbros: " + str(problem), file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        return 130


def _arguments(inside_blender):  # type: (bool) -> list
    if not inside_blender:
        return sys.argv[1:]
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []


def _run(args):  # type: (list) -> int
    command = args[0] if args else ""
    if command == "renderer":
        from renderbros_addon.blender.renderer import main as render

        return render()
    if command == "check-images":
        from renderbros_addon.imaging.checker import run_checker

        return run_checker() or 0
    if command == "prepare":
        print("ready: " + sys.executable, file=sys.stderr)
        return 0
    if command == "test":
        import pytest

        os.chdir(str(ROOT))
        # All of them take minutes, much of it spent waiting for processes: three at a time, a file's one after another.
        return int(pytest.main(args[1:] or ["-n", "3", "--dist", "loadfile"]))
    if command == "bench":
        return _measure(args[1:])
    from renderbros_addon.cli.main import main as run_command

    return run_command(args)


def _measure(args):  # type: (list) -> int
    names = sorted(path.stem for path in (ROOT / "tests" / "bench").glob("*.py"))
    if not args or args[0] not in names:
        print("renderbros: bench takes the name of what to measure: " + ", ".join(names), file=sys.stderr)
        return 2
    import runpy

    script = str(ROOT / "tests" / "bench" / (args[0] + ".py"))
    sys.argv[:] = [script, *args[1:]]
    runpy.run_path(script, run_name="__main__")
    return 0


def _leave(code):  # type: (int) -> None
    """End the process with ``code``, in Blender too, which would turn an exit inside a script into 0 or hang."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 1
    if "bpy" not in sys.modules:
        raise SystemExit(code)
    from bootstrap.interpreters import remove_session_folder

    remove_session_folder()
    os._exit(code)


if __name__ == "__main__":
    try:
        _code = main()
    except SystemExit as leaving:
        _code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except KeyboardInterrupt:
        _code = 130
    except BaseException:
        traceback.print_exc()
        _code = 1
    _leave(_code)

"""The program: reads the command line, runs a command, tells the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import BAD_INPUT, INTERRUPTED, USAGE

if TYPE_CHECKING:
    import typer


def main(args: Sequence[str] | None = None) -> int:
    """Run the command in ``args`` (``sys.argv`` for None); the exit code: 0, 1, 2 or 130."""
    words = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        # A scene's names may hold what a terminal's encoding lacks; that must not end a job.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")
    try:
        if words[:1] and words[0] in _HIDDEN:
            return _hidden(words)
        if words[:1] and words[0] in _WITH_BLENDER:
            from . import starting

            try:
                starting.start_ahead(words)
                return _typed(words)
            finally:
                starting.drop_ahead()
        return _typed(words)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED


_WITH_BLENDER = ("submit", "render")
"""Commands that look into a scene, for which Blender has to start: of all that they need, this takes longest."""

_HIDDEN = ("janitor", "check-images", "renderer", "desk")


def _hidden(words: list[str]) -> int:
    """Child processes of ours, which need little and must start fast."""
    if len(words) != 1:
        return USAGE
    if words[0] == "janitor":
        from .janitor import main as clean_up

        return clean_up()
    if words[0] == "check-images":
        from ..imaging.checker import run_checker

        return run_checker() or 0
    if words[0] == "desk":
        from .desk import main as serve_blender

        return serve_blender()
    from ..blender.renderer import main as render

    return render()


def _typed(words: list[str]) -> int:
    import typer

    from .output import Output

    app = typer.Typer(
        name="renderbros",
        help="A render farm whose worker is Blender itself.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def _() -> None:
        """A render farm whose worker is Blender itself."""  # has typer take even a single command by its name

    _register(app, words[0] if words else "")
    try:
        app(args=words, prog_name="renderbros")
    except SystemExit as leaving:
        if leaving.code != USAGE or Output.said:
            raise
        if "--json" in words:
            # The parser has told the person; the program gets its object all the same.
            refused = {"status": "usage_error", "error": "the command line is wrong; standard error says where"}
            Output(as_json=True, verbose=False).result(refused)
        # Of verify, 2 is a verdict.
        raise SystemExit(BAD_INPUT if words[0] == "verify" else USAGE) from None
    return 0


def _register(app: typer.Typer, word: str) -> None:
    """Add the command called ``word``, and what is loaded with it; all commands, if there is none of that name."""
    chosen = [load for names, load in _ROOMS if word in names] or [load for _, load in _ROOMS]
    for load in chosen:
        load().register(app)


def _rendering() -> Any:
    from . import render_commands

    return render_commands


def _serving() -> Any:
    from . import serve_commands

    return serve_commands


def _submitting() -> Any:
    from . import submit_command

    return submit_command


def _jobs() -> Any:
    from . import job_commands

    return job_commands


def _workers() -> Any:
    from . import worker_commands

    return worker_commands


def _access() -> Any:
    from . import access_commands

    return access_commands


def _verifying() -> Any:
    from . import verify_command

    return verify_command


def _health() -> Any:
    from . import health

    return health


_ROOMS: tuple[tuple[tuple[str, ...], Callable[[], Any]], ...] = (
    (("render", "demo"), _rendering),
    (("farm", "dispatcher", "worker"), _serving),
    (("submit",), _submitting),
    (("jobs", "job", "cancel", "fetch"), _jobs),
    (("workers", "ban", "pardon"), _workers),
    (("invite", "login", "logout", "tokens"), _access),
    (("verify",), _verifying),
    (("health",), _health),
)
"""Where each command is, in the order of the help. Written as imports, which the import rule can see."""

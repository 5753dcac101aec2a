"""What all commands share: ``--json``, ``-v``, ``--log-json``, errors in words and exit codes."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any

import typer

from . import logs, settings
from .errors import DONE, FAILED, INTERRUPTED, CommandError, Interrupted
from .output import Output

log = logging.getLogger("renderbros.cli")

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more, and show tracebacks.")]
_LogJson = Annotated[bool, typer.Option("--log-json", help="Log JSON objects, one a line.")]

_SHARED = {"as_json": _Json, "verbose": _Verbose, "log_json": _LogJson}


def command(
    app: typer.Typer, name: str, *, hidden: bool = False, log_level: int = logging.WARNING
) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Make a function the command ``name``.

    Its first parameter gets the :class:`Output`; the others are its options, or dataclasses of options. What it returns
    is the exit code (None is 0). The options that all commands share are added here. ``log_level`` is what it logs
    without ``-v``.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        groups: dict[str, Any] = {p.name: p.annotation for p in own if is_dataclass(p.annotation)}
        own = [option for p in own for option in ([p] if p.name not in groups else _options_of(groups[p.name]))]

        def run(**options: Any) -> None:
            for name, group in groups.items():
                options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
            as_json = options.pop("as_json")
            chosen = {name: options.pop(name) or None for name in ("verbose", "log_json")}
            raise typer.Exit(_guarded(function, options, as_json=as_json, log_level=log_level, **chosen))

        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            for name, annotation in _SHARED.items()
        ]
        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = inspect.Signature([*keyword_only, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*keyword_only, *shared]}
        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        app.command(name, hidden=hidden)(run)
        return run

    return decorate


def _options_of(group: type[Any]) -> list[inspect.Parameter]:
    """An option for each field of a dataclass that a command takes in one piece."""
    return list(inspect.signature(group, eval_str=True).parameters.values())


def _guarded(
    function: Callable[..., int | None],
    options: dict[str, Any],
    *,
    as_json: bool,
    log_level: int,
    verbose: bool | None,
    log_json: bool | None,
) -> int:
    out = Output(as_json=as_json, verbose=bool(verbose))
    try:
        chosen = settings.load(verbose=verbose, log_json=log_json)
        out.verbose = chosen.verbose
        logs.set_up(level=logging.DEBUG if chosen.verbose else log_level, as_json=chosen.log_json)
        return function(out, **options) or DONE
    except CommandError as error:
        if out.verbose and error.__cause__:
            traceback.print_exception(error.__cause__)
        out.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        out.error(Interrupted())
        return INTERRUPTED
    except Exception as error:
        # Every room's errors carry words for people; only what is not expected needs its place in the code.
        known = _known_words(error)
        if out.verbose or known is None:
            traceback.print_exc()
        out.error(CommandError(known or f"an error that should not happen: {type(error).__name__}: {error}"))
        return FAILED


def _known_words(error: Exception) -> str | None:
    """What ``error`` says to people, if it is of a kind that a command may end with."""
    from ..client.errors import ClientError, DispatcherUnreachable, Refused, Untrusted
    from ..imaging.errors import ImageError

    if isinstance(error, Untrusted):
        return str(error)
    if isinstance(error, DispatcherUnreachable):
        return f"{error}\nIs a dispatcher running there? --dispatcher or RENDERBROS_DISPATCHER says where to look."
    if isinstance(error, Refused) and error.problem.status == 401:
        return f"{error}\nrenderbros login --dispatcher URL keeps a token; --token-file and RENDERBROS_TOKEN give one."
    if isinstance(error, (ClientError, ImageError, OSError)):
        return str(error)
    return None

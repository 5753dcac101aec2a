"""``submit``: a scene goes to a dispatcher somewhere. What takes long to load is loaded while Blender starts."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options, settings
from .asked import AS_IN_SCENE, Asked
from .command import command
from .connecting import AS_SET, Connecting
from .errors import UsageError
from .output import Output
from .own_process import ended_by_signals
from .starting import started

PREVIEW_SECONDS = 20.0
"""For jobs that go to a farm of others; who renders on their own machines is better served by their frames."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    command(app, "submit")(submit)


def submit(
    out: Output,
    /,
    blend: options.Blend,
    asked: Asked = AS_IN_SCENE,
    expect: options.Expect = PREVIEW_SECONDS,
    blender: options.Blender = None,
    to: Connecting = AS_SET,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")] = False,
    film: options.Preview = False,
    out_dir: options.Out = None,
) -> int:
    """Send a scene to a dispatcher, to be rendered by its workers. --out waits and brings the frames."""
    if film and out_dir is None:
        raise UsageError("--preview: say where the frames and the film shall go: --out DIR")
    if not blend.is_file():
        raise UsageError(f"there is no file {blend}")
    chosen = settings.load(blender=blender)
    with ended_by_signals(), started(chosen.blender) as renderer:
        from .submitting import send

        wish = asked.wish(blend, expect)
        return send(
            out, wish, renderer, blender=chosen.blender, to=to, wait=wait, out_dir=out_dir,
            film=film,
        )  # fmt: skip

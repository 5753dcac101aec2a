"""Options that several commands have, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Blend = Annotated[Path, typer.Argument(metavar="FILE.blend", help="The scene to render.", show_default=False)]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as submit and jobs print it.")]

Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder that the finished frames go to.")]
Expect = Annotated[
    float,
    typer.Option(
        "--expect",
        metavar="SECONDS",
        help="Preview frames here for so long, small, for the dispatcher to compare the finished ones with; 0: none.",
    ),
]
Preview = Annotated[bool, typer.Option("--preview", help="Also make a film of the frames (MP4) beside them.")]
Dispatcher = Annotated[
    str | None, typer.Option("--dispatcher", metavar="URL", help="Where the dispatcher answers.", show_default=False)
]
Ca = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="Certificate authority to trust (PEM).")]
Pin = Annotated[
    str | None,
    typer.Option("--pin", metavar="SHA256", help="Trust the certificate with this SHA-256, and no other."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Send secrets beyond this machine although no TLS keeps them.")
]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", help="Workers to start. (default: 2)")]
Blender = Annotated[
    Path | None, typer.Option("--blender", metavar="PATH", help="Render with this Blender instead of the bpy wheel.")
]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder to keep data in.")]
Device = Annotated[Literal["CPU", "GPU"] | None, typer.Option("--device", case_sensitive=False, show_default=False)]
StopWithParent = Annotated[bool, typer.Option("--stop-with-parent", hidden=True)]

# What a job asks for
Frames = Annotated[
    str | None, typer.Option("--frames", metavar="LIST", help="Such as 1-4,7 or 1-100x5. (default: the scene's range)")
]
Tiles = Annotated[
    str | None,
    typer.Option(
        "--tiles",
        metavar="CxR|auto",
        help="Cut each frame into C columns and R rows, such as 2x2; auto: by what its parts cost.",
    ),
]
Chunk = Annotated[
    int | None,
    typer.Option(
        "--chunk", metavar="N", help="Consecutive frames for each worker at a time. (default: by measured time)"
    ),
]
BlenderSeries = Annotated[
    str | None,
    typer.Option(
        "--blender-series",
        metavar="RANGE",
        help="Blender series that may render it, such as 4.5, 4.5-5.2 or 4.5,5.2. (default: the one that is used here)",
    ),
]
Scene = Annotated[str | None, typer.Option("--scene", metavar="NAME", help="Scene in the file. (default: active)")]
Engine = Annotated[str | None, typer.Option("--engine", metavar="E", help="Such as CYCLES or BLENDER_EEVEE.")]
Samples = Annotated[int | None, typer.Option("--samples", metavar="N", help="Samples for each pixel.")]
Resolution = Annotated[str | None, typer.Option("--resolution", metavar="WxH", help="Such as 1920x1080.")]
Percentage = Annotated[int | None, typer.Option("--percentage", metavar="P", help="Scale of the resolution.")]
Format = Annotated[
    str | None, typer.Option("--format", metavar="F", help="Blender's name of the file format, such as PNG.")
]
Camera = Annotated[str | None, typer.Option("--camera", metavar="NAME", help="Camera to render from.")]
ViewLayers = Annotated[
    list[str] | None, typer.Option("--view-layer", metavar="NAME", help="View layer to render; may be repeated.")
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of Cycles' noise.")]
Priority = Annotated[int, typer.Option("--priority", min=0, max=100, help="Higher goes first.")]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Render although linked files are missing.")]
NoBundle = Annotated[bool, typer.Option("--no-bundle", help="Send the scene file alone, without what it links to.")]

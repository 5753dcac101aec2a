"""What a job is asked for on the command line, the same for every command that makes one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import options

if TYPE_CHECKING:
    from .submission import Wish


@dataclass(frozen=True)
class Asked:
    """The options. :func:`.command.command` adds one for each field."""

    frames: options.Frames = None
    tiles: options.Tiles = None
    chunk: options.Chunk = None
    samples: options.Samples = None
    engine: options.Engine = None
    resolution: options.Resolution = None
    percentage: options.Percentage = None
    file_format: options.Format = None
    camera: options.Camera = None
    view_layers: options.ViewLayers = None
    seed: options.Seed = None
    scene: options.Scene = None
    device: options.Device = None
    priority: options.Priority = 50
    allow_missing: options.AllowMissing = False
    no_bundle: options.NoBundle = False
    blender_series: options.BlenderSeries = None

    def wish(self, blend: Path, expect: float) -> Wish:
        """These options for the scene in ``blend``, checked; UsageError says which is wrong."""
        # Its room takes long to load: not before Blender starts.
        from . import submission

        chosen = dict(vars(self))
        return submission.wish(
            blend, expect=expect, bundle=not chosen.pop("no_bundle"), format=chosen.pop("file_format"), **chosen
        )


AS_IN_SCENE = Asked()
"""Nothing was said: the scene's own settings."""

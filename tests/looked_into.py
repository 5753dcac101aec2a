"""What a submitter would make of a file that a renderer looked into."""

from __future__ import annotations

import hashlib
from pathlib import Path

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.renderer import Inspection


def scene_spec(blend: Path, found: Inspection) -> SceneSpec:
    """``blend`` alone, without files of other kinds, to be rendered as it was saved."""
    content = blend.read_bytes()
    return SceneSpec(
        blend=blend.name,
        files=(JobFile(path=blend.name, sha256=hashlib.sha256(content).hexdigest(), size=len(content)),),
        width=found.width,
        height=found.height,
        format=found.format,
        series=(found.series,),
        engine=found.engine,
        device=found.device,
    )

"""Scripts in Open Shading Language, which read any picture of the machine, by names that they put together."""

from __future__ import annotations

import os

import bpy

from ..protocol.states import FailureCode
from .failures import worker_fault
from .references import described, node_trees

_SWITCH = "RENDERBROS_NO_OSL"
"""Set by an agent that has nothing else to keep a script from this machine's files."""


def refuse_open_shading() -> None:
    """CannotServe (``scripts_blocked``) where the open file has such a script and nothing would hold it."""
    if not os.environ.get(_SWITCH):
        return
    found = [who for who, _, tree in node_trees() if any(node.bl_idname == "ShaderNodeScript" for node in tree.nodes)]
    found += [described(camera) for camera in bpy.data.cameras if camera.type == "CUSTOM"]
    if found:
        raise worker_fault(
            FailureCode.SCRIPTS_BLOCKED,
            f"{', '.join(found[:3])} uses a script in Open Shading Language, which could read this machine's files: "
            "only workers with a system sandbox (Linux), or with --sandbox off for scenes that are trusted, render it.",
        )

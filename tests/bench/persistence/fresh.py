"""One frame as Blender alone renders it, with no code of RenderBros between: ``fresh.py WAY FILE.blend FRAME OUT``.

In a process of its own and without persistent data. WAY is ``animation``, as ``blender -b FILE.blend -f FRAME`` does
it, or ``still``, as F12 does after the frame was gone to.
"""

from __future__ import annotations

import os
import sys

import bpy

if __name__ == "__main__":
    way, blend, frame, out = sys.argv[-4:]
    bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
    scene = bpy.context.scene
    scene.render.use_persistent_data = False
    if way == "animation":
        scene.frame_start = scene.frame_end = int(frame)
        scene.render.filepath = out + "_#"
        bpy.ops.render.render(animation=True)
    else:
        scene.frame_set(int(frame))
        scene.render.filepath = f"{out}_{frame}"
        bpy.ops.render.render(write_still=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

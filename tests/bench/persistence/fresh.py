"""One frame as Blender alone renders it, with no code of RenderBros between: ``fresh.py FILE.blend FRAME OUT``.

That is what ``blender -b FILE.blend -o OUT -f FRAME`` does, in a process of its own and without persistent data.
"""

from __future__ import annotations

import os
import sys

import bpy

if __name__ == "__main__":
    blend, frame, out = sys.argv[-3:]
    bpy.ops.wm.open_mainfile(filepath=blend, use_scripts=False)
    scene = bpy.context.scene
    scene.frame_start = scene.frame_end = int(frame)
    scene.render.use_persistent_data = False
    scene.render.filepath = out + "_#"
    bpy.ops.render.render(animation=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Blender as a module can hang on the interpreter's own way out.
    os._exit(0)

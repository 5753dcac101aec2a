"""What attacks do to a Blender that lets them: ``unguarded.py BLEND...`` opens and renders each beside itself.

The control of the attacks' test: scripts are allowed, as they are where somebody has ticked Auto Run Python Scripts.
"""

from __future__ import annotations

import os
import sys

import bpy


def main(blends: list[str]) -> None:
    for blend in blends:
        bpy.app.handlers.frame_change_pre.clear()
        bpy.app.handlers.render_pre.clear()
        bpy.app.handlers.depsgraph_update_post.clear()
        bpy.context.preferences.filepaths.use_scripts_auto_execute = True
        try:
            bpy.ops.wm.open_mainfile(filepath=blend, load_ui=False, use_scripts=True)
            bpy.context.scene.frame_set(1)
            bpy.ops.render.render(write_still=True)
            bpy.data.images["Render Result"].save_render(f"{blend}.png")
        except RuntimeError as error:
            print(f"{blend}: {error}", file=sys.stderr)


if __name__ == "__main__":
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    main(words)
    sys.stderr.flush()
    os._exit(0)

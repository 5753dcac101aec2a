"""RenderBros: a render farm whose worker is Blender itself.

Blender calls the two functions here; what they register is in ``desktop``. Nothing else is imported with this package,
which dispatchers and workers without a Blender import as well.
"""

from __future__ import annotations


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from . import desktop

    desktop.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled."""
    from . import desktop

    desktop.unregister()

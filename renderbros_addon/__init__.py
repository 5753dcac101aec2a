"""RenderBros: a render farm whose worker is Blender itself.

As an extension it has nothing to show in Blender's windows yet: it brings the files that
``blender -b --python bootstrap/start.py -- COMMAND`` runs, and ``register`` registers nothing.
"""


def register() -> None:
    """Called by Blender when the extension is enabled; there are no panels or operators yet."""


def unregister() -> None:
    """Called by Blender when the extension is disabled."""

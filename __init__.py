"""The extension as Blender loads it: everything is in the package beside this file."""


def register():
    from .renderbros_addon import register

    register()


def unregister():
    from .renderbros_addon import unregister

    unregister()

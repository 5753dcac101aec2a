"""The extension in a desktop Blender: preferences, panels and operators.

Blender's own process only shows and asks. Whatever takes long or touches the network is done by children (``child``),
and what they say comes back by a timer (``activities``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

_registered: list[ModuleType] = []


def register() -> None:
    """Add all that the extension shows. In a Blender that can't run it, only the preferences, which say why."""
    from . import fitness

    problem = fitness.problem()
    if problem:
        print(f"RenderBros: {problem}", file=sys.stderr)
    try:
        for module in _modules(fit=problem is None):
            module.register()
            _registered.append(module)
    except Exception:
        # Half of it would be in the way of the next try.
        unregister()
        raise


def unregister() -> None:
    """Take away what :func:`register` added, and end what runs: nothing of ours is left in this Blender."""
    while _registered:
        _registered.pop().unregister()


def _modules(*, fit: bool) -> Sequence[ModuleType]:
    """What registers, in this order; it goes in the reverse one."""
    from . import preferences

    if not fit:
        return [preferences]
    from . import (
        activities,
        connection,
        job_operators,
        jobs,
        lending,
        lending_panel,
        pictures,
        scene_settings,
        submit,
        submit_panel,
        watch_panel,
    )

    # What is registered last goes first: children end before anything that they are heard by.
    return [
        preferences, connection, scene_settings, pictures, jobs, submit, job_operators, submit_panel, watch_panel,
        lending, lending_panel, activities,
    ]  # fmt: skip

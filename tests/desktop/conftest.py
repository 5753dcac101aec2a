"""The extension, registered in the Blender that runs the tests, as it is in an artist's; a dispatcher and a scene, as
the worker's tests have them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from scenes import fresh_scene
from worker.conftest import dispatcher, scene, submit

import renderbros_addon
from renderbros_addon.desktop import activities, jobs, preferences
from renderbros_addon.desktop import submit as submitting

__all__ = ["dispatcher", "scene", "submit"]


class Artist:
    """Somebody at a Blender that has the extension."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blend = folder / "shot.blend"

    @property
    def scene(self) -> Any:
        return bpy.context.scene

    @property
    def preferences(self) -> Any:
        return preferences.of(bpy.context)

    def open_scene(self, **size: int) -> Any:
        """A small scene, saved; what is done to it afterwards is not."""
        fresh_scene(**{"width": 64, "height": 48, "samples": 4} | size)
        bpy.ops.wm.save_as_mainfile(filepath=str(self.blend))
        self.enable()
        return self.scene

    def enable(self) -> None:
        """Have Blender know the extension's preferences, and may go online: factory settings forget both."""
        if preferences.KEY not in bpy.context.preferences.addons:
            bpy.context.preferences.addons.new().module = preferences.KEY
        self.preferences.expect_seconds = 0
        bpy.context.preferences.system.use_online_access = True

    def wait(self, what: str, true: Callable[[], Any], seconds: float = 60) -> None:
        """Let the extension's timer go on until ``true()``: in a Blender without a window none does."""
        deadline = time.monotonic() + seconds
        while not true():
            activities.look()
            if time.monotonic() > deadline:
                running = [(one.purpose, one.step, one.child.log_tail) for one in activities.everything()]
                known = submitting.findings(self.scene)
                raise AssertionError(f"never came: {what}\n{running}\n{known}\n{jobs.listed()}\n{jobs.trouble()}")
            time.sleep(0.01)

    def idle(self, purpose: str | None = None) -> None:
        """Wait until nothing runs."""
        self.wait(f"the end of {purpose or 'everything'}", lambda: activities.running(purpose) is None)


@pytest.fixture
def artist(tmp_path: Path) -> Iterator[Artist]:
    """The extension is registered, and Blender may go online."""
    folder = tmp_path / "project"
    folder.mkdir()
    renderbros_addon.register()
    try:
        one = Artist(folder)
        one.enable()
        yield one
    finally:
        renderbros_addon.unregister()
        bpy.context.preferences.system.use_online_access = False
        addons = bpy.context.preferences.addons
        for entry in [entry for entry in addons if entry.module == preferences.KEY]:
            addons.remove(entry)

"""A real dispatcher and a real scene, as the worker's tests have them."""

from worker.conftest import dispatcher, scene, submit

__all__ = ["dispatcher", "scene", "submit"]

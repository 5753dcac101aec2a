"""A busy machine is no failure: no deadline for a single example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient")
settings.load_profile("patient")

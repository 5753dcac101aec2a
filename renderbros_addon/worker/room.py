"""Whether there is room on the disk for what a renderer writes."""

from __future__ import annotations

import shutil
from pathlib import Path

NEARLY_FULL = 16 << 20
"""Bytes: with less, a picture may be cut short, and Blender may not notice."""


def is_nearly_full(folder: Path) -> bool:
    """Is the disk of ``folder`` as good as full?"""
    return shutil.disk_usage(folder).free < NEARLY_FULL

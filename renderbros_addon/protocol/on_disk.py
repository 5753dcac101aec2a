"""What every part of the farm that keeps files needs: writes that outlive a crash and that nobody else reads."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut; Windows can't open folders, and NTFS journals renames itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_secret(path: Path, text: str) -> None:
    """Put ``text`` into the file ``path``, which no other user can read at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    # Created with its final mode: there is no moment at which another user could read it.
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)

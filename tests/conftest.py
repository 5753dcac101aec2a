"""Tests that run at the same time keep their temporary files apart: some look at what others leave there."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis

if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # Short, since sockets are made below it, whose paths have at most some 100 characters.
    own = Path(tempfile.gettempdir()) / f"rb-{os.getppid()}-{worker}"
    own.mkdir(exist_ok=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)

# The operators' tokens of farms that tests start are not this user's business.
_LOGINS = tempfile.mkdtemp(prefix="rb-login-")
atexit.register(shutil.rmtree, _LOGINS, ignore_errors=True)
os.environ["RENDERBROS_CREDENTIALS"] = str(Path(_LOGINS) / "credentials.json")

# Only whether an example passes is looked at: on a machine that is busy each may take long.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

"""A farm on this machine: who its workers are."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from renderbros_addon.cli import settings
from renderbros_addon.cli.farm import LocalFarm


def test_its_workers_are_of_one_owner_that_no_command_line_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RENDERBROS_OWNER", raising=False)
    monkeypatch.chdir(tmp_path)
    with LocalFarm(settings.load(port=0, workers=2), tmp_path / "farm"):
        kept = tmp_path / "farm" / "owner.secret"
        secret = kept.read_text().strip()
        assert len(secret) >= 32
        if os.name == "posix":
            assert kept.stat().st_mode & 0o777 == 0o600
        children = [child for child in psutil.Process().children() if child.cmdline()[2:3] == ["worker"]]
        assert [child.environ().get("RENDERBROS_OWNER") for child in children] == [secret, secret]
        assert not any(secret in word for child in psutil.Process().children() for word in child.cmdline())

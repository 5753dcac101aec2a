"""The children's command lines, and the limits they get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from renderbros_addon.worker import command, memory
from renderbros_addon.worker.command import START, checker_command, renderer_command


def fake_blender(folder: Path, version: str) -> Path:
    path = folder / f"blender-{version}"
    path.write_text(f"#!/bin/sh\necho 'Blender {version}.1 LTS'\n")
    path.chmod(0o755)
    return path


def test_the_wheel_is_started_by_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RENDERBROS_BLENDER", raising=False)
    assert renderer_command(None) == [sys.executable, str(START), "renderer"]
    assert START.is_file()


@pytest.mark.skipif(os.name != "posix", reason="a shell script plays Blender")
@pytest.mark.parametrize(("version", "offline"), [("4.1", False), ("4.2", True), ("5.0", True)])
def test_a_blender_gets_its_options_in_the_order_that_counts(tmp_path: Path, version: str, offline: bool) -> None:
    words = renderer_command(fake_blender(tmp_path, version))
    assert ("--offline-mode" in words) is offline
    assert "--disable-autoexec" in words
    assert words.index("--python-exit-code") < words.index("--python")
    assert words[-2:] == ["--", "renderer"]


def test_the_blender_we_came_from_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERBROS_BLENDER", str(tmp_path / "blender"))
    assert renderer_command(None)[0] == str(tmp_path / "blender")
    assert renderer_command(tmp_path / "other")[0] == str(tmp_path / "other")


def test_a_python_that_does_not_run_alone_is_reached_through_its_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENDERBROS_SELF", json.dumps(["blender", "-b", "--"]))
    assert checker_command() == ["blender", "-b", "--", "check-images"]


def test_without_a_bootstrap_the_checker_starts_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "START", tmp_path / "missing")
    monkeypatch.delenv("RENDERBROS_SELF", raising=False)
    words = checker_command()
    assert str(tmp_path) not in " ".join(words)
    done = subprocess.run(words, input=b"", capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_containers_memory_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    whole = memory.memory_limit()
    assert memory.default_max_memory() == int(whole * 0.8)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_limit() == whole
    (tmp_path / "memory.max").write_text(f"{100 << 20}\n")
    assert memory.default_max_memory(2) == int((100 << 20) * 0.4)
    (tmp_path / "memory.current").write_text(f"{10 << 20}\n")
    assert not memory.low_on_memory()
    (tmp_path / "memory.current").write_text(f"{99 << 20}\n")
    assert memory.low_on_memory()
    assert memory.oom_kills() == 0
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert memory.oom_kills() == 2

"""Finding another Python or Blender, and telling what to get when there is none."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import interpreters
from bootstrap.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
POSIX = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", ["start.py", "interpreters.py", "problems.py"])
def test_an_old_python_understands_what_it_must(name: str) -> None:
    ast.parse((ROOT / "bootstrap" / name).read_text(), feature_version=(3, 7))


@POSIX
def test_a_python_that_fits_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"python{HERE}").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.find_python() == [str(tmp_path / f"python{HERE}")]


@POSIX
def test_a_shim_that_does_not_run_or_lies_counts_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    script(tmp_path / "python3.11", "echo 3 9")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.find_python() == []


@POSIX
def test_a_blender_that_does_not_run_counts_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blender = script(tmp_path / "blender", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert interpreters.find_blender() == ""
    script(blender, "echo Blender 4.5.3 LTS")
    assert interpreters.find_blender() == str(blender)


def test_with_neither_python_nor_blender_it_says_which_to_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"(?s)3\.13 .*or 3\.11 .*Blender 4\.2") as caught:
        interpreters.continue_elsewhere(["demo"], None)
    assert caught.value.exit_code == 2


def old_pythons() -> list[Path]:
    """Pythons on this machine that the bpy wheel does not fit."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [
        path for name in ("3.7*", "3.9*", "3.10*", "3.12*") for path in sorted(versions.glob(f"{name}/bin/python3"))
    ]
    return [*found, *(Path("/usr/bin") / f"python{v}" for v in ("3.9", "3.12") if Path(f"/usr/bin/python{v}").exists())]


@POSIX
def test_every_other_python_here_says_what_to_get_or_hands_over(tmp_path: Path) -> None:
    olds = old_pythons()
    if not olds:
        pytest.skip("no Python besides those that fit")
    # Stands in for the bpy Python, and shows what it was called with.
    found = tmp_path / "with"
    found.mkdir()
    script(found / "python3.13", 'if [ "$1" = -c ]; then echo 3 13; else echo "$@"; exit 7; fi')
    for old in olds:
        words = [str(old), str(ROOT / "bootstrap" / "start.py"), "demo", "--out", "a b"]
        alone = subprocess.run(words, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
        assert alone.returncode == 2, alone.stderr
        assert "RenderBros needs Python 3.13 or 3.11, or a Blender" in alone.stderr
        assert "Traceback" not in alone.stderr
        handed = subprocess.run(words, capture_output=True, text=True, env={"PATH": str(found)}, check=False)
        assert (handed.returncode, handed.stdout) == (7, f"{ROOT / 'bootstrap' / 'start.py'} demo --out a b\n")

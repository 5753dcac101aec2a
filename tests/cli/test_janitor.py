"""What a killed command leaves behind is ended and removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from farm_processes import command, until

from renderbros_addon.cli import janitor

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
child.wait()
__import__("time").sleep(300)
"""


def test_it_ends_the_farm_and_removes_the_folder_when_its_command_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    (folder / "workers").mkdir(parents=True)
    (folder / "workers" / "scene.blend").write_bytes(b"x")
    stubborn = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert stubborn.stdout is not None
    below = psutil.Process(int(stubborn.stdout.readline()))
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    code = "from renderbros_addon.cli import janitor; janitor.PATIENCE_SECONDS = 0.3; raise SystemExit(janitor.main())"
    cleaner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parents[2]
    )
    assert cleaner.stdin is not None
    cleaner.stdin.write(f"{folder}\n{ended.pid}\n{stubborn.pid}\n")
    cleaner.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):
        cleaner.wait(1.0)
    assert folder.exists(), "as long as the command lives, nothing is touched"
    cleaner.stdin.close()
    assert cleaner.wait(20) == 0
    assert not folder.exists()
    assert stubborn.wait(5) != 0
    until("the process below is gone", lambda: not below.is_running() or below.status() == "zombie", 5)
    stubborn.stdout.close()


def test_it_starts_without_the_rest_of_the_program(tmp_path: Path) -> None:
    """It runs beside every farm: it must be light."""
    done = subprocess.run([*command("janitor")], input=f"{tmp_path / 'gone'}\n", text=True, timeout=30, check=False)
    assert done.returncode == 0
    loaded = subprocess.run(
        [sys.executable, "-c", "import renderbros_addon.cli.janitor, sys; print('pydantic' in sys.modules)"],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.strip() == "False"


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    janitor.remove(tmp_path / "nothing")

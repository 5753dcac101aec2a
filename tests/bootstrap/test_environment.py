"""The private environment: made once, shared, mended, and honest when it can't be made.

A clone in miniature has the bootstrap as it is, one tiny requirement that pip installs from a file, and a command
that shows where it runs. Everything else is real: processes, virtual environments, pip, locks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAIN = """
import json, sys, time
def main(args):
    import tinydep
    if args == ["sleep"]:
        print("sleeping", flush=True)
        time.sleep(60)
    if args == ["fall"]:
        raise RuntimeError("fell")
    print(json.dumps({"prefix": sys.prefix, "args": args, "dep": tinydep.VERSION, "clone": __file__}), flush=True)
    return 7 if args == ["seven"] else 0
"""


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{n},sha256={urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b'=').decode()},{len(t)}"
        for n, t in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
    return path


class Clone:
    """A clone in miniature in ``folder``, and the home that its environment goes to."""

    def __init__(self, folder: Path, home: Path, requirement: str) -> None:
        self.folder, self.home = folder, home
        folder.mkdir(parents=True)
        shutil.copytree(ROOT / "bootstrap", folder / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "renderbros_addon" / "cli").mkdir(parents=True)
        for place in ("renderbros_addon", "renderbros_addon/cli"):
            (folder / place / "__init__.py").touch()
        (folder / "renderbros_addon" / "cli" / "main.py").write_text(MAIN)
        (folder / "pyproject.toml").write_text(
            f"[project]\ndependencies = [{requirement!r}]\n[project.optional-dependencies]\nbpy = []\ntest = []\n"
        )

    def start(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RENDERBROS_", "PYTHONPATH"))}
        return subprocess.Popen(
            [sys.executable, str(self.folder / "bootstrap" / "start.py"), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env | {"RENDERBROS_HOME": str(self.home)},
            **more,
        )

    def run(self, *args: str) -> tuple[int, dict[str, Any], str]:
        """Exit code, what it showed, and standard error."""
        process = self.start(*args)
        out, err = process.communicate(timeout=120)
        return process.returncode, json.loads(out) if out else {}, err

    @property
    def environments(self) -> list[Path]:
        return [path for path in self.home.glob("env-*") if path.is_dir()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone that was started once, and what it said then."""
    folder = tmp_path_factory.mktemp("bootstrap")
    clone = Clone(folder / "clone", folder / "home", f"tinydep @ {wheel(folder, 'tinydep', '1.0').as_uri()}")
    code, shown, said = clone.run("hello", "--two words")
    assert code == 0, said
    assert shown["args"] == ["hello", "--two words"]
    return clone, said


def test_the_first_start_says_what_it_does_and_runs_in_its_own_environment(made: tuple[Clone, str]) -> None:
    clone, said = made
    assert "first start" in said
    assert "about 400 MB" in said
    code, shown, _ = clone.run()
    assert code == 0
    assert Path(shown["prefix"]) == clone.environments[0]
    assert shown["dep"] == "1.0"


def test_the_second_start_installs_nothing_and_says_nothing(made: tuple[Clone, str]) -> None:
    clone, _ = made
    before = {path: path.stat().st_mtime_ns for path in clone.home.rglob("*") if "__pycache__" not in path.parts}
    code, _, said = clone.run()
    assert (code, said) == (0, "")
    assert before == {p: p.stat().st_mtime_ns for p in clone.home.rglob("*") if "__pycache__" not in p.parts}


def test_another_clone_shares_the_environment_and_runs_its_own_files(made: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = made
    other = tmp_path / "another clone"
    shutil.copytree(clone.folder, other)
    twin = Clone.__new__(Clone)
    twin.folder, twin.home = other, clone.home
    code, shown, said = twin.run()
    assert (code, said) == (0, "")
    assert Path(shown["clone"]).is_relative_to(other)
    assert len(clone.environments) == 1


def test_exit_codes_pass_through_and_falls_are_failures(made: tuple[Clone, str]) -> None:
    clone, _ = made
    assert clone.run("seven")[0] == 7
    code, _, said = clone.run("fall")
    assert code == 1
    assert "RuntimeError: fell" in said


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGINT for one process")
def test_interrupt_gives_130_without_a_traceback(made: tuple[Clone, str]) -> None:
    clone, _ = made
    process = clone.start("sleep")
    assert process.stdout is not None
    assert process.stdout.readline() == "sleeping\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (130, "")


def test_an_install_that_was_interrupted_is_mended(made: tuple[Clone, str], tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", tmp_path / "home", f"tinydep @ {wheel(tmp_path, 'tinydep', '1.1').as_uri()}")
    process = clone.start("hello", start_new_session=True)
    deadline = time.monotonic() + 60
    while not clone.environments or not any(clone.environments[0].iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
    assert not list(clone.home.glob("env-*/renderbros-ready"))
    code, shown, said = clone.run()
    assert code == 0, said
    assert shown["dep"] == "1.1"
    assert "first start" in said


def test_two_first_starts_at_once_make_one_environment(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", tmp_path / "home", f"tinydep @ {wheel(tmp_path, 'tinydep', '1.2').as_uri()}")
    both = [clone.start("hello") for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted("first start" in err for _, err in ends) == [False, True]
    assert len(clone.environments) == 1


def test_a_changed_requirement_gets_a_new_environment(made: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = made
    newer = Clone(tmp_path / "clone", clone.home, f"tinydep @ {wheel(tmp_path, 'tinydep', '2.0').as_uri()}")
    _, shown, _ = newer.run()
    assert shown["dep"] == "2.0"
    assert clone.run()[1]["dep"] == "1.0"


def test_when_pip_fails_it_says_what_to_do_and_leaves_no_stamp(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", tmp_path / "home", f"tinydep @ {(tmp_path / 'gone.whl').as_uri()}")
    code, _, said = clone.run()
    assert code == 1
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert not list(clone.home.glob("env-*/renderbros-ready"))

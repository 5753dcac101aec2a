"""``build``: makes the extension, one zip for each platform with the wheels that it needs there.

Runs on the standard library and pip. ``blender_manifest.toml`` names no wheels; each zip's own manifest does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from bootstrap import interpreters, wheels
from bootstrap.problems import Problem

ROOT = Path(__file__).resolve().parents[1]
CONTENTS = ("__init__.py", "LICENSE", "README.md", "bootstrap", "pyproject.toml", "renderbros_addon")
"""Of the repository, beside the manifest: what a worker and a submitter run on."""

LARGEST = 25_000_000
"""Bytes of a zip for everybody. With what Blender itself brings, as distributions may need, it is larger."""

_WHEN = (2020, 1, 1, 0, 0, 0)  # equal files make equal zips


def main(args: Sequence[str]) -> int:
    """Build what ``args`` say; the exit code. Problem if it can't be done or the result is not as it must be."""
    asked = _parser().parse_args(args)
    if asked.lock:
        wheels.lock()
    platforms = asked.platform or sorted(wheels.PLATFORMS)
    pythons = tuple(asked.python or wheels.PYTHONS)
    blender = asked.blender or os.environ.get("RENDERBROS_BLENDER") or interpreters.find_blender()
    asked.out.mkdir(parents=True, exist_ok=True)
    built = [
        build(asked.out, platform, pythons, carried=asked.for_distributions, blender=blender) for platform in platforms
    ]
    if asked.json:
        print(json.dumps({"status": "ok", "built": built}))
    else:
        for line in _table(built):
            print(line)
    return 0


def build(out: Path, platform: str, pythons: Sequence[str], *, carried: bool, blender: str = "") -> dict[str, Any]:
    """Make the zip for ``platform`` in the folder ``out``; its facts. Problem if it is too large or not valid."""
    chosen = wheels.needed(platform, pythons, carried=carried)
    missing = [python for python in pythons if not any(w.pythons == (python,) for w in chosen)]
    if missing:
        raise Problem(f"no wheels are known for Python {', '.join(missing)} on {platform}", exit_code=2)
    files = wheels.fetch(chosen, platform)
    manifest = manifest_for((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"), platform, files)
    facts = tomllib.loads(manifest)
    path = out / f"{facts['id']}-{facts['version']}-{platform.replace('-', '_')}.zip"
    new = path.with_suffix(".new")
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _add(archive, "blender_manifest.toml", manifest.encode())
        for name in _sources():
            _add(archive, name.as_posix(), (ROOT / name).read_bytes())
        for file in files:
            _add(archive, f"wheels/{file.name}", file.read_bytes(), stored=True)
    new.replace(path)
    problems = faults(path)
    size = path.stat().st_size
    if size > LARGEST and not carried:
        problems.append(f"{size / 1e6:.1f} MB are more than the {LARGEST / 1e6:.0f} MB that there may be")
    refused = _refused(blender, path) if blender else None
    problems += refused or []
    if problems:
        raise Problem(f"{path} is not right:\n" + "\n".join(f"  {problem}" for problem in problems))
    return {
        "platform": platform,
        "file": str(path),
        "bytes": size,
        "wheels": len(files),
        "wheel_bytes": sum(file.stat().st_size for file in files),
        "pythons": list(pythons),
        "validated": "here" if refused is None else "by Blender",
    }


def manifest_for(text: str, platform: str, files: Sequence[Path]) -> str:
    """The manifest ``text`` with ``platform`` and the wheels of its zip, and without the section about building."""
    head, permissions, rest = text.partition("[permissions]")
    rest = rest.partition("\n[build]")[0]
    named = "".join(f'    "./wheels/{file.name}",\n' for file in files)
    return f'{head}platforms = ["{platform}"]\nwheels = [\n{named}]\n\n{permissions}{rest.rstrip()}\n'


def faults(path: Path) -> list[str]:
    """What is wrong with a built zip, as far as it can be told without Blender."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    found = [f"it holds {name} twice" for name in {name for name in names if names.count(name) > 1}]
    listed = {name.removeprefix("./") for name in manifest.get("wheels", ())}
    held = {name for name in names if name.startswith("wheels/")}
    found += [f"its manifest and its files disagree about {name}" for name in sorted(listed ^ held)]
    found += [f"it lacks {name}" for name in ("__init__.py", "LICENSE", "bootstrap/start.py") if name not in names]
    for field, longest in (("name", 64), ("tagline", 64)):
        if not 0 < len(manifest[field]) <= longest or manifest[field][-1] in ".!?":
            found.append(f"{field}: 1 to {longest} characters without a full stop, not {manifest[field]!r}")
    for name, why in manifest["permissions"].items():
        if name not in ("network", "files", "clipboard", "camera", "microphone") or len(why) > 64 or why[-1] in ".!?":
            found.append(f"permissions.{name}: {why!r} is not as the extensions platform wants it")
    return found


def _sources() -> list[PurePosixPath]:
    found = []
    for name in CONTENTS:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".blend1"):
                found.append(PurePosixPath(path.relative_to(ROOT).as_posix()))
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes, *, stored: bool = False) -> None:
    info = zipfile.ZipInfo(name, _WHEN)
    info.external_attr = 0o644 << 16
    # A wheel is a zip itself.
    archive.writestr(info, content, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)


def _refused(blender: str, path: Path) -> list[str] | None:
    """What Blender's own tool has against ``path``: nothing if it is valid, None if this Blender lacks the tool."""
    with tempfile.TemporaryDirectory() as home:
        # A user's settings and add-ons don't belong into this.
        env = os.environ | {"BLENDER_USER_RESOURCES": home}
        done = subprocess.run(
            [blender, "--command", "extension", "validate", str(path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
            env=env,
        )
    if done.returncode == 0 and "Success" in done.stdout:
        return []
    if "nrecognized command" in done.stdout or "nvalid command" in done.stdout:
        return None
    return [line for line in done.stdout.splitlines() if line.strip()] or [f"{blender} ended with {done.returncode}"]


def _table(built: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{'platform':12} {'size':>8}  {'wheels':>6}  validated   file"]
    lines += [
        f"{one['platform']:12} {one['bytes'] / 1e6:5.1f} MB  {one['wheels']:>6}  {one['validated']:10}  {one['file']}"
        for one in built
    ]
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="start.py build", description="Make the extension for Blender.")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR", help="where to (default: dist)")
    parser.add_argument("--platform", action="append", choices=sorted(wheels.PLATFORMS), help="only this; repeatable")
    parser.add_argument("--python", action="append", metavar="X.Y", help="other Pythons than 3.11 and 3.13; repeatable")
    parser.add_argument(
        "--for-distributions", action="store_true", help="with what official Blenders bring: numpy, requests, ..."
    )
    parser.add_argument("--blender", default="", metavar="PATH", help="validate with this Blender")
    parser.add_argument("--lock", action="store_true", help="first write bootstrap/wheels.json anew")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser

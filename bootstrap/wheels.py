"""The wheels that the extension brings: which they are stands in ``wheels.json``, with the SHA-256 of each.

What Blender carries itself is not among them. A Blender of a Linux distribution may come without those packages:
``carried`` tells them, and a build for distributions has them too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import homes, requirements
from bootstrap.problems import Problem

LOCK = Path(__file__).resolve().with_name("wheels.json")

PYTHONS = ("3.11", "3.13")
"""Of Blender's official builds: 4.2 to 5.0, and 5.1 onwards."""

DISTRIBUTIONS = ("linux-x64", ("3.13", "3.14"))
"""Where a Linux distribution builds Blender with its own Python, and with which ones."""

PLATFORMS: dict[str, tuple[str, ...]] = {
    "linux-x64": tuple(
        f"{name}_x86_64"
        for name in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux_2_12",
                     "manylinux2010", "manylinux_2_5", "manylinux1")
    ),
    "windows-x64": ("win_amd64",),
    "macos-x64": tuple(f"macosx_{v}_{cpu}" for v in ("11_0", "10_15", "10_13", "10_12", "10_10", "10_9")
                       for cpu in ("x86_64", "universal2")),
    "macos-arm64": tuple(f"macosx_{v}_{cpu}" for v in ("11_0", "10_15", "10_13", "10_9")
                         for cpu in ("arm64", "universal2")),
}  # fmt: skip
"""Blender's names of platforms, and the tags of wheels that run on the oldest system that Blender 4.2 runs on."""

CARRIED = frozenset({"numpy", "requests", "certifi", "idna", "urllib3", "charset-normalizer"})
"""What every official Blender brings in its own Python."""

CARRIED_FROM = {"openimageio": (3, 13)}
"""What only Blenders with this Python or a newer one bring in a version that is new enough."""

_PINNED = {
    # The last ones before decoders that RenderBros does not use made the wheels half as large again.
    "pillow": {"3.11": "==11.1.0", "3.13": "==11.1.0"},
    "openimageio": {"3.11": "==3.0.21.0"},
}
# Of imagehash: only hashes that RenderBros does not use need them, and they have 40 MB.
_LEFT_OUT = frozenset({"scipy", "pywavelets"})


@dataclass(frozen=True, order=True)
class Wheel:
    """A file of the package index, and where it is needed."""

    file: str
    sha256: str
    platforms: tuple[str, ...]
    pythons: tuple[str, ...]
    carried: bool = False
    """Blender's official builds bring it."""

    @property
    def name(self) -> str:
        return canonical(self.file.split("-")[0])

    @property
    def version(self) -> str:
        return self.file.split("-")[1]


def canonical(name: str) -> str:
    """A distribution's name as the index compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def locked() -> list[Wheel]:
    """Every wheel of the lock file, for any platform."""
    found = json.loads(LOCK.read_text(encoding="utf-8"))["wheels"]
    return [Wheel(**one | {"platforms": tuple(one["platforms"]), "pythons": tuple(one["pythons"])}) for one in found]


def needed(platform: str, pythons: Sequence[str], *, carried: bool) -> list[Wheel]:
    """The locked wheels for ``platform`` and these Pythons; with ``carried``, also what official Blenders have."""
    return [
        wheel
        for wheel in locked()
        if platform in wheel.platforms and set(pythons) & set(wheel.pythons) and (carried or not wheel.carried)
    ]


def fetch(wheels: Iterable[Wheel], platform: str) -> list[Path]:
    """The files of ``wheels``, downloaded or kept from before. Problem if one can't be had or is another file."""
    store = homes.home() / "wheels"
    store.mkdir(parents=True, exist_ok=True)
    wanted = list(wheels)
    lacking = [wheel for wheel in wanted if not _is(store / wheel.file, wheel.sha256)]
    if lacking:
        with homes.locked(store / "lock"), tempfile.TemporaryDirectory(dir=store) as scratch:
            for python in sorted({python for wheel in lacking for python in wheel.pythons}):
                theirs = [w for w in lacking if python in w.pythons and not (Path(scratch) / w.file).exists()]
                if theirs:
                    listing = Path(scratch) / f"wanted-{python}.txt"
                    listing.write_text("".join(f"{w.name}=={w.version} --hash=sha256:{w.sha256}\n" for w in theirs))
                    _pip("--require-hashes", "--no-deps", "-r", str(listing), *_target(platform, python), to=scratch)
            for wheel in lacking:
                if not _is(Path(scratch) / wheel.file, wheel.sha256):
                    raise Problem(f"the package index gave no {wheel.file} for {platform}")
                (Path(scratch) / wheel.file).replace(store / wheel.file)
    return [store / wheel.file for wheel in wanted]


def lock() -> list[Wheel]:
    """Ask the index for what ``pyproject.toml`` allows today, and write the lock file anew."""
    seen: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for platform in PLATFORMS:
        more = [python for python in DISTRIBUTIONS[1] if platform == DISTRIBUTIONS[0]]
        for python in sorted({*PYTHONS, *more}):
            with tempfile.TemporaryDirectory() as scratch:
                with_theirs, alone = _asked(python)
                _pip(*with_theirs, *_target(platform, python), to=scratch)
                _pip(*alone, "--no-deps", *_target(platform, python), to=scratch)
                for path in Path(scratch).glob("*.whl"):
                    key = path.name, hashlib.sha256(path.read_bytes()).hexdigest()
                    where, which = seen.setdefault(key, (set(), set()))
                    name = canonical(path.name.split("-")[0])
                    if name not in _LEFT_OUT:
                        where.add(platform)
                        which.add(python)
    found = []
    for (file, sha256), (where, which) in sorted(seen.items()):
        for carried in (False, True):
            its = tuple(sorted(p for p in which if _is_carried(file, p) is carried))
            if its:
                found.append(Wheel(file, sha256, tuple(sorted(where)), its, carried))
    text = json.dumps({"wheels": [vars(wheel) for wheel in found]}, indent=1)
    LOCK.write_text(text + "\n", encoding="utf-8")
    return found


def _is_carried(file: str, python: str) -> bool:
    name = canonical(file.split("-")[0])
    since = CARRIED_FROM.get(name)
    return name in CARRIED or (since is not None and tuple(map(int, python.split("."))) >= since)


def _asked(python: str) -> tuple[list[str], list[str]]:
    """What to ask the index for: with what each requires, and alone."""
    pins = {name: versions[python] for name, versions in _PINNED.items() if python in versions}
    wanted = [*requirements.of_the_extension(), "pillow"]
    named = {canonical(requirements.name(requirement)): requirement for requirement in wanted}
    named |= {name: f"{requirements.name(named[name])}{pin}" for name, pin in pins.items()}
    if python == "3.11":
        named["numpy"] = "numpy<2"  # as Blender has it there
    alone = named.pop("imagehash")
    return list(named.values()), [alone]


def _target(platform: str, python: str) -> list[str]:
    tags = [word for tag in PLATFORMS[platform] for word in ("--platform", tag)]
    return [*tags, "--python-version", python, "--implementation", "cp"]


def _pip(*words: str, to: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", "--dest", to, *words],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        check=False,
    )
    if done.returncode:
        raise Problem(
            f"could not download wheels: pip ended with {done.returncode}; its reason stands above. "
            "It needs the package index (mirror: PIP_INDEX_URL, proxy: HTTPS_PROXY) and a Python with pip."
        )


def _is(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() == sha256:
            return True
    shutil.move(path, path.with_suffix(".broken"))
    return False

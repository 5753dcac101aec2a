"""What must be installed, read from ``pyproject.toml``, and whether it is."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import sysconfig
import tomllib
from collections.abc import Sequence
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def listed(*extras: str) -> list[str]:
    """The project's requirements, and those of ``extras``, as written in ``pyproject.toml``."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]


_OF_THE_DISPATCHER = frozenset(
    ("fastapi", "uvicorn", "sqlalchemy", "alembic", "psycopg", "obstore", "nicegui", "prometheus-client")
)

_OF_THE_DISPATCHERS_MACHINE = frozenset(("farm", "dispatcher", "demo", "render", "test", "bench"))
"""Commands that start a dispatcher, or may."""


def of_the_extension() -> list[str]:
    """The project's requirements without those that only a dispatcher has."""
    return [requirement for requirement in listed() if name(requirement) not in _OF_THE_DISPATCHER]


def needed_by(args: Sequence[str]) -> list[str]:
    """What the command in ``args`` needs: submitters and workers do without a dispatcher's libraries."""
    return listed() if not args or args[0] in _OF_THE_DISPATCHERS_MACHINE else of_the_extension()


def key(requirements: Sequence[str], *more: str) -> str:
    """A short name for ``requirements`` on this Python and platform: equal names mean that one install serves both."""
    facts = [sys.implementation.cache_tag, sysconfig.get_platform(), *more, *sorted(requirements)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def unmet(requirements: Sequence[str]) -> list[str]:
    """Those of ``requirements`` that this Python lacks or has in a version that does not fit.

    Understands what ``pyproject.toml`` uses: ``>=``, ``<`` and ``==X.*`` on dotted numbers, and a marker on
    ``python_version``. Any ``bpy`` will do: which Blender to use is its user's choice.
    """
    return [requirement for requirement in requirements if applies(requirement) and not _met(requirement)]


def name(requirement: str) -> str:
    """The distribution's name in ``requirement``."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    if found is None:
        raise ValueError(f"not a requirement: {requirement!r}")
    return found[0]


def applies(requirement: str) -> bool:
    """Whether the marker of ``requirement`` holds for this Python."""
    wanted = re.search(r";\s*python_version\s*==\s*'([\d.]+)'", requirement)
    return wanted is None or wanted[1] == f"{sys.version_info[0]}.{sys.version_info[1]}"


def fits(requirement: str, version: str) -> bool:
    """Whether ``version`` is one that ``requirement`` allows."""
    have = _numbers(version)
    for operator, wanted in re.findall(r"(>=|==|<)\s*([\d.]+)", requirement.partition(";")[0]):
        want = _numbers(wanted)
        # 2 is the same version as 2.0.0, and 1 lies in 1.0.*
        longer = max(len(have), len(want))
        left, right = (numbers + (0,) * (longer - len(numbers)) for numbers in (have, want))
        allowed = {">=": left >= right, "<": left < right, "==": left[: len(want)] == want}
        if not allowed[operator]:
            return False
    return True


def _met(requirement: str) -> bool:
    import importlib.metadata  # takes longer to load than the rest, and a private environment has its stamp

    try:
        version = importlib.metadata.version(name(requirement))
    except importlib.metadata.PackageNotFoundError:
        return False
    return name(requirement) == "bpy" or fits(requirement, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[+a-zA-Z]", version)[0]))

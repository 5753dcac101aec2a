"""Reading and listing what can be set on a part of a scene."""

from __future__ import annotations

from typing import Any

_PLAIN = frozenset({str, int, float, bool, set, type(None)})
_KINDS = frozenset({"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"})

_known: dict[str, tuple[str, ...]] = {}


def settable(owner: Any) -> tuple[str, ...]:
    """Names of the plain values of ``owner`` that may be set. Asking Blender takes longer than reading them all."""
    kind = owner.bl_rna.identifier
    if kind not in _known:
        properties = owner.bl_rna.properties
        _known[kind] = tuple(p.identifier for p in properties if not p.is_readonly and p.type in _KINDS)
    return _known[kind]


def value_of(owner: Any, attribute: str) -> Any:
    """A value that stays what it is when ``owner`` changes."""
    value = getattr(owner, attribute)
    return value if type(value) in _PLAIN else tuple(value)

"""Meshes of the sample scene, each from a formula: bodies turned on a lathe, rings, balls, a studio backdrop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import bmesh
import bpy

Profile = Sequence[tuple[float, float]]
"""(radius, height) in metres, from the bottom up."""


def turned(name: str, profile: Profile, segments: int = 96) -> Any:
    """The body that ``profile`` describes when turned round the z axis."""
    form = bmesh.new()
    vertices = [form.verts.new((radius, 0.0, height)) for radius, height in profile]
    edges = [form.edges.new(pair) for pair in pairwise(vertices)]
    bmesh.ops.spin(
        form, geom=[*vertices, *edges], cent=(0, 0, 0), axis=(0, 0, 1), angle=math.tau, steps=segments, use_merge=True
    )
    bmesh.ops.remove_doubles(form, verts=form.verts[:], dist=1e-5)
    bmesh.ops.recalc_face_normals(form, faces=form.faces[:])
    return _smooth_mesh(name, form, sharp_degrees=50)


def ring(name: str, radius: float, thickness: float, width: float) -> Any:
    """A band ``thickness`` deep and ``width`` wide round the z axis, with rounded edges."""
    round_off = min(thickness, width) * 0.3
    corners = []
    for sx, sz, start in ((1, 1, 0), (-1, 1, 90), (-1, -1, 180), (1, -1, 270)):
        for step in range(5):
            angle = math.radians(start + step * 22.5)
            corners.append(
                (
                    radius + sx * (thickness / 2 - round_off) + round_off * math.cos(angle),
                    sz * (width / 2 - round_off) + round_off * math.sin(angle),
                )
            )
    return turned(name, [*corners, corners[0]], segments=128)


def ball(name: str, radius: float) -> Any:
    """A sphere with its poles on the z axis."""
    form = bmesh.new()
    bmesh.ops.create_uvsphere(form, u_segments=96, v_segments=48, radius=radius)
    return _smooth_mesh(name, form)


def rod(name: str, radius: float, length: float) -> Any:
    """A round rod along the z axis, its middle in the origin."""
    half = length / 2
    return turned(name, [(0, -half), (radius, -half), (radius, half), (0, half)], segments=48)


def backdrop(name: str, width: float, depth: float, height: float, bend: float) -> Any:
    """A studio's floor that bends up into its wall with a curve of radius ``bend``."""
    outline = [(-depth, 0.0)]
    for step in range(25):
        angle = math.radians(step * 90 / 24)
        outline.append((depth - bend + bend * math.sin(angle), bend - bend * math.cos(angle)))
    outline.append((depth, height))
    form = bmesh.new()
    left = [form.verts.new((-width / 2, y, z)) for y, z in outline]
    right = [form.verts.new((width / 2, y, z)) for y, z in outline]
    for i in range(len(outline) - 1):
        form.faces.new((left[i], right[i], right[i + 1], left[i + 1]))
    return _smooth_mesh(name, form)


def rounded_profile(radius: float, height: float, edge: float) -> Profile:
    """The profile of a disc ``height`` tall from the ground, its rims rounded off by ``edge``."""
    profile = [(0.0, 0.0)]
    for cz, start in ((edge, -90), (height - edge, 0)):
        for step in range(7):
            angle = math.radians(start + step * 15)
            profile.append((radius - edge + edge * math.cos(angle), cz + edge * math.sin(angle)))
    return [*profile, (0.0, height)]


def curve_profile(points: Profile, steps: int = 10) -> list[tuple[float, float]]:
    """``points`` joined by a Catmull-Rom spline, ``steps`` to a span."""
    padded = [points[0], *points, points[-1]]
    found: list[tuple[float, float]] = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            found.append((max(0.0, _spline(a[0], b[0], c[0], d[0], t)), _spline(a[1], b[1], c[1], d[1], t)))
    return [*found, points[-1]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _smooth_mesh(name: str, form: Any, sharp_degrees: float | None = None) -> Any:
    mesh = bpy.data.meshes.new(name)
    form.to_mesh(mesh)
    form.free()
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    if sharp_degrees is not None:
        mesh.set_sharp_from_angle(angle=math.radians(sharp_degrees))
    return mesh

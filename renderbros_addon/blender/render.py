"""Render a region of a frame into one file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..imaging.assembly import crop, crop_each
from ..protocol.regions import Region
from ..protocol.renderer import RenderRequest
from ..protocol.states import FailureCode
from .configure import (
    apply_format,
    apply_linear,
    apply_output,
    apply_settings,
    check_size,
    pick_scene,
    refuse_scripts,
    require_camera,
    settings_kept,
)
from .denoise import require_denoiser
from .devices import choose_device
from .failures import scene_fault
from .frame_names import frame_name
from .freshness import keep_what_stays_fresh
from .locality import not_local_because
from .outputs import extras_of
from .progress import ProgressBoard
from .regions import Canvas, canvas_of, set_border
from .render_call import Written, write_frame, writing_failed
from .same_frame import frame_held, sets_itself
from .versions import cycles_preferences

ADAPTIVE_MARGIN = 8
"""Pixels. A pixel that is clean is still sampled on while a neighbour is noisy, so a neighbour beyond a crop's edge is
missed. Measured (120×90, 2×2 tiles, 64 to 512 samples): a few hundred pixels differ without a margin, some dozens with
one of 1 pixel, five with 2, none with 3 or more; each pixel of margin leaves about a tenth."""


def render(request: RenderRequest, board: ProgressBoard) -> Written:
    """Render what ``request`` asks of the open file: its region, and of that a file for each of its parts, if any.

    Raises CannotServe. The scene's settings are afterwards what they were, also then.
    """
    spec, out_dir = request.spec, Path(request.out_dir).resolve()
    scene = pick_scene(spec.scene)
    with settings_kept(scene):
        apply_settings(scene, spec.settings)
        canvas = canvas_of(scene.render)
        check_size(canvas, spec.width, spec.height)
        if request.region.x1 > canvas.width or request.region.y1 > canvas.height:
            raise scene_fault(
                FailureCode.SIZE_MISMATCH,
                f"The region {request.region} does not lie in a frame of {canvas.width}×{canvas.height} pixels.",
            )
        refuse_scripts(scene)
        require_denoiser(scene)
        device = str(scene.render.engine)
        if scene.render.engine == "CYCLES":
            device = choose_device(scene, spec.device, cycles_preferences())
        apply_format(scene, spec.format)
        if request.linear:
            apply_linear(scene)
        if request.parts:
            # It is cut at once, and only what is cut from it is kept.
            scene.render.image_settings.exr_codec = "NONE"
        apply_output(scene)
        extras = extras_of(scene, frame_name(scene)[0])
        crop_after = _apply_region(scene, request.region, canvas, in_place=not request.linear)
        with frame_held(scene, (spec, request.frame, request.linear)) as held:
            if not held or sets_itself(scene):
                scene.frame_set(request.frame)
            if crop_after is not None and not request.linear:
                _require_local(scene)
            require_camera(scene)
            keep_what_stays_fresh(scene)
            started = time.perf_counter()
            with board.watching(request.id):
                path, others = write_frame(scene, extras, request.frame, out_dir)
            seconds = time.perf_counter() - started
    if request.parts:
        cut = _cut_parts(path, request, crop_after or Region.full(request.region.width, request.region.height))
        return Written(cut[0], (), seconds, device, cut)
    if crop_after is not None:
        # Beside the picture there are only the other views of a stereo frame: a compositor has no part in this.
        for file in (path, *(Path(extra.path) for extra in others)):
            _cut(file, crop_after, out_dir)
    return Written(path, others, seconds, device)


def _require_local(scene: Any) -> None:
    """CannotServe (``bad_setting``) if a part of the frame, in the scene's own format, would differ from the whole."""
    if reasons := list(not_local_because(scene)):
        raise scene_fault(
            FailureCode.BAD_SETTING,
            f"A part of a frame of this scene would not show what the whole does. {' '.join(reasons)}",
        )


def _cut_parts(path: Path, request: RenderRequest, place: Region) -> tuple[Path, ...]:
    """Leave of the image at ``path``, where the region asked for lies at ``place``, only a file for each part."""
    dx, dy = place.x0 - request.region.x0, place.y0 - request.region.y0
    cut = [(part, path.with_name(f"part{number}{path.suffix}")) for number, part in enumerate(request.parts)]
    try:
        crop_each(path, [(part.shifted(dx, dy), out) for part, out in cut], compression="zip", durable=False)
    except OSError as error:
        raise writing_failed(str(error), error.errno, path.parent) from error
    path.unlink()
    return tuple(out for _, out in cut)


def _cut(path: Path, region: Region, out_dir: Path) -> None:
    """Leave of the image at ``path`` only ``region``."""
    whole = path.rename(path.with_name(f"whole_{path.name}"))
    try:
        crop(whole, region, path, durable=False)
    except OSError as error:
        raise writing_failed(str(error), error.errno, out_dir) from error
    whole.unlink()


def _apply_region(scene: Any, region: Region, canvas: Canvas, *, in_place: bool) -> Region | None:
    """Set the border for ``region``; return what must be cut from the written file, or None if it fits.

    With ``in_place`` the region has in the written file the place that it has in the frame, since dithering goes by it.
    """
    output = canvas.output
    if (region.width, region.height) == (output.width, output.height):
        return None  # a whole frame: the scene's own border stays as it is
    if in_place and canvas.border is not None and canvas.cropped:
        return region  # Blender's file starts where the border does: to move nothing, all of it is rendered.
    wanted = region.shifted(output.x0, output.y0)
    limits = canvas.border or output
    # A tile wholly outside of the scene's border still needs a border to render: one pixel of the scene's will do.
    corner = Region(x0=limits.x0, y0=limits.y0, x1=limits.x0 + 1, y1=limits.y0 + 1)
    rendered = _grown(wanted.intersection(limits) or corner, adaptive_margin(scene), limits)
    if not in_place and (canvas.border is None or canvas.cropped):
        set_border(scene.render, rendered, canvas, crop=True)
        return wanted.shifted(-rendered.x0, -rendered.y0) if rendered != wanted else None
    # Outside of the border Blender fills the frame with values that depend on the pass. Let it fill, and cut after.
    set_border(scene.render, rendered, canvas, crop=False)
    return region


def adaptive_margin(scene: Any) -> int:
    """Pixels to render around a region so that those in it come out as they do in the whole frame."""
    if scene.render.engine == "CYCLES" and scene.cycles.use_adaptive_sampling:
        return ADAPTIVE_MARGIN
    return 0


def _grown(region: Region, margin: int, limits: Region) -> Region:
    return Region(
        x0=max(region.x0 - margin, limits.x0),
        y0=max(region.y0 - margin, limits.y0),
        x1=min(region.x1 + margin, limits.x1),
        y1=min(region.y1 + margin, limits.y1),
    )

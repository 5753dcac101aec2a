"""What is told of a scene before it is submitted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest
import scene_files
from scene_features import TILEABLE, _tree, compositing, file_output, set_border
from scenes import fresh_scene, save

from renderbros_addon.blender.failures import CannotServe
from renderbros_addon.blender.inspect import inspect
from renderbros_addon.blender.versions import running_series
from renderbros_addon.protocol.frames import frame_file_name
from renderbros_addon.protocol.jobs import RenderSettings
from renderbros_addon.protocol.renderer import Inspection, InspectRequest
from renderbros_addon.protocol.states import FailureCode


def look(path: Path, **settings: Any) -> Inspection:
    scene = settings.pop("scene", None)
    return inspect(InspectRequest(id="i", blend=str(path), scene=scene, settings=RenderSettings(**settings)))


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Callable[[Any], None]], Path]:
    def build(change: Callable[[Any], None] = lambda scene: None) -> Path:
        change(fresh_scene(width=61, height=43))
        return save(tmp_path / "scene.blend")

    return build


def denoising(scene: Any) -> None:
    scene.cycles.use_denoising = True


def glare(scene: Any) -> None:
    tree = compositing(scene)
    tree.nodes.new("CompositorNodeGlare")


def other_pass(scene: Any) -> None:
    tree = compositing(scene)
    scene.view_layers[0].use_pass_z = True
    layers = next(node for node in tree.nodes if node.bl_idname == "CompositorNodeRLayers")
    output = next(node for node in tree.nodes if node.bl_idname in ("CompositorNodeComposite", "NodeGroupOutput"))
    tree.links.new(layers.outputs["Depth"], output.inputs[0])


def sequence(scene: Any) -> None:
    scene.render.use_sequencer = True
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    length = {"length": 10} if bpy.app.version >= (5, 0, 0) else {"frame_end": 10}
    strips.new_effect(name="Colour", type="COLOR", channel=1, frame_start=1, **length)


def only_an_image(scene: Any) -> None:
    tree = compositing(scene)
    tree.nodes.remove(next(node for node in tree.nodes if node.bl_idname == "CompositorNodeRLayers"))


def other_scene(scene: Any) -> None:
    tree = compositing(scene)
    tree.nodes.new("CompositorNodeRLayers").scene = bpy.data.scenes.new("Sky")


def drawn(scene: Any) -> None:
    bpy.ops.object.grease_pencil_add() if bpy.app.version >= (4, 3, 0) else bpy.ops.object.gpencil_add()


def caught_shadow(scene: Any) -> None:
    denoising(scene)
    scene.objects["Floor"].is_shadow_catcher = True


def long_names(scene: Any) -> None:
    denoising(scene)
    scene.view_layers[0].name = "Sequence_0420_Shot_0070_Foreground_Characters_v012"


def stereo(scene: Any) -> None:
    scene.render.use_multiview = True


def two_layers(scene: Any) -> None:
    scene.view_layers.new("Second")


def stamp(scene: Any) -> None:
    scene.render.use_stamp = True


def freestyle(scene: Any) -> None:
    scene.render.use_freestyle = True


def time_limit(scene: Any) -> None:
    scene.cycles.time_limit = 5


def guiding(scene: Any) -> None:
    scene.cycles.use_guiding = True


def sample_count(scene: Any) -> None:
    scene.cycles.use_adaptive_sampling = True
    scene.view_layers[0].cycles.pass_debug_sample_count = True


def workbench(scene: Any) -> None:
    scene.render.engine = "BLENDER_WORKBENCH"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (only_an_image, "no Render Layers"),
        (other_scene, "Sky"),
        (drawn, "Grease Pencil"),
        (caught_shadow, "Shadow catchers"),
        (long_names, "too long"),
        (sequence, "sequencer"),
        (stamp, "Burn Into Image"),
        (freestyle, "Freestyle"),
        (time_limit, "time limit"),
        (guiding, "Path guiding"),
        (sample_count, "Sample Count"),
        (workbench, "BLENDER_WORKBENCH"),
    ],
)
def test_why_a_scene_is_rendered_whole(saved: Any, change: Callable[[Any], None], named: str) -> None:
    reasons = look(saved(change)).whole_because
    assert len(reasons) == 1
    assert named in reasons[0]
    assert reasons[0].endswith(".")


def test_volumes_are_whole_where_they_must_be(saved: Any) -> None:
    def smoke(scene: Any) -> None:
        tree, output, _ = _tree("Blue")
        tree.links.new(tree.nodes.new("ShaderNodeVolumePrincipled").outputs[0], output.inputs["Volume"])

    assert len(look(saved(smoke)).whole_because) == (1 if bpy.app.version >= (5, 0, 0) else 0)


TILEABLE_WITH_FINISHING = (compositing, denoising, glare, file_output, other_pass, stereo, two_layers)


@pytest.mark.parametrize("change", [*TILEABLE_WITH_FINISHING, *TILEABLE], ids=lambda change: change.__name__)
def test_what_tiles(saved: Any, change: Callable[[Any], None]) -> None:
    assert look(saved(change)).whole_because == ()


def lossy_floats(scene: Any) -> None:
    image = scene.render.image_settings
    image.file_format, image.exr_codec = "OPEN_EXR", "DWAA"


LOSSY = {"format": "JPEG"}


@pytest.mark.parametrize(
    ("change", "settings", "local"),
    [
        (stereo, {}, True),
        (lambda scene: None, {"format": "OPEN_EXR_MULTILAYER"}, True),
        (lambda scene: None, LOSSY, False),
        (lossy_floats, {}, False),
        (denoising, {}, False),
        (glare, {}, False),
        (sequence, {}, False),
        (stamp, {}, False),
        (time_limit, {}, False),
        (workbench, {}, False),
    ],
)
def test_whether_pixels_depend_on_their_own_samples_alone(
    saved: Any, change: Callable[[Any], None], settings: dict[str, Any], local: bool
) -> None:
    assert look(saved(change), **settings).local == local


def unbaked_cloth(scene: Any) -> None:
    scene.objects["Cube"].modifiers.new("Cloth", "CLOTH")


def sparks(scene: Any) -> None:
    scene.objects["Cube"].modifiers.new("Sparks", "PARTICLE_SYSTEM")


def hair(scene: Any) -> None:
    sparks(scene)
    scene.objects["Cube"].particle_systems[0].settings.type = "HAIR"


def swinging_hair(scene: Any) -> None:
    hair(scene)
    scene.objects["Cube"].particle_systems[0].use_hair_dynamics = True


def smoke(scene: Any) -> None:
    fluid = scene.objects["Cube"].modifiers.new("Fluid", "FLUID")
    fluid.show_viewport = False  # or it is simulated here and now
    fluid.fluid_type = "DOMAIN"


def wet_paint(scene: Any) -> None:
    cube = scene.objects["Cube"]
    modifier = cube.modifiers.new("Paint", "DYNAMIC_PAINT")
    with bpy.context.temp_override(object=cube, active_object=cube):
        bpy.ops.dpaint.type_toggle(type="CANVAS")
    assert modifier.canvas_settings is not None


def random_guiding(scene: Any) -> None:
    guiding(scene)
    scene.cycles.use_deterministic_guiding = False


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (workbench, None),
        (hair, None),
        (guiding, None),
        (unbaked_cloth, '"Cloth"'),
        (sparks, '"Sparks"'),
        (swinging_hair, '"Sparks"'),
        (smoke, '"Fluid"'),
        (wet_paint, '"Paint"'),
        (time_limit, "stops after 5 s"),
        (random_guiding, "deterministic"),
    ],
)
def test_whether_a_frame_comes_out_the_same_again(saved: Any, change: Callable[[Any], None], why: str | None) -> None:
    found = look(saved(change))
    assert found.repeatable == (why is None)
    assert [why in warning for warning in found.warnings] == ([True] if why else [])


def test_what_is_baked_to_disk_comes_out_the_same_until_it_is_gone(tmp_path: Path) -> None:
    scene = fresh_scene(width=61, height=43)
    path = save(tmp_path / "scene.blend")
    files = [*scene_files.cloth(scene, tmp_path), *scene_files.simulation(scene, tmp_path)]
    save(path)
    assert look(path).repeatable
    for file in files:
        if file.suffix != ".bphys":
            file.unlink()
    found = look(path)
    assert not found.repeatable
    assert any('"Push"' in warning for warning in found.warnings)


def test_overrides_decide_whether_it_tiles(saved: Any) -> None:
    path = saved(two_layers)
    assert look(path, view_layers=("Second",)).whole_because == ()
    assert look(path, view_layers=("Second",), engine="BLENDER_WORKBENCH").whole_because != ()


def test_the_facts(saved: Any) -> None:
    def change(scene: Any) -> None:
        scene.frame_start, scene.frame_end, scene.frame_step = 3, 21, 2
        scene.render.resolution_percentage = 67

    path = saved(change)
    found = look(path)
    assert (found.width, found.height) == (40, 28)
    assert found.frames == (3, 21, 2)
    assert found.engine == "CYCLES"
    assert found.device == "CPU"
    assert found.format == "PNG"
    assert found.saved_by == found.series == running_series()
    assert found.cameras == ("Camera",)
    assert found.files == (str(path),)
    assert found.missing == ()
    assert found.warnings == ()
    assert look(path, percentage=50, resolution_x=40, resolution_y=20).width == 20
    assert look(path, device="GPU").device == "GPU"


def test_a_scene_on_the_gpu_says_so(saved: Any) -> None:
    assert look(saved(lambda scene: setattr(scene.cycles, "device", "GPU"))).device == "GPU"


def test_sizes_with_a_border(saved: Any) -> None:
    cropped = look(saved(lambda scene: set_border(scene, crop=True)))
    assert (cropped.width, cropped.height) == (int(61 * 0.83) - int(61 * 0.17), int(43 * 0.9) - int(43 * 0.21))
    whole = look(saved(lambda scene: set_border(scene, crop=False)))
    assert (whole.width, whole.height) == (61, 43)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("//out/shot_####", "shot_####.png"),
        ("//a#_##x", "a#_##x.png"),
        ("/tmp/", "####.png"),  # noqa: S108  Blender's own default, only looked at
        ("//x-###-.png", "x-###-.png"),
        ("//take2_00#", "take2_00#.png"),
        ("", "####.png"),
        ("//no_number", "no_number####.png"),
    ],
)
def test_frames_are_named_as_blender_names_them(saved: Any, path: str, template: str) -> None:
    blend = saved(lambda scene: setattr(scene.render, "filepath", path))
    found = look(blend)
    assert found.frame_name == template
    for frame in (0, 7, 12345, -3):
        own = bpy.context.scene.render.frame_path(frame=frame).rsplit("/", 1)[-1]
        assert frame_file_name(template, frame) == own


def test_a_name_that_not_every_platform_holds_is_changed(saved: Any) -> None:
    found = look(saved(lambda scene: setattr(scene.render, "filepath", "//what: now?_##")))
    assert found.frame_name == "what_ now__##.png"
    assert any("named" in warning for warning in found.warnings)


def test_a_format_override_changes_the_name(saved: Any) -> None:
    found = look(saved(), format="OPEN_EXR")
    assert (found.format, found.frame_name) == ("OPEN_EXR", "frame_####.exr")


def test_a_film_becomes_frames(saved: Any) -> None:
    def film(scene: Any) -> None:
        image = scene.render.image_settings
        if hasattr(image, "media_type"):
            image.media_type = "VIDEO"
        image.file_format = "FFMPEG"

    found = look(saved(film))
    assert found.format == "PNG"
    assert found.frame_name.endswith("####.png")
    assert any("FFMPEG" in warning for warning in found.warnings)


def test_the_scene_that_was_active_is_meant(saved: Any) -> None:
    def second(scene: Any) -> None:
        other = scene.copy()
        other.name, other.use_fake_user = "Other", True
        other.render.resolution_x = 33
        bpy.context.window.scene = other

    path = saved(second)
    assert (look(path).scene, look(path).width) == ("Other", 33)
    assert (look(path, scene="Scene").scene, look(path, scene="Scene").width) == ("Scene", 61)


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        ({"scene": "Nowhere"}, FailureCode.UNKNOWN_SCENE, "Nowhere"),
        ({"camera": "Nobody"}, FailureCode.UNKNOWN_CAMERA, '"Camera"'),
        ({"camera": "Ball"}, FailureCode.UNKNOWN_CAMERA, "Ball"),
        ({"view_layers": ("ViewLayer", "None")}, FailureCode.UNKNOWN_VIEW_LAYER, '"None"'),
        ({"engine": "LUXCORE"}, FailureCode.UNKNOWN_ENGINE, "CYCLES"),
        ({"format": "GIF"}, FailureCode.UNKNOWN_FORMAT, "PNG"),
        ({"format": "FFMPEG"}, FailureCode.UNKNOWN_FORMAT, "FFMPEG"),
    ],
)
def test_what_does_not_fit_is_named(saved: Any, settings: dict[str, Any], code: FailureCode, named: str) -> None:
    with pytest.raises(CannotServe) as failure:
        look(saved(), **settings)
    assert failure.value.code == code
    assert named in str(failure.value)


def test_both_names_of_eevee_are_taken(saved: Any) -> None:
    path = saved()
    assert look(path, engine="BLENDER_EEVEE").engine == look(path, engine="BLENDER_EEVEE_NEXT").engine


def test_no_camera(saved: Any) -> None:
    path = saved(lambda scene: setattr(scene, "camera", None))
    with pytest.raises(CannotServe) as failure:
        look(path)
    assert failure.value.code == FailureCode.NO_CAMERA
    assert '"Camera"' in str(failure.value)
    assert look(path, camera="Camera").whole_because == ()


def test_a_marker_may_bring_the_camera(saved: Any) -> None:
    def marked(scene: Any) -> None:
        scene.timeline_markers.new("cut", frame=1).camera = scene.camera
        scene.camera = None

    assert look(saved(marked)).cameras == ("Camera",)


def test_a_sequence_needs_no_camera(saved: Any) -> None:
    def cut(scene: Any) -> None:
        sequence(scene)
        scene.camera = None

    assert len(look(saved(cut)).whole_because) == 1


def test_freestyle_scripts_are_refused(saved: Any) -> None:
    def scripted(scene: Any) -> None:
        freestyle(scene)
        scene.view_layers[0].freestyle_settings.mode = "SCRIPT"

    with pytest.raises(CannotServe) as failure:
        look(saved(scripted))
    assert failure.value.code == FailureCode.SCRIPTS_BLOCKED


def test_a_blocked_driver_is_warned_of(saved: Any) -> None:
    def driven(scene: Any) -> None:
        driver = bpy.data.objects["Ball"].driver_add("location", 0).driver
        driver.type, driver.expression = "SCRIPTED", "len(bpy.data.objects)"

    found = look(saved(driven))
    assert any("len(bpy.data.objects)" in warning for warning in found.warnings)

"""Paths of single kinds: which are known, how they are followed, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest
from scene_files import _geometry_group, panel, picture, shown_image
from scenes import fresh_scene, save

from renderbros_addon.blender.bundle import missing_files, needed_files, outside_note
from renderbros_addon.blender.confine import confine
from renderbros_addon.blender.file_sets import Named, Sequence, Views
from renderbros_addon.blender.open import open_blend
from renderbros_addon.blender.scene_paths import as_spelled, blenders_own
from renderbros_addon.protocol.source_roots import SEVERAL_DRIVES, below

FOLLOWED = {
    "CacheFile.filepath", "CacheFileLayer.filepath", "Camera.custom_filepath", "FluidDomainSettings.cache_directory",
    "Image.filepath", "Image.filepath_raw", "ImageSequence.directory", "ImageStrip.directory", "Library.filepath",
    "MeshCacheModifier.filepath", "MovieClip.filepath", "MovieSequence.filepath", "MovieStrip.filepath",
    "MultiresModifier.filepath", "NodeSocketStringFilePath.default_value", "NodesModifier.bake_directory",
    "NodesModifierBake.directory", "OceanModifier.filepath", "PointCache.filepath", "PointCacheItem.filepath",
    "ShaderNodeScript.filepath", "ShaderNodeTexIES.filepath", "Sound.filepath", "VectorFont.filepath",
    "Volume.filepath",
}  # fmt: skip
WRITTEN = {
    "BakeSettings.filepath", "CollectionExport.filepath", "CompositorNodeOutputFile.base_path",
    "CompositorNodeOutputFile.directory", "CompositorNodeOutputFile.file_name", "DynamicPaintSurface.image_output_path",
    "RenderSettings.filepath",
}  # fmt: skip
NOT_IN_PICTURES = {
    # The interface, preferences, brushes, previews and proxies; what else tells where data came from; read-only twins.
    "BlendData.filepath", "BlendImportContextLibrary.filepath", "Brush.icon_filepath", "ImagePackedFile.filepath",
    "LibraryWeakReference.filepath", "LibraryWeakReference.id_name", "MovieClipProxy.directory",
    "NodeTreeInterfaceSocketStringFilePath.default_value", "PathCompare.path", "ScriptDirectory.directory",
    "SequenceEditor.proxy_dir", "SequenceProxy.directory", "SequenceProxy.filepath", "StripProxy.directory",
    "StripProxy.filepath", "StudioLight.path", "Theme.filepath", "VolumeGrids.frame_filepath",
}  # fmt: skip


def test_every_path_that_this_blender_has_is_accounted_for() -> None:
    """A new Blender with a new kind of path fails here, not in somebody's picture."""
    unknown = set()
    for name in dir(bpy.types):
        rna = getattr(getattr(bpy.types, name), "bl_rna", None)
        if rna is None or name.startswith(("Preferences", "File", "User")):
            continue
        for prop in rna.properties:
            inherited = rna.base is not None and prop.identifier in rna.base.properties
            if prop.type == "STRING" and prop.subtype in ("FILE_PATH", "DIR_PATH") and not inherited:
                unknown.add(f"{name}.{prop.identifier}")
    assert unknown - FOLLOWED - WRITTEN - NOT_IN_PICTURES == set()


def test_a_scene_can_not_carry_off_what_is_no_file_of_its_kind(tmp_path: Path) -> None:
    scene = fresh_scene()
    secret = tmp_path / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    disguised = tmp_path / "job" / "wood.png"
    disguised.parent.mkdir()
    disguised.symlink_to(secret)
    unnamed = picture(tmp_path / "job" / "grain.png").rename(tmp_path / "job" / "grain")
    for index, path in enumerate((secret, disguised, unnamed)):
        shown_image(scene, path.name, index, 0, str(path))
    bpy.data.texts.load(str(secret), internal=False)
    save(tmp_path / "job" / "scene.blend")
    assert [file.name for file in needed_files()] == ["scene.blend", "grain"]
    missing = {file.user: (file.path, file.why) for file in missing_files()}
    why = "this is no image, so it is not sent"
    assert missing == {'Image "id_rsa"': (str(secret), why), 'Image "wood.png"': (str(disguised), why)}


def test_files_from_elsewhere_are_told() -> None:
    files = [Path("/film/a.blend"), Path("/film/tex/b.png"), Path("/fonts/c.ttf"), Path("/fonts/d.ttf")]
    assert outside_note(files, Path("/film")) == (
        "2 of 4 files lie outside of the scene's folder, in /fonts (2)."
    )  # fmt: skip
    assert outside_note(files[:2], Path("/film")) is None


def test_a_sequence_has_its_own_frames_and_no_holes(tmp_path: Path) -> None:
    for name in ("a_01.jp2", "a_02.jp2", "a_04.jp2", "a_100.jp2", "a_003.jp2", "a_5.jp2", "b_01.jp2", "a_02.jp2.bak"):
        (tmp_path / name).touch()
    like = str(tmp_path / "a_01.jp2")
    assert [file.name for file in Sequence((range(1, 50),)).files(like)] == ["a_01.jp2", "a_02.jp2", "a_04.jp2"]
    assert [file.name for file in Sequence().files(like)] == ["a_01.jp2", "a_02.jp2", "a_04.jp2", "a_100.jp2"]
    assert [Path(path).name for path in Sequence((range(1, 50),)).missing(like)] == ["a_03.jp2"]
    assert Sequence((range(200, 300),)).missing(like) == [like]
    assert Named(("a_01.jp2", "../x.png")).missing(str(tmp_path)) == []


def test_each_view_of_a_stereo_image_goes_along(tmp_path: Path) -> None:
    for name in ("wall_L.png", "wall_R.png", "wall_C.png"):
        (tmp_path / name).touch()
    views = Views(("_L", "_R", ""))
    assert [file.name for file in views.files(str(tmp_path / "wall_L.png"))] == ["wall_L.png", "wall_R.png"]
    assert views.missing(str(tmp_path / "door_L.png")) == [str(tmp_path / "door_L.png")]


def importer(tree: Any) -> Any:
    """A node that imports what comes from ``tree``'s other nodes, put out."""
    node, real = tree.nodes.new("GeometryNodeImportOBJ"), tree.nodes.new("GeometryNodeRealizeInstances")
    goes = next(node for node in tree.nodes if node.bl_idname == "NodeGroupOutput")
    tree.links.new(node.outputs[0], real.inputs[0])
    tree.links.new(real.outputs[0], goes.inputs["Geometry"])
    return node


@pytest.mark.skipif(not hasattr(bpy.types, "GeometryNodeImportOBJ"), reason="this Blender has no such nodes")
def test_paths_for_import_nodes_are_followed_and_computed_ones_cut(tmp_path: Path) -> None:
    scene = fresh_scene()
    quad = tmp_path / "job" / "quad.obj"
    quad.parent.mkdir()
    quad.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    inner, outer, sly = _geometry_group("inner"), _geometry_group("outer"), _geometry_group("sly")
    inner.interface.new_socket("File", in_out="INPUT", socket_type="NodeSocketString")
    node = importer(inner)
    came = next(node for node in inner.nodes if node.bl_idname == "NodeGroupInput")
    inner.links.new(came.outputs["File"], node.inputs["Path"])
    # A group in a group, and one of two texts by a switch.
    use, switch = outer.nodes.new("GeometryNodeGroup"), outer.nodes.new("GeometryNodeSwitch")
    use.node_tree, switch.input_type = inner, "STRING"
    text = outer.nodes.new("FunctionNodeInputString")
    text.string = "/etc/passwd.obj"
    switch.inputs["False"].default_value = "//quad.obj"
    outer.links.new(text.outputs[0], switch.inputs["True"])
    outer.links.new(switch.outputs[0], use.inputs["File"])
    join = sly.nodes.new("GeometryNodeStringJoin")
    sly.links.new(join.outputs[0], importer(sly).inputs["Path"])
    for tree in (outer, sly):
        thing, _, _ = panel(scene, tree.name, 0, 0)
        thing.modifiers.new("Nodes", "NODES").node_group = tree
    save(tmp_path / "job" / "scene.blend")
    open_blend(tmp_path / "job" / "scene.blend")
    assert quad in needed_files()
    assert {(file.path, file.user) for file in missing_files()} == {
        ("/etc/passwd.obj", 'Node "Import OBJ" of Node group "inner"'),
        ("(put together by nodes)", 'Node "Import OBJ" of Node group "sly"'),
    }
    assert len(confine(tmp_path / "job", None)) == 2
    trees = bpy.data.node_groups
    assert "etc" not in trees["outer"].nodes["String"].string
    assert trees["outer"].nodes["Switch"].inputs["False"].default_value == "//quad.obj"
    assert not trees["sly"].nodes["Import OBJ"].inputs["Path"].is_linked


def test_strips_go_along_where_the_sequencer_is_rendered(tmp_path: Path) -> None:
    scene = fresh_scene()
    files = [picture(tmp_path / "cut" / name) for name in ("one.png", "two.png")]
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_image("cut", str(files[0]), 1, 1)
    strip.elements.append("two.png")
    strip.elements.append("gone.png")
    save(tmp_path / "scene.blend")
    assert len(needed_files()) == 1
    scene.render.use_sequencer = True
    assert needed_files()[1:] == files
    assert [(Path(file.path).name, file.user) for file in missing_files()] == [
        ("gone.png", 'Strip "cut" of Scene "Scene"')
    ]  # fmt: skip


def test_caches_elsewhere_are_found_by_name(tmp_path: Path) -> None:
    """Caches that nobody baked here: the files are made up, their names are Blender's."""
    scene = fresh_scene()
    made = {}
    for name in ("smoke/data/fluid_data_0001.vdb", "sea/disp_0001.exr", "physics/flag_000001_00.bphys"):
        made[name] = tmp_path / name
        made[name].parent.mkdir(parents=True, exist_ok=True)
        made[name].write_bytes(b"made up")
    for other in ("smoke/notes.txt", "sea/holiday.exr", "physics/other_000001_00.bphys"):
        (tmp_path / other).write_bytes(b"none of the scene's")
    domain, _, _ = panel(scene, "domain", 0, 0)
    fluid = domain.modifiers.new("Fluid", "FLUID")
    fluid.fluid_type = "DOMAIN"
    fluid.domain_settings.cache_directory = "//smoke"
    sea, _, _ = panel(scene, "sea", 1, 0)
    sea.modifiers.new("Ocean", "OCEAN").filepath = "//sea"
    flag, _, _ = panel(scene, "flag", 2, 0)
    flag.modifiers.new("Cloth", "CLOTH")
    save(tmp_path / "scene.blend")
    cache = flag.modifiers["Cloth"].point_cache
    cache.use_external = True
    cache.name, cache.filepath = "flag", "//physics/"
    assert set(needed_files()[1:]) == set(made.values())


def test_a_library_without_the_data_block_says_so(tmp_path: Path) -> None:
    fresh_scene()
    library = save(tmp_path / "library.blend")
    fresh_scene()
    save(tmp_path / "scene.blend")
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.materials = ["Gold"]
    bpy.data.objects["Floor"].data.materials[0] = wanted.materials[0]
    scene = save(tmp_path / "scene.blend")
    open_blend(library)
    bpy.data.materials["Gold"].name = "Silver"
    save(library)
    open_blend(scene)
    assert [str(file) for file in missing_files()] == [
        f'Material "Gold": {library} (the library has no such data-block)'
    ]  # fmt: skip


def test_a_library_outside_of_the_job_is_taken_out(tmp_path: Path) -> None:
    fresh_scene()
    for folder in ("home", "job"):
        (tmp_path / folder).mkdir()
    library = save(tmp_path / "home" / "private.blend")
    fresh_scene()
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.materials = ["Gold"]
    bpy.data.objects["Floor"].data.materials[0] = wanted.materials[0]
    save(tmp_path / "job" / "scene.blend")
    open_blend(tmp_path / "job" / "scene.blend")
    missing = confine(tmp_path / "job", None)
    assert [Path(file.path).name for file in missing] == ["private.blend"]
    assert not [block for block in bpy.data.materials if block.library is not None]


def test_blenders_own_assets_are_found_on_every_machine() -> None:
    homes = [bpy.utils.resource_path("LOCAL"), bpy.utils.resource_path("SYSTEM")]
    asset = next((path for home in homes if home for path in Path(home).glob("datafiles/assets/*/*.blend")), None)
    if asset is None:
        pytest.skip("this Blender came without its assets")
    elsewhere = f"C:\\Program Files\\Blender\\9.9\\datafiles\\assets\\{asset.parent.name}\\{asset.name}"
    assert blenders_own(elsewhere) == str(asset)
    assert blenders_own("/opt/datafiles/assets/../../secret.blend") is None


def test_files_are_found_in_another_case(tmp_path: Path) -> None:
    path = picture(tmp_path / "Textures" / "Wood.PNG")
    assert as_spelled(tmp_path / "textures" / "wood.png", tmp_path) == path
    assert as_spelled(tmp_path / "textures" / "oak.png", tmp_path) == path.with_name("oak.png")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\Film\\..\\Tex\\a.png", ["C", "Tex", "a.png"]),
        ("d:/a.png", ["D", "a.png"]),
        ("\\\\Server\\Share\\tex\\a.png", ["SERVER-SHARE", "tex", "a.png"]),
        ("/home/a.png", None),
    ],
)
def test_several_drives_have_a_folder_each(path: str, expected: list[str] | None) -> None:
    assert below(path, SEVERAL_DRIVES) == expected

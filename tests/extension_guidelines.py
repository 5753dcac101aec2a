"""What Blender's extensions platform asks of an add-on, each guideline a check that names what offends it.

After the platform's *Guidelines* for moderators and authors, the handbook's *Add-on Guidelines* and *Manifest* pages,
and Blender's own ``blender_ext.py``. Not among them, since no program can tell: that the pictures are good, that the
maintainer is who they say, that it is useful.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bootstrap import build

IN_BLENDER = ("__init__.py", "renderbros_addon/__init__.py", "renderbros_addon/desktop")
"""What runs in the artist's own Blender; the rest runs in processes of its own."""

TAGS = frozenset(
    """3D View|Add Curve|Add Mesh|Animation|Bake|Camera|Compositing|Development|Game Engine|Geometry Nodes|Grease Pencil
    |Import-Export|Lighting|Material|Modeling|Mesh|Node|Object|Paint|Pipeline|Physics|Render|Rigging|Scene|Sculpt
    |Sequencer|System|Text Editor|Tracking|User Interface|UV""".replace("\n    ", "").split("|")
)
LICENSES = frozenset({"SPDX:GPL-2.0-or-later", "SPDX:GPL-3.0-or-later", "SPDX:MIT", "SPDX:BSD-2-Clause", "SPDX:Zlib"})
"""Those of the platform that we might choose."""

Check = Callable[[Path], Iterator[str]]
GUIDELINES: dict[str, Check] = {}


def guideline(check: Check) -> Check:
    GUIDELINES[check.__name__] = check
    return check


@guideline
def the_manifest_is_of_this_schema(root: Path) -> Iterator[str]:
    told = _manifest(root)
    if told.get("schema_version") != "1.0.0":
        yield "schema_version"
    if told.get("type") != "add-on":
        yield "type"
    for field in ("id", "name", "version", "tagline", "maintainer", "blender_version_min", "license"):
        if not told.get(field):
            yield f"{field} is missing"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", told["id"]) or "__" in told["id"] or told["id"].endswith("_"):
        yield f"id {told['id']!r} is no plain identifier"
    for field in ("version", "blender_version_min"):
        if not re.fullmatch(r"\d+\.\d+\.\d+", told[field]):
            yield f"{field} {told[field]!r} has not three numbers"
    if tuple(map(int, told["blender_version_min"].split("."))) < (4, 2, 0):
        yield "there are no extensions before Blender 4.2"
    yield from (f"tag {tag!r} is not one of the platform's" for tag in told.get("tags", ()) if tag not in TAGS)
    # Blender's template leaves these to be filled in.
    yield from (f"{field} is left empty" for field, value in told.items() if value in ("", [], {}))


@guideline
def the_name_is_not_blenders(root: Path) -> Iterator[str]:
    told = _manifest(root)
    if told["name"].lower().startswith("blender"):
        yield f"the name {told['name']!r} begins with a trademark"
    if re.search(r"add-?on|extension", told["name"], re.IGNORECASE):
        yield "the name tells what it is anyway"


@guideline
def the_license_is_free_and_here(root: Path) -> Iterator[str]:
    told = _manifest(root)
    yield from (f"license {one!r}" for one in told["license"] if one not in LICENSES)
    if not (root / "LICENSE").is_file():
        yield "no LICENSE"
    yield from (
        f"copyright {one!r} has no year" for one in told["copyright"] if not re.match(r"\d{4}(-\d{4})? \S", one)
    )


@guideline
def short_texts_are_short_and_end_without_punctuation(root: Path) -> Iterator[str]:
    told = _manifest(root)
    texts = {"tagline": told["tagline"]} | {f"permissions.{k}": v for k, v in told["permissions"].items()}
    for where, text in texts.items():
        if len(text) > 64 or text[-1] in ".!?,;:":
            yield f"{where}: {text!r}"


@guideline
def permissions_are_those_that_are_used(root: Path) -> Iterator[str]:
    told = set(_manifest(root)["permissions"])
    source = "\n".join(path.read_text(encoding="utf-8") for path in _python(root))
    used = {"network", "files"} | ({"clipboard"} if re.search(r"\bwindow_manager\.clipboard\b", source) else set())
    yield from (f"{name} is declared and not used" for name in told - used)
    yield from (f"{name} is used and not declared" for name in used - told)


@guideline
def whoever_starts_a_process_asks_for_online_access(root: Path) -> Iterator[str]:
    for path in _python(root, *IN_BLENDER):
        text = path.read_text(encoding="utf-8")
        if "Popen(" in text and "bpy.app.online_access" not in text:
            yield f"{path.relative_to(root)} starts what goes online"


@guideline
def blender_itself_never_goes_online(root: Path) -> Iterator[str]:
    for path, name in _imports(root, *IN_BLENDER):
        if name.split(".")[0] in ("requests", "urllib", "http", "socket", "ssl", "websockets", "ftplib"):
            yield f"{path.relative_to(root)} imports {name}"


@guideline
def it_brings_all_it_needs_and_installs_nothing(root: Path) -> Iterator[str]:
    for path in _python(root, "__init__.py", "renderbros_addon"):
        for word in ("ensurepip", '"pip"', "'pip'", "-m pip", "pip install"):
            if word in path.read_text(encoding="utf-8"):
                yield f"{path.relative_to(root)} has {word}"


@guideline
def it_does_not_update_itself(root: Path) -> Iterator[str]:
    for path in _python(root):
        if re.search(r"addon_updater|check_for_update|extensions\.package_install", path.read_text(encoding="utf-8")):
            yield str(path.relative_to(root))


@guideline
def modules_stay_in_the_extensions_namespace(root: Path) -> Iterator[str]:
    for path in _python(root, "__init__.py", "renderbros_addon"):
        if re.search(r"sys\.path\.(append|insert|extend)|sys\.path\[", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(root)} changes sys.path"
    for path, name in _imports(root, "__init__.py", "renderbros_addon"):
        if name.split(".")[0] in ("renderbros_addon", "bootstrap", "bl_ext"):
            yield f"{path.relative_to(root)} imports {name} by its full name"


@guideline
def preferences_go_by_the_packages_name(root: Path) -> Iterator[str]:
    for path in _python(root, *IN_BLENDER):
        for node in ast.walk(_tree(path)):
            hard = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
            if hard and isinstance(node.value, ast.Attribute) and node.value.attr == "addons":
                yield f"{path.relative_to(root)}:{node.lineno}"


@guideline
def nothing_of_the_old_add_ons_is_left(root: Path) -> Iterator[str]:
    for path in _python(root, *IN_BLENDER):
        if re.search(r"^bl_info\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield f"{path.relative_to(root)} has bl_info"


@guideline
def its_own_folder_is_only_read(root: Path) -> Iterator[str]:
    """``__file__`` may name what is read or run; files of its own go where Blender says."""
    for path in _python(root, *IN_BLENDER):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "__file__" in line and not re.match(r"START = Path\(__file__\)", line):
                yield f"{path.relative_to(root)}: {line.strip()}"


@guideline
def classes_and_operators_bear_its_name(root: Path) -> Iterator[str]:
    kinds = {"Operator": "OT", "Panel": "PT", "UIList": "UL", "Menu": "MT", "Header": "HT"}
    for path, node in _classes(root):
        bases = {base.attr for base in node.bases if isinstance(base, ast.Attribute)}
        for base in bases & kinds.keys():
            if not re.fullmatch(f"RENDERBROS_{kinds[base]}_[a-z0-9_]+", node.name):
                yield f"{path.relative_to(root)}: {node.name}"
            name = _assigned(node, "bl_idname")
            if base == "Operator" and not str(name).startswith("renderbros."):
                yield f"{path.relative_to(root)}: {node.name} is called {name}"


@guideline
def tips_have_no_full_stop(root: Path) -> Iterator[str]:
    for path, node in _classes(root):
        tip = ast.get_docstring(node)
        operator = any(isinstance(base, ast.Attribute) and base.attr == "Operator" for base in node.bases)
        if operator and (not tip or tip.rstrip().endswith(".")):
            yield f"{path.relative_to(root)}: {node.name}"
    for path in _python(root, *IN_BLENDER):
        for call in (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)):
            for word in call.keywords:
                told = word.value.value if isinstance(word.value, ast.Constant) else ""
                if word.arg == "description" and str(told).endswith("."):
                    yield f"{path.relative_to(root)}:{call.lineno}: {told}"


@guideline
def standard_output_is_left_alone(root: Path) -> Iterator[str]:
    for path in _python(root, *IN_BLENDER):
        for node in ast.walk(_tree(path)):
            prints = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            if prints and not any(word.arg == "file" for word in node.keywords):
                yield f"{path.relative_to(root)}:{node.lineno} prints"


@guideline
def what_registers_also_unregisters(root: Path) -> Iterator[str]:
    for path in _python(root, *IN_BLENDER):
        names = {node.name for node in _tree(path).body if isinstance(node, ast.FunctionDef)}
        if len(names & {"register", "unregister"}) == 1:
            yield str(path.relative_to(root))


@guideline
def it_holds_sources_and_wheels_alone(root: Path) -> Iterator[str]:
    for name in build._sources():
        path = root / name
        if any(part.startswith(".") or part == "__MACOSX" for part in name.parts):
            yield f"{name} is hidden"
        elif path.suffix not in (".py", ".md", ".toml", ".json", "") or path.is_symlink():
            yield f"{name} is no source"
        elif path.stat().st_size > 500_000:
            yield f"{name} has {path.stat().st_size} bytes"
    for path in _python(root):
        if re.search(r"\b(exec|eval)\(|marshal\.loads|b64decode\(", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(root)} runs what can't be read"


def faults(root: Path, name: str) -> list[str]:
    """What offends the guideline ``name`` in the extension whose sources are in ``root``."""
    return list(GUIDELINES[name](root))


def _manifest(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "blender_manifest.toml").read_text(encoding="utf-8"))


def _python(root: Path, *only: str) -> list[Path]:
    found = [root / name for name in build._sources() if name.suffix == ".py" and (root / name).is_file()]
    return [path for path in found if not only or any(path.is_relative_to(root / one) for one in only)]


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(root: Path, *only: str) -> Iterator[tuple[Path, str]]:
    for path in _python(root, *only):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield path, node.module


def _classes(root: Path) -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in _python(root, *IN_BLENDER):
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                yield path, node


def _assigned(node: ast.ClassDef, name: str) -> object:
    for one in node.body:
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and one.targets[0].id == name:
            return one.value.value if isinstance(one.value, ast.Constant) else ast.unparse(one.value)
    return None

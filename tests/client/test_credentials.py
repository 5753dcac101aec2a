"""Where tokens are kept: in a keyring where one works, else in a file for the user's eyes only."""

from __future__ import annotations

import importlib
import os
import stat
import sys
from pathlib import Path

import pytest

from renderbros_addon.client.credentials import SERVICE, Credentials, Kept

URL = "http://127.0.0.1:8420"
TOKEN = "rbs_" + "0123456789abcdef" * 4

KEYRING = '''
"""A keyring in a file, with what RenderBros asks of the module of that name."""
import json, pathlib, types

FILE = pathlib.Path(__file__).with_name("kept.json")
PRIORITY, BROKEN = {priority}, {broken}


def get_keyring():
    return types.SimpleNamespace(priority=PRIORITY)


def _all():
    if BROKEN:
        raise RuntimeError("locked")
    return json.loads(FILE.read_text()) if FILE.exists() else {{}}


def set_password(service, name, secret):
    FILE.write_text(json.dumps(_all() | {{service + " " + name: secret}}))


def get_password(service, name):
    return _all().get(service + " " + name)


def delete_password(service, name):
    kept = _all()
    del kept[service + " " + name]
    FILE.write_text(json.dumps(kept))
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "credentials.json"


def put_keyring(folder: Path, monkeypatch: pytest.MonkeyPatch, *, priority: float = 5, broken: bool = False) -> Path:
    folder.mkdir()
    (folder / "keyring.py").write_text(KEYRING.format(priority=priority, broken=broken))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    importlib.invalidate_caches()
    return folder / "kept.json"


def test_a_token_lies_in_the_keyring_alone(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = put_keyring(tmp_path / "ring", monkeypatch)
    kept = Kept(TOKEN, role="submitter", data="/data")
    Credentials(file).keep(URL, kept)
    assert TOKEN not in file.read_text()
    assert TOKEN in ring.read_text()
    assert SERVICE in ring.read_text()
    assert Credentials(file).find(f"{URL}/") == kept
    Credentials(file).moved("/data", "http://127.0.0.1:9999")
    assert Credentials(file).find(URL) is None
    assert Credentials(file).find("http://localhost:9999") == kept
    assert Credentials(file).drop("http://127.0.0.1:9999")
    assert TOKEN not in ring.read_text()
    assert not Credentials(file).drop(URL)


@pytest.mark.parametrize("ring", ["none", "broken", "asks"])
def test_without_a_keyring_that_works_a_file_does(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ring: str
) -> None:
    if ring == "none":
        monkeypatch.setitem(sys.modules, "keyring", None)
    else:
        put_keyring(tmp_path / "ring", monkeypatch, broken=ring == "broken", priority=0 if ring == "asks" else 5)
    Credentials(file).keep(URL, Kept(TOKEN))
    found = Credentials(file).find(URL)
    assert found is not None
    assert found.token == TOKEN
    assert TOKEN not in repr(found)
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == [file.name]
    assert Credentials(file).drop(URL)
    assert TOKEN not in file.read_text()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"http://127.0.0.1:8420": 5}', '{"http://127.0.0.1:8420": {}}', "\x00"]
)
def test_a_damaged_file_holds_no_tokens(file: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    file.parent.mkdir()
    file.write_text(content)
    assert Credentials(file).find(URL) is None
    Credentials(file).keep(URL, Kept(TOKEN))
    assert Credentials(file).find(URL) == Kept(TOKEN)

"""The system's guards around a renderer, each by itself and all together, against a process that wants out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydantic
import pytest

from renderbros_addon.worker.environment import scrubbed_environment
from renderbros_addon.worker.guard import find_guard
from renderbros_addon.worker.limits import Limits

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="these guards are Linux's")

PROBE = Path(__file__).with_name("escape_probe.py")
PACKAGES = Path(pydantic.__file__).parents[1]
LIMITS = Limits(memory=1 << 30, disk=1 << 24)
NEEDED = {"read its job", "write its scratch", "load its program", "be in its scratch"}
OF_THE_LAUNCH = {"inherit a descriptor", "see a token"}
"""Kept from it by how it is started, whatever guards there are."""
LEFT_TO_LIMITS = {
    "start a process", "run a program", "leave memory behind", "write a large file", "ask for much memory",
    "write a core dump", "send a datagram",
}  # fmt: skip
"""What bwrap alone lets happen: inside of it, and where nobody hears a datagram."""


class Place:
    """A machine's folders and sockets, with a renderer's among them."""

    def __init__(self, home: Path, clean: ExitStack) -> None:
        self.data, self.outside = home / "data", home / "owner"
        self.job, self.other = self.data / "jobs" / "j", self.data / "jobs" / "other"
        self.scratch, self.secret = self.data / "scratch", self.data / "identities" / "secret"
        for folder in (self.job, self.other, self.scratch, self.outside, self.secret.parent):
            folder.mkdir(parents=True)
        self.letter = self.outside / "letter.txt"
        for file in (self.job / "a.blend", self.other / "a.blend", self.secret, self.letter):
            file.write_text("hush")
        tcp = clean.enter_context(socket.create_server(("127.0.0.1", 0)))
        local = self.outside / "s"
        abstract = f"renderbros-{os.getpid()}-{id(self)}"
        for address in (str(local), f"\0{abstract}"):
            server = clean.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
        self.open_file = clean.enter_context(self.secret.open())
        os.set_inheritable(self.open_file.fileno(), True)
        bystander = clean.enter_context(subprocess.Popen(["sleep", "60"]))
        clean.callback(bystander.kill)
        self.told = {
            "job": str(self.job), "scratch": str(self.scratch), "secret": str(self.secret), "other": str(self.other),
            "outside": str(self.outside), "tcp": tcp.getsockname()[1], "unix": str(local), "abstract": abstract,
            "agent": os.getpid(), "bystander": bystander.pid, "file_limit": LIMITS.disk, "memory_limit": LIMITS.memory,
            "descriptor": self.open_file.fileno(),
        }  # fmt: skip

    def command(self) -> list[str]:
        probe = self.job / "probe.py"
        probe.write_text(PROBE.read_text())
        return [sys.executable, str(probe), json.dumps(self.told)]

    def run(self, command: list[str], **options: Any) -> set[str]:
        """What succeeded."""
        roots = os.pathsep.join((str(PROBE.parents[2]), str(PACKAGES)))
        env = scrubbed_environment(self.scratch) | {"PYTHONPATH": roots} | options.pop("env", {})
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.scratch, env=env, **options
        )
        assert done.returncode == 0, done.stderr
        return {name for name, succeeded in json.loads(done.stdout).items() if succeeded}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("RENDERBROS_TOKEN", "hush")
    with ExitStack() as clean:
        yield Place(tmp_path, clean)


LAYERS = {
    "bwrap": ({"bwrap"}, LEFT_TO_LIMITS),
    "landlock and seccomp": ({"landlock", "seccomp"}, set()),
    "all": ({"bwrap", "landlock", "seccomp", "limits"}, set()),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_process_that_wants_out_stays_in(place: Place, layer: str) -> None:
    needed, left = LAYERS[layer]
    found = find_guard(place.data, None, [PACKAGES], limits=LIMITS)
    if missing := needed - set(found.layers):
        pytest.skip(f"{', '.join(missing)} not in force here: {found.missing}")
    if layer == "bwrap":
        found = replace(found, _launcher=())
    elif layer == "landlock and seccomp":
        found = replace(found, _sandbox=None)
    succeeded = place.run(found.wrap(place.command(), readable=[place.job], writable=[place.scratch]))
    assert succeeded - left == NEEDED
    assert place.letter.read_text() == "hush"
    assert (place.scratch / "new").exists()


def test_every_attempt_would_succeed_without_guards(place: Place) -> None:
    """The control: else the test above proves nothing."""
    fd = place.open_file.fileno()
    env = {"RENDERBROS_TOKEN": "hush"}
    wide = ["sh", "-c", 'ulimit -c unlimited 2>/dev/null || ulimit -c hard; exec "$@"', "sh", *place.command()]
    succeeded = place.run(wide, env=env, pass_fds=[fd])
    everything = {line.split('"')[1] for line in PROBE.read_text().splitlines() if line.startswith('        "')}
    # Some machines forbid the tracing of others, hard links to others' files, or core dumps to everybody.
    assert everything | NEEDED == succeeded | {"trace another process", "write a core dump"}


def test_the_renderer_is_started_with_none_of_ours(place: Place) -> None:
    """Descriptors and environment are kept back by how a renderer is started, with no guard at all."""
    assert not place.run(place.command()) & OF_THE_LAUNCH


def test_without_bwrap_the_kernels_own_guards_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_guard(tmp_path, None, [])
    assert "bwrap" not in found.layers
    assert "not installed" in found.missing
    assert found.layers[-1] == "in-process"


def test_a_bwrap_that_may_not_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = find_guard(tmp_path, None, [])
    assert "bwrap" not in found.layers
    assert "No permissions" in found.missing


def test_what_is_switched_off_is_told(tmp_path: Path) -> None:
    found = find_guard(tmp_path, None, [], wanted=False)
    assert found.layers == ("limits", "in-process")
    assert "switched off" in found.missing
    assert not found.by_the_system

"""Commands as processes: exit codes, what goes to which stream, words instead of tracebacks."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from farm_processes import run

from renderbros_addon.cli.main import main

COMMANDS = {
    "demo", "render", "farm", "dispatcher", "worker", "submit", "jobs", "job", "cancel", "fetch", "workers",
    "ban", "pardon", "verify",
}  # fmt: skip


def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_help_lists_the_commands_and_no_hidden_ones() -> None:
    done = run("--help")
    words = set(done.stdout.split())
    assert words >= COMMANDS
    assert not words & {"janitor", "renderer", "check-images", "health"}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_the_common_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--json", "--verbose", "--log-json"):
        assert option in shown
    assert "--stop-with-parent" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["render", "there-is-no.blend", "--nonsense"],
        ["render"],
        ["render", "there-is-no.blend"],
        ["jobs", "--dispatcher", "ftp://somewhere"],
        ["dispatcher", "--port", "99999"],
        ["worker", "--device", "TOASTER"],
        ["fetch", "some-id"],
    ],
)
def test_wrong_usage_exits_2_and_says_what_in_words(words: list[str], tmp_path: Path) -> None:
    done = run(*words, "--json", check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["status"] == "usage_error"


@pytest.mark.parametrize("command", ["submit", "render"])
def test_a_command_that_is_refused_leaves_nothing_of_the_blender_it_had_started_ahead(
    command: str, tmp_path: Path
) -> None:
    scratch = {name: str(tmp_path) for name in ("TMPDIR", "TEMP", "TMP")}
    done = run(command, "there-is-no.blend", check=False, env=os.environ | scratch)
    assert done.returncode == 2, done.stderr
    assert list(tmp_path.glob("renderbros-scratch-*")) == []


@pytest.mark.parametrize(
    ("secret", "why"),
    [(None, "can't be read"), (b"too short\n", "holds 9 characters"), (b"\xff" * 20, "can't be read")],
)
def test_a_file_without_an_owners_secret(
    secret: bytes | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if secret is not None:
        (tmp_path / "owner").write_bytes(secret)
    assert main(["worker", "--owner-file", str(tmp_path / "owner")]) == 2
    told = capsys.readouterr().err
    assert f"--owner-file: {tmp_path / 'owner'}" in told
    assert why in told


def test_without_json_nothing_but_results_goes_to_standard_output(tmp_path: Path) -> None:
    done = run("render", "there-is-no.blend", check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "renderbros: there is no file there-is-no.blend\n"


def test_a_dispatcher_that_is_not_there_exits_1_with_what_to_do() -> None:
    done = run("jobs", "--json", "--dispatcher", nobody(), check=False)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["status"] == "failed"
    assert "RENDERBROS_DISPATCHER" in told["error"]
    assert told["error"] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("by", ["--pin", "--ca", "RENDERBROS_PIN"])
def test_a_certificate_is_not_asked_for_where_there_is_none(
    by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if by.startswith("-"):
        given = [by, "ab" * 32]
    else:
        given = []
        monkeypatch.setenv(by, "ab" * 32)
    for command in ("jobs", "worker"):
        assert main([command, "--dispatcher", nobody(), *given]) == 2
        told = capsys.readouterr().err
        assert "has no TLS" in told
        assert by in told


def test_a_public_address_needs_tls_or_plain_words() -> None:
    done = run("dispatcher", "--host", "0.0.0.0", "--json", check=False)  # noqa: S104
    assert done.returncode == 2
    assert "--insecure" in json.loads(done.stdout)["error"]

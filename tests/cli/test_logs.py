"""One line an event, whatever a scene's names hold."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from renderbros_addon.cli import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("renderbros")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def test_a_line_has_time_level_place_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level=logging.INFO, as_json=False)
    logging.getLogger("renderbros.worker").info("rendered in %.1f s", 2.5, extra={"job": "j-1", "task": "t-2"})
    line = capsys.readouterr().err
    assert line.endswith("Z info    renderbros.worker job=j-1 task=t-2: rendered in 2.5 s\n")


def test_a_name_can_not_forge_a_line_or_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level=logging.INFO, as_json=False)
    logging.getLogger("renderbros.worker").info("no camera %s", "a\n2030-01-01 info: all is well\x1b[2J")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert "\\n2030" in said


def test_json_lines_parse_and_hold_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level=logging.INFO, as_json=True)
    logging.getLogger("renderbros.dispatcher").warning("lease over\n", extra={"worker": "w-3"})
    entry = json.loads(capsys.readouterr().err)
    assert entry["message"] == "lease over\n"
    assert (entry["level"], entry["logger"], entry["worker"]) == ("warning", "renderbros.dispatcher", "w-3")
    assert "job" not in entry


def test_libraries_are_heard_from_warnings_up(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level=logging.DEBUG, as_json=False)
    logging.getLogger("urllib3").info("chatter")
    logging.getLogger("urllib3").warning("trouble")
    logging.getLogger("renderbros.cli").debug("detail")
    said = capsys.readouterr().err
    assert "chatter" not in said
    assert "trouble" in said
    assert "detail" in said

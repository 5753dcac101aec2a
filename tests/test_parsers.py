"""Every parser of what comes from outside either understands it, or says that it doesn't by the error it promises."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from renderbros_addon.cli.errors import UsageError
from renderbros_addon.cli.settings import load
from renderbros_addon.client.retry import LONGEST_ASKED, parse_retry_after
from renderbros_addon.dispatcher.inflating import MOST_GROWTH, BadCoding, Inflater
from renderbros_addon.imaging.checker import REPLY_MARK, ImageChecker
from renderbros_addon.imaging.errors import ImageError
from renderbros_addon.protocol.base import checked_name
from renderbros_addon.protocol.costs import CostMap
from renderbros_addon.protocol.digests import content_digest, is_garbled
from renderbros_addon.protocol.events import event_adapter
from renderbros_addon.protocol.frames import MAX_FRAMES, parse_frames
from renderbros_addon.protocol.jobs import JobSpec
from renderbros_addon.protocol.leases import Acceptance, LeaseBatch, LeaseRequest, Renewal, RenewRequest
from renderbros_addon.protocol.problems import Problem
from renderbros_addon.protocol.regions import Region, TileGrid
from renderbros_addon.protocol.renderer import reply_adapter, request_adapter
from renderbros_addon.protocol.results import Failure, TaskResult
from renderbros_addon.protocol.workers import Enrolled, Enrolment
from renderbros_addon.worker.log_ring import clean_text, lines_of

FEW = settings(max_examples=40)

NUMBERS = st.one_of(st.integers(), st.sampled_from(["9" * 5000, "1e9", "-0", "٣", "²", "0x1", "1_0", " 1 "]).map(str))
WORDS = st.one_of(st.text(max_size=40), st.lists(NUMBERS.map(str), max_size=6).flatmap(
    lambda parts: st.sampled_from(["-", "x", ",", "..", ":"]).map(lambda sign: sign.join(parts))
))  # fmt: skip


@pytest.mark.parametrize("parse", [parse_frames, Region.parse, TileGrid.parse, checked_name])
@given(text=WORDS)
@FEW
def test_words_of_the_command_line(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(ValueError):
        found = parse(text)
        if isinstance(found, tuple):
            assert 0 < len(found) <= MAX_FRAMES


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=8,
)
MODELS: list[TypeAdapter[Any]] = [
    event_adapter, reply_adapter, request_adapter,
    *map(TypeAdapter, (
        JobSpec, LeaseBatch, LeaseRequest, RenewRequest, Renewal, Acceptance, Failure, TaskResult, Enrolment, Enrolled,
        Problem, CostMap,
    )),
]  # fmt: skip
SEEDS = [
    {"type": "progress", "lease_id": "a", "id": "a", "progress": {"sample": 1, "samples": 2, "seconds_left": 1.5}},
    {"type": "cancel", "lease_id": "a"},
    {"type": "failed", "id": "1", "kind": "scene", "code": "no_camera", "message": "none"},
    {"type": "rendered", "id": "1", "path": "/a", "render_seconds": 1.0, "device": "CPU"},
    {"kind": "worker", "code": "crashed", "message": "it crashed"},
    {"columns": 1, "rows": 2, "cells": [0.5, 1.5], "overhead": 0.1},
    {"title": "no", "status": 404, "type": "/problems/unknown_job"},
]


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON of all kinds: made up, or a right one with something else in a field, cut or with a byte changed."""
    document = draw(st.one_of(JSON, st.sampled_from(SEEDS).map(dict)))
    if isinstance(document, dict) and document and draw(st.booleans()):
        document = {**document, draw(st.sampled_from(sorted(document))): draw(JSON)}
    text = bytearray(json.dumps(document).encode())
    way = draw(st.integers(0, 2))
    if way == 1:
        return bytes(text[: draw(st.integers(0, len(text)))])
    if way == 2 and text:
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


@given(document=documents())
@settings(max_examples=150)
def test_messages(document: bytes) -> None:
    for model in MODELS:
        try:
            found = model.validate_json(document)
        except ValidationError:
            continue
        if model is not MODELS[13]:  # a problem may hold more than we know, NaN among it
            assert model.validate_json(model.dump_json(found)) == found


@pytest.mark.parametrize("deep", [b"[" * 200_000, b'{"type":' * 100_000, b"1" * 100_000, b'"\\ud800"', b"\xff\xfe"])
def test_messages_that_break_parsers(deep: bytes) -> None:
    for model in MODELS:
        with pytest.raises(ValidationError):
            model.validate_json(deep)


@given(text=st.one_of(st.text(max_size=60), st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ .*")))
@FEW
def test_how_long_a_dispatcher_may_make_us_wait(text: str) -> None:
    for value in (text, "9" * 400, "Mon, 01 Jan 9999 00:00:00 +9959"):
        found = parse_retry_after(value)
        assert found is None or (math.isfinite(found) and 0 <= found <= LONGEST_ASKED)


@given(name=st.sampled_from(["owner", "port", "lease_seconds", "workers", "cache_size", "max_memory"]), value=WORDS)
@FEW
def test_settings(name: str, value: str) -> None:
    with contextlib.suppress(UsageError):
        load(**{name: value})


def test_a_secret_that_is_too_short_is_not_repeated() -> None:
    with pytest.raises(UsageError) as told:
        load(owner="hunter2")
    assert "hunter2" not in str(told.value)


@given(data=st.binary(max_size=3000), cut=st.integers(0, 60), more=st.binary(max_size=20), twice=st.booleans())
@FEW
def test_gzip(data: bytes, cut: int, more: bytes, twice: bool) -> None:
    packed = gzip.compress(data)
    sent = packed[: max(0, len(packed) - cut)] + (packed if twice else b"") + more
    made = bytearray()
    inflate = Inflater(made.extend)
    try:
        for start in range(0, len(sent), 7):
            inflate(sent[start : start + 7])
    except BadCoding:
        return
    assert len(made) <= (1 << 20) + MOST_GROWTH * len(sent)
    if inflate.whole:
        assert bytes(made) == data


def test_a_bomb_is_not_unpacked() -> None:
    made = 0

    def count(data: bytes) -> None:
        nonlocal made
        made += len(data)

    with pytest.raises(BadCoding, match="factor"):
        Inflater(count)(gzip.compress(bytes(64 << 20), 9))
    assert made < 16 << 20


@given(data=st.binary(max_size=500), limit=st.integers(1, 50))
@FEW
def test_lines_of_a_pipe(data: bytes, limit: int) -> None:
    for line in lines_of(io.BytesIO(data), limit):
        assert len(line) <= limit
        assert clean_text(line).isprintable() or "\t" in clean_text(line) or not clean_text(line).isascii()


@given(body=st.binary(max_size=200), where=st.integers(0, 199), bit=st.integers(1, 255), told=st.text(max_size=60))
@FEW
def test_a_changed_byte_is_seen(body: bytes, where: int, bit: int, told: str) -> None:
    digest = content_digest(body)
    assert not is_garbled(body, digest)
    assert not is_garbled(body, None)
    is_garbled(body, told)
    if where < len(body):
        changed = bytearray(body)
        changed[where] ^= bit
        assert is_garbled(changed, digest)


ANSWERS = [
    "[]", "1", '{"id": "1"}', "[" * 100_000, "{", '{"id": 2}', '{"id": 2, "output": {"sha256": 5}}', "x" * (20 << 20),
    '{"id": 2, "output": null}',
]  # fmt: skip


@pytest.mark.parametrize("answer", range(len(ANSWERS)))
def test_nonsense_from_whoever_took_over_the_decoding_child(answer: int, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text(f"{REPLY_MARK}{ANSWERS[answer]}\n")
    code = f"""
import sys
print('{REPLY_MARK}{{"id": 0}}', flush=True)
sys.stdin.readline()
print('{REPLY_MARK}{{"id": 1, "output": null}}', flush=True)
sys.stdin.readline()
print(open({str(said)!r}).read(), flush=True)
sys.stdin.readline()
"""
    image = tmp_path / "image"
    image.write_bytes(b"x")
    with ImageChecker([sys.executable, "-c", code], timeout=5) as checker, pytest.raises(ImageError):
        checker.inspect(image)

"""Addresses, paths, names and numbers that strangers write: each is understood, or refused as it is promised."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from renderbros_addon.client.blobs import number_in
from renderbros_addon.client.connection import checked_url, is_loopback, problem_of
from renderbros_addon.client.trust import checked_pin
from renderbros_addon.dispatcher.limits import _host_name, _place
from renderbros_addon.protocol.access import Redemption
from renderbros_addon.protocol.base import checked_relative_path
from renderbros_addon.protocol.formats import checked_ending
from renderbros_addon.protocol.jobs import _checked_path_template, _checked_template
from renderbros_addon.protocol.problems import CONTENT_TYPE
from renderbros_addon.protocol.series import parse_series
from renderbros_addon.protocol.source_roots import SEVERAL_DRIVES, below

FEW = settings(max_examples=60)
SOME = ["http://", "https://", "[::1]", "[", "]", "@", ":", "8420", "/", "\\", "..", ".", "//", "C:", "\\\\host\\share",
        "#", "%2e%2e", "\x00", "\n", "é", "٣", "a", "localhost", "xn--", "?", "-", "4.5", "####", ".png"]  # fmt: skip
WORDS = st.lists(st.one_of(st.sampled_from(SOME), st.text(max_size=4)), max_size=8).map("".join)


@pytest.mark.parametrize(
    "parse",
    [checked_url, checked_pin, checked_relative_path, checked_ending, parse_series, _checked_template,
     _checked_path_template],
)  # fmt: skip
@given(text=WORDS)
@FEW
def test_what_is_not_understood_is_a_value_error(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text)


@given(text=WORDS)
@FEW
def test_an_address_that_passes_leads_where_it_says(text: str) -> None:
    for address in (text, f"http://{text}"):
        with contextlib.suppress(ValueError):
            url = checked_url(address)
            parts = urlsplit(url)
            assert parts.hostname
            assert parts.username is None
            assert isinstance(is_loopback(url), bool)


@given(text=WORDS)
@FEW
def test_hosts_and_origins(text: str) -> None:
    assert _host_name(text) is None or isinstance(_host_name(text), str)
    assert _place(text) is None or isinstance(_place(text), str)


@given(parts=st.lists(st.sampled_from(["..", ".", "a", "B", "", "c d"]), max_size=8), windows=st.booleans())
@settings(max_examples=150)
def test_what_is_below_a_root_does_not_leave_it(parts: list[str], windows: bool) -> None:
    root = "C:\\work\\film" if windows else "/work/film"
    slash = "\\" if windows else "/"
    path = f"{root}{slash}{slash.join(parts)}"
    for source_root in (root, SEVERAL_DRIVES):
        found = below(path, source_root)
        if found is not None:
            assert ".." not in found
            assert not any("/" in part or (windows and "\\" in part) for part in found)
    lexical = PurePosixPath("/")
    for part in f"work/film/{'/'.join(parts)}".split("/"):
        lexical = lexical.parent if part == ".." else lexical / part
    assert (below(path, root) is not None) == lexical.is_relative_to("/work/film")


@given(path=WORDS, root=WORDS)
@FEW
def test_any_path_below_any_root(path: str, root: str) -> None:
    for source_root in (root, SEVERAL_DRIVES):
        found = below(path, source_root)
        assert found is None or ".." not in found


@given(value=st.one_of(WORDS, st.integers().map(str), st.just("9" * 5000)))
@FEW
def test_numbers_in_headers(value: str) -> None:
    response = requests.Response()
    response.headers["Content-Length"] = value
    found = number_in(response, "Content-Length")
    assert found is None or (re.fullmatch(r"\d+", value) is not None and 0 <= found < 10**18)


@given(body=st.one_of(st.binary(max_size=60), st.just(b"[" * 100_000)), status=st.integers(100, 599))
@FEW
def test_problem_documents(body: bytes, status: int) -> None:
    response = requests.Response()
    response.status_code, response._content = status, body
    response.headers["Content-Type"] = CONTENT_TYPE
    assert problem_of(response).status == status


@given(code=st.one_of(WORDS, st.from_regex(r"rbi_[0-9a-f]{64}\Z")))
@FEW
def test_invites(code: str) -> None:
    model = TypeAdapter(Redemption)
    with contextlib.suppress(ValidationError):
        assert model.validate_python({"code": code}).code == code

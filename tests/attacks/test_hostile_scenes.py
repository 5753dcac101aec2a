"""Every attack fails behind the guards within Blender alone, and behind the system's too; unguarded it succeeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pydantic
import pytest
from attacks.corpus import Corpus
from attacks.hostile_scenes import ATTACKS, Attack
from attacks.make_corpus import make

from renderbros_addon.worker.command import chosen_blender, renderer_command
from renderbros_addon.worker.guard import Guard, find_guard
from renderbros_addon.worker.limits import Limits
from renderbros_addon.worker.renderer_process import RendererProcess

SERIES = "{}.{}".format(*bpy.app.version)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    home = tmp_path_factory.mktemp("attacks")
    make(home)
    return Corpus(home)


@pytest.fixture(scope="module", params=["within Blender alone", "by the system too"])
def guarded(request: pytest.FixtureRequest, corpus: Corpus) -> Iterator[tuple[bool, Corpus, RendererProcess]]:
    """A renderer, with or without the system's guards around it."""
    system = request.param == "by the system too"
    packages = [Path(pydantic.__file__).parents[1]]
    guard = find_guard(corpus.home, chosen_blender(None), packages) if system else Guard(("in-process",))
    if system and not guard.by_the_system:
        pytest.skip(f"no guard of the system is in force here: {guard.missing}")
    scratch = corpus.home / f"scratch-{system}"
    scratch.mkdir()
    roots = [one.root for one in corpus.made.values()]

    def wrap(command: list[str]) -> list[str]:
        return guard.wrap(command, readable=roots, writable=[scratch])

    command = renderer_command(chosen_blender(None))
    with RendererProcess(
        command, scratch=scratch, threads=1, wrap=wrap, environment=guard.environment, limits=Limits()
    ) as renderer:
        yield system, corpus, renderer


@pytest.mark.parametrize("one", ATTACKS, ids=lambda one: one.name)
def test_an_attack_fails(guarded: tuple[bool, Corpus, RendererProcess], one: Attack) -> None:
    system, corpus, renderer = guarded
    if one.by_system and not system:
        pytest.skip("only the system's guards are against this")
    if one.name in corpus.left_out:
        pytest.skip(corpus.left_out[one.name])
    assert corpus.harm[one.name], f"it does no harm unguarded either, and proves nothing\n{corpus.said}"
    out = corpus.home / f"scratch-{system}" / "out" / one.name
    assert corpus.tried(corpus.made[one.name], renderer, out, SERIES) == set()

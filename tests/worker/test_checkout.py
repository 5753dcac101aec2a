"""Checkouts: one a job, as long as somebody needs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from renderbros_addon.protocol.jobs import JobFile, SceneSpec
from renderbros_addon.protocol.leases import Task
from renderbros_addon.protocol.regions import Region
from renderbros_addon.protocol.states import TaskKind
from renderbros_addon.worker.cache import BlobCache
from renderbros_addon.worker.checkout import Checkouts, remove_tree

FILES = {"scenes/a.blend": b"scene", "tex/wood.png": b"wood", "tex/copy of wood.png": b"wood"}
ASSEMBLED = b"assembled frame"


def spec_of(files: dict[str, bytes]) -> SceneSpec:
    listed = tuple(
        JobFile(path=path, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        for path, content in files.items()
    )
    return SceneSpec(
        blend=listed[0].path, files=listed, width=4, height=4, format="PNG", series=("4.5",), engine="CYCLES"
    )


def task_of(job: str, number: int = 1, assembled: bytes | None = None) -> Task:
    return Task(
        id=f"task-{number}",
        job_id=job,
        kind=TaskKind.FINISH if assembled else TaskKind.RENDER,
        frame=number,
        region=Region.full(4, 4),
        linear=False,
        assembled=hashlib.sha256(assembled).hexdigest() if assembled else None,
    )


class Downloads:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self, sha256: str, size: int, to: Path) -> None:
        self.count += 1
        for content in (*FILES.values(), ASSEMBLED):
            if hashlib.sha256(content).hexdigest() == sha256:
                to.write_bytes(content)


def nothing() -> None:
    pass


@pytest.fixture
def download() -> Downloads:
    return Downloads()


@pytest.fixture
def checkouts(tmp_path: Path) -> Checkouts:
    return Checkouts(BlobCache(tmp_path / "cache", 1 << 20), tmp_path / "jobs")


def test_files_lie_where_the_scene_expects_them(checkouts: Checkouts, download: Downloads) -> None:
    checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    root = checkouts.root("j")
    assert {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()} == FILES
    assert download.count == 2


def test_one_checkout_serves_all_tasks_of_a_job(checkouts: Checkouts, download: Downloads) -> None:
    checkouts.take(task_of("j", 1), spec_of(FILES), download, nothing)
    before = (checkouts.root("j") / "scenes/a.blend").stat().st_ino
    checkouts.take(task_of("j", 2), spec_of(FILES), download, nothing)
    assert (checkouts.root("j") / "scenes/a.blend").stat().st_ino == before
    checkouts.give_back(task_of("j", 1))
    checkouts.retire(keep=None)
    assert checkouts.root("j").exists()
    checkouts.give_back(task_of("j", 2))
    checkouts.retire(keep="j")
    assert checkouts.root("j").exists()
    checkouts.retire(keep="another")
    assert not checkouts.job_folder("j").exists()


def test_the_assembled_frame_of_a_finish_task(checkouts: Checkouts, download: Downloads) -> None:
    task = task_of("j", assembled=ASSEMBLED)
    checkouts.take(task, spec_of(FILES), download, nothing)
    assert checkouts.assembled(task).read_bytes() == ASSEMBLED
    checkouts.give_back(task)
    assert not checkouts.assembled(task).exists()
    assert checkouts.root("j").exists()


def test_giving_up_half_way_leaves_nothing(checkouts: Checkouts, download: Downloads) -> None:
    calls = 0

    def wanted() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyError("not wanted")

    with pytest.raises(KeyError):
        checkouts.take(task_of("j"), spec_of(FILES), download, wanted)
    assert not checkouts.root("j").exists()
    checkouts.retire(keep=None)
    assert not checkouts.job_folder("j").exists()
    checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    assert checkouts.root("j").exists()


def test_a_job_larger_than_the_cache_is_refused(tmp_path: Path, download: Downloads) -> None:
    checkouts = Checkouts(BlobCache(tmp_path / "cache", 8), tmp_path / "jobs")
    with pytest.raises(OSError, match="cache"):
        checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    assert not download.count


def test_remove_tree_copes_with_locked_folders_and_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "locked").mkdir(parents=True)
    (tree / "locked" / "file").write_text("x")
    (tree / "locked" / "file").chmod(0o444)
    (tree / "locked").chmod(0o500)
    (tree / "link").symlink_to(outside, target_is_directory=True)
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "kept").exists()
    remove_tree(tree)


def test_a_job_that_comes_back_gets_another_folder(checkouts: Checkouts, download: Downloads) -> None:
    # A renderer in a sandbox would go on seeing the one that was removed, which is empty, under the same name.
    checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    before = checkouts.job_folder("j")
    checkouts.give_back(task_of("j"))
    checkouts.retire(keep=None)
    checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    assert checkouts.job_folder("j") != before


def test_a_folder_that_waits_is_that_of_the_next_job(checkouts: Checkouts, download: Downloads) -> None:
    waiting, spare = checkouts.reserve(), checkouts.reserve()
    checkouts.take(task_of("j"), spec_of(FILES), download, nothing)
    assert checkouts.job_folder("j") == waiting
    assert not checkouts.is_reserved(waiting)
    checkouts.give_up(waiting)
    assert checkouts.root("j").exists(), "it is the job's now"
    checkouts.give_up(spare)
    assert not spare.exists()
    assert checkouts.job_folder("another") != spare

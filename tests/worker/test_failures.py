"""Exit codes and errors, in the words of the wire."""

from __future__ import annotations

import errno

import pytest

from renderbros_addon.client.errors import DispatcherUnreachable, Stopped, WrongDigest, error_for
from renderbros_addon.protocol.problems import Problem
from renderbros_addon.protocol.renderer import Failed
from renderbros_addon.protocol.states import FailureCode, FailureKind
from renderbros_addon.worker import exits
from renderbros_addon.worker.cache import DamagedBlob
from renderbros_addon.worker.exits import name_exit
from renderbros_addon.worker.failures import failure, of_failed_request, of_fetching
from renderbros_addon.worker.log_ring import LogRing

MIB = 1 << 20


@pytest.mark.parametrize(
    ("status", "tail", "wrapped", "oom_killed", "used", "code", "words"),
    [
        (-11, "", False, False, 0, FailureCode.CRASHED, "SIGSEGV"),
        (139, "", True, False, 0, FailureCode.CRASHED, "SIGSEGV"),
        (139, "", False, False, 0, FailureCode.CRASHED, "exit code 139"),
        (-9, "", False, False, 10 * MIB, FailureCode.CRASHED, "from outside"),
        (-9, "", False, True, 10 * MIB, FailureCode.OUT_OF_MEMORY, "from outside"),
        (-9, "", False, False, 95 * MIB, FailureCode.OUT_OF_MEMORY, "95 MiB"),
        (137, "", True, True, 0, FailureCode.OUT_OF_MEMORY, "from outside"),
        (-6, "terminate called: std::bad_alloc", False, False, 0, FailureCode.OUT_OF_MEMORY, "its log says"),
        (1, "Traceback\nMemoryError", False, False, 0, FailureCode.OUT_OF_MEMORY, "its log says"),
        (0, "MemoryError", False, False, 0, FailureCode.CRASHED, "exit code 0"),
        (0xC0000005, "", False, False, 0, FailureCode.CRASHED, "access violation"),
        (0xC0000017, "", False, False, 0, FailureCode.OUT_OF_MEMORY, "0xC0000017"),
        (-99, "", False, False, 0, FailureCode.CRASHED, "signal 99"),
    ],
)
def test_exits_are_named(
    status: int,
    tail: str,
    wrapped: bool,
    oom_killed: bool,
    used: int,
    code: FailureCode,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exits, "low_on_memory", lambda: False)
    found = name_exit(status, tail, wrapped=wrapped, oom_killed=oom_killed, used=used, max_memory=100 * MIB)
    assert found.code is code
    assert words in found.message


def test_fetching_errors_have_their_kind() -> None:
    cases = [
        (OSError(errno.ENOSPC, "No space left"), FailureKind.WORKER, FailureCode.DISK_FULL),
        (OSError(errno.ENAMETOOLONG, "File name too long"), FailureKind.WORKER, FailureCode.BAD_DOWNLOAD),
        (WrongDigest("x"), FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD),
        (DamagedBlob("x"), FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD),
        (error_for(Problem(title="gone", status=404)), FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD),
        (error_for(Problem(title="oh", status=500)), FailureKind.TRANSIENT, FailureCode.BAD_DOWNLOAD),
        (DispatcherUnreachable("x"), FailureKind.TRANSIENT, FailureCode.NETWORK),
        (Stopped("x"), FailureKind.TRANSIENT, FailureCode.NETWORK),
    ]
    for error, kind, code in cases:
        found = of_fetching(error)
        assert found is not None
        assert (found.kind, found.code) == (kind, code)
    assert of_fetching(KeyError("a defect of ours")) is None


def test_a_full_disk_is_never_the_scenes_fault() -> None:
    failed = Failed(id="1", kind=FailureKind.SCENE, code=FailureCode.RENDER_ERROR, message="could not write")
    assert of_failed_request(failed, "", disk_full=False).kind is FailureKind.SCENE
    found = of_failed_request(failed, "tail", disk_full=True)
    assert (found.kind, found.code) == (FailureKind.WORKER, FailureCode.DISK_FULL)
    assert "could not write" in found.message


def test_texts_fit_the_wire() -> None:
    ring = LogRing()
    for i in range(300):
        ring.add(f"{i} ".encode() + b"\x00\xff\x1b[2J" + b"y" * 5000)
    found = failure(FailureKind.WORKER, FailureCode.CRASHED, "z" * 9000 + "\x00", ring.tail())
    assert len(found.message) == 4000
    assert len(found.log_tail) <= 20000
    assert "\x00" not in found.log_tail + found.message
    assert failure(FailureKind.WORKER, FailureCode.CRASHED, "").message

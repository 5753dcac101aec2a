"""Tries to get out of a sandbox as a scene would that has won the renderer's process: ``escape_probe.py PLACES_JSON``.

Prints a JSON object: for each attempt whether it succeeded. Standard library alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(what: Callable[[], Any]) -> bool:
    try:
        return what() is not False
    except (OSError, MemoryError, subprocess.SubprocessError):
        return False


def connected(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as one:
        one.settimeout(2)
        one.connect(address)
        one.send(b"secret")


def forked() -> bool:
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def linked(scratch: Path, secret: Path) -> str:
    (scratch / "link").symlink_to(secret)
    return (scratch / "link").read_text()


def traced(pid: int) -> bool:
    """PTRACE_SEIZE, which leaves it running, and detaching."""
    if LIBC.ptrace(0x4206, pid, None, None) != 0:
        return False
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, 0x40000000 | os.WUNTRACED)
    LIBC.ptrace(17, pid, None, None)
    os.kill(pid, signal.SIGCONT)
    return True


def grown(scratch: Path, size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with (scratch / "large").open("wb") as file:
        file.seek(size)
        file.write(b"x")


def asked_for(size: int) -> bool:
    LIBC.malloc.restype, LIBC.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    return LIBC.malloc(size) is not None


def kept_in_kernel() -> bool:
    """Shared memory that stays when its maker is gone."""
    found = LIBC.shmget(0, 1 << 20, 0o1600)
    if found >= 0:
        LIBC.shmctl(found, 0, None)
    return bool(found >= 0)


def main() -> None:
    told = json.loads(sys.argv[1])
    places = {name: Path(told[name]) for name in ("job", "scratch", "secret", "other", "outside")}
    job, scratch, secret, other, outside = places.values()
    agent = told["agent"]
    succeeded = {
        "read the identity": lambda: secret.read_text(),
        "read another job": lambda: (other / "a.blend").read_text(),
        "read a file of the owner's": lambda: (outside / "letter.txt").read_text(),
        "read through a link of its own": lambda: linked(scratch, secret),
        "read by a hard link": lambda: (scratch / "hard").hardlink_to(secret),
        "list the owner's folder": lambda: list(outside.iterdir()),
        "write the job": lambda: (job / "new").write_text("x"),
        "write for the owner": lambda: (outside / "new").write_text("x"),
        "empty a file of the owner's": lambda: os.truncate(outside / "letter.txt", 0),
        "connect to the dispatcher": lambda: connected(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", told["tcp"])),
        "send a datagram": lambda: connected(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", told["tcp"])),
        "connect to a local socket": lambda: connected(socket.AF_UNIX, socket.SOCK_STREAM, told["unix"]),
        "connect to an abstract socket": lambda: connected(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + told["abstract"]),
        "read the agent's environment": lambda: Path(f"/proc/{agent}/environ").read_bytes(),
        "read the agent's memory map": lambda: Path(f"/proc/{agent}/maps").read_bytes(),
        "signal the agent": lambda: os.kill(agent, 0),
        "trace another process": lambda: traced(told["bystander"]),
        "start a process": forked,
        "run a program": lambda: subprocess.run(["true"], check=True),
        "leave memory behind": kept_in_kernel,
        "write a large file": lambda: grown(scratch, told["file_limit"]),
        "ask for much memory": lambda: asked_for(told["memory_limit"] + (4 << 30)),
        "inherit a descriptor": lambda: os.fstat(told["descriptor"]),
        "write a core dump": lambda: __import__("resource").getrlimit(4)[0] != 0,
        "see a token": lambda: any("hush" in value for value in os.environ.values()),
    }
    found = {name: attempt(what) for name, what in succeeded.items()}
    # What it must be able to do.
    found["read its job"] = attempt((job / "a.blend").read_text)
    found["write its scratch"] = attempt(lambda: (scratch / "new").write_text("x"))
    found["load its program"] = attempt(lambda: bool(__import__("renderbros_addon.protocol.jobs")))
    found["be in its scratch"] = Path.cwd() == scratch
    print(json.dumps(found))


if __name__ == "__main__":
    main()

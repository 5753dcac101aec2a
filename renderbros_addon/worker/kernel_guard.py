"""Puts the Linux kernel's own guards around a command, then becomes it: Landlock, a seccomp filter, resource limits.

No privileges and no other program are needed. Run as a script, because guards hold for a process and what it starts:
the agent must stay free of them, and a renderer that has threads already would have them on one thread only:
``python -I -S kernel_guard.py '{"read": [...], ...}' COMMAND...``. It needs the standard library alone.

What the numbers mean stands in ``landlock(7)``, ``seccomp(2)``, ``bpf(2)`` and the kernel's ``unistd.h``.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import stat
import struct
import sys
from collections.abc import Mapping, Sequence

EXIT_CODE = 97
"""Of a command that was not run, because a guard that was asked for can't be had."""

# Landlock: what may be done below a path. The last ones came with later kernels.
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_FOR_FILES = _EXECUTE | _WRITE | _READ_FILE | _TRUNCATE | _IOCTL
_LOOK = _EXECUTE | _READ_FILE | _READ_DIR
_NO_SPECIAL_FILES = ~((1 << 6) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 12))
"""Devices, sockets, pipes and links are not made."""
_NET = 3
_SCOPES = 3
"""Signals and abstract sockets reach nobody outside."""

_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_SECCOMP_SET_MODE_FILTER = 1
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_CLONE_THREAD, _CLONE_NAMESPACES = 0x00010000, 0x7E020080
_ENOSYS = errno.ENOSYS

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Numbers of system calls: on x86-64, on ARM-64 (None where there is none). From 424 on they are the same everywhere.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "clone": (56, 220), "fork": (57, None), "vfork": (58, None),
    "kill": (62, 129), "tgkill": (234, 131), "seccomp": (317, 277), "prlimit64": (302, 261), "openat": (257, 56),
    "open": (2, None), "clone3": (435, 435), "openat2": (437, 437), "truncate": (76, 45),
}  # fmt: skip
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    # What goes round a filter, or has had holes
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "bpf": (321, 280),
    "userfaultfd": (323, 282), "perf_event_open": (298, 241), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "personality": (135, 92),
    # Memory that outlives the process, or is nobody's
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    # The machine as a whole
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "quotactl": (179, 60), "acct": (163, 89),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "syslog": (103, 116), "iopl": (172, None), "ioperm": (173, None), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
_FAKED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None),
    "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "setxattrat": (463, 463), "removexattrat": (466, 466),
}  # fmt: skip
"""They do nothing and say that all is well: Landlock doesn't look at them, and honest programs call them in passing."""

_LIMITS = ("core", "fsize", "data", "nofile")


class Refused(Exception):
    """The kernel doesn't grant a guard."""


def landlock_abi() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return 0
    try:
        return max(0, _syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    except Refused:
        return 0


def has_seccomp() -> bool:
    """Whether system calls can be filtered here."""
    if sys.platform != "linux" or platform.machine() not in _ARCHITECTURES:
        return False
    action = ctypes.c_uint32(_ERRNO)
    try:
        return _syscall(_number(_CALLS["seccomp"]) or 0, 2, 0, ctypes.byref(action)) == 0
    except Refused:
        return False


def main(arguments: Sequence[str]) -> int:
    """Guard this process as the first of ``arguments`` says and become the command that follows; returns on failure."""
    asked, command = json.loads(arguments[0]), list(arguments[1:])
    try:
        guard(asked)
        os.execvp(command[0], command)  # noqa: S606  (a shell is what nobody wants here)
    except (Refused, OSError) as error:
        print(f"the guarded command was not run: {error}", file=sys.stderr)
    return EXIT_CODE


def guard(asked: Mapping[str, object]) -> None:
    """Guard this process, for good. ``asked`` has:

    ``limits``: bytes by the names of ``RLIMIT_*`` in small letters; ``landlock``: whether only ``read``, ``write`` and
    ``devices`` (paths; what is not there is left out) may be touched, and of ``listed`` the names alone seen;
    ``seccomp``: whether to refuse sockets and more; ``processes``: whether the command may start others.
    Raises Refused if one of them can't be had.
    """
    _limit(asked.get("limits") or {})  # type: ignore[arg-type]
    if not asked.get("landlock") and not asked.get("seccomp"):
        return
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1) != 0:
        raise Refused("no_new_privs can't be set")
    abi = landlock_abi()
    if asked.get("landlock"):
        if not abi:
            raise Refused("this kernel has no Landlock")
        _restrict_files(abi, asked)
    _drop_capabilities()
    if asked.get("seccomp"):
        _filter_calls(processes=bool(asked.get("processes")), guard_truncation=bool(asked.get("landlock")) and abi < 3)


# Resource limits


def _limit(limits: Mapping[str, int]) -> None:
    import resource  # not on Windows, where this file is imported, too

    for name in _LIMITS:
        if name in limits:
            which = getattr(resource, f"RLIMIT_{name.upper()}")
            hard = resource.getrlimit(which)[1]
            value = limits[name] if hard == resource.RLIM_INFINITY else min(limits[name], hard)
            resource.setrlimit(which, (value, value))


# Landlock


def _restrict_files(abi: int, asked: Mapping[str, object]) -> None:
    handled = _ALL_BY_ABI[min(abi, 5)]
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", _NET)
    if abi >= 6:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = _syscall(444, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for name, rights in (
            ("read", _LOOK),
            ("write", handled & _NO_SPECIAL_FILES & ~_EXECUTE & ~_IOCTL),
            ("devices", _READ_FILE | _READ_DIR | _WRITE | _TRUNCATE | _IOCTL),
            ("listed", _READ_DIR),
        ):
            for path in asked.get(name) or ():  # type: ignore[attr-defined]
                _allow_below(ruleset, path, rights & handled)
        _syscall(446, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow_below(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _FOR_FILES
        rule = struct.pack("=Qi", rights, place)
        _syscall(445, ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _drop_capabilities() -> None:
    """Whoever is root has none of root's powers any more."""
    for capability in range(64):
        if _prctl(_PR_CAPBSET_DROP, capability) != 0:
            break
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    nothing = ctypes.create_string_buffer(24)
    _libc().capset(header, nothing)


# seccomp


def _filter_calls(*, processes: bool, guard_truncation: bool) -> None:
    program = _program(processes=processes, guard_truncation=guard_truncation)
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    kept = ctypes.create_string_buffer(code)
    # struct sock_fprog: a length, padding, a pointer.
    filters = struct.pack("@HP", len(program), ctypes.addressof(kept))
    _syscall(_number(_CALLS["seccomp"]) or 0, _SECCOMP_SET_MODE_FILTER, 0, filters)


_Line = tuple[int, int, int, int]


def _program(*, processes: bool, guard_truncation: bool) -> list[_Line]:
    """The filter: everything is allowed but what is named."""
    # struct seccomp_data: number at 0, architecture at 4, the arguments' lower halves at 16, 24, 32 ...
    lines: list[_Line] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _ARCHITECTURES[platform.machine()]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        # The numbers of the x32 interface.
        (_AT_LEAST, 0, 1, 0x40000000),
        _refuse(_ENOSYS),
    ]
    for calls, number in ((_REFUSED, errno.EPERM), (_FAKED, 0)):
        for numbers in calls.values():
            lines += _when(numbers, [_refuse(number)])
    lines += _when(_CALLS["connect"], [_refuse(errno.EACCES)])
    # A local socket that can't be connected reaches nobody; graphics drivers make one when they start.
    lines += _when(
        _CALLS["socket"],
        [
            (_LOAD, 0, 0, 16), (_EQUAL, 0, 5, 1),
            (_LOAD, 0, 0, 24), (_AND, 0, 0, 15), (_EQUAL, 1, 0, 1), (_EQUAL, 0, 1, 5), (_RETURN, 0, 0, _ALLOW),
            _refuse(errno.EACCES),
        ],
    )  # fmt: skip
    for name in ("kill", "tgkill"):
        lines += _when(_CALLS[name], [*_unless(16, os.getpid()), _refuse(errno.EPERM)])
    lines += _when(_CALLS["prlimit64"], [*_unless(16, 0), *_unless(16, os.getpid(), loaded=True), _refuse(errno.EPERM)])
    # Its flags lie in memory, where a filter can't look; the C library falls back to clone.
    lines += _when(_CALLS["clone3"], [_refuse(_ENOSYS)])
    if not processes:
        lines += _when(_CALLS["fork"], [_refuse(errno.EPERM)]) + _when(_CALLS["vfork"], [_refuse(errno.EPERM)])
        lines += _when(_CALLS["clone"], [*_if_any_bit(16, _CLONE_THREAD), _refuse(errno.EPERM)])
    else:
        lines += _when(
            _CALLS["clone"],
            [(_LOAD, 0, 0, 16), (_AND, 0, 0, _CLONE_NAMESPACES), (_EQUAL, 0, 1, 0), (_RETURN, 0, 0, _ALLOW),
             _refuse(errno.EPERM)],
        )  # fmt: skip
    if guard_truncation:
        # Landlock before its third version lets anybody shorten a file that it lets nobody write.
        lines += _when(_CALLS["truncate"], [_refuse(errno.EACCES)]) + _when(_CALLS["openat2"], [_refuse(_ENOSYS)])
        for name, flags in (("open", 24), ("openat", 32)):
            only_read = [(_LOAD, 0, 0, flags), (_AND, 0, 0, os.O_TRUNC | os.O_ACCMODE), (_EQUAL, 1, 0, os.O_TRUNC)]
            lines += _when(_CALLS[name], [*only_read, (_RETURN, 0, 0, _ALLOW), _refuse(errno.EACCES)])
    return [*lines, (_RETURN, 0, 0, _ALLOW)]


def _when(numbers: tuple[int | None, int | None], then: list[_Line]) -> list[_Line]:
    """``then`` for one system call, whose number is loaded; it must end in a return."""
    number = _number(numbers)
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _unless(offset: int, value: int, *, loaded: bool = False) -> list[_Line]:
    load = [] if loaded else [(_LOAD, 0, 0, offset)]
    return [*load, (_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]


def _if_any_bit(offset: int, bits: int) -> list[_Line]:
    return [(_LOAD, 0, 0, offset), (_AND, 0, 0, bits), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _ALLOW)]


def _refuse(number: int) -> _Line:
    return (_RETURN, 0, 0, _ERRNO | number)


def _number(numbers: tuple[int | None, int | None]) -> int | None:
    return numbers[0 if platform.machine() == "x86_64" else 1]


# The C library


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _syscall(number: int, *arguments: object) -> int:
    libc = _libc()
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise Refused(f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def _prctl(*arguments: int) -> int:
    given = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:5]]
    return int(_libc().prctl(*given))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

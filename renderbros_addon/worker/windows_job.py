"""A Windows Job object around a renderer: memory, processes, and an end together with the agent.

Written by Microsoft's documentation; not yet run on Windows.
"""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
from ctypes import wintypes

from .limits import Limits

log = logging.getLogger("renderbros.worker")

_EXTENDED_LIMITS, _UI_RESTRICTIONS = 9, 4
_ACTIVE_PROCESS, _DIE_ON_EXCEPTION = 0x8, 0x400
_JOB_MEMORY, _KILL_ON_CLOSE = 0x200, 0x2000
_ALL_UI = 0xFF


class _Basic(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _Extended(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _Basic),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class WindowsJob:
    """Holds ``process`` and all it starts to ``limits`` while this object lives; when it goes, they end."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self._handle = 0
        if os.name != "nt":
            return
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
        kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD)
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        self._handle = kernel.CreateJobObjectW(None, None) or 0
        wanted = _Extended()
        basic = wanted.BasicLimitInformation
        basic.LimitFlags = _ACTIVE_PROCESS | _DIE_ON_EXCEPTION | _KILL_ON_CLOSE
        basic.ActiveProcessLimit = limits.processes
        if limits.memory is not None:
            # Committed, not resident: more is asked for than is used.
            basic.LimitFlags |= _JOB_MEMORY
            wanted.JobMemoryLimit = limits.of_a_process()["data"]
        no_desktop = wintypes.DWORD(_ALL_UI)
        held = (
            self._handle
            and kernel.SetInformationJobObject(
                self._handle, _EXTENDED_LIMITS, ctypes.byref(wanted), ctypes.sizeof(wanted)
            )
            and kernel.SetInformationJobObject(
                self._handle, _UI_RESTRICTIONS, ctypes.byref(no_desktop), ctypes.sizeof(no_desktop)
            )
            and kernel.AssignProcessToJobObject(self._handle, int(process._handle))  # type: ignore[attr-defined]
        )
        if not held:
            code = ctypes.get_last_error()  # type: ignore[attr-defined,unused-ignore]
            log.warning("the renderer is in no job object (Windows error %d): its limits are watched alone", code)

    def __del__(self) -> None:
        if self._handle:
            ctypes.WinDLL("kernel32").CloseHandle(wintypes.HANDLE(self._handle))  # type: ignore[attr-defined,unused-ignore]

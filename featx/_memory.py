"""The memory that there is, and the most that this process has held."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from featx.errors import UsageError

GIB = 2**30


def available() -> int:
    """Give bytes that can be taken: FEATX_MEMORY_GIB where it is set, else what the system says."""
    if said := os.environ.get("FEATX_MEMORY_GIB"):
        try:
            stated = float(said)
        except ValueError:
            stated = -1.0
        if not stated >= 0:
            raise UsageError(f"FEATX_MEMORY_GIB is {said!r}; expected a number, at least 0")
        return int(stated * GIB)
    if sys.platform == "win32":
        return _windows()
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        # macOS: it does not say what could be freed
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in lines)
    return min(int(fields["MemAvailable"].split()[0]) * 1024, _container())


def _container() -> int:
    """Give what a container may still take (cgroup, version 2)."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (folder / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
        files = dict(
            line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines()
        )
        return int(limit) - int(used) + int(files["inactive_file"])
    except (OSError, ValueError, LookupError):  # no limit, or none that is told
        return sys.maxsize


def _windows() -> int:
    import ctypes

    status = (ctypes.c_ulonglong * 8)(64)  # MEMORYSTATUSEX: its length, total, free, four more
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status[2])


def peak_bytes() -> int:
    """Give the most memory that this process has held so far.

    That of the system's own account, which is never set back: where the process held more before
    a probe than during it, it is the larger number.
    """
    if sys.platform == "win32":
        return _windows_peak()
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, LookupError, ValueError):  # no such folder outside Linux
        return _posix()


def _posix() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _windows_peak() -> int:
    import ctypes

    counters = (ctypes.c_ulonglong * 9)(72)  # PROCESS_MEMORY_COUNTERS: its length, then the peak
    ctypes.windll.kernel32.K32GetProcessMemoryInfo(  # type: ignore[attr-defined,unused-ignore]
        ctypes.c_void_p(-1), ctypes.byref(counters), 72
    )
    return int(counters[1])

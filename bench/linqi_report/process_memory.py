"""The memory that this process holds."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["resident_bytes", "return_freed_memory"]


def resident_bytes() -> int:
    """Return the resident size of this process; outside Linux, its maximum so far.

    Windows has neither of the two sources: the answer is 0 there.
    """
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def return_freed_memory() -> None:
    """Return to the system what was freed but is kept for later, where the C library can (glibc).

    Otherwise what was freed below something that is still in use stays resident.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

"""Where a run took place: what a reader needs to compare its figures with their own."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

__all__ = ["describe_machine"]

_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "cachetools", "msgspec", "pybase64"),
    *("pytest", "pytest-benchmark"),
)


def describe_machine() -> dict[str, Any]:
    """Give the processor, the system, Python and the libraries, and how busy the machine is."""
    from cryptography.hazmat.backends.openssl import backend

    return {
        "processor": _processor(),
        "cpus": os.cpu_count() or 1,
        "load_1_minute": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": backend.openssl_version_text(),
        "libraries": {name: version(name) for name in _LIBRARIES},
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

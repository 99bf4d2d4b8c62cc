"""Where a storm took place."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

__all__ = ["describe_machine", "library_versions"]

_LIBRARIES: Final = (
    *("linqi", "PyJWT", "cryptography", "msgspec", "cachetools", "uvicorn", "uvloop", "httptools"),
    *("locust", "gevent", "hdrhistogram", "starlette", "redis", "asyncpg"),
)


def describe_machine() -> dict[str, Any]:
    """Give the processor, the system and how busy it is."""
    return {
        "processor": _processor(),
        "cpus": os.cpu_count() or 1,
        "load_1_minute": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def library_versions() -> Mapping[str, str]:
    """Give the versions of the libraries at work, as far as they are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Where a run took place: what a reader needs to compare its figures with their own."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

__all__ = ["describe_machine", "versions_of"]

_BUSY: Final = 0.5
_CPUFREQ: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_POWER: Final = Path("/sys/class/power_supply")


def describe_machine() -> dict[str, Any]:
    """Return the processor, the system and Python, and how busy the machine is."""
    from cryptography.hazmat.backends.openssl import backend

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cpus": os.cpu_count() or 1,
        "load_1_minute": None if load is None else round(load, 2),
        "hints": _hints(load),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "openssl": backend.openssl_version_text(),
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def versions_of(libraries: Iterable[str]) -> dict[str, str]:
    """Return the version of each of `libraries` that is installed."""
    return {name: found for name in libraries if (found := _version(name))}


def _hints(load: float | None) -> list[str]:
    """Say what may make the figures larger than they need to be."""
    hints = []
    if load is not None and load > _BUSY:
        hints.append("busy when the run began")
    governor = _line(_CPUFREQ)
    if governor and governor != "performance":
        hints.append(f"CPU governor {governor}")
    if _POWER.exists() and any(
        _line(supply / "type") == "Mains" and _line(supply / "online") == "0"
        for supply in _POWER.iterdir()
    ):
        hints.append("on battery")
    if "hypervisor" in _flags():
        hints.append("a virtual machine")
    return hints


def _flags() -> list[str]:
    return _of_cpuinfo("flags").split()


def _processor() -> str:
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def _of_cpuinfo(wanted: str) -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == wanted:
                return value.strip()
    return ""


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

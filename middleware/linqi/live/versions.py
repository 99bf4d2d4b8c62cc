"""The versions of Python and of the libraries: too old, or with a known fault."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final, NamedTuple

from linqi.live.probe import Environment, ProbeResult

__all__ = ["look_at_event_loop", "look_at_versions"]

_REQUIREMENT: Final = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*>=\s*([\d.]+)")
_SHOWN: Final = ("linqi", "cryptography", "PyJWT", "uvloop", "uvicorn")


class _Fault(NamedTuple):
    name: str
    below: tuple[int, ...]
    reason: str


_FAULTS: Final = (
    _Fault("h11", (0, 16), "accepts malformed chunked bodies (CVE-2025-43859): request smuggling"),
    _Fault("starlette", (0, 49, 1), "answers a Range header in quadratic time (CVE-2025-62727)"),
    _Fault("gunicorn", (22, 0), "accepts conflicting Transfer-Encoding (CVE-2024-1135)"),
    _Fault("h2", (4, 3), "lets clients split requests by header values (CVE-2025-57804)"),
)
"""Versions that work with linqi, and have a fault that its users meet."""


async def look_at_versions(_: Environment, result: ProbeResult) -> None:
    """Compare the installed versions with those that linqi needs, and with known faults."""
    shown = [f"{name} {found}" for name in _SHOWN if (found := _version(name))]
    result.saw(f"{platform.python_implementation()} {platform.python_version()}")
    result.saw(", ".join(shown))
    if not sys.flags.optimize and hasattr(sys, "gettotalrefcount"):
        result.found(
            "warning",
            "versions-debug",
            "this Python is a debug build, which is several times slower",
            "run the servers on a release build",
        )
    for name, least in {*_needed()}:
        installed = _version(name)
        if installed and _numbers(installed) < _numbers(least):
            result.found(
                "error",
                "versions-old",
                f"version {installed} of {name} is older than {least}, which linqi needs",
                f"pip install '{name}>={least}'",
            )
    for name, below, reason in _FAULTS:
        installed = _version(name)
        if installed and _numbers(installed) < below:
            fixed = ".".join(map(str, below))
            result.found(
                "warning",
                "versions-fault",
                f"version {installed} of {name} {reason}",
                f"pip install '{name}>={fixed}'",
            )


async def look_at_event_loop(_: Environment, result: ProbeResult) -> None:
    """Report which event loop a server would use."""
    loop, parser = _version("uvloop"), _version("httptools")
    result.saw(f"uvloop {loop}" if loop else "no uvloop: servers use the event loop of asyncio")
    if sys.platform == "win32" or not _version("uvicorn"):
        return
    missing = [name for name, found in (("uvloop", loop), ("httptools", parser)) if not found]
    if missing:
        result.found(
            "note",
            "loop-slow",
            f"uvicorn runs without {' and '.join(missing)}, which costs processor time with every"
            " request",
            f"pip install {' '.join(missing)}",
        )


def _needed() -> Iterator[tuple[str, str]]:
    """Yield the least version of each library of linqi and its extras."""
    try:
        lines = requires("linqi") or []
    except PackageNotFoundError:
        return
    for line in lines:
        if found := _REQUIREMENT.match(line):
            yield found[1], found[2]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """Return the release of a version, without what follows it (PEP 440)."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    numbers = tuple(map(int, found[0].split("."))) if found else ()
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers

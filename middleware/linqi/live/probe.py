"""What a probe of the environment returns, and the bound on its time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from linqi.config.findings import Finding, Severity
from linqi.config.schema import Config
from linqi.errors import ConfigurationError, LinqiError

__all__ = ["Environment", "LiveOptions", "Probe", "ProbeResult", "Seen", "bounded", "masked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What ``linqi check --live`` is told beside the configuration."""

    timeout: float = 5.0
    """Seconds for each probe."""
    clock_url: str = ""
    """A URL whose ``Date`` is compared with this clock; empty for the issuers only."""
    log_config: str = ""
    """The file of the server's ``--log-config``; empty for a server without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the probes receive."""

    config: Config
    options: LiveOptions
    variables: Mapping[str, str]
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Seen:
    """A fact that a probe saw, and that needs no action."""

    probe: str
    text: str


@dataclass(slots=True)
class ProbeResult:
    """What one probe saw and found."""

    probe: str
    seen: list[Seen] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def saw(self, text: str) -> None:
        """Add a fact."""
        self.seen.append(Seen(self.probe, text))

    def found(
        self,
        severity: Severity,
        code: str,
        reason: str,
        remedy: str,
        *,
        table: str = "",
        key: str = "",
    ) -> None:
        """Add a finding, as sentences."""
        self.findings.append(
            Finding(
                code=code,
                severity=severity,
                table=table,
                key=key,
                reason=_sentence(reason),
                remedy=_sentence(remedy),
            )
        )


Probe: TypeAlias = Callable[[Environment, ProbeResult], Awaitable[None]]
"""Looks at one part of the environment, and adds what it sees and finds to the result."""


async def bounded(name: str, probe: Probe, environment: Environment) -> ProbeResult:
    """Run a probe within its time; what it raises is a finding, never a traceback.

    Args:
        name: What it looks at; the code of a finding begins with it.
        probe: The probe.
        environment: What it receives.

    """
    result, seconds = ProbeResult(name), environment.options.timeout
    try:
        async with asyncio.timeout(seconds):
            await probe(environment, result)
    except TimeoutError:
        result.found(
            "error",
            f"{name}-timeout",
            f"the {name} did not answer within {seconds:g} s",
            f"start it, or let this machine reach it; --timeout-seconds waits longer than"
            f" {seconds:g} s",
        )
    except ConfigurationError as error:
        for text in error.faults:
            result.found("error", f"{name}-unusable", text, _do(name))
    except LinqiError as error:
        result.found("error", f"{name}-unreachable", str(error), _do(name))
    except Exception as error:  # noqa: BLE001 - a library may raise anything
        text = f"{type(error).__name__}: {error}"
        result.found("error", f"{name}-unreachable", text, _do(name))
    return result


def _do(name: str) -> str:
    return f"fix what the {name} reports here, then run this check again"


def masked(text: str, urls: Iterable[str]) -> str:
    """Return `text` without the passwords of `urls`."""
    for url in urls:
        with contextlib.suppress(ValueError):
            password = urlsplit(url).password
            text = text.replace(password, "***") if password else text
    return text


def _sentence(text: str) -> str:
    """Return `text` on one line, with a capital letter and one mark at its end.

    Commands and names of files stay as they are, so that they can be copied.
    """
    text = " ".join(text.split()) or "no reason was given"
    if text.startswith("pip "):
        return f"Run: {text}"
    is_name = "." in text.partition(" ")[0].rstrip(".")
    first = text[:1] if is_name else text[:1].upper()
    return f"{first}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"

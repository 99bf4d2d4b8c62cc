"""All checks of the environment, side by side and bounded in time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from linqi.config.findings import SEVERITIES, Finding
from linqi.config.schema import Config
from linqi.errors import ConfigurationError
from linqi.live.http_clock import look_at_clock
from linqi.live.introspection import look_at_introspection
from linqi.live.issuers import look_at_issuer, outside_issuers
from linqi.live.log_settings import look_at_logs
from linqi.live.probe import (
    Environment,
    LiveOptions,
    Probe,
    ProbeResult,
    Seen,
    bounded,
    masked,
)
from linqi.live.proxies import look_at_proxies
from linqi.live.store import look_at_feed, look_at_store
from linqi.live.versions import look_at_event_loop, look_at_versions

__all__ = ["LiveOptions", "LiveResult", "check_live"]

_PROBES: Final[Mapping[str, Probe]] = {
    "versions": look_at_versions,
    "loop": look_at_event_loop,
    "clock": look_at_clock,
    "store": look_at_store,
    "logs": look_at_logs,
    "proxies": look_at_proxies,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveResult:
    """What the checks of the environment saw, and what they found, the most severe first."""

    seen: tuple[Seen, ...]
    findings: tuple[Finding, ...]


async def check_live(
    config: Config,
    options: LiveOptions,
    *,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> LiveResult:
    """Return what the environment of this process is to a worker with `config`.

    A session of no user, a revocation of no token and a note are written to the store; all of them
    end within a minute. Nothing else is changed. Whatever does not answer is a finding.

    Args:
        config: What `linqi.config.load` returned.
        options: The bound on each check, and what else to look at.
        environ: The environment variables; the default is ``os.environ``.
        clock: Returns the time in Unix seconds.
        monotonic: Returns seconds that never step back.

    """
    if not 0.1 <= options.timeout <= 60:
        raise ConfigurationError(
            [f"--timeout-seconds is {options.timeout:g}, expected 0.1 to 60 seconds"]
        )
    environment = Environment(
        config=config,
        options=options,
        variables=os.environ if environ is None else environ,
        clock=clock,
        monotonic=monotonic,
    )
    probes = [*_PROBES.items()]
    fetched, asked = outside_issuers(environment)
    probes += [("issuer", partial(look_at_issuer, one)) for one in fetched]
    probes += [("introspection", partial(look_at_introspection, one)) for one in asked]
    results = await asyncio.gather(*(bounded(*each, environment) for each in probes))
    store = next(result for result in results if result.probe == "store")
    if not any(finding.severity == "error" for finding in store.findings):
        results.append(await bounded("feed", look_at_feed, environment))
    return _joined(results, [options.clock_url, _store_url(environment)])


def _joined(results: Sequence[ProbeResult], urls: Sequence[str]) -> LiveResult:
    """Return all results as one, without the passwords of `urls`."""
    found = [finding for result in results for finding in result.findings]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return LiveResult(
        seen=tuple(
            Seen(one.probe, masked(one.text, urls)) for result in results for one in result.seen
        ),
        findings=tuple(
            replace(one, reason=masked(one.reason, urls), remedy=masked(one.remedy, urls))
            for one in found
        ),
    )


def _store_url(environment: Environment) -> str:
    table = environment.config.store
    return table.url or environment.variables.get(table.url_env or "", "")

"""The clients of a storm on a server that verifies nothing: what the load generator itself costs.

The clients, their connections, their checks and their counting, Locust's included, are those of
every storm.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Any, Final

import gevent
import msgspec
from locust.env import Environment

from linqi import _base64url
from linqi_report.process_memory import resident_bytes
from linqi_storm.clients.driver import Driver
from linqi_storm.clients.load_counts import LoadRecorder, LoadTotals
from linqi_storm.clients.locust_statistics import LocustStatistics
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan, TokenTransport
from linqi_storm.schema.identity import identity_claims
from linqi_storm.schema.load import StormLoad

__all__ = ["DrivenLoad", "drive"]

_LEAD_SECONDS: Final = 0.6
"""For garbage collection, beside tokens and preparation: a late load begins with a burst."""
_LIFETIME: Final = 900.0
_RUN: Final = "bare"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenLoad:
    """What a process measured while it drove a load."""

    totals: LoadTotals
    cpu_us: float
    """CPU time of the process during the load, in microseconds."""
    session_bytes: float
    """Resident memory that a session added, its token included."""

    @property
    def requests(self) -> int:
        """The requests that were answered 2xx."""
        totals = self.totals
        return sum(totals.counts(second).outcomes["ok"] for second in totals.seconds)


class _BareLoad(Scenario):
    name = "bare-load"
    summary = "steady requests with tokens that are never due"


class _NoSignIn:
    """Takes the place of a login: no session ends."""

    path = ""

    def sign_in(self, number: int) -> Credential:
        """Raise `TimeoutError`."""
        raise TimeoutError


def drive(url: str, load: StormLoad, path: str = "/me") -> DrivenLoad:
    """Send `load` to the page `path` of a server, with tokens that no one has signed.

    Call it once in a process: it makes a runner of Locust.
    """
    begins_at = time.time() + _LEAD_SECONDS + 2 * load.preparation
    plan = GeneratorPlan(
        scenario=_BareLoad.name,
        url=url,
        mode="sliding",
        transport=TokenTransport(path=path),
        load=load,
        begins_at=begins_at,
        expected=Expectations(run=_RUN),
    )
    environment = Environment()
    environment.create_local_runner()
    recorder, statistics = LoadRecorder(), LocustStatistics(environment)
    driver = Driver(
        plan,
        _BareLoad(load),
        _NoSignIn(),
        recorder,
        forger=Forger(),
        share=0.0,
        report=statistics,
    )
    gc.collect()
    before = resident_bytes()
    for index in range(load.sessions):
        driver.add_clients(index, [_credential(index, begins_at)])
    gc.collect()
    grown = resident_bytes() - before
    driver.settle()
    totals, used = _driven(driver, recorder, statistics)
    return DrivenLoad(totals=totals, cpu_us=1e6 * used, session_bytes=grown / load.sessions)


def _driven(
    driver: Driver, recorder: LoadRecorder, statistics: LocustStatistics
) -> tuple[LoadTotals, float]:
    """Run the clients, with the reports that a storm makes; return their counts and CPU seconds."""
    news: list[bytes] = []

    def report() -> None:
        statistics.flush()
        news.append(msgspec.json.encode(recorder.delta()))

    def report_often() -> None:
        while True:
            gevent.sleep(1.0)
            report()

    reporter = gevent.spawn(report_often)
    before = time.process_time()
    driver.drive()
    report()
    used = time.process_time() - before
    reporter.kill()
    totals = LoadTotals()
    for line in news:
        totals.merge(msgspec.json.decode(line))
    return totals, used


def _credential(index: int, begins_at: float) -> Credential:
    """Return a token as long as one by ES256."""
    claims: dict[str, Any] = {
        "iss": "https://shop.example",
        "aud": "shop",
        "sid": f"{index:022d}",
        "iat": begins_at,
        "exp": begins_at + _LIFETIME,
        "auth_time": begins_at,
        "jti": f"{index:022d}",
        **identity_claims(_RUN, index),
    }
    payload = _base64url.encode(msgspec.json.encode(claims)).decode()
    return Credential(token=f"{'h' * 60}.{payload}.{'s' * 86}", expires_at=begins_at + _LIFETIME)

"""Limits that follow from the noise of the figure itself."""

import random
from dataclasses import replace

import pytest

from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.load_counts import LoadRecorder, LoadTotals
from linqi_storm.run.evenness import chance_of
from linqi_storm.run.memory import kept_per_request
from linqi_storm.run.paired_latency import renewal_delay
from linqi_storm.run.peaks import chance_limit, sliding_peak
from linqi_storm.scenarios import find_scenario
from linqi_storm.schema.load import StormLoad

SAMPLE = ServerSample(
    at=0,
    pid=1,
    cpu=0,
    loop_lag_ms=0,
    memory_mb=60,
    renewals=0,
    signatures=0,
    signed_twice=0,
    failed=0,
    budget_queue=0,
    families_killed=0,
    cache_hits=0,
    cache_misses=0,
    store_calls=0,
)


@pytest.mark.parametrize(("events", "span"), [(60, 20.0), (400, 20.0), (4_000, 80.0)])
def test_even_renewals_rarely_exceed_the_limit_of_chance(events: int, span: float) -> None:
    """At a stated rate of 5 % no more than 5 % of even populations do, at every size."""
    draw = random.Random(events)
    limit = chance_limit(events, span, 1.0, false_alarms=0.05)
    above = 0
    for _ in range(200):
        instants = sorted(draw.random() * span for _ in range(events))
        above += sliding_peak(instants, 1.0) / (events / span) > limit
    assert above <= 14  # 10 expected at most; 14 is two deviations above


def test_the_limit_of_chance_falls_with_the_number_of_renewals() -> None:
    """Large populations are even, and a rare alarm needs a higher limit."""
    few, many = (chance_limit(n, 40, 1, false_alarms=1e-4) for n in (100, 10_000))
    assert 1 < many < few
    assert chance_limit(100, 40, 1, false_alarms=1e-9) > few


def test_sessions_of_one_phase_are_above_chance() -> None:
    """A constant phase is found: all sessions renew within the pauses of their clients."""
    load = StormLoad(sessions=200, lifetime=20, buffer=6, duration=20, gap=1)
    scenario = find_scenario("storm-sliding")(load)
    draw = random.Random(1)
    for spread, is_above in ((14.0, False), (2.0, True)):
        totals = LoadTotals()
        for _ in range(load.sessions):
            totals.tally.asked_at[int(1000 * (5 + spread * draw.random()) % 14_000)] += 1
        found = chance_of(totals, scenario)
        assert found is not None
        assert (found[0] > found[1]) is is_above


def delay(slower: float, *, busy: bool = False) -> tuple[float, float, str] | None:
    """Return the delay where renewals take `slower` seconds more than other requests."""
    recorder, totals = LoadRecorder(), LoadTotals()
    draw = random.Random(2)
    for second in range(8):
        usual = 0.4 * (second % 4) if busy else 0.005
        for _ in range(40):
            recorder.record(second + 0.5, "ok", usual + 0.005 * draw.random(), 0.01)
        for _ in range(6):
            took = usual + slower + 0.005 * draw.random()
            recorder.record(second + 0.5, "renewed", took, 0.01)
    totals.merge(recorder.delta())
    return renewal_delay(totals)


def test_renewals_that_take_half_a_second_longer_are_found() -> None:
    """Whatever the load of the machine is: both kinds of requests meet it."""
    for busy in (False, True):
        even, slow = delay(0.0, busy=busy), delay(0.5, busy=busy)
        assert even is not None
        assert slow is not None
        assert even[0] < 10 <= even[1]
        assert slow[0] == pytest.approx(500, abs=20)
    assert delay(0.5)[0] > delay(0.5)[1]  # type: ignore[index]


def test_few_renewals_give_no_figure() -> None:
    """A median over less than three seconds is none."""
    assert renewal_delay(LoadTotals()) is None


def test_memory_that_grows_with_requests_is_found() -> None:
    """A kilobyte per request; what caches of known size take is allowed."""

    def kept(megabytes: float, renewals: int = 0) -> float | None:
        samples = [
            replace(SAMPLE, at=second, memory_mb=60 + megabytes * min(1, max(0, second - 10) / 18))
            for second in range(30)
        ]
        return kept_per_request(
            samples, requests=30_000, renewals=renewals, workers=2, is_embedded=True
        )

    assert kept(0) == kept(3) == kept(8, renewals=1_000) == 0
    assert (kept(10) or 0) > 256
    assert kept_per_request([SAMPLE], requests=10, renewals=0, workers=1, is_embedded=True) is None

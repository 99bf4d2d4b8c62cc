"""Models of storms, queues, caches and times, against their limits and independent simulations."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linqi.sessions.budget import RenewalBudget
from linqi_tune.model.budgets import budget_rate, burst_for, deferred_share, recovery
from linqi_tune.model.cache_hits import (
    CacheSize,
    TokenTraffic,
    entries_needed,
    hit_ratio,
    uniform_popularity,
    zipf_popularity,
)
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.key_sets import KeyRotation, key_times, kids_to_remember, unknown_kid_wait
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.scan_statistic import noise95, scan_mean
from linqi_tune.model.storm_peaks import (
    LoginCohort,
    duplicate_signatures,
    plain_peak,
    predicted_storm_factor,
    storm_factor_range,
)
from linqi_tune.model.time_limits import client_thresholds, grace, lost_replies, revocation_lag
from linqi_tune.model.worker_queue import (
    ServiceTimes,
    mixed_service,
    open_window,
    queued_wait,
    wait_quantile,
    workers_needed,
)
from simulated import (
    Draw,
    clicks_and_reads,
    exponential,
    fullest_window,
    play_cache,
    play_queue,
    play_sessions,
    play_signing_storm,
)

POISSON = GapDistribution([-10 * math.log1p(-(n + 0.5) / 4_000) for n in range(4_000)])
LIFETIME, BUFFER = 900.0, 300.0
PERIOD = LIFETIME - BUFFER
MEAN_10 = exponential(10)
PAGES = [(1.0, 0.8), *((float(c), 0.032) for c in range(2, 7)), (13.0, 0.04)]


def requests_of_a_page(rng: random.Random) -> int:
    """Return a number of requests with the distribution of `PAGES`."""
    kind = rng.random()
    return 1 if kind < 0.8 else rng.randint(2, 6) if kind < 0.96 else 13


def plan_with(policy: str, width: float = 0.0) -> SettingsPlan:
    """Return a plan with the lifetime and the buffer of the simulations."""
    return SettingsPlan(lifetime=LIFETIME, buffer=BUFFER, policy=policy, jitter_width=width)


def simulated_factor(
    sessions: int, seed: int, window: float, *, gap: Draw = MEAN_10, **changes: Any
) -> float:
    """Return the storm factor of a simulated first cycle, by a formula of its own: an oracle."""
    played = play_sessions(
        sessions=sessions,
        lifetime=LIFETIME,
        buffer=BUFFER,
        until=LIFETIME,
        gap=gap,
        seed=seed,
        **changes,
    )
    return fullest_window(played.renewals, window) / window / (sessions / PERIOD)


@pytest.mark.parametrize(
    ("policy", "width", "spread", "window"),
    [
        ("plain", 0, 0, 10),
        ("plain", 0, 0, 30),
        ("plain", 0, 120, 30),
        ("grid", 0, 0, 30),
        ("jitter", 0.1, 0, 30),
        ("jitter", 0.25, 0, 10),
        ("jitter", 0.25, 60, 30),
        ("jitter", 0.5, 0, 30),
        ("jitter", 1.0, 0, 30),
    ],
)
def test_the_predicted_storm_factor_is_that_of_a_simulation(
    policy: str, width: float, spread: float, window: float
) -> None:
    """The prediction is within 15 % of three simulated storms of 3,000 sessions each."""
    changes = {"policy": policy, "width": width, "spread": spread}
    factors = [simulated_factor(3_000, seed, window, **changes) for seed in (11, 12, 13)]
    cohort = LoginCohort(sessions=3_000, gaps=POISSON, login_spread=spread)
    predicted = predicted_storm_factor(cohort, plan_with(policy, width), window)
    assert predicted == pytest.approx(statistics.mean(factors), rel=0.15)


@pytest.mark.parametrize("policy", ["plain", "grid"])
def test_the_range_of_chance_holds_the_factors_of_small_storms(policy: str) -> None:
    """Of 40 storms of 150 sessions at most 6 lie outside the range that holds 95 of 100."""
    cohort = LoginCohort(sessions=150, gaps=POISSON)
    found = storm_factor_range(cohort, plan_with(policy), 30)
    factors = [simulated_factor(150, 200 + seed, 30, policy=policy) for seed in range(40)]
    assert sum(not found.contains(factor) for factor in factors) <= 6
    assert found.low < found.value < found.high


def test_a_storm_of_sessions_with_heavy_tailed_pauses_is_predicted_too() -> None:
    """Sessions that return late are missing from the peak."""
    factors = [
        simulated_factor(3_000, seed, 30, gap=clicks_and_reads, policy="plain")
        for seed in (21, 22, 23)
    ]
    rng = random.Random(24)
    gaps = GapDistribution([clicks_and_reads(rng) for _ in range(20_000)])
    cohort = LoginCohort(sessions=3_000, gaps=gaps)
    predicted = predicted_storm_factor(cohort, plan_with("plain"), 30)
    assert predicted == pytest.approx(statistics.mean(factors), rel=0.15)


@settings(max_examples=25)
@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_wider_jitter_never_makes_a_higher_first_peak_up_to_half(
    one: float, other: float
) -> None:
    """Above half the period second renewals fall together with first ones."""
    less, more = sorted((one / 2, other / 2))
    cohort = LoginCohort(sessions=50_000, gaps=POISSON)
    tight, wide = (
        predicted_storm_factor(cohort, plan_with("jitter", width), 30) for width in (less, more)
    )
    assert wide <= tight * 1.02


@settings(max_examples=15)
@given(st.integers(200, 100_000), st.floats(1, 60))
def test_a_grid_is_flattest_and_never_below_its_floor(sessions: int, window: float) -> None:
    """The factor of the grid is between 1 and the level of chance, and below that of plain."""
    cohort = LoginCohort(sessions=sessions, gaps=POISSON)
    grid, plain = (
        predicted_storm_factor(cohort, plan_with(policy), window) for policy in ("grid", "plain")
    )
    assert 0.99 <= grid <= noise95(sessions / PERIOD, LIFETIME, window) * 1.02
    assert grid <= plain + 1e-9


@given(st.integers(1, 100_000), st.floats(0.01, 600), st.floats(0.01, 600))
def test_a_plain_peak_falls_with_the_window(sessions: int, one: float, other: float) -> None:
    """The peak over a longer window is lower, and at most the sessions times their rate."""
    less, more = sorted((one, other))
    peak = plain_peak(sessions, POISSON, more)
    assert peak <= plain_peak(sessions, POISSON, less) * (1 + 1e-9)
    assert peak <= sessions / POISSON.mean * (1 + 1e-9)


@pytest.mark.parametrize(("rate", "span", "window"), [(2, 600, 30), (33, 300, 10), (0.5, 900, 45)])
def test_the_fullest_window_of_chance_is_that_of_a_simulation(
    rate: float, span: float, window: float
) -> None:
    """The mean is within 3 % and the 95th percentile within 4 % of 300 simulations."""
    rng = random.Random(31)
    fullest = []
    for _ in range(300):
        instants, at = [], rng.expovariate(rate)
        while at < span:
            instants.append(at)
            at += rng.expovariate(rate)
        fullest.append(fullest_window(instants, window))
    assert scan_mean(rate, span, window) == pytest.approx(statistics.mean(fullest), rel=0.03)
    found = noise95(rate, span, window) * rate * window
    assert found == pytest.approx(sorted(fullest)[284], rel=0.04)


@given(st.floats(1, 60), st.integers(1, 64))
def test_duplicates_lie_between_one_and_both_counts(parallel: float, workers: int) -> None:
    """A renewal costs at least one signature, at most one per request and one per worker."""
    found = duplicate_signatures(parallel, workers)
    assert 1 - 1e-9 <= found <= min(parallel, workers) + 1e-9


def test_duplicates_are_those_of_a_simulation() -> None:
    """Six requests over four workers reach 3.29 of them on average."""
    rng = random.Random(41)
    met = [len({rng.randrange(4) for _ in range(6)}) for _ in range(20_000)]
    assert duplicate_signatures(6, 4) == pytest.approx(statistics.mean(met), rel=0.01)


def test_an_outage_is_followed_by_the_predicted_peak() -> None:
    """The peak after 180 s of outage is within 15 % of a simulation."""
    played = play_sessions(
        sessions=6_000,
        lifetime=LIFETIME,
        buffer=BUFFER,
        until=2_000,
        gap=MEAN_10,
        seed=51,
        outage=(1_300, 1_480),
    )
    after = [at for at in played.renewals if at >= 1_480]
    cohort = LoginCohort(sessions=6_000, gaps=POISSON)
    predicted = recovery(cohort, 900, 300, 180, 10)
    assert predicted.peak == pytest.approx(fullest_window(after, 10) / 10, rel=0.15)
    assert predicted.is_lossless


@given(st.floats(1, 800), st.floats(0.5, 5))
def test_a_budget_bounds_the_recovery(outage: float, factor: float) -> None:
    """The peak is at most the budget; with one below the steady rate it never ends."""
    cohort = LoginCohort(sessions=6_000, gaps=POISSON)
    budget = factor * 6_000 / PERIOD
    found = recovery(cohort, 900, 300, outage, 10, budget)
    assert found.peak <= budget + 1e-9
    assert found.is_lossless == (outage < 300 and factor >= 1)
    assert (found.drained_after < math.inf) or factor <= 1


@given(st.floats(0.001, 10_000))
def test_a_budget_leaves_room_above_the_steady_rate(steady: float) -> None:
    """A budget is at least 1.5 times the steady rate, and more where few sessions renew."""
    assert budget_rate(steady) >= 1.5 * steady
    assert budget_rate(steady) >= steady + 4 * math.sqrt(steady) - 1e-9


@pytest.mark.parametrize(("load", "burst"), [(0.5, 10), (2 / 3, 10), (0.9, 20), (0.9, 60)])
def test_the_middlewares_budget_puts_off_about_as_many_as_predicted(
    load: float, burst: float
) -> None:
    """The middleware's own budget defers within a factor of 2 of the prediction."""
    rng = random.Random(95)
    budget, now, deferred = RenewalBudget(10.0, burst=burst), 0.0, 0
    for _ in range(60_000):
        now += rng.expovariate(10.0 * load)
        deferred += not budget.take(now, 299.0, 300.0, 10.0)
    seen = deferred / 60_000
    assert seen <= deferred_share(load, burst) * 2 + 1e-4
    assert seen >= deferred_share(load, burst) / 2 - 1e-4


@given(st.floats(0.05, 0.99), st.floats(1e-6, 0.1))
def test_a_burst_keeps_its_chance(load: float, chance: float) -> None:
    """The burst defers at most the wanted share, and a smaller burst defers more."""
    burst = burst_for(load, chance)
    assert deferred_share(load, burst) <= chance * (1 + 1e-9)
    assert burst == 10 or deferred_share(load, burst - 1.01) > chance


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("entries", [60, 200, 1_000])
@pytest.mark.parametrize("lifetime", [60, 300])
@pytest.mark.parametrize("law", ["even", "zipf", "reads"])
def test_the_predicted_hit_ratio_is_that_of_a_simulation(
    workers: int, entries: int, lifetime: float, law: str
) -> None:
    """The hit ratio is within 10 % of simulated LRU caches, for even, Zipf and pausing visitors."""
    count = 300
    rates, gaps, draw = [0.1] * count, POISSON, None
    if law == "zipf":
        total = sum(1 / rank for rank in range(1, count + 1))
        rates = [0.1 * count / rank / total for rank in range(1, count + 1)]
    if law == "reads":
        rng = random.Random(61)
        gaps, draw = (
            GapDistribution([clicks_and_reads(rng) for _ in range(4_000)]),
            clicks_and_reads,
        )
        rates = [1.0] * count
    seen = play_cache(
        rates=rates,
        parallel=requests_of_a_page,
        workers=workers,
        entries=entries,
        lifetime=lifetime,
        period=300,
        until=1_200,
        warm=400,
        seed=62,
        gap=draw,
    )
    popularity = zipf_popularity(count) if law == "zipf" else uniform_popularity(count)
    tokens = TokenTraffic(
        popularity=popularity, gaps=gaps, parallel=PAGES, workers=workers, period=300
    )
    found = hit_ratio(tokens, CacheSize(entries=entries, lifetime=lifetime))
    assert found.share == pytest.approx(seen, rel=0.1)


@settings(max_examples=25)
@given(st.integers(10, 2_000), st.integers(10, 2_000), st.floats(1, 800), st.floats(1, 800))
def test_a_larger_cache_never_hits_less(one: int, other: int, short: float, long: float) -> None:
    """More entries or a longer lifetime never lower the ratio, which is between 0 and 1."""
    tokens = TokenTraffic(popularity=uniform_popularity(500), gaps=POISSON, workers=1)
    small = hit_ratio(tokens, CacheSize(entries=min(one, other), lifetime=min(short, long))).share
    large = hit_ratio(tokens, CacheSize(entries=max(one, other), lifetime=max(short, long))).share
    assert 0 <= small <= large + 1e-6 <= 1 + 1e-6


def test_beyond_the_entries_needed_size_gains_nothing() -> None:
    """A cache of that size has within 1 % the hit ratio of one without a limit."""
    tokens = TokenTraffic(
        popularity=uniform_popularity(500), gaps=POISSON, workers=2, parallel=PAGES
    )
    enough = entries_needed(tokens, 60)
    assert 500 <= enough <= 750
    best = hit_ratio(tokens, CacheSize(entries=1e6, lifetime=60)).share
    assert hit_ratio(tokens, CacheSize(entries=enough, lifetime=60)).share > 0.99 * best
    assert hit_ratio(tokens, CacheSize(entries=enough / 5, lifetime=60)).share < 0.9 * best


@pytest.mark.parametrize(("load", "law"), [(0.3, "mixed"), (0.7, "mixed"), (0.8, "exponential")])
def test_the_wait_of_one_worker_is_that_of_a_simulation(load: float, law: str) -> None:
    """The mean wait is within 10 % and its 99th percentile within 25 % of a simulation."""
    if law == "mixed":
        service = mixed_service([(0.9, 0.000_2), (0.1, 0.000_5)])

        def draw(rng: random.Random) -> float:
            return 0.000_2 if rng.random() < 0.9 else 0.000_5
    else:
        service, draw = ServiceTimes(mean=0.001, square=0.000_002), exponential(0.001)
    rate = load / service.mean
    waits = play_queue(rate=rate, service=draw, requests=150_000, seed=71)
    assert queued_wait(rate, service, 1) == pytest.approx(statistics.mean(waits), rel=0.1)
    p99 = waits[int(0.99 * len(waits))]
    assert wait_quantile(0.99, rate, service, 1) == pytest.approx(p99, rel=0.25)


def test_one_queue_before_three_workers_waits_as_in_a_simulation() -> None:
    """The wait is within 10 % of a simulation, for exponential service times at 70 % load."""
    service = ServiceTimes(mean=0.001, square=0.000_002)
    waits = play_queue(rate=2_100, service=exponential(0.001), requests=150_000, seed=72, workers=3)
    found = queued_wait(2_100, service, 3, shared=True)
    assert found == pytest.approx(statistics.mean(waits), rel=0.1)


@given(st.floats(1, 900), st.floats(1, 900), st.integers(1, 8))
def test_more_load_never_waits_less(one: float, other: float, workers: int) -> None:
    """The wait rises with the rate, and is infinite where the workers are too few."""
    service = mixed_service([(1.0, 0.001)])
    less, more = sorted((one, other))
    assert queued_wait(less, service, workers) <= queued_wait(more, service, workers)
    assert wait_quantile(0.99, 1_000 * workers, service, workers) == math.inf


@pytest.mark.parametrize(("sign", "worst"), [(0.000_04, 0.03), (0.000_725, 1.5), (0.001_1, 3.4)])
def test_the_backlog_of_a_signing_storm_is_that_of_a_simulation(sign: float, worst: float) -> None:
    """The backlog is at least half of a simulated one, and never above it."""
    seen = play_signing_storm(
        sessions=2_500, page_rate=0.5, request=0.000_4, sign=sign, seed=81, until=12
    )
    found = open_window(2_500, 0.5, 1, 0.000_4, sign, 1)
    assert seen < worst
    assert found.backlog <= seen
    assert found.backlog > seen / 2 or seen < 0.05


@given(st.floats(0, 0.01), st.floats(0, 0.01))
def test_dearer_signatures_never_shrink_the_backlog(one: float, other: float) -> None:
    """The backlog is 0 while the open load is at most 1, and rises from there."""
    less, more = sorted((one, other))
    small, large = (open_window(2_000, 0.2, 2, 0.000_3, sign, 2) for sign in (less, more))
    assert small.backlog <= large.backlog
    assert (small.open_load > 1) == (small.backlog > 0) or small.backlog < 1e-9
    assert small.is_safe(3 * small.backlog + 0.001)


def test_a_memo_makes_the_open_window_harmless() -> None:
    """With one signature per renewal, instead of one per request, the load hardly rises."""
    without = open_window(5_000, 0.1, 6, 0.000_2, 0.000_725, 2)
    assert not without.is_safe(2)
    shared = open_window(5_000, 0.1, 6, 0.000_2, 0.000_725, 2, signatures_per_page=1.97)
    assert shared.is_safe(2)
    assert math.isinf(open_window(50_000, 0.1, 6, 0.000_2, 0.001, 2).backlog)


@given(st.floats(0.1, 10_000), st.floats(0.1, 1))
def test_enough_workers_are_busy_no_more_than_asked(rate: float, share: float) -> None:
    """One worker fewer would be above the target."""
    service = mixed_service([(1.0, 0.000_4)])
    found = workers_needed(rate, service, share)
    assert rate * service.mean / found <= share * 1.000_001
    assert found == 1 or rate * service.mean / (found - 1) > share * 0.999_999


@given(st.floats(20, 100_000))
def test_keys_are_fetched_before_they_sign(ahead: float) -> None:
    """If the issuer publishes early enough, no unknown key id occurs."""
    times = key_times(KeyRotation(published_ahead=ahead))
    assert times.may_meet_unknown == (0.8 * times.lifetime + 10 > ahead)
    assert 60 <= times.lifetime <= times.most_lifetime <= 3_600
    assert times.may_meet_unknown is (ahead < 58)


def test_a_withdrawn_key_is_bounded() -> None:
    """A bound on withdrawn keys shortens the lifetime; in an outage they verify for longer."""
    times = key_times(KeyRotation(published_ahead=86_400, withdrawn_within=300, outage=600))
    assert times.lifetime == 300 == times.most_lifetime
    assert times.withdrawn_in_outage == times.withdrawn_after + times.stale
    assert unknown_kid_wait(30, 5) == 35
    assert kids_to_remember(10, 300) == 3_000
    assert kids_to_remember(1e9, 300) == 65_536


@given(st.floats(0, 100))
def test_a_grace_has_its_bounds(p999: float) -> None:
    """The grace is three times the slowest refresh, from 10 to 60 s."""
    found = grace(p999)
    assert 10 <= found <= 60
    assert found >= min(60, 3 * p999)


def test_lost_replies_add_up() -> None:
    """If 1 in 1,000 responses is lost, 32 refreshes a day affect 3 of 100 users."""
    assert lost_replies(0.001, 32) == pytest.approx(0.032, rel=0.02)
    assert lost_replies(0, 32) == 0
    assert lost_replies(1, 1) == 1


@given(st.floats(1, 86_400), st.floats(0.1, 40_000), st.floats(0, 10))
def test_client_thresholds_are_in_order(lifetime: float, buffer: float, p999: float) -> None:
    """The mandatory threshold is below the advisory one, which is at most half a lifetime."""
    found = client_thresholds(lifetime, buffer, p999)
    assert 0 <= found.mandatory <= found.advisory <= lifetime / 2


def test_a_revocation_takes_what_its_feed_takes() -> None:
    """Without a feed a token is accepted until it expires; with one, until its loss is noticed."""
    assert revocation_lag(900) == 900
    assert revocation_lag(900, 0.2, 10) == 10
    assert revocation_lag(900, 0.2, math.inf) == 900

"""Every estimator and formula of the tuner against SciPy and lifelines, which only tests use."""

from __future__ import annotations

import math
import random
import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries that the oracles import
    import numpy as np
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time
    from scipy import integrate, optimize, stats

from linqi_tune.model.budgets import deferred_share
from linqi_tune.model.cache_hits import CacheSize, TokenTraffic, hit_ratio, zipf_popularity
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.intervals import (
    bootstrap_interval,
    exact_interval,
    rule_of_three,
    wilson_interval,
)
from linqi_tune.model.rate_intervals import Cell, clustered_rate, counted_rate, student_quantile
from linqi_tune.model.roots import root_between
from linqi_tune.model.scan_statistic import noise95, scan_mean, scan_quantile
from linqi_tune.model.storm_peaks import duplicate_signatures
from linqi_tune.model.worker_queue import ServiceTimes, queued_wait, wait_quantile
from simulated import fullest_window

COUNTS = [(0, 30), (2, 1_922), (5, 20), (199, 200), (7, 7), (400, 1_000)]


@pytest.mark.parametrize(("seen", "trials"), COUNTS)
def test_intervals_of_shares_are_those_of_scipy(seen: int, trials: int) -> None:
    """Clopper and Pearson to 0.1 %; Wilson exactly, but for no event, where 3/n is the end."""
    oracle = stats.binomtest(seen, trials)
    exact, found = oracle.proportion_ci(0.95, "exact"), exact_interval(seen, trials)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=1e-3, abs=1e-9)
    score, found = oracle.proportion_ci(0.95, "wilson"), wilson_interval(seen, trials)
    if seen:
        assert (found.low, found.high) == pytest.approx((score.low, score.high), rel=1e-4)
    else:
        # Wilson's end for no event is that of 97.5 %; 3/n is that of 95 %, and better known.
        assert found.high == pytest.approx(oracle.proportion_ci(0.90, "exact").high, rel=1e-6)


@pytest.mark.parametrize("trials", [1, 10, 3_000, 30_000])
def test_the_rule_of_three_is_the_one_sided_exact_end(trials: int) -> None:
    """With no event in n, 95 % confidence leaves ``1 - 0.05 ** (1 / n)``."""
    oracle = stats.binomtest(0, trials).proportion_ci(0.90, "exact").high
    assert rule_of_three(trials) == pytest.approx(oracle, rel=1e-6)


def test_the_bootstrap_is_that_of_scipy() -> None:
    """The percentile interval of a mean over clusters, within 10 % of its width."""
    rng = np.random.default_rng(1)
    data = rng.lognormal(0, 1, 150)
    found = bootstrap_interval(list(data), lambda some: math.fsum(some) / len(some))
    oracle = stats.bootstrap(
        (data,), np.mean, n_resamples=4_000, method="percentile", rng=2
    ).confidence_interval
    room = 0.1 * (oracle.high - oracle.low)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=room)


@pytest.mark.parametrize("freedom", [3, 5, 7, 15, 100, 10_000])
def test_quantiles_of_student_are_those_of_scipy(freedom: int) -> None:
    """The expansion is within 1 %."""
    assert student_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=0.01)


@pytest.mark.parametrize("seen", [0, 1, 3, 10, 40, 400])
def test_a_later_count_is_predicted_as_the_exact_test_does(seen: int) -> None:
    """Of two equal Poisson counts, the later is binomial given the sum: within 1 event or 6 %."""
    later = np.arange(0, 3_000)
    high = later[stats.binom.cdf(seen, seen + later, 0.5) > 0.025].max()
    low = later[stats.binom.sf(seen - 1, seen + later, 0.5) > 0.025].min()
    found = counted_rate(float(seen), 1.0)
    assert found.high == pytest.approx(high, rel=0.06, abs=1)
    assert found.low == pytest.approx(low, rel=0.06, abs=1)


def test_the_clustered_interval_is_the_bootstrap_of_persons() -> None:
    """Without changes in time, the width is that of SciPy's bootstrap of whole persons.

    It must be wider by the later period's own chance (the root of 2) and by Student's quantile
    for 16 parts; what remains agrees within 15 %.
    """
    rng = np.random.default_rng(3)
    persons = 400
    exposure = rng.gamma(2, 2, persons) + 0.2
    events = rng.poisson(exposure * rng.gamma(0.7, 1.5, persons))
    blocks = rng.integers(0, 16, persons)
    rows = zip(range(persons), blocks, events, exposure, strict=True)
    cells = [Cell(n, int(b), float(e), float(x)) for n, b, e, x in rows]
    found = clustered_rate(cells, float(events.sum()), 16)
    oracle = stats.bootstrap(
        (events, exposure),
        lambda e, x, axis: e.sum(axis) / x.sum(axis),
        paired=True,
        n_resamples=2_000,
        method="BCa",
        rng=4,
    ).confidence_interval
    wider = math.sqrt(2) * stats.t.ppf(0.975, 15) / stats.norm.ppf(0.975)
    width = (found.high - found.low) / wider
    assert found.value == pytest.approx(events.sum() / exposure.sum())
    assert width == pytest.approx(oracle.high - oracle.low, rel=0.15)


def test_one_person_with_most_events_is_hardly_more_than_one_event() -> None:
    """The interval of 100 events, 91 of one person, is far wider than that of 100 persons."""
    one = [Cell(0, 0, 91.0, 1.0)] + [Cell(n, n % 16, 1.0 * (n < 10), 1.0) for n in range(1, 100)]
    many = [Cell(n, n % 16, 1.0, 1.0) for n in range(100)]
    narrow, wide = clustered_rate(many, 100.0, 16), clustered_rate(one, 100.0, 16)
    assert wide.value == narrow.value
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_open_pauses_count_as_kaplan_and_meier_say() -> None:
    """The restricted mean is the one of lifelines, up to the longest pause that ended."""
    rng = random.Random(5)
    pauses = [rng.lognormvariate(3, 1) for _ in range(600)]
    limits = [rng.expovariate(1 / 60) for _ in pauses]
    ended = [pause for pause, limit in zip(pauses, limits, strict=True) if pause <= limit]
    cut = [limit for pause, limit in zip(pauses, limits, strict=True) if pause > limit]
    found = GapDistribution(ended).completed(GapDistribution(cut))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = KaplanMeierFitter().fit([*ended, *cut], [1] * len(ended) + [0] * len(cut))
        for seconds in (10.0, 40.0, 0.9 * max(ended)):
            oracle = restricted_mean_survival_time(fitted, t=seconds)
            assert found.restricted_mean(seconds) == pytest.approx(oracle, rel=1e-6)


@pytest.mark.parametrize("seconds", [5.0, 60.0, 900.0])
def test_the_restricted_mean_is_the_integral_of_the_survival_function(seconds: float) -> None:
    """For a lognormal law, drawn by its quantiles, within 0.5 %; so is the residual pause."""
    law = stats.lognorm(1.2, scale=20)
    places = (np.arange(100_000) + 0.5) / 100_000
    gaps = GapDistribution(list(law.ppf(places)))
    oracle, _ = integrate.quad(law.sf, 0, seconds)
    assert gaps.restricted_mean(seconds) == pytest.approx(oracle, rel=0.005)
    assert gaps.residual_below(seconds) == pytest.approx(oracle / law.mean(), rel=0.01)
    assert gaps.quantile(0.9) == pytest.approx(law.ppf(0.9), rel=0.001)


@pytest.mark.parametrize(("mean", "share"), [(4.0, 0.5), (30.0, 0.95), (400.0, 0.975)])
def test_one_window_is_a_poisson_count(mean: float, share: float) -> None:
    """A span of one window has Poisson's quantile, which is interpolated here: within 1."""
    found = scan_quantile(share, mean / 10, 10.0, 10.0)
    assert found == pytest.approx(stats.poisson.ppf(share, mean), abs=1)


@pytest.mark.parametrize(("rate", "span"), [(3.0, 300.0), (20.0, 100.0)])
def test_the_fullest_window_of_numpys_poisson_process_is_predicted(
    rate: float, span: float
) -> None:
    """The mean is within 4 % of 200 processes, and noise95 within 6 % of their 95th percentile."""
    rng = np.random.default_rng(6)
    most = []
    for _ in range(200):
        instants = np.sort(rng.random(rng.poisson(rate * span)) * span)
        most.append(fullest_window(list(instants), 10.0))
    assert scan_mean(rate, span, 10.0) == pytest.approx(np.mean(most), rel=0.04)
    oracle = np.quantile(most, 0.95) / (rate * 10)
    assert noise95(rate, span, 10.0) == pytest.approx(oracle, rel=0.06)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_waits_are_those_of_an_exponential_server(load: float) -> None:
    """M/M/1 is the case in which the mean and the exponential tail are exact."""
    service = ServiceTimes(mean=1.0, square=2.0)
    assert queued_wait(load, service, 1) == pytest.approx(load / (1 - load))
    tail = stats.expon(scale=1 / (1 - load))
    for share in (0.8, 0.99):
        oracle = max(0.0, tail.isf(min(1.0, (1 - share) / load)))
        assert wait_quantile(share, load, service, 1) == pytest.approx(oracle, abs=1e-9)


@pytest.mark.parametrize("size", [50.0, 400.0])
def test_hits_of_independent_requests_are_ches(size: float) -> None:
    """For a Poisson process per session Che's fixed point by SciPy: within 0.01."""
    places = (np.arange(4_000) + 0.5) / 4_000
    gaps = GapDistribution(list(stats.expon(scale=60).ppf(places)))
    classes = zipf_popularity(1_000)
    tokens = TokenTraffic(popularity=classes, gaps=gaps, period=1e9, caches_issued=False)
    found = hit_ratio(tokens, CacheSize(entries=size, lifetime=1e9))

    def held(keep: float) -> float:
        return sum(n * -math.expm1(-rate / 60 * keep) for n, rate in classes) - size

    keep = optimize.brentq(held, 1e-6, 1e9)
    hits = sum(n * rate * -math.expm1(-rate / 60 * keep) for n, rate in classes)
    oracle = hits / sum(n * rate for n, rate in classes)
    assert found.share == pytest.approx(oracle, abs=0.01)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95])
def test_the_deferred_share_decays_with_the_root_of_scipy(load: float) -> None:
    """``load (exp(theta) - 1) = theta`` gives the decay per unit of burst."""
    theta = optimize.brentq(lambda x: load * math.expm1(x) - x, 1e-6, 50)
    decay = math.log(deferred_share(load, 10) / deferred_share(load, 12))
    assert decay == pytest.approx(theta, rel=1e-4)
    assert root_between(lambda x: load * math.expm1(x) < x, 1e-6, 50) == pytest.approx(
        theta, rel=1e-3
    )


def test_workers_met_by_a_page_are_a_binomial() -> None:
    """A worker receives none of C requests with the binomial's chance."""
    oracle = 4 * (1 - stats.binom.pmf(0, 6, 1 / 4))
    assert duplicate_signatures(6, 4) == pytest.approx(oracle)

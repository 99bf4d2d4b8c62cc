"""Recommendations: options, reasons, contradictions, and that each target has an effect."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace

import pytest

from linqi.errors import ConfigurationError
from linqi_tune.model.advice import Advice
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.lag_counts import LagCounts
from linqi_tune.model.lifetimes import buffers_for, lifetimes_for
from linqi_tune.model.measurements import (
    REFERENCE_COSTS,
    CurrentSettings,
    Measurements,
    ServerMeasurements,
    Targets,
    Visitors,
)
from linqi_tune.model.options import advise
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.report.tables import option_table, refresh_texts
from simulated import clicks_and_reads, exponential


def visitors(mean: float = 30.0, count: int = 12_000, sessions: int = 5_000) -> Visitors:
    """Return visitors whose pages are a Poisson process, as 40 groups of sessions."""
    rng = random.Random(3)
    draw = exponential(mean)
    groups = [GapDistribution([draw(rng) for _ in range(count // 40)]) for _ in range(40)]
    return Visitors(
        groups=groups,
        parallel=[(1.0, 0.8), (4.0, 0.2)],
        sessions=sessions,
        source="a storm",
    )


def readers(sessions: int = 5_000) -> Visitors:
    """Return visitors who click, read and go away."""
    rng = random.Random(4)
    groups = [GapDistribution([clicks_and_reads(rng) for _ in range(150)]) for _ in range(40)]
    return Visitors(groups=groups, sessions=sessions, source="a storm")


def people(count: int = 60, days: int = 4, seed: int = 5) -> Histories:
    """Return persons who use a service for some hours a day, with breaks of up to two hours."""
    rng = random.Random(seed)
    pages = []
    for _ in range(count):
        own = array("d")
        for day in range(days):
            at = day * 86_400 + 32_400 + rng.random() * 3_600
            end = at + rng.uniform(3_600, 21_600)
            while at < end:
                own.append(at)
                at += rng.uniform(600, 7_200) if rng.random() < 0.03 else rng.expovariate(1 / 90)
        pages.append(own)
    return Histories(pages=pages, seconds=days * 86_400.0, persons=count)


BAD = CurrentSettings(
    lifetime=900, buffer=60, policy="plain", algorithm="RS256", cache_entries=100, off_loop=False
)
SERVED = ServerMeasurements(
    request_seconds=0.0003,
    p99=0.02,
    p999=0.05,
    hit_ratio=None,
    storm_factor=10.0,
    window=30.0,
    policy="plain",
    algorithm="RS256",
    workers=1,
    lost=0.1,
    cycles=1_000,
    compression=1,
)
WELL_KNOWN = Measurements(visitors=visitors(), current=BAD)


@pytest.fixture(scope="module")
def advice() -> Advice:
    """Return the advice on a bad configuration."""
    return advise(WELL_KNOWN)


def codes(found: Advice) -> set[str]:
    """Return the codes of the contradictions of balanced."""
    return {one.code for one in found.option("balanced").contradictions}


def forced(found: Advice, name: str = "balanced") -> ForcedSignIns:
    """Return the sign-ins that an option forces."""
    sign_ins = found.option(name).outcome.sign_ins
    assert sign_ins is not None
    return sign_ins


def test_a_bad_configuration_is_improved(advice: Advice) -> None:
    """The advice is the grid, few forced sign-ins, RS256 in threads, a large cache."""
    plan, outcome = advice.option("balanced").plan, advice.option("balanced").outcome
    assert advice.outcome.storm_factor > 10
    assert outcome.storm_factor < 1.5
    assert plan.policy == "grid"
    assert plan.off_loop
    assert 60 < plan.buffer < plan.lifetime / 2
    assert advice.outcome.sign_ins is not None
    assert forced(advice).total.value < advice.outcome.sign_ins.total.value / 50
    assert outcome.hit_ratio > 0.95 > 0.5 > advice.outcome.hit_ratio
    assert codes(advice) == set()


def test_each_setting_has_all_that_was_asked_for(advice: Advice) -> None:
    """A recommendation has one sentence of reason, inputs, and what would change it."""
    for option in advice.options:
        keys = [(one.table, one.key) for one in option.recommendations]
        assert len(keys) == len(set(keys))
        for one in option.recommendations:
            assert one.reason.endswith(".")
            assert one.inputs
            assert one.would_change
            if one.interval:
                assert one.interval_of
                assert one.interval.contains(one.interval.value)


def test_no_option_is_better_than_another_in_everything() -> None:
    """Safer has the shortest token life, balanced the fewest sign-ins, leaner the least work."""
    found = advise(BUSY)
    safer, balanced, leaner = found.options
    assert [option.name for option in found.options] == ["safer", "balanced", "leaner"]
    assert safer.plan.lifetime < balanced.plan.lifetime
    assert forced(found).total.value < forced(found, "safer").total.value
    assert forced(found).total.value < forced(found, "leaner").total.value
    rates = [option.outcome.renewals_per_second for option in found.options]
    assert min(rates) == rates[2]
    assert safer.plan.cache_entries > leaner.plan.cache_entries
    assert safer.plan.workers > balanced.plan.workers


@pytest.mark.parametrize(
    ("change", "key", "rises"),
    [
        ({"max_sign_ins": 2.0}, "buffer_seconds", False),
        ({"sessions": 50_000}, "max_entries", True),
        ({"sessions": 50_000}, "renewals_per_second", True),
        ({"memory_mb": 1.0}, "max_entries", False),
        ({"peak_rps": 20_000.0}, "workers", True),
        ({"session_cap": 3_600.0}, "max_session_seconds", False),
        ({"most_lifetime": 600.0}, "lifetime_seconds", False),
    ],
)
def test_a_target_moves_its_setting(
    advice: Advice, change: dict[str, float], key: str, rises: bool
) -> None:
    """Every target changes its setting in the right direction."""

    def value(of: Advice) -> float:
        found = next(r for r in of.option("balanced").recommendations if r.key == key)
        return float(found.value)

    other = advise(replace(WELL_KNOWN, targets=replace(WELL_KNOWN.targets, **change)))
    assert (value(other) > value(advice)) == rises
    assert value(other) != value(advice)


BUSY = Measurements(
    visitors=replace(readers(sessions=500), source="a log"), histories=people(), current=BAD
)


def test_the_fewest_sign_ins_win_over_the_buffer_alone() -> None:
    """Breaks of an hour force sign-ins with any buffer: a longer lifetime saves them."""
    found = advise(BUSY)
    plan = found.option("balanced").plan
    assert plan.lifetime > 3_000
    assert plan.buffer > 1_000
    assert found.outcome.sign_ins is not None
    assert forced(found).total.value < 0.7 * found.outcome.sign_ins.total.value
    parts = forced(found)
    assert parts.savable + parts.beyond + parts.capped == pytest.approx(parts.total.value)


def test_a_log_that_loses_nearly_all_its_renewals_meets_no_target_by_a_short_buffer() -> None:
    """Pauses longer than every lifetime are counted, so the target is missed, and said so."""
    pages = [array("d", [day * 43_200.0 + n for day in range(8)]) for n in range(200)]
    away = Histories(pages=pages, seconds=8 * 43_200.0, persons=200)
    targets = Targets(max_sign_ins=0.01)
    found = advise(replace(BUSY, histories=away, targets=targets))
    (missed,) = (one for one in found.option("balanced").contradictions if one.code == "sign-ins")
    assert forced(found).beyond > 1
    assert "longer than the lifetime" in missed.what
    assert "refresh tokens" in missed.what
    assert found.refreshed is not None
    assert found.refreshed.saved > 0.9


def test_a_target_that_no_lifetime_meets_names_what_to_relax() -> None:
    """The target itself can be relaxed, and the bound on the lifetime; the smaller change first."""
    targets = Targets(max_sign_ins=forced(advise(BUSY)).total.high * 1.05, most_lifetime=900)
    found = advise(replace(BUSY, targets=targets))
    (missed,) = (one for one in found.option("balanced").contradictions if one.code == "sign-ins")
    assert {way.target for way in missed.ways} >= {
        "--max-lifetime-seconds",
        "--max-sign-ins-per-day",
    }
    assert missed.cheapest is not None
    assert missed.cheapest.factor == min(way.factor for way in missed.ways)
    eased = next(way for way in missed.ways if way.target == "--max-lifetime-seconds").eased
    enough = advise(replace(BUSY, targets=replace(targets, most_lifetime=eased)))
    assert "sign-ins" not in codes(enough)


def test_a_target_is_met_by_the_shortest_lifetime() -> None:
    """A looser target needs a shorter lifetime, and its interval lies below it."""
    fewest = forced(advise(BUSY)).total
    loose = advise(replace(BUSY, targets=Targets(max_sign_ins=fewest.high * 1.4)))
    assert loose.option("balanced").plan.lifetime < advise(BUSY).option("balanced").plan.lifetime
    assert forced(loose).total.high <= fewest.high * 1.4
    assert codes(loose) == set()


def test_the_end_of_sessions_is_a_cause_with_a_remedy_of_its_own() -> None:
    """Where a session cap forces the sign-ins, a longer session is one of the ways."""
    targets = Targets(session_cap=3_600.0, max_sign_ins=2.2)
    found = advise(replace(BUSY, targets=targets))
    assert forced(found).capped > 0.1
    (missed,) = (one for one in found.option("balanced").contradictions if one.code == "sign-ins")
    assert "at the end of a session" in missed.what
    assert "--session-cap-seconds" in {way.target for way in missed.ways}


def test_a_longer_lifetime_must_save_sign_ins() -> None:
    """Without a forced sign-in in the log, stolen tokens are not valid for longer."""
    own = [array("d", [n * 60.0 for n in range(400)]) for _ in range(50)]
    few = Histories(pages=own, seconds=24_000.0, persons=50)
    found = advise(replace(BUSY, histories=few))
    assert found.option("balanced").plan.lifetime == 900
    for n in range(20):
        own[n] = array("d", [at for at in own[n] if not 10_000 < at < 11_200])
    assert advise(replace(BUSY, histories=few)).option("balanced").plan.lifetime > 900


def test_refresh_tokens_are_costed_where_they_save_most_sign_ins() -> None:
    """They outlive every pause up to idle; each refresh is a write to the store."""
    found = advise(BUSY)
    assert found.refreshed is not None
    assert found.refreshed.is_notable
    assert found.refreshed.plan.lifetime == 900
    assert found.refreshed.store_writes == found.refreshed.outcome.renewals_per_second > 0
    assert found.refreshed.idle == 604_800
    text = " ".join(refresh_texts(found, found.option("balanced")))
    for word in ("refreshes per", "write to the store", "Revocations", "7 days"):
        assert word in text
    assert "refresh tokens" in option_table(found, "balanced")[0]
    none = advise(WELL_KNOWN)
    assert none.refreshed is not None
    assert not none.refreshed.is_notable
    assert "refresh tokens" not in option_table(none, "balanced")[0]
    assert list(refresh_texts(none, none.option("balanced"))) == []


def test_policies_are_compared_in_sign_ins_and_storm_factors() -> None:
    """The operator sees what the grid costs in sign-ins, and what it saves in a storm."""
    trades = {one.policy: one for one in advise(BUSY).policies}
    assert set(trades) == {"plain", "grid", "jitter"}
    plain, grid = trades["plain"], trades["grid"]
    assert plain.storm_factor > 3 * grid.storm_factor
    assert plain.sign_ins is not None
    assert grid.sign_ins is not None
    assert grid.sign_ins.value == pytest.approx(plain.sign_ins.value, rel=0.15)


def test_little_evidence_is_a_contradiction_of_its_own() -> None:
    """Twelve days of a person cannot show one forced sign-in in a thousand days."""
    targets = Targets(max_sign_ins=1e-3)
    found = advise(Measurements(visitors=visitors(count=4_000), current=BAD, targets=targets))
    (one,) = found.option("balanced").contradictions
    assert one.code == "evidence"
    assert one.cheapest is not None
    assert one.cheapest.eased > 0.1
    assert "days of a person" in one.what


def test_memory_workers_and_revocation_can_contradict() -> None:
    """Each contradiction names a target, and a value at which it is resolved."""
    targets = Targets(memory_mb=0.5, workers=1, peak_rps=10_000, revocation=30.0, cpu_share=0.5)
    found = advise(replace(WELL_KNOWN, targets=targets))
    assert {"memory", "workers"} <= codes(found)
    for one in found.option("balanced").contradictions:
        assert one.cheapest is not None
        assert one.what.endswith(".")
    eased = (
        next(one for one in found.option("balanced").contradictions if one.code == "memory")
        .ways[0]
        .eased
    )
    enough = advise(replace(WELL_KNOWN, targets=replace(targets, memory_mb=eased * 1.01)))
    assert "memory" not in codes(enough)
    workers = next(
        w
        for one in found.option("balanced").contradictions
        for w in one.ways
        if w.target == "--workers"
    )
    enough = advise(replace(WELL_KNOWN, targets=replace(targets, workers=int(workers.eased))))
    assert "workers" not in codes(enough)


def test_a_bound_on_revocation_without_a_store_is_a_bound_on_the_lifetime() -> None:
    """Without a store a revoked token is accepted until it expires, so it must expire in time."""
    tight = replace(WELL_KNOWN.targets, revocation=300.0)
    found = advise(replace(WELL_KNOWN, targets=tight))
    assert found.option("balanced").plan.lifetime == 300
    stored = replace(WELL_KNOWN, current=replace(BAD, has_store=True), targets=tight)
    found = advise(stored)
    assert found.option("balanced").plan.lifetime == 900
    changes = found.option("balanced").changes()
    assert changes["store"]["stale_after_seconds"] == 300
    assert {"sessions", "client"} <= set(changes)


def test_outside_issuers_get_their_times() -> None:
    """The key set's lifetime follows from the overlap of the issuer's keys."""
    measurements = replace(
        WELL_KNOWN,
        current=replace(BAD, has_issuers=True),
        targets=replace(WELL_KNOWN.targets, published_ahead=300.0),
    )
    changes = advise(measurements).option("balanced").changes()
    assert changes["jwks"]["lifetime_seconds"] == 362
    assert 0.8 * 362 + 10 <= 300
    assert "jwks" not in advise(WELL_KNOWN).option("balanced").changes()


def test_without_evidence_lifetime_and_buffer_stay() -> None:
    """Without measurements nothing changes, and the notes say what to provide."""
    found = advise(Measurements(current=replace(BAD, policy="grid")))
    plan = found.option("balanced").plan
    assert (plan.lifetime, plan.buffer) == (900, 60)
    assert found.outcome.sign_ins is None
    assert any("access log" in note for note in found.notes)


def test_a_storm_of_costly_signatures_without_memo_is_named() -> None:
    """The advice on the algorithm says what would happen without a memo."""
    costs = replace(REFERENCE_COSTS, sign={**REFERENCE_COSTS.sign, "RS256": 20_000.0})
    served = replace(SERVED, hit_ratio=0.9, workers=2)
    measurements = replace(
        WELL_KNOWN,
        costs=costs,
        served=served,
        targets=replace(WELL_KNOWN.targets, workers=2, timeout=0.5),
    )
    found = advise(measurements)
    algorithm = next(r for r in found.option("balanced").recommendations if r.key == "algorithm")
    assert algorithm.value in ("ES256", "EdDSA")
    assert "collapse" in algorithm.reason
    assert not algorithm.is_written


def test_a_request_costs_what_the_storm_showed() -> None:
    """The application's part comes from the storm, the middleware's part is predicted."""
    served = replace(SERVED, request_seconds=0.0004)
    predictor = Predictor(replace(WELL_KNOWN, served=served))
    assert predictor.outcome(predictor.current_plan()).request_seconds == pytest.approx(0.0004)


def test_buffers_and_lifetimes_are_what_the_middleware_takes() -> None:
    """Every buffer is under half its lifetime, and the current lifetime comes first."""
    for lifetime in (1.0, 15.0, 900.0, 3_600.0):
        assert all(0 < buffer < lifetime / 2 for buffer in buffers_for(lifetime))
    assert lifetimes_for(900, 3_600)[0] == 900
    assert lifetimes_for(900, 300) == [300]
    assert lifetimes_for(900, 1_000) == [900, 1_000]


DUAL = CurrentSettings(
    lifetime=900, buffer=60, policy="plain", algorithm="ES256", has_store=True, slides=False
)


def test_refresh_tokens_lose_no_session_and_their_buffer_outlasts_an_outage() -> None:
    """Pauses have no effect; a token due when an outage begins expires after its end."""
    for outage, buffer in ((120.0, 120.0), (200.0, 210.0), (10.0, 10.0)):
        found = advise(
            Measurements(visitors=readers(), current=DUAL, targets=Targets(outage=outage))
        )
        balanced = found.option("balanced")
        assert balanced.plan.buffer == buffer
        assert balanced.plan.policy == "grid"
        assert balanced.plan.lifetime == 900
        assert forced(found).total.value == 0
        assert found.option("safer").plan.buffer >= 2 * outage
        assert codes(found) == set()


def test_an_outage_beyond_half_a_lifetime_is_a_contradiction() -> None:
    """The contradiction names the longest outage that a buffer outlasts."""
    found = advise(Measurements(visitors=readers(), current=DUAL, targets=Targets(outage=1_000.0)))
    assert codes(found) == {"outage"}
    way = found.option("balanced").contradictions[0].cheapest
    assert way is not None
    assert way.target == "--outage-seconds"
    assert way.eased == found.option("balanced").plan.buffer == 441


def test_what_only_sliding_sessions_have_is_not_advised_for_refreshed_ones() -> None:
    """There is no budget and no signing in threads; the store decides the session's end."""
    targets = Targets(session_cap=86_400.0)
    found = advise(Measurements(visitors=visitors(), current=DUAL, targets=targets))
    keys = {(one.table, one.key): one for one in found.option("balanced").recommendations}
    assert not {table for table, _ in keys} & {"budget", "signing"}
    assert ("renewal", "max_session_seconds") not in keys
    assert keys[("sessions", "absolute_seconds")].value == 86_400
    assert keys[("sessions", "idle_seconds")].value == 86_400
    assert keys[("client", "advisory_seconds")].value == found.option("balanced").plan.buffer


def test_without_a_session_count_nothing_that_depends_on_it_is_advised() -> None:
    """Cache, budget and workers stay as they are, and a note says what is missing."""
    found = advise(Measurements(current=BAD))
    balanced = found.option("balanced")
    assert balanced.plan.cache_entries == BAD.cache_entries
    assert balanced.plan.budget is None
    tables = {one.table for one in balanced.recommendations}
    assert not tables & {"cache", "budget", ""}
    assert any("--sessions" in note for note in found.notes)
    told = advise(Measurements(current=BAD, targets=Targets(sessions=9_000)))
    assert told.option("balanced").plan.cache_entries > 9_000
    assert any("mean pause" in note for note in told.notes)


def test_the_reason_of_a_buffer_says_how_it_compares_with_the_target() -> None:
    """It names the target as it was given, and where the evidence ends."""

    def reason(measurements: Measurements) -> str:
        advised = advise(measurements).option("balanced").recommendations
        return next(one.reason for one in advised if one.key == "buffer_seconds")

    few = Visitors(groups=[GapDistribution([20.0] * 400)], sessions=50)
    strict = Measurements(visitors=few, current=BAD, targets=Targets(max_sign_ins=1e-4))
    assert "at most the target of 0.0001 as far as" in reason(strict)
    assert "target" not in reason(WELL_KNOWN)
    fewest = forced(advise(BUSY)).total.high
    met = replace(BUSY, targets=Targets(max_sign_ins=round(fewest, 2) + 1))
    assert "at most the target of" in reason(met)
    missed = replace(BUSY, targets=Targets(max_sign_ins=1e-3))
    assert "more than the target of 0.001" in reason(missed)


def test_a_buffer_outlasts_the_outage_in_which_no_session_may_be_lost() -> None:
    """Visits every 2 s need no long buffer, but an outage does."""
    quick = visitors(mean=2.0)
    for outage, buffer in ((5.0, 20.0), (200.0, 210.0)):
        targets = Targets(outage=outage)
        found = advise(Measurements(visitors=quick, current=BAD, targets=targets))
        assert found.option("balanced").plan.buffer <= buffer
        assert found.option("balanced").plan.buffer >= outage
        assert "outage" not in codes(found)
    far = advise(
        Measurements(
            visitors=quick, current=BAD, targets=Targets(outage=2_000.0, most_lifetime=900)
        )
    )
    assert "outage" in codes(far)


def test_a_contradiction_names_the_target_that_binds() -> None:
    """Where the bound on revocation limits the lifetime, it is the target to relax."""
    targets = Targets(max_sign_ins=2.0, revocation=100.0)
    found = advise(Measurements(visitors=visitors(), current=BAD, targets=targets))
    ways = {way.target for one in found.option("balanced").contradictions for way in one.ways}
    assert "--revocation-seconds" in ways
    assert "--max-lifetime-seconds" not in ways


def test_work_without_end_has_no_timeout_that_would_be_long_enough() -> None:
    """No infinite value is suggested."""
    targets = Targets(workers=1, peak_rps=1e6)
    found = advise(Measurements(visitors=visitors(), current=BAD, targets=targets))
    assert {"workers", "backlog"} <= codes(found)
    assert all(
        way.eased < 1e9 for one in found.option("balanced").contradictions for way in one.ways
    )


def test_a_log_of_few_sessions_leads_to_no_budget_that_loses_others() -> None:
    """The budget and the cache of a process have a lower bound."""
    one = Visitors(groups=[GapDistribution([30.0] * 500)], sessions=1)
    found = advise(Measurements(visitors=one, current=BAD))
    plan = found.option("balanced").plan
    assert (plan.budget or 0) / plan.workers >= 10
    assert plan.cache_entries >= 1_000
    assert any("--log-session" in note for note in found.notes)


def test_the_cache_stays_within_the_memory_that_is_allowed() -> None:
    """Entries are rounded down to the allowed memory."""
    for memory in (0.05, 0.5, 3.0):
        targets = Targets(memory_mb=memory)
        found = advise(Measurements(visitors=visitors(), current=BAD, targets=targets))
        entries = found.option("balanced").plan.cache_entries
        assert 1 <= entries * REFERENCE_COSTS.entry_bytes <= memory * 1e6


def test_targets_that_cannot_be_are_all_named_at_once() -> None:
    """One error names every option out of its range; NaN is out of every range."""
    with pytest.raises(ConfigurationError) as caught:
        Targets(max_sign_ins=0.0, cpu_share=0.0, sessions=-1, peak_rps=float("nan"), outage=-1.0)
    for name in (
        "--max-sign-ins-per-day",
        "--cpu-share",
        "--sessions",
        "--peak-rps",
        "--outage-seconds",
    ):
        assert name in str(caught.value)


def test_lags_alone_choose_a_buffer() -> None:
    """Without gaps the share of lags above a buffer decides, and a note says what a day is."""
    lags = LagCounts(
        bounds=(30.0, 60.0, 120.0, 240.0, 300.0, 900.0),
        counts=(80_000.0, 97_000.0, 99_500.0, 99_990.0, 99_999.0, 100_000.0),
        total=100_000.0,
    )
    measurements = Measurements(
        lags=lags, lags_source="metrics", current=BAD, targets=Targets(max_sign_ins=0.5)
    )
    found = advise(measurements)
    assert 120 <= found.option("balanced").plan.buffer < 441
    assert forced(found).total.high <= 0.5
    assert any("renewal lags" in note for note in found.notes)
    assert any("6 hours of use" in note for note in found.notes)


@pytest.mark.parametrize("target", [None, 20.0])
@pytest.mark.parametrize("seconds", [0.0, 3_600.0])
def test_a_log_that_is_too_short_shortens_no_buffer(seconds: float, target: float | None) -> None:
    """An hour of a few persons without a pause of minutes says nothing of their pauses."""
    pages = [array("d", [n * 60.0 for n in range(int(seconds // 60) + 1)]) for _ in range(3)]
    found = advise(
        Measurements(
            histories=Histories(pages=pages, seconds=seconds, persons=3),
            current=CurrentSettings(lifetime=900, buffer=420, policy="grid"),
            targets=Targets(max_sign_ins=target),
        )
    )
    shares = [one.plan.buffer / one.plan.lifetime for one in found.options]
    assert min(shares) >= 420 / 900


def test_no_policy_is_flatter_than_the_steady_rate() -> None:
    """Sessions that hardly ever return renew less often; a factor stays at least 1."""
    rare = Visitors(groups=[GapDistribution([5.0] * 5 + [40_000.0] * 5)] * 8, sessions=25)
    predictor = Predictor(Measurements(visitors=rare, current=BAD))
    plan = predictor.current_plan()
    factors = [
        predictor.storm_factor(replace(plan, policy="jitter", jitter_width=width))
        for width in (0.05, 0.25, 1.0)
    ]
    assert min(*factors, predictor.plain_factor(plan)) >= 1


def test_a_target_that_no_configuration_can_hold_is_refused() -> None:
    """A lifetime above a day is no setting of linqi, so it is no advice either."""
    with pytest.raises(ConfigurationError, match="--max-lifetime-seconds is 200000"):
        Targets(most_lifetime=200_000)
    with pytest.raises(ConfigurationError, match="--session-cap-seconds"):
        Targets(session_cap=1e12)

"""Forced sign-ins, against a replay that plays one request after the other."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.lag_counts import LagCounts
from linqi_tune.model.measurements import CurrentSettings, Measurements, Visitors
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.model.replay import LongPauses, replay, replay_tokens
from linqi_tune.model.session_rule import SessionRule
from linqi_tune.model.sign_in_sources import (
    USE_SECONDS,
    LagSignIns,
    PauseSignIns,
    drawn_pages,
    sign_in_source,
)
from linqi_tune.model.sign_ins import SignInModel
from replayed import Settings, days_in_use, play_log
from simulated import clicks_and_reads, exponential

GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
PAUSES = st.lists(st.integers(1, 3_000), min_size=0, max_size=60)


def pages_of(pauses: Sequence[float], start: float = 0.0) -> array[float]:
    """Return the instants of a person who pauses so."""
    at, found = start, array("d", [start])
    for pause in pauses:
        at += pause
        found.append(at)
    return found


def visits(count: int, seconds: float, seed: int, away: float = 30_000.0) -> list[array[float]]:
    """Return persons who visit, click, read, leave, and perhaps return."""
    rng = random.Random(seed)
    persons = []
    for _ in range(count):
        at, found = rng.random() * seconds, array("d")
        while at < seconds:
            end = at + rng.expovariate(1 / 1_800)
            while at < min(end, seconds):
                found.append(at)
                at += 1 + clicks_and_reads(rng)
            at += rng.expovariate(1 / away)
        if found:
            persons.append(found)
    return persons


def played(pages: Sequence[array[float]], rule: SessionRule) -> set[tuple[int, float]]:
    """Return the forced sign-ins of the independent replay, with the model's phases and ends."""
    plain = Settings(
        lifetime=rule.lifetime, buffer=rule.buffer, policy=rule.policy, width=rule.jitter_width
    )
    found = play_log(
        pages,
        plain,
        phase_of=lambda n: (n * GOLDEN) % 1.0,
        length_of=lambda n: rule.session_length((n * PLASTIC) % 1.0),
    )
    return set(found.forced)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(PAUSES, min_size=1, max_size=4),
    st.integers(60, 2_000),
    st.floats(0.02, 0.49),
    st.sampled_from(["grid", "plain"]),
    st.sampled_from([math.inf, 4_000.25]),
)
def test_the_replay_forces_the_sign_ins_of_the_rule(
    pauses: list[list[int]], lifetime: int, share: float, policy: str, longest: float
) -> None:
    """The quick replay, the one by tokens and the one by requests agree on every sign-in."""
    rule = SessionRule(
        lifetime=lifetime + 0.5,  # no request falls on the very instant, where rounding decides
        buffer=int(lifetime * share) + 0.25,
        policy=policy,  # type: ignore[arg-type]
        max_session=longest,
    )
    pages = [pages_of(one, 100.0 * n) for n, one in enumerate(pauses)]
    quick = replay(LongPauses(pages).above(rule.buffer), rule)
    by_tokens, _ = replay_tokens(pages, rule)
    assert quick == by_tokens
    assert {(one.person, one.at) for one in quick} == played(pages, rule)


def test_jitter_forces_as_many_as_the_rule() -> None:
    """The cuts are drawn, so only the numbers of sign-ins and renewals agree, within 3 %."""
    pages = visits(1_000, 86_400, 1)
    rule = SessionRule(lifetime=900, buffer=120, policy="jitter", jitter_width=0.6)
    found, renewals = replay_tokens(pages, rule)
    other = play_log(pages, Settings(900, 120, "jitter", 0.6, 28_800))
    assert len(found) == pytest.approx(len(other.forced), rel=0.03)
    assert renewals == pytest.approx(other.renewals, rel=0.03)


@pytest.mark.parametrize("policy", ["grid", "plain"])
def test_renewals_are_counted_as_the_rule_makes_them(policy: str) -> None:
    """The number of successors is the cost of a rule."""
    pages = visits(300, 86_400, 2)
    rule = SessionRule(lifetime=900, buffer=300, policy=policy)  # type: ignore[arg-type]
    _, renewals = replay_tokens(pages, rule)
    other = play_log(
        pages,
        Settings(900, 300, policy),
        phase_of=lambda n: (n * GOLDEN) % 1.0,
        length_of=lambda n: rule.session_length((n * PLASTIC) % 1.0),
    )
    assert renewals == other.renewals


def test_each_sign_in_has_the_cause_that_could_have_saved_it() -> None:
    """A longer buffer, a longer lifetime or a longer session would have saved it."""
    rule = SessionRule(lifetime=900, buffer=100, policy="plain", max_session=10_000, cap_spread=0)
    pages = [
        pages_of([700, 500]),  # due at 800: away from 700 to 1200, when it had expired at 900
        pages_of([10, 900]),
        pages_of([60.0] * 200),
    ]
    found, _ = replay_tokens(pages, rule)
    assert [(one.person, one.cause) for one in found] == [
        (0, "savable"),
        (1, "beyond"),
        (2, "capped"),
    ]


def test_a_person_day_does_not_depend_on_when_days_begin() -> None:
    """One visit is one person-day, and a visit every noon for a week is one a day."""
    once = Histories(pages=[pages_of([60.0] * 10, 4e5)] * 5, seconds=7 * 86_400.0, persons=5)
    assert SignInModel(once).person_days == pytest.approx(5, abs=0.05)
    daily = Histories(pages=[pages_of([86_400.0] * 6, 40_000)], seconds=7 * 86_400.0, persons=1)
    model = SignInModel(daily)
    assert model.person_days == pytest.approx(7, rel=0.01)
    assert model.rate(SessionRule(lifetime=900, buffer=300)) == pytest.approx(1, rel=0.01)


@cache
def _a_week() -> list[array[float]]:
    return visits(500, 7 * 86_400, 3, away=10_000)


@pytest.mark.parametrize("hours", [12, 24, 48])
def test_short_logs_predict_what_a_long_log_holds(hours: int) -> None:
    """Persons who leave near the end of a short log do not bias the figure."""
    whole = _a_week()
    start = 4 * 86_400.0
    part = [
        array("d", [at - start for at in one if start <= at < start + hours * 3_600.0])
        for one in whole
    ]
    short = SignInModel(
        Histories(
            pages=[one for one in part if one],
            seconds=hours * 3_600.0,
            persons=sum(1 for one in part if one),
        )
    )
    rule = SessionRule(lifetime=3_600, buffer=900)
    later = [one for one in played(whole, rule) if one[1] >= start]
    truth = len(later) / days_in_use(whole, start)
    assert short.rate(rule) == pytest.approx(truth, rel=0.15)
    assert short.figure(rule).total.contains(truth)


def test_a_log_of_few_lifetimes_has_a_wide_interval() -> None:
    """A log below 10 lifetimes is told, and its interval extends to that of a shorter lifetime."""
    pages = visits(200, 50 * 3_600, 4)
    model = SignInModel(Histories(pages=pages, seconds=50 * 3_600.0, persons=len(pages)))
    short = model.figure(SessionRule(lifetime=900, buffer=300))
    long = model.figure(SessionRule(lifetime=21_600, buffer=7_200))
    assert short.is_resolved
    assert not long.is_resolved
    at_a_tenth = model.figure(SessionRule(lifetime=18_000, buffer=6_000))
    assert long.total.high >= at_a_tenth.total.high


def test_a_log_of_one_instant_predicts_nothing() -> None:
    """One request has no pause, and its interval says that nothing is known."""
    model = SignInModel(Histories(pages=[array("d", [0.0])], seconds=0.0, persons=1))
    found = model.figure(SessionRule(lifetime=900, buffer=300))
    assert (found.total.value, found.is_resolved) == (0.0, False)
    assert found.total.high > 1
    assert model.rate(SessionRule(lifetime=900, buffer=300)) == 0


def test_the_causes_add_up_to_the_figure() -> None:
    """Savable, beyond and capped are parts of the figure."""
    pages = visits(500, 2 * 86_400, 5)
    found = SignInModel(Histories(pages=pages, seconds=172_800.0, persons=500)).figure(
        SessionRule(lifetime=1_800, buffer=600, max_session=3_600)
    )
    assert found.savable + found.beyond + found.capped == pytest.approx(found.total.value)
    assert min(found.savable, found.beyond, found.capped) > 0


def test_refresh_tokens_outlive_the_pauses() -> None:
    """Sessions with refresh tokens end only after a pause of `idle`, or at their absolute end."""
    pages = visits(300, 10 * 86_400, 6)
    model = SignInModel(Histories(pages=pages, seconds=864_000.0, persons=300))
    dual = CurrentSettings(slides=False, idle=7 * 86_400, absolute=30 * 86_400)
    plan = SettingsPlan(lifetime=900, buffer=300)
    sliding = model.rate(plan.session_rule(CurrentSettings()))
    refresh = replace(plan, max_session=dual.absolute)
    refreshed = model.rate(refresh.session_rule(dual))
    assert refreshed < sliding / 20
    brief = CurrentSettings(slides=False, idle=900, absolute=30 * 86_400)
    assert model.rate(refresh.session_rule(brief)) == pytest.approx(sliding, rel=0.25)


@pytest.mark.parametrize("policy", ["grid", "plain"])
def test_pauses_of_a_storm_predict_a_day_of_use(policy: str) -> None:
    """Without histories, sessions are drawn from the pauses: within 10 % of a simulation."""
    rng = random.Random(7)
    gaps = GapDistribution([clicks_and_reads(rng) for _ in range(30_000)])
    rule = SessionRule(lifetime=900, buffer=300, policy=policy)  # type: ignore[arg-type]
    source = sign_in_source(Measurements(visitors=Visitors(groups=[gaps])))
    assert isinstance(source, PauseSignIns)
    sessions = []
    for _ in range(300):
        pauses, left = [], USE_SECONDS
        while left > 0:
            pauses.append(clicks_and_reads(rng))
            left -= pauses[-1]
        sessions.append(pages_of(pauses[:-1]))
    truth = len(play_log(sessions, Settings(900, 300, policy, longest=28_800)).forced) / 300
    assert source.figure(rule).total.value == pytest.approx(truth, rel=0.1)
    assert source.rate(rule) == pytest.approx(truth, rel=0.1)


def test_lags_predict_a_day_of_use_at_the_period_they_were_measured_at() -> None:
    """From lags alone the figure is within 20 %, and no source is offered without evidence."""
    pages = drawn_pages(_law(exponential(60)), USE_SECONDS, sessions=300)
    rule = SessionRule(lifetime=900, buffer=90, policy="grid")
    bounds = [10.0 * n for n in range(1, 60)]
    lags = LagCounts(  # of a Poisson process
        bounds=tuple(bounds),
        counts=tuple(-1_000 * math.expm1(-bound / 60) for bound in bounds),
        total=1_000,
    )
    source = LagSignIns(lags)
    truth = len(replay_tokens(pages, rule)[0]) / 300
    assert source.rate(rule) == pytest.approx(truth, rel=0.1)
    assert source.figure(rule).total.value == pytest.approx(source.rate(rule))
    assert source.figure(rule).total.contains(truth)
    assert sign_in_source(Measurements()) is None
    assert isinstance(sign_in_source(Measurements(lags=lags)), LagSignIns)


def _law(draw) -> GapDistribution:  # type: ignore[no-untyped-def]
    rng = random.Random(8)
    return GapDistribution([draw(rng) for _ in range(20_000)])


def test_settings_are_searched_among_persons_drawn_at_random() -> None:
    """A log is ordered by first requests, so those who come often are at its beginning."""
    day = 86_400.0
    busy = [array("d", [n * 1.5 for n in range(450_000)])]
    others = [array("d", [n * 900.0 + 7 * day * k / 400 for n in range(3)]) for k in range(300)]
    model = SignInModel(Histories(pages=busy + others, seconds=8 * day, persons=301))
    rule = SessionRule(lifetime=900, buffer=300, policy="plain", max_session=day)
    whole = model.figure(rule).total.value
    assert model.rate(rule) == pytest.approx(whole, rel=0.3)

"""The grid against other renewal rules: what each costs its users, and whether it storms.

The tables of the guide come from ``make simulations``, with 6,000 sessions; here are 1,000.
"""

import random
from functools import cache

import pytest

from linqi import Grid, Threshold
from renewal_rules import LIFETIME, RULES, Course, Deploy, play, play_judges, settings_of
from simulated import fullest_window

SESSIONS = 1000
PERIOD = 600.0


@cache
def hour(rule: str) -> Course:
    """Play an hour after a synchronous sign-in, with clicks, reads and long pauses."""
    return play(settings_of(RULES[rule]), sessions=SESSIONS)


def chance() -> float:
    """Return the storm factor of one renewal for each session at random instants: 99th of 100."""
    rng = random.Random(1)
    found = []
    for _ in range(100):
        instants = sorted(rng.random() * PERIOD for _ in range(SESSIONS))
        found.append(fullest_window(instants, PERIOD / 20) / 30 / (SESSIONS / PERIOD))
    return sorted(found)[98]


def test_the_grid_forces_hardly_more_sign_ins_than_plain() -> None:
    """With a whole first lifetime at most 4 % more; with a first token that is cut over 15 %."""
    plain, grid, cut = (
        len(hour(rule).forced) for rule in ("plain", "grid", "grid, first token cut")
    )
    assert grid <= 1.04 * plain
    assert cut >= 1.15 * plain


def test_what_no_rule_can_avoid_is_the_same_for_each() -> None:
    """Pauses of a lifetime or more end a session under every rule: all saw the same visits."""
    assert {rule: hour(rule).unavoidable for rule in ("plain", "grid, first token cut")} == (
        dict.fromkeys(("plain", "grid, first token cut"), hour("grid").unavoidable)
    )
    assert 0 < hour("grid").unavoidable < len(hour("grid").forced)


def test_the_storm_factor_of_the_grid_is_at_chance_in_every_cycle() -> None:
    """No window of a cycle has more renewals than sessions spread at random would make.

    Plain storms in the first cycle, and jitter too.
    """
    most = chance()
    assert 1.4 < most < 1.7
    factors = {
        rule: hour(rule).factors(SESSIONS, 0, 3600, PERIOD)
        for rule in ("grid", "plain", "jitter 10 %")
    }
    assert max(factors["grid"]) <= most
    assert factors["plain"][1] > 4
    assert factors["jitter 10 %"][0] > 2


def test_only_rules_that_look_at_now_let_workers_disagree() -> None:
    """On the grid and with jitter a request 0.05 s later gets the same successor, every time.

    A successor from now would save more sign-ins than the grid does, and two workers would make
    two successors for one page in one of twenty renewals.
    """
    for rule in ("grid", "jitter 10 %", "grid, first token cut"):
        assert hour(rule).straddled == 0
    from_now = hour("grid, successor from now")
    assert len(from_now.forced) < 0.9 * len(hour("grid").forced)
    for course in (hour("plain"), from_now):
        assert course.straddled > 0.03 * len(course.renewals)


@pytest.mark.parametrize(("policy", "low", "high"), [(Grid(), 0.9, 1.7), (Threshold(), 1.8, 9)])
def test_after_an_outage_the_grid_is_flat_in_the_next_cycle(
    policy: Grid | Threshold, low: float, high: float
) -> None:
    """The peak when the service returns is the same; plain repeats it one cycle later."""
    course = play(
        settings_of(policy), sessions=SESSIONS, spread=PERIOD, outage=(1800, 1980), until=3200
    )
    after, following = course.factors(SESSIONS, 1980, 3200, PERIOD)
    assert after > 4
    assert low <= following <= high


def test_a_rolling_restart_into_other_settings_leaves_no_storm_behind() -> None:
    """Sessions come over from plain within minutes: a bounded peak, then the level of chance."""
    course = play(
        settings_of(Threshold()),
        sessions=SESSIONS,
        spread=PERIOD,
        until=3600,
        deploy=Deploy(settings=settings_of(Grid()), begins=1800),
    )
    factors = course.factors(SESSIONS, 1800, 3600, PERIOD)
    assert factors[0] < 3
    assert max(factors[1:]) < 1.7
    forced = [at for at in course.forced if at >= 1800]
    stayed = play(settings_of(Threshold()), sessions=SESSIONS, spread=PERIOD, until=3600)
    assert len(forced) <= 1.1 * len([at for at in stayed.forced if at >= 1800])


def test_dual_tokens_stay_locked_because_their_clients_judge_by_exp() -> None:
    """With a first token of the whole lifetime all clients would refresh in one instant.

    That storm would be as high as one of plain; with ``exp`` on the grid it is at chance.
    """
    locked = play_judges(Grid().access, clients=SESSIONS)
    whole = play_judges(Grid().first, clients=SESSIONS)
    assert max(locked.factors(SESSIONS, 0, 3600, PERIOD)) < 1.6
    assert fullest_window(whole.renewals, 10) >= SESSIONS
    assert fullest_window(locked.renewals, 10) < SESSIONS / 20
    assert min(whole.renewals) >= LIFETIME - 300

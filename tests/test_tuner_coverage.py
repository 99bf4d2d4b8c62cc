"""Intervals tuned on the first half of a log hold a replay of its second half.

``make coverage-of-intervals`` runs all sites and lengths.
"""

from __future__ import annotations

import random

import pytest

from best_settings import best_of_search, excess_over_best, forced_in
from interval_coverage import Case, cases, half, report
from linqi_tune.model.replay import LongPauses
from linqi_tune.model.session_rule import SessionRule
from published_traffic import DAY, inverse_gaussian, traffic
from replayed import Settings, play_log


@pytest.mark.timeout(600)
def test_the_interval_holds_the_second_half() -> None:
    """At least 9 in 10, replayed alone or after the first half; the median width is at most 2."""
    found: list[Case] = []
    for site, persons in (("surfers", 250), ("readers", 250), ("watchers", 80)):
        found += cases(site, days=14, persons=persons, seed=3)
    resolved = [case for case in found if case.is_resolved]
    assert len(resolved) == len(found), report(found)
    for replays in ("continued", "alone"):
        inside = sum(case.low <= getattr(case, replays) <= case.high for case in resolved)
        assert inside >= 0.9 * len(resolved), report(found)
    widths = sorted(case.high / case.low for case in resolved)
    assert widths[len(widths) // 2] <= 2, report(found)


def test_half_a_day_is_too_short_to_tell() -> None:
    """A log of 6 hours is marked as unresolved for every rule."""
    assert not any(case.is_resolved for case in cases("shoppers", days=0.5, persons=200, seed=1))


def test_the_best_of_a_search_is_the_longest_life() -> None:
    """Of all allowed settings, the longest lifetime and buffer force fewest sign-ins."""
    pages = half(traffic("readers", persons=120, seconds=4 * DAY, seed=2), 2 * DAY, 4 * DAY)
    base = SessionRule(lifetime=900, buffer=300)
    best, least = best_of_search(pages, base, 3_600, steps=6)
    assert best.lifetime == 3_600
    assert best.buffer > 0.3 * best.lifetime
    other = play_log(pages, Settings(best.lifetime, best.buffer, longest=28_800))
    assert len(other.forced) == pytest.approx(least, rel=0.05)
    assert excess_over_best(pages, best, 3_600, steps=6) == 0
    assert excess_over_best(pages, base, 3_600, steps=6) > 0.05
    assert forced_in(LongPauses(pages), base) > least


def test_the_drawn_laws_have_the_published_moments() -> None:
    """An inverse Gaussian has the mean m and the variance m^3 / shape."""
    rng = random.Random(1)
    drawn = [inverse_gaussian(rng, 2.98, 6.24) for _ in range(40_000)]
    mean = sum(drawn) / len(drawn)
    assert mean == pytest.approx(2.98, rel=0.02)
    variance = sum((one - mean) ** 2 for one in drawn) / len(drawn)
    assert variance == pytest.approx(2.98**3 / 6.24, rel=0.1)

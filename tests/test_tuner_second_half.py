"""Settings tuned on the first half of a log, against the best ones for its second half."""

from __future__ import annotations

from pathlib import Path

import pytest

from best_settings import excess_over_best
from interval_coverage import half
from linqi.config.reader import load
from linqi.config.writer import update
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.measurements import CurrentSettings, Measurements, Targets, Visitors
from linqi_tune.model.options import advise
from linqi_tune.model.session_rule import SessionRule
from published_traffic import DAY, SITES, traffic

MOST_LIFETIME = 3_600.0
PERSONS = {"clerks": 50, "watchers": 20}
"""Those who request most; the others are 150."""


def tuned_on(pages: list, seconds: float, path: Path) -> SessionRule:  # type: ignore[type-arg]
    """Write the linqi.toml that is advised for a log; return the rule that it leads to."""
    measurements = Measurements(
        visitors=Visitors(groups=[GapDistribution([30.0])], sessions=len(pages), source="a log"),
        histories=Histories(pages=pages, seconds=seconds, persons=len(pages)),
        current=CurrentSettings(lifetime=900, buffer=60, policy="plain"),
        targets=Targets(most_lifetime=MOST_LIFETIME),
    )
    update(path, advise(measurements).option("balanced").changes())
    renewal = load(path).renewal
    assert renewal.policy == "grid"
    return SessionRule(
        lifetime=renewal.lifetime_seconds,
        buffer=renewal.buffer_seconds,
        max_session=renewal.max_session_seconds,
        cap_spread=renewal.cap_spread,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("site", SITES)
def test_tuned_settings_force_at_most_5_percent_more_than_the_best(
    site: str, tmp_path: Path
) -> None:
    """The best of 20 lifetimes and 20 buffers knows the second half; the tuner does not."""
    pages = traffic(site, persons=PERSONS.get(site, 150), seconds=8 * DAY, seed=11)
    first = half(pages, 0.0, 4 * DAY)
    tuned = tuned_on(first, 4 * DAY, tmp_path / "linqi.toml")
    excess = excess_over_best(half(pages, 4 * DAY, 8 * DAY), tuned, MOST_LIFETIME)
    assert excess <= 0.05, f"{tuned}: {excess:.1%}"

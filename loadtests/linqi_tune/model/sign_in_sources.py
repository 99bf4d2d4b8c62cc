"""The forced sign-ins where pauses or lags are known, but no histories of persons."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from linqi_tune.model.intervals import Interval
from linqi_tune.model.lag_counts import LagCounts, loss_by_lags
from linqi_tune.model.rate_intervals import counted_rate
from linqi_tune.model.replay import Cause, LongPauses, replay, replay_tokens
from linqi_tune.model.session_rule import SessionRule
from linqi_tune.model.sign_ins import ForcedSignIns, SignInModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linqi_tune.model.gaps import GapDistribution
    from linqi_tune.model.measurements import Measurements

__all__ = [
    "USE_SECONDS",
    "LagSignIns",
    "PauseSignIns",
    "SignInSource",
    "drawn_pages",
    "sign_in_source",
]

USE_SECONDS: Final = 21_600.0
"""A day of use where only pauses are known: 6 hours without an end, so that the usual cap of a
session, 8 hours less its spread, forces nothing that was not measured."""
_MOST_PAGES: Final = 300_000
_QUANTILES: Final = 4_000
_LEAST_PAUSE: Final = 1e-3
_MOST_MISSED: Final = 20
_STEPS: Final = 50


class SignInSource(Protocol):
    """Predicts the forced sign-ins of a rule from one kind of evidence."""

    def figure(self, rule: SessionRule) -> ForcedSignIns:
        """Return the forced sign-ins under `rule`, with their interval."""
        ...

    def rate(self, rule: SessionRule) -> float:
        """Return the forced sign-ins per person and day without an interval; quick."""
        ...


def sign_in_source(measurements: Measurements) -> SignInSource | None:
    """Return the best source that the evidence allows; None where nothing is known of pauses.

    Histories of persons come first; then pauses of a storm, whose sessions are drawn as if one
    pause told nothing of the next; then lags, which say nothing of another period.
    """
    if measurements.histories is not None and any(measurements.histories.pages):
        return SignInModel(measurements.histories)
    visitors = measurements.visitors
    if visitors is not None and visitors.gaps.total:
        gaps = visitors.gaps
        return PauseSignIns(gaps, seen_seconds=gaps.total * gaps.mean)
    if measurements.lags is not None and measurements.lags.total:
        return LagSignIns(measurements.lags, measurements.lags_by_session)
    return None


def drawn_pages(
    gaps: GapDistribution, seconds: float, *, sessions: int = 0, spread: float = 0.0, seed: int = 1
) -> list[array[float]]:
    """Return sessions that request pages by `gaps`, each independent of the one before.

    Args:
        gaps: Their pauses.
        seconds: How long they go on.
        sessions: Their number; by default as many as 300,000 pages allow, 20 to 4,000.
        spread: The seconds within which they begin, evenly spread.
        seed: Equal seeds lead to equal sessions, so that predictions can be compared.

    """
    mean = max(gaps.mean, _LEAST_PAUSE)
    count = sessions or round(min(4_000.0, max(20.0, _MOST_PAGES * mean / seconds)))
    rng = random.Random(seed)  # noqa: S311 - a simulation
    pauses = [max(_LEAST_PAUSE, gaps.quantile((n + 0.5) / _QUANTILES)) for n in range(_QUANTILES)]
    found = []
    for n in range(count):
        at = (n + 0.5) / count * spread
        pages = array("d")
        while at < seconds:
            pages.append(at)
            at += rng.choice(pauses)
        if pages:
            found.append(pages)
    return found


class PauseSignIns:
    """Forced sign-ins where only the pauses within sessions are known, as from a storm.

    A person-day is `USE_SECONDS` of use without an end. The interval is that of the forced
    sign-ins that the time seen contains, each independent.

    Attributes:
        person_days: What was seen.

    """

    def __init__(self, gaps: GapDistribution, *, seen_seconds: float) -> None:
        self.person_days = seen_seconds / USE_SECONDS
        self._pages = drawn_pages(gaps, USE_SECONDS)
        self._pauses = LongPauses(self._pages)
        self._persons = len(self._pages)

    def figure(self, rule: SessionRule) -> ForcedSignIns:
        """Return the forced sign-ins under `rule`, with their interval."""
        forced, renewals = replay_tokens(self._pages, rule, 0.5)
        causes: Counter[Cause] = Counter(one.cause for one in forced)
        rate = len(forced) / self._persons
        return ForcedSignIns(
            total=counted_rate(rate, self.person_days),
            savable=causes["savable"] / self._persons,
            beyond=causes["beyond"] / self._persons,
            capped=causes["capped"] / self._persons,
            renewals=renewals / self._persons,
            seen=rate * self.person_days,
            person_days=self.person_days,
            is_resolved=True,
        )

    def rate(self, rule: SessionRule) -> float:
        """Return the forced sign-ins per person and day without an interval; quick."""
        return len(replay(self._pauses.above(rule.buffer), rule, 0.5)) / self._persons


class LagSignIns:
    """Forced sign-ins where only renewal lags are known, as from metrics.

    A person-day is `USE_SECONDS` of use without an end. The lags must include expired tokens that
    were presented. They belong to the period at which they were measured; far from it the
    prediction is too high. The absolute end of sessions forces nothing here.
    """

    def __init__(self, lags: LagCounts, by_session: Sequence[Sequence[float]] = ()) -> None:
        self._lags = lags
        self._by_session = by_session

    def figure(self, rule: SessionRule) -> ForcedSignIns:
        """Return the forced sign-ins under `rule`, with their interval."""
        late = loss_by_lags(self._lags, rule.buffer, self._by_session)
        cycles = USE_SECONDS / self._cycle(rule)
        forced = self._forced(late.value, rule) * cycles
        beyond = min(forced, self._late(rule.lifetime) * cycles)
        return ForcedSignIns(
            total=Interval(
                value=forced,
                low=self._forced(late.low, rule) * cycles,
                high=self._forced(late.high, rule) * cycles,
            ),
            savable=forced - beyond,
            beyond=beyond,
            capped=0.0,
            renewals=cycles - forced,
            seen=forced / cycles * self._lags.total,
            person_days=self._lags.total / cycles,
            is_resolved=True,
        )

    def rate(self, rule: SessionRule) -> float:
        """Return the forced sign-ins per person and day without an interval; quick."""
        return self._forced(self._late(rule.buffer), rule) * USE_SECONDS / self._cycle(rule)

    def _late(self, seconds: float) -> float:
        return self._lags.above(seconds) / self._lags.total

    def _forced(self, late: float, rule: SessionRule) -> float:
        """Return the share of cycles that end in a sign-in, `late` being above the buffer.

        On the grid the first token of a session has a longer window, evenly from the buffer to the
        lifetime: it is late with the mean share of that range.
        """
        if rule.policy != "grid":
            return late
        first = self._mean_late(rule.buffer, rule.lifetime)
        return late / (1 + late - min(first, late))

    def _cycle(self, rule: SessionRule) -> float:
        """Return the mean seconds from one due instant to the next."""
        if rule.policy != "grid":
            return rule.period + rule.lifetime * self._mean_late(0.0, rule.lifetime)
        missed = [self._late(rule.period * n) for n in range(1, 1 + _MOST_MISSED)]
        return rule.period * (1 + sum(missed))

    def _mean_late(self, start: float, end: float) -> float:
        """Return the mean share of lags above x, for x evenly from `start` to `end`."""
        step = (end - start) / _STEPS
        return sum(self._late(start + (n + 0.5) * step) for n in range(_STEPS)) / _STEPS

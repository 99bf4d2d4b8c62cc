"""The limits of the tuner's figures, as notes for the reader."""

from __future__ import annotations

from collections.abc import Iterator

from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import PlanOutcome
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.quantities import days_text, given_text, number_text, share_text
from linqi_tune.model.sign_in_sources import USE_SECONDS

__all__ = ["notes_of"]

_FEW_SESSIONS = 10
_NOTABLE = 0.1
"""The share of forced sign-ins after pauses longer than the lifetime that is worth a note."""


def notes_of(predictor: Predictor, outcome: PlanOutcome) -> tuple[str, ...]:
    """Return the notes that apply to these measurements."""
    return (
        *_missing(predictor),
        *_evidence(predictor),
        *_sign_ins(outcome),
        *_servers(predictor.measurements),
    )


def _missing(predictor: Predictor) -> Iterator[str]:
    """Yield what was not measured, and the settings that stay unchanged for that reason."""
    measured = predictor.measurements
    if not predictor.is_gap_known and measured.lags is None and measured.current.slides:
        yield (
            "No pauses between requests were measured, so lifetime and buffer stay as they are;"
            " provide an access log, a storm or the exported metrics."
        )
    if not predictor.is_session_count_known:
        yield (
            "The number of sessions is unknown, so cache, budget and workers stay as they are;"
            " provide --sessions, an access log or a storm."
        )
    elif not predictor.is_gap_known:
        yield (
            f"A mean pause of {number_text(predictor.gaps.mean)} s is assumed for cache hits and"
            " waits; provide an access log or a storm."
        )


def _evidence(predictor: Predictor) -> Iterator[str]:
    """Yield what limits the measured pauses."""
    measured, visitors = predictor.measurements, predictor.measurements.visitors
    if visitors is not None and 0 < visitors.sessions < _FEW_SESSIONS:
        yield (
            f"Only {visitors.sessions:,} sessions were active at once: does the log contain all of"
            " them, and does --log-session name the field that identifies a session?"
        )
    if visitors is not None and predictor.is_gap_known and visitors.open_share > 0.05:
        yield (
            f"{share_text(visitors.open_share)} of the gaps had not ended when the log did; they"
            " count as at least that long. A longer log is more accurate."
        )
    if measured.histories is None and predictor.sign_in_source is not None:
        yield (
            f"A day of a person is {days_text(USE_SECONDS)} of use without a longer break than a"
            " storm or lags contain; an access log shows real days."
        )
    if visitors is None and measured.lags is not None:
        yield (
            "Forced sign-ins are estimated from the renewal lags, which are valid for the lifetime"
            " at which they were measured: far from it the estimate is too high. Measure again"
            " after the change."
        )
    if measured.lags is not None and measured.lags.silent:
        yield (
            f"{measured.lags.silent:,.0f} sessions with a due token had sent no further request at"
            " the end; whether they would have returned is unknown."
        )


def _sign_ins(outcome: PlanOutcome) -> Iterator[str]:
    """Yield which sign-ins no buffer saves, and what a short log cannot show."""
    forced = outcome.sign_ins
    if forced is None:
        return
    if forced.beyond > _NOTABLE * forced.total.value:
        yield (
            f"{share_text(forced.beyond / forced.total.value)} of the forced sign-ins come after"
            " pauses longer than the lifetime: no buffer saves them; a longer lifetime or refresh"
            " tokens (dual tokens) do."
        )
    if not forced.is_resolved:
        yield (
            "The pauses were measured for fewer than two days or 10 lifetimes, too short to show"
            " how many sign-ins long pauses force: the interval is wide for that reason. Use a"
            " longer log."
        )


def _servers(measured: Measurements) -> Iterator[str]:
    served, costs, algorithm = measured.served, measured.costs, measured.current.algorithm
    if served is None or not served.request_seconds:
        yield (
            "No storm measured the processor time of a request: 200 us are assumed, so workers and"
            " waits are rough estimates."
        )
    if algorithm in costs.assumed:
        yield (
            f"The benchmark has no figure for {algorithm}, so that of another machine is used; run"
            " `linqi bench` without --quick."
        )
    if "another machine" in costs.source:
        yield "The costs were measured on another machine; run `linqi bench` on yours."
    if served is not None and served.compression > 1:
        yield (
            f"The storm was compressed {given_text(served.compression)} times: chance and caches"
            " do not shrink with time."
        )

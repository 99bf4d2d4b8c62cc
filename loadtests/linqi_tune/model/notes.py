"""The limits of the tuner's figures, as notes for the reader."""

from __future__ import annotations

from collections.abc import Iterator

from linqi_tune.model.losses import loss_by_lags, loss_by_rate
from linqi_tune.model.measurements import Measurements
from linqi_tune.model.plans import PlanOutcome
from linqi_tune.model.predictor import Predictor

__all__ = ["notes_of"]

_FEW_GROUPS = 10
_FEW_SESSIONS = 10
_NOTABLE = 1e-3
_FAR = 2.0


def notes_of(predictor: Predictor, outcome: PlanOutcome) -> tuple[str, ...]:
    """Return the notes that apply to these measurements."""
    return (
        *_missing(predictor),
        *_evidence(predictor),
        *_losses(predictor, outcome),
        *_disagreement(predictor),
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
            f"A mean pause of {predictor.gaps.mean:g} s is assumed for cache hits and waits;"
            " provide an access log or a storm."
        )


def _evidence(predictor: Predictor) -> Iterator[str]:
    """Yield what limits the measured pauses."""
    measured, visitors = predictor.measurements, predictor.measurements.visitors
    if visitors is not None and 0 < visitors.sessions < _FEW_SESSIONS:
        yield (
            f"Only {visitors.sessions:,} sessions were active at once: does the log contain all of"
            " them, and does --log-session name the field that identifies a session?"
        )
    if visitors is not None and predictor.is_gap_known:
        if len(visitors.groups) < _FEW_GROUPS:
            yield (
                "The intervals treat all cycles as independent. The gaps of one session resemble"
                " each other, so the intervals are too narrow. An access log is drawn by session."
            )
        if visitors.open_share > 0.05:
            yield (
                f"{visitors.open_share:.0%} of the gaps had not ended when the log did; they count"
                " as at least that long. A longer log is more accurate."
            )
    if visitors is None and measured.lags is not None:
        yield (
            "Losses are estimated from the renewal lags, which are valid for the lifetime at which"
            " they were measured: far from it the losses read too high. Measure again after the"
            " change."
        )
    if measured.lags is not None and measured.lags.silent:
        yield (
            f"{measured.lags.silent:,.0f} sessions with a due token had sent no further request at"
            " the end; whether they would have returned is unknown."
        )


def _losses(predictor: Predictor, outcome: PlanOutcome) -> Iterator[str]:
    if outcome.loss is None:
        return
    if outcome.loss.beyond > _NOTABLE:
        yield (
            f"{outcome.loss.beyond:.2g} of renewals are lost to gaps longer than the lifetime: no"
            " buffer saves them; a longer lifetime or a refresh token does."
        )
    if not predictor.is_gap_known:
        return
    current = predictor.measurements.current
    naive = loss_by_rate(1 / predictor.gaps.mean, current.buffer)
    real = predictor.loss(current.lifetime, current.buffer)
    if real is not None and real.total > max(_FAR * naive, 1e-6):
        yield (
            f"The mean rate alone would predict a loss of {naive:.2g} at a buffer of"
            f" {current.buffer:g} s; with the measured pauses it is {real.total:.2g}."
        )


def _disagreement(predictor: Predictor) -> Iterator[str]:
    """Yield a question where lags and gaps lead to different losses."""
    measured, current = predictor.measurements, predictor.measurements.current
    if not predictor.is_gap_known or measured.lags is None or not measured.lags.total:
        return
    by_lags = loss_by_lags(measured.lags, current.buffer).value
    by_gaps = predictor.loss(current.lifetime, current.buffer)
    if by_gaps is None or not by_lags or not by_gaps.total:
        return
    if not 1 / _FAR < by_lags / by_gaps.total < _FAR:
        yield (
            f"Lags and gaps lead to different losses at a buffer of {current.buffer:g} s:"
            f" {by_lags:.2g} and {by_gaps.total:.2g}. Do both come from the same sessions?"
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
            f"The storm was compressed {served.compression:g} times: chance and caches do not"
            " shrink with time."
        )

"""What a reader has to know before the tuner's figures are believed."""

from __future__ import annotations

from collections.abc import Iterator

from linqi_tune.model.losses import loss_by_lags, loss_by_rate
from linqi_tune.model.plans import Outcome, Predictor

__all__ = ["notes_of"]

_FEW_GROUPS = 10
_FEW_SESSIONS = 10
_NOTABLE = 1e-3
_FAR = 2.0


def notes_of(predictor: Predictor, outcome: Outcome) -> tuple[str, ...]:
    """Give the caveats that these facts call for."""
    return (*_evidence(predictor), *_losses(predictor, outcome), *_servers(predictor))


def _evidence(predictor: Predictor) -> Iterator[str]:
    facts = predictor.facts
    visitors = facts.visitors
    if not predictor.is_gap_known and facts.lags is None and facts.current.slides:
        yield (
            "Nothing is known of how people come, so lifetime and buffer stay as they are; give an"
            " access log, a storm or the exported metrics."
        )
    if not predictor.is_crowd_known:
        yield (
            "Nothing is known of how many people there are, so cache, budget and workers stay as"
            " they are; give --sessions, an access log or a storm."
        )
    elif not predictor.is_gap_known:
        yield (
            f"A mean pause of {predictor.gaps.mean:g} s is assumed where hits and waits depend on"
            " it; give an access log or a storm."
        )
    if visitors is not None and 0 < visitors.sessions < _FEW_SESSIONS:
        yield (
            f"Only {visitors.sessions:,} sessions were active at once: does the log show everybody,"
            " and does --log-session name what tells them apart?"
        )
    if visitors is not None and predictor.is_gap_known:
        if len(visitors.groups) < _FEW_GROUPS:
            yield (
                "The intervals count each cycle by itself: gaps of one session resemble each"
                " other, so they are too narrow. An access log is drawn by session."
            )
        if visitors.open_share > 0.05:
            yield (
                f"{visitors.open_share:.0%} of the gaps were not over when the log ended; they"
                " count as at least so long. A longer log tells more."
            )
    if visitors is None and facts.lags is not None:
        yield (
            "Losses are read off the renewal lags, which belong to the lifetime at which they were"
            " taken: far from it they read too high. Take them anew after the change."
        )
    if facts.lags is not None and facts.lags.silent:
        yield (
            f"{facts.lags.silent:,.0f} due tokens had not come back at the end; whether they would"
            " have, nobody can tell."
        )


def _losses(predictor: Predictor, outcome: Outcome) -> Iterator[str]:
    facts, loss = predictor.facts, outcome.loss
    if loss is None:
        return
    if loss.beyond > _NOTABLE:
        yield (
            f"{loss.beyond:.2g} of renewals are lost to gaps longer than the lifetime: no buffer"
            " can save them, a longer lifetime or a refresh token can."
        )
    current = predictor.current()
    if predictor.is_gap_known:
        naive = loss_by_rate(1 / predictor.gaps.mean, current.buffer)
        real = predictor.loss(current.lifetime, current.buffer)
        if real is not None and real.total > max(_FAR * naive, 1e-6):
            yield (
                f"The mean rate alone would say that {naive:.2g} are lost at"
                f" {current.buffer:g} s; with the pauses that people really make it is"
                f" {real.total:.2g}."
            )
    if predictor.is_gap_known and facts.lags is not None and facts.lags.total:
        by_lags = loss_by_lags(facts.lags, current.buffer).value
        by_gaps = predictor.loss(current.lifetime, current.buffer)
        if by_gaps is not None and by_lags and by_gaps.total:
            ratio = by_lags / by_gaps.total
            if not 1 / _FAR < ratio < _FAR:
                yield (
                    f"Lags and gaps disagree at {current.buffer:g} s: {by_lags:.2g} by the lags,"
                    f" {by_gaps.total:.2g} by the gaps. Are they of the same people?"
                )


def _servers(predictor: Predictor) -> Iterator[str]:
    facts = predictor.facts
    if facts.served is None or not facts.served.request_seconds:
        yield (
            "No storm told what a request costs the servers: 200 us are assumed, so workers and"
            " waits are rough."
        )
    algorithm = facts.current.algorithm
    if algorithm in facts.costs.assumed:
        yield (
            f"The benchmark has no figure of {algorithm}, so that of another machine stands in; run"
            " `linqi bench` without --quick."
        )
    if "another machine" in facts.costs.source:
        yield "Costs are those of another machine; run `linqi bench` on yours."
    if facts.served is not None and facts.served.compression > 1:
        yield (
            f"The storm was compressed {facts.served.compression:g} times: chance and caches do not"
            " shrink with time."
        )

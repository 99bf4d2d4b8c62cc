"""The settings that are tuned, as one plan, and what a plan leads to."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from linqi_tune.model.caching import CacheSize, Tokens, entries_needed, hit_ratio
from linqi_tune.model.facts import Costs, Facts
from linqi_tune.model.gaps import Gaps
from linqi_tune.model.intervals import Interval
from linqi_tune.model.losses import Loss, loss_by_lags, losses
from linqi_tune.model.queueing import (
    SigningStorm,
    mixed,
    open_window,
    wait_quantile,
    workers_needed,
)
from linqi_tune.model.storms import (
    Crowd,
    duplicate_signatures,
    noise95,
    steady_rate,
    storm_factor,
)

__all__ = ["Outcome", "Plan", "Predictor", "costs_of"]

_ASSUMED_REQUEST: Final = 200e-6
_ASSUMED_GAP: Final = 30.0
_WINDOWS: Final = 20
"""A peak is taken over this part of a period, as the storms do."""
_MICRO: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings; durations in seconds."""

    lifetime: float
    buffer: float
    policy: str = "grid"
    jitter_width: float = 0.1
    algorithm: str = "ES256"
    cache_entries: int = 10_000
    cache_lifetime: float = 60.0
    budget: float | None = None
    """Signatures of successors per second, of all processes."""
    burst: float = 10.0
    """Of the budget of each process."""
    workers: int = 1
    off_loop: bool = False
    is_primed: bool = True

    @property
    def period(self) -> float:
        """``lifetime - buffer``."""
        return self.lifetime - self.buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a plan is predicted to lead to."""

    loss: Loss | None
    """None where nothing is known of how people come."""
    renewals_per_second: float
    storm_factor: float
    noise95: float
    window: float
    hit_ratio: float
    entries_needed: float
    memory_mb: float
    """Of cached tokens, in each worker."""
    request_seconds: float
    """Processor time of a request."""
    signatures_per_renewal: float
    cpu_share: float
    """Of each worker."""
    p99_wait: float
    """Seconds in a queue before a worker, at the busiest second."""
    storm: SigningStorm


def costs_of(costs: Costs, algorithm: str) -> tuple[float, float]:
    """Give what verifying and signing takes, in seconds; unknown algorithms cost as RS256 does."""
    verify = costs.verify.get(algorithm, costs.verify["RS256"])
    sign = costs.sign.get(algorithm, costs.sign["RS256"])
    return verify * _MICRO, sign * _MICRO


class Predictor:
    """Predicts what plans lead to, for one set of facts; keeps what is dear to compute."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        visitors = facts.visitors
        law = visitors.gaps if visitors is not None and visitors.gaps.total else None
        self.gaps = law.condensed() if law else Gaps([_ASSUMED_GAP])
        self.is_gap_known = law is not None
        self.parallel = visitors.parallel if visitors is not None else ((1.0, 1.0),)
        self.popularity = visitors.popularity if visitors is not None else ((1.0, 1.0),)
        targets = facts.targets
        self.is_crowd_known = bool(targets.sessions or (visitors and visitors.sessions))
        self.sessions = targets.sessions or (visitors.sessions if visitors else 0) or 1_000
        weight = sum(share for _, share in self.parallel)
        self.per_page = sum(size * share for size, share in self.parallel) / weight
        mean_rps = self.sessions / self.gaps.mean * self.per_page
        self.peak_rps = targets.peak_rps or max(visitors.peak_rps if visitors else 0.0, mean_rps)
        self._losses: dict[tuple[float, float], Loss | None] = {}
        self._hits: dict[Plan, tuple[float, float]] = {}
        self.base_seconds = self._base()

    def _base(self) -> float:
        """Give what a request costs beside verification and renewal, by what a storm showed."""
        served = self.facts.served
        if served is None or not served.request_seconds:
            return _ASSUMED_REQUEST
        current = self.facts.current
        then = Plan(
            lifetime=current.lifetime, buffer=current.buffer, policy=served.policy or "grid",
            algorithm=served.algorithm, workers=max(1, served.workers),
            cache_entries=current.cache_entries, cache_lifetime=current.cache_lifetime,
        )  # fmt: skip
        hits = self._hit(then)[0] if served.hit_ratio is None else served.hit_ratio
        return max(0.0, served.request_seconds - self._authentication(then, hits))

    def loss(self, lifetime: float, buffer: float) -> Loss | None:
        """Give the loss with its interval; by the gaps where they are known, else by the lags."""
        key = (lifetime, buffer)
        if key not in self._losses:
            self._losses[key] = self._loss(lifetime, buffer)
        return self._losses[key]

    def quick_loss(self, lifetime: float, buffer: float) -> float | None:
        """Give the estimate of the savable loss alone; None where nothing is known."""
        facts = self.facts
        if not facts.current.slides:
            return 0.0
        if facts.visitors is not None and self.is_gap_known:
            return losses(
                facts.visitors.groups, lifetime, buffer, with_interval=False
            ).savable.value
        loss = self.loss(lifetime, buffer)
        return None if loss is None else loss.savable.value

    def _loss(self, lifetime: float, buffer: float) -> Loss | None:
        facts = self.facts
        if not facts.current.slides:
            return Loss.none()
        if facts.visitors is not None and self.is_gap_known:
            return losses(facts.visitors.groups, lifetime, buffer)
        if facts.lags is None or not facts.lags.total:
            return None
        found = loss_by_lags(facts.lags, buffer, facts.lags_by_session)
        beyond = loss_by_lags(facts.lags, lifetime).value
        savable = Interval(
            value=found.value - beyond,
            low=max(0.0, found.low - beyond),
            high=max(found.high - beyond, 0.0),
        )
        return Loss(savable=savable, beyond=beyond, cycles=facts.lags.total)

    def tokens(self, plan: Plan, *, sessions: int | None = None) -> Tokens:
        """Give the tokens of a plan as a cache sees them."""
        count = self.sessions if sessions is None else sessions
        return Tokens(
            popularity=[(share * count, rate) for share, rate in self.popularity],
            gaps=self.gaps,
            parallel=self.parallel,
            workers=plan.workers,
            period=plan.period,
            is_primed=plan.is_primed,
        )

    def _hit(self, plan: Plan) -> tuple[float, float]:
        """Give the hit ratio and the entries that only age would end."""
        key = Plan(
            lifetime=plan.period, buffer=0, workers=plan.workers, is_primed=plan.is_primed,
            cache_entries=plan.cache_entries, cache_lifetime=plan.cache_lifetime,
        )  # fmt: skip
        if key not in self._hits:
            tokens = self.tokens(plan)
            life = min(plan.cache_lifetime, plan.lifetime)
            found = hit_ratio(tokens, CacheSize(entries=plan.cache_entries, lifetime=life))
            self._hits[key] = (found.share, entries_needed(tokens, life))
        return self._hits[key]

    def hit(self, plan: Plan) -> float:
        """Give the share of verifications that the cache answers."""
        return self._hit(plan)[0]

    def entries(self, plan: Plan) -> float:
        """Give the entries a worker needs so that only age ends them."""
        return self._hit(plan)[1]

    def _authentication(self, plan: Plan, hits: float, renewals: float | None = None) -> float:
        """Give the mean processor time of verification and renewal in a request, in seconds.

        `renewals`: per second of one session; by default one a period.
        """
        verify, sign = costs_of(self.facts.costs, plan.algorithm)
        each = 1 / plan.period if renewals is None else renewals
        signed = each * self.duplicates(plan) * self.gaps.mean / self.per_page
        return self.facts.costs.hit * _MICRO + (1 - hits) * verify + min(1.0, signed) * sign

    def request_cost(self, plan: Plan, hits: float, renewals: float) -> float:
        """Give a request's processor time in seconds, for hits and renewals that are known.

        `renewals`: per second of one session.
        """
        return self.base_seconds + self._authentication(plan, hits, renewals)

    def duplicates(self, plan: Plan) -> float:
        """Give the signatures that one renewal costs: a memo in each worker, or one refresh."""
        if not self.facts.current.slides:
            return 1.0
        weight = sum(share for _, share in self.parallel)
        return (
            sum(share * duplicate_signatures(size, plan.workers) for size, share in self.parallel)
            / weight
        )

    def crowd(self) -> Crowd:
        """Give the sessions as they might sign in together."""
        visitors = self.facts.visitors
        spread = visitors.login_spread if visitors is not None else 0.0
        return Crowd(sessions=self.sessions, gaps=self.gaps, login_spread=spread)

    def factor(self, plan: Plan, crowd: Crowd | None = None) -> float:
        """Give the storm factor of the first cycle."""
        window = plan.period / _WINDOWS
        return storm_factor(
            crowd or self.crowd(), plan.lifetime, plan.buffer, plan.policy, window,
            plan.jitter_width,
        )  # fmt: skip

    def outcome(self, plan: Plan) -> Outcome:
        """Give what `plan` leads to."""
        hits, needed = self._hit(plan)
        steady = steady_rate(self.sessions, plan.lifetime, plan.buffer)
        window = plan.period / _WINDOWS
        _, sign = costs_of(self.facts.costs, plan.algorithm)
        request = self.base_seconds + self._authentication(plan, hits)
        signed = min(1.0, steady * self.duplicates(plan) / self.peak_rps)
        service = mixed([(1 - signed, request), (signed, request + sign)])
        held = min(needed, float(plan.cache_entries))
        return Outcome(
            loss=self.loss(plan.lifetime, plan.buffer),
            renewals_per_second=steady,
            storm_factor=self.factor(plan),
            noise95=noise95(steady, plan.lifetime, window),
            window=window,
            hit_ratio=hits,
            entries_needed=needed,
            memory_mb=held * self.facts.costs.entry_bytes / 1e6,
            request_seconds=request,
            signatures_per_renewal=self.duplicates(plan),
            cpu_share=self.peak_rps * request / plan.workers,
            p99_wait=wait_quantile(0.99, self.peak_rps, service, plan.workers),
            storm=open_window(
                self.sessions, 1 / self.gaps.mean, self.per_page, request, sign, plan.workers,
                signatures_per_page=min(self.duplicates(plan), self.per_page),
            )
            if plan.policy == "plain"
            else self._level_storm(plan, request),
        )  # fmt: skip

    def workers_for(self, plan: Plan) -> int:
        """Give the fewest workers that are busy for at most the share that is wanted.

        Each more makes a page meet more caches, so a request dearer: asked until it holds.
        """
        workers = 1
        while True:
            one = replace(plan, workers=workers)
            request = self.base_seconds + self._authentication(one, self._hit(one)[0])
            service = mixed([(1.0, request)])
            needed = workers_needed(self.peak_rps, service, self.facts.targets.cpu_share)
            if needed <= workers:
                return workers
            workers = needed

    def _level_storm(self, plan: Plan, request: float) -> SigningStorm:
        """Give the load of a policy that spreads: the highest renewal rate takes no window."""
        _, sign = costs_of(self.facts.costs, plan.algorithm)
        steady = self.peak_rps * request / plan.workers
        extra = (self.factor(plan) - 1) * steady_rate(self.sessions, plan.lifetime, plan.buffer)
        opened = steady + max(0.0, extra) * self.duplicates(plan) * sign / plan.workers
        return SigningStorm(
            steady_load=steady,
            open_load=opened,
            backlog=0.0 if opened <= 1 else math.inf if steady >= 1 else (opened - 1) * plan.buffer,
        )

    def without_memo(self, plan: Plan) -> SigningStorm:
        """Give the storm that the same load is without any memo, on the plain policy."""
        verify, sign = costs_of(self.facts.costs, plan.algorithm)
        request = self.base_seconds + self.facts.costs.hit * _MICRO + verify * 0.1
        return open_window(
            self.sessions, 1 / self.gaps.mean, self.per_page, request, sign, plan.workers
        )

    def current(self) -> Plan:
        """Give the settings in force as a plan."""
        now, served = self.facts.current, self.facts.served
        workers = self.facts.targets.workers or (served.workers if served else 0) or 1
        plan = Plan(
            lifetime=now.lifetime, buffer=now.buffer, policy=now.policy,
            jitter_width=now.jitter_width, algorithm=now.algorithm, workers=max(1, workers),
            cache_entries=now.cache_entries, cache_lifetime=now.cache_lifetime,
            off_loop=now.algorithm.startswith(("RS", "PS")) if now.off_loop is None
            else now.off_loop,
        )  # fmt: skip
        budget = None if now.budget is None else now.budget * plan.workers
        return replace(plan, budget=budget, burst=now.burst)

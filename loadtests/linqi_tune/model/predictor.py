"""What a plan is predicted to lead to, for one set of measurements."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from linqi.sessions.storm_factor import peak_window, steady_rate
from linqi_tune.model.cache_hits import CacheSize, TokenTraffic, entries_needed, hit_ratio
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.measurements import Costs, Measurements
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.scan_statistic import noise95
from linqi_tune.model.session_rule import SessionRule
from linqi_tune.model.sign_in_sources import SignInSource, sign_in_source
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.model.storm_peaks import (
    LoginCohort,
    duplicate_signatures,
    predicted_storm_factor,
)
from linqi_tune.model.worker_queue import (
    SigningStorm,
    mixed_service,
    open_window,
    wait_quantile,
    workers_needed,
)

__all__ = ["Predictor", "costs_of"]

_ASSUMED_REQUEST: Final = 200e-6
_ASSUMED_GAP: Final = 30.0
_MICRO: Final = 1e-6


def costs_of(costs: Costs, algorithm: str) -> tuple[float, float]:
    """Return the seconds of a verification and a signature; unknown algorithms count as RS256."""
    verify = costs.verify.get(algorithm, costs.verify["RS256"])
    sign = costs.sign.get(algorithm, costs.sign["RS256"])
    return verify * _MICRO, sign * _MICRO


class Predictor:
    """Predicts what plans lead to, and keeps what takes long to compute.

    Where the measurements have no pauses, one pause of 30 s between all requests is assumed; where
    they have no number of sessions, 1,000; where they have no cost of a request, 200 us.

    Attributes:
        measurements: The measurements and targets.
        gaps: The pauses between two pages of a session.
        is_gap_known: Whether `gaps` were measured.
        parallel: Requests per page, with the share of pages.
        per_page: Mean requests per page.
        popularity: Classes of sessions: their share, and their page rate over the mean rate.
        sessions: Sessions active at once.
        is_session_count_known: Whether `sessions` was measured or given.
        peak_rps: Requests in the busiest second.
        base_seconds: Processor time of a request without verification and renewal.
        sign_in_source: Predicts forced sign-ins; None where no pauses are known. It takes long to
            build, so predictors of the same histories share one.

    """

    def __init__(self, measurements: Measurements, source: SignInSource | None = None) -> None:
        self.measurements = measurements
        visitors = measurements.visitors
        measured_gaps = visitors.gaps if visitors is not None and visitors.gaps.total else None
        self.gaps = measured_gaps.condensed() if measured_gaps else GapDistribution([_ASSUMED_GAP])
        self.is_gap_known = measured_gaps is not None
        self.parallel = visitors.parallel if visitors is not None else ((1.0, 1.0),)
        self.popularity = visitors.popularity if visitors is not None else ((1.0, 1.0),)
        targets = measurements.targets
        self.is_session_count_known = bool(targets.sessions or (visitors and visitors.sessions))
        self.sessions = targets.sessions or (visitors.sessions if visitors else 0) or 1_000
        weight = sum(share for _, share in self.parallel)
        self.per_page = sum(size * share for size, share in self.parallel) / weight
        mean_rps = self.sessions / self.gaps.mean * self.per_page
        self.peak_rps = targets.peak_rps or max(visitors.peak_rps if visitors else 0.0, mean_rps)
        self.sign_in_source = source or sign_in_source(measurements)
        self._sign_ins: dict[SessionRule, ForcedSignIns] = {}
        self._rates: dict[SessionRule, float] = {}
        self._factors: dict[tuple[object, ...], float] = {}
        self._hits: dict[tuple[float, int, bool, int, float], tuple[float, float]] = {}
        self.base_seconds = self._base()

    def _base(self) -> float:
        """Return the processor time of a request without the middleware, from a storm."""
        served = self.measurements.served
        if served is None or not served.request_seconds:
            return _ASSUMED_REQUEST
        then = replace(
            self.current_plan(),
            policy=served.policy or "grid",
            algorithm=served.algorithm,
            workers=max(1, served.workers),
        )
        hits = self._hit(then)[0] if served.hit_ratio is None else served.hit_ratio
        return max(0.0, served.request_seconds - self._authentication(then, hits))

    def rule_of(self, plan: SettingsPlan) -> SessionRule:
        """Return when the sessions of `plan` end."""
        return plan.session_rule(self.measurements.current)

    def sign_ins(self, plan: SettingsPlan) -> ForcedSignIns | None:
        """Return the forced sign-ins with their interval; None where no pauses are known."""
        if self.sign_in_source is None:
            return None
        rule = self.rule_of(plan)
        if rule not in self._sign_ins:
            self._sign_ins[rule] = self.sign_in_source.figure(rule)
        return self._sign_ins[rule]

    def sign_in_rate(self, plan: SettingsPlan) -> float | None:
        """Return forced sign-ins per person and day, quickly; None where no pauses are known."""
        if self.sign_in_source is None:
            return None
        rule = self.rule_of(plan)
        if rule not in self._rates:
            self._rates[rule] = self.sign_in_source.rate(rule)
        return self._rates[rule]

    def token_traffic(self, plan: SettingsPlan, *, sessions: int | None = None) -> TokenTraffic:
        """Return the tokens of a plan as a cache receives them."""
        count = self.sessions if sessions is None else sessions
        return TokenTraffic(
            popularity=[(share * count, rate) for share, rate in self.popularity],
            gaps=self.gaps,
            parallel=self.parallel,
            workers=plan.workers,
            period=plan.period,
            caches_issued=plan.caches_issued,
        )

    def _hit(self, plan: SettingsPlan) -> tuple[float, float]:
        """Return the hit ratio and the entries that expire before they are evicted."""
        life = min(plan.cache_lifetime, plan.lifetime)
        key = (plan.period, plan.workers, plan.caches_issued, plan.cache_entries, life)
        if key not in self._hits:
            tokens = self.token_traffic(plan)
            found = hit_ratio(tokens, CacheSize(entries=plan.cache_entries, lifetime=life))
            self._hits[key] = (found.share, entries_needed(tokens, life))
        return self._hits[key]

    def hit_share(self, plan: SettingsPlan) -> float:
        """Return the share of verifications that the cache answers."""
        return self._hit(plan)[0]

    def entries_needed(self, plan: SettingsPlan) -> float:
        """Return the entries with which a worker evicts none before it expires."""
        return self._hit(plan)[1]

    def _authentication(
        self, plan: SettingsPlan, hits: float, renewals: float | None = None
    ) -> float:
        """Return the mean processor time of verification and renewal in a request, in seconds.

        `renewals`: per second of one session; by default one a period.
        """
        verify, sign = costs_of(self.measurements.costs, plan.algorithm)
        each = 1 / plan.period if renewals is None else renewals
        signed = each * self.signatures_per_renewal(plan) * self.gaps.mean / self.per_page
        return self.measurements.costs.hit * _MICRO + (1 - hits) * verify + min(1.0, signed) * sign

    def request_cost(self, plan: SettingsPlan, hits: float, renewals: float) -> float:
        """Return the processor time of a request in seconds, for a known hit ratio and rate.

        `renewals`: per second of one session.
        """
        return self.base_seconds + self._authentication(plan, hits, renewals)

    def signatures_per_renewal(self, plan: SettingsPlan) -> float:
        """Return the mean signatures of a renewal, a memo in each worker; 1 for a refresh."""
        if not self.measurements.current.slides:
            return 1.0
        weight = sum(share for _, share in self.parallel)
        return (
            sum(share * duplicate_signatures(size, plan.workers) for size, share in self.parallel)
            / weight
        )

    def cohort(self) -> LoginCohort:
        """Return the sessions as if they all signed in together."""
        visitors = self.measurements.visitors
        spread = visitors.login_spread if visitors is not None else 0.0
        return LoginCohort(sessions=self.sessions, gaps=self.gaps, login_spread=spread)

    def storm_factor(self, plan: SettingsPlan, cohort: LoginCohort | None = None) -> float:
        """Return the expected storm factor of the first cycle, at least 1.

        Sessions that lapse renew less often than the steady rate; that is not a flatter policy.
        """
        key = (cohort, plan.lifetime, plan.buffer, plan.policy, plan.jitter_width)
        if key not in self._factors:
            window = peak_window(plan.period)
            factor = predicted_storm_factor(cohort or self.cohort(), plan, window)
            self._factors[key] = max(1.0, factor)
        return self._factors[key]

    def plain_factor(self, plan: SettingsPlan) -> float:
        """Return the storm factor of `plan` with a plain threshold in place of its policy."""
        return self.storm_factor(replace(plan, policy="plain"))

    def noise95(self, plan: SettingsPlan) -> float:
        """Return the storm factor that chance alone stays below in 95 of 100 runs."""
        steady = steady_rate(self.sessions, plan.period)
        return noise95(steady, plan.lifetime, peak_window(plan.period))

    def outcome(self, plan: SettingsPlan) -> PlanOutcome:
        """Return what `plan` leads to."""
        hits, needed = self._hit(plan)
        steady = steady_rate(self.sessions, plan.period)
        _, sign = costs_of(self.measurements.costs, plan.algorithm)
        request = self.base_seconds + self._authentication(plan, hits)
        signed = min(1.0, steady * self.signatures_per_renewal(plan) / self.peak_rps)
        service = mixed_service([(1 - signed, request), (signed, request + sign)])
        held = min(needed, float(plan.cache_entries))
        return PlanOutcome(
            sign_ins=self.sign_ins(plan),
            renewals_per_second=steady,
            storm_factor=self.storm_factor(plan),
            noise95=self.noise95(plan),
            window=peak_window(plan.period),
            hit_ratio=hits,
            entries_needed=needed,
            memory_mb=held * self.measurements.costs.entry_bytes / 1e6,
            request_seconds=request,
            signatures_per_renewal=self.signatures_per_renewal(plan),
            cpu_share=self.peak_rps * request / plan.workers,
            p99_wait=wait_quantile(0.99, self.peak_rps, service, plan.workers),
            storm=self._signing_storm(plan, request),
        )

    def workers_for(self, plan: SettingsPlan) -> int:
        """Return the fewest workers whose utilisation is at most the target.

        With more workers a page reaches more caches, so each request costs more: repeated until the
        number holds.
        """
        workers = 1
        while True:
            one = replace(plan, workers=workers)
            request = self.base_seconds + self._authentication(one, self._hit(one)[0])
            service = mixed_service([(1.0, request)])
            needed = workers_needed(self.peak_rps, service, self.measurements.targets.cpu_share)
            if needed <= workers:
                return workers
            workers = needed

    def _signing_storm(self, plan: SettingsPlan, request: float) -> SigningStorm:
        """Return the load while all tokens fall due; a policy that spreads has no window."""
        _, sign = costs_of(self.measurements.costs, plan.algorithm)
        signatures = self.signatures_per_renewal(plan)
        if plan.policy == "plain":
            return self._open_window(plan, request, min(signatures, self.per_page))
        steady = self.peak_rps * request / plan.workers
        extra = (self.storm_factor(plan) - 1) * steady_rate(self.sessions, plan.period)
        opened = steady + max(0.0, extra) * signatures * sign / plan.workers
        return SigningStorm(
            steady_load=steady,
            open_load=opened,
            backlog=0.0 if opened <= 1 else math.inf if steady >= 1 else (opened - 1) * plan.buffer,
        )

    def _open_window(
        self, plan: SettingsPlan, request: float, signatures_per_page: float | None = None
    ) -> SigningStorm:
        _, sign = costs_of(self.measurements.costs, plan.algorithm)
        return open_window(
            self.sessions,
            1 / self.gaps.mean,
            self.per_page,
            request,
            sign,
            plan.workers,
            signatures_per_page,
        )

    def without_memo(self, plan: SettingsPlan) -> SigningStorm:
        """Return the load under a plain threshold without any memo of successors."""
        verify, _ = costs_of(self.measurements.costs, plan.algorithm)
        request = self.base_seconds + self.measurements.costs.hit * _MICRO + verify * 0.1
        return self._open_window(plan, request)

    def current_plan(self) -> SettingsPlan:
        """Return the settings in force as a plan."""
        now, served = self.measurements.current, self.measurements.served
        workers = max(1, self.measurements.targets.workers or (served.workers if served else 0))
        is_rsa = now.algorithm.startswith(("RS", "PS"))
        return SettingsPlan(
            lifetime=now.lifetime,
            buffer=now.buffer,
            policy=now.policy,
            jitter_width=now.jitter_width,
            algorithm=now.algorithm,
            workers=workers,
            cache_entries=now.cache_entries,
            cache_lifetime=now.cache_lifetime,
            budget=None if now.budget is None else now.budget * workers,
            burst=now.burst,
            off_loop=is_rsa if now.off_loop is None else now.off_loop,
            max_session=now.max_session if now.slides else now.absolute,
        )

    def advised_plan(self) -> SettingsPlan:
        """Return the settings in force with what is advised at any lifetime and buffer."""
        plan, targets = self.current_plan(), self.measurements.targets
        return replace(
            plan,
            policy="grid",
            algorithm=targets.algorithm or plan.algorithm,
            max_session=targets.session_cap or plan.max_session,
        )

    @property
    def pause_source(self) -> str:
        """The origin of the pauses, as an input of a recommendation."""
        measured = self.measurements
        if self.is_gap_known and measured.visitors is not None:
            return f"gaps of {measured.visitors.source or 'visitors'}"
        if measured.lags is not None:
            return f"lags of {measured.lags_source or 'renewals'}"
        return "no evidence of visits"

    @property
    def cost_source(self) -> str:
        """The origin of the costs, as an input of a recommendation."""
        return f"costs of {self.measurements.costs.source}"

    @property
    def p999(self) -> float:
        """The 99.9th percentile of responses in seconds; 1 s where no storm measured it."""
        served = self.measurements.served
        return served.p999 if served is not None else 1.0

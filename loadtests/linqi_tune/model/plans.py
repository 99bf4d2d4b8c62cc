"""The settings that are tuned, as one plan, and what a plan is predicted to lead to."""

from __future__ import annotations

from dataclasses import dataclass

from linqi_tune.model.measurements import CurrentSettings
from linqi_tune.model.session_rule import SessionRule, policy_of
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.model.worker_queue import SigningStorm

__all__ = ["PlanOutcome", "SettingsPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPlan:
    """Settings that are tuned together; durations in seconds.

    Attributes:
        policy: ``grid``, ``plain`` or ``jitter``.
        jitter_width: Share of the period, for the policy ``jitter``.
        cache_entries: Entries in the cache of each worker.
        budget: Signatures of successors per second, all workers together; None for no budget.
        burst: Signatures at once, in the budget of each worker.
        off_loop: Whether successors are signed in a thread.
        max_session: Seconds after which a session ends, whatever its use.
        caches_issued: Whether the worker that signs a token puts it into its cache.

    """

    lifetime: float
    buffer: float
    policy: str = "grid"
    jitter_width: float = 0.1
    algorithm: str = "ES256"
    cache_entries: int = 10_000
    cache_lifetime: float = 60.0
    budget: float | None = None
    burst: float = 10.0
    workers: int = 1
    off_loop: bool = False
    max_session: float = 28_800.0
    caches_issued: bool = True

    @property
    def period(self) -> float:
        """``lifetime - buffer``, in seconds."""
        return self.lifetime - self.buffer

    def session_rule(self, current: CurrentSettings) -> SessionRule:
        """Return when these settings force a sign-in, for the kind of sessions of `current`."""
        if not current.slides:
            idle = min(current.idle, self.max_session)
            return SessionRule.for_refresh_tokens(
                self.lifetime, self.buffer, idle, self.max_session
            )
        return SessionRule(
            lifetime=self.lifetime,
            buffer=self.buffer,
            policy=policy_of(self.policy),
            jitter_width=self.jitter_width,
            max_session=self.max_session,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutcome:
    """What a plan is predicted to lead to.

    Attributes:
        sign_ins: Forced sign-ins per person and day; None where no pauses between requests are
            known.
        renewals_per_second: The steady rate.
        storm_factor: The highest renewal rate of the first cycle over the steady rate.
        noise95: The storm factor that chance alone stays below in 95 of 100 runs.
        window: The seconds over which the storm factor is taken.
        hit_ratio: The share of verifications that the cache answers.
        entries_needed: Cache entries of a worker with which none is evicted before it expires.
        memory_mb: Memory of cached tokens in each worker, in megabytes of 1,000,000 bytes.
        request_seconds: Processor time of a request.
        signatures_per_renewal: Mean signatures that a renewal costs, at least 1.
        cpu_share: Utilisation of each worker in the busiest second.
        p99_wait: Seconds that 99 of 100 requests wait at most for a worker, in that second.
        storm: The load on the workers while all tokens fall due.

    """

    sign_ins: ForcedSignIns | None
    renewals_per_second: float
    storm_factor: float
    noise95: float
    window: float
    hit_ratio: float
    entries_needed: float
    memory_mb: float
    request_seconds: float
    signatures_per_renewal: float
    cpu_share: float
    p99_wait: float
    storm: SigningStorm

"""The advice as a JSON document with a schema version (docs/guides/tuning.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from linqi_tune.evidence.sources import Evidence
from linqi_tune.model.advice import Advice, Contradiction, Option, Recommendation
from linqi_tune.model.intervals import Interval
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.policy_trade import PolicyTrade
from linqi_tune.model.refresh_option import RefreshOption
from linqi_tune.model.sign_ins import ForcedSignIns
from linqi_tune.report.tables import refresh_texts, shows_refresh_tokens

__all__ = ["SCHEMA", "as_json", "outcome_as_json", "plan_as_json"]

SCHEMA: Final = 2
"""Rises when a member changes its meaning or is removed; new members do not raise it."""


def as_json(advice: Advice, evidence: Evidence, chosen: str) -> dict[str, Any]:
    """Return the document; names contain units, and infinite or unknown values are null."""
    measurements, option = evidence.measurements, advice.option(chosen)
    sources = {
        "visitors": measurements.visitors.source if measurements.visitors else None,
        "lags": measurements.lags_source or None,
        "costs": measurements.costs.source,
        "servers": measurements.served.source if measurements.served else None,
        "settings": evidence.config.source if evidence.config else None,
    }
    document = {
        "schema": SCHEMA,
        "kind": "linqi-tune",
        "sources": sources,
        "current": {"plan": plan_as_json(advice.plan), "outcome": outcome_as_json(advice.outcome)},
        "chosen": chosen,
        "options": [_option(option) for option in advice.options],
        "contradictions": [_contradiction(one) for one in option.contradictions],
        "refresh_tokens": _refreshed(
            advice.refreshed, is_shown=shows_refresh_tokens(advice, option)
        )
        if advice.refreshed
        else None,
        "policies": [_policy(one) for one in advice.policies],
        "notes": [*evidence.remarks, *refresh_texts(advice, option), *advice.notes],
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def _finite(value: Any) -> Any:
    """Return `value` with None in place of numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _option(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "plan": plan_as_json(option.plan),
        "outcome": outcome_as_json(option.outcome),
        "recommendations": [_recommendation(one) for one in option.recommendations],
        "contradictions": [_contradiction(one) for one in option.contradictions],
        "changes": {table: dict(keys) for table, keys in option.changes().items()},
    }


def plan_as_json(plan: SettingsPlan) -> dict[str, Any]:
    """Return the settings of a plan."""
    return {
        "lifetime_seconds": plan.lifetime,
        "buffer_seconds": plan.buffer,
        "policy": plan.policy,
        "algorithm": plan.algorithm,
        "cache_entries": plan.cache_entries,
        "cache_lifetime_seconds": plan.cache_lifetime,
        "budget_renewals_per_second": plan.budget,
        "workers": plan.workers,
        "signs_off_loop": plan.off_loop,
        "max_session_seconds": plan.max_session,
    }


def outcome_as_json(outcome: PlanOutcome) -> dict[str, Any]:
    """Return the predictions for a plan."""
    return {
        "forced_sign_ins": None if outcome.sign_ins is None else _forced(outcome.sign_ins),
        "renewals_per_second": outcome.renewals_per_second,
        "storm_factor": outcome.storm_factor,
        "storm_factor_noise95": outcome.noise95,
        "storm_window_seconds": outcome.window,
        "cache_hit_share": outcome.hit_ratio,
        "cache_entries_needed": outcome.entries_needed,
        "cache_memory_mb": outcome.memory_mb,
        "cpu_microseconds_per_request": outcome.request_seconds * 1e6,
        "cpu_share_per_worker": outcome.cpu_share,
        "p99_wait_ms": outcome.p99_wait * 1e3,
        "signatures_per_renewal": outcome.signatures_per_renewal,
        "expiry_window_load": outcome.storm.open_load,
        "expiry_window_backlog_seconds": outcome.storm.backlog,
    }


def _forced(forced: ForcedSignIns) -> dict[str, Any]:
    """Return the goal figure, its causes, and what it rests on."""
    return {
        "per_person_day": _interval(forced.total),
        "that_a_longer_buffer_saves_per_person_day": forced.savable,
        "after_pauses_longer_than_the_lifetime_per_person_day": forced.beyond,
        "at_the_end_of_a_session_per_person_day": forced.capped,
        "renewals_per_person_day": forced.renewals,
        "seen": forced.seen,
        "person_days": forced.person_days,
        "is_log_long_enough": forced.is_resolved,
    }


def _refreshed(one: RefreshOption, *, is_shown: bool) -> dict[str, Any]:
    return {
        "plan": plan_as_json(one.plan),
        "outcome": outcome_as_json(one.outcome),
        "saved_share": one.saved,
        "store_writes_per_second": one.store_writes,
        "idle_seconds": one.idle,
        "revoked_within_seconds": one.revoked_within,
        "is_shown": is_shown,
    }


def _policy(one: PolicyTrade) -> dict[str, Any]:
    return {
        "policy": one.policy,
        "jitter_width": one.jitter_width,
        "forced_sign_ins_per_person_day": _interval(one.sign_ins) if one.sign_ins else None,
        "storm_factor": one.storm_factor,
        "storm_factor_noise95": one.noise95,
    }


def _recommendation(one: Recommendation) -> dict[str, Any]:
    return {
        "table": one.table or None,
        "key": one.key,
        "value": one.value,
        "unit": one.unit,
        "reason": one.reason,
        "inputs": list(one.inputs),
        "interval": _interval(one.interval) if one.interval else None,
        "interval_of": one.interval_of or None,
        "would_change": one.would_change,
    }


def _contradiction(one: Contradiction) -> dict[str, Any]:
    return {
        "code": one.code,
        "what": one.what,
        "ways": [
            {
                "target": way.target,
                "wanted": way.wanted,
                "eased": way.eased,
                "unit": way.unit,
                "factor": way.factor,
            }
            for way in one.ways
        ],
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}

"""Every setting of a plan as a recommendation: value, reason, inputs and what would change it."""

from __future__ import annotations

from linqi_tune.model.advice import Recommendation
from linqi_tune.model.dual_recommendations import (
    refresh_recommendations,
    store_recommendations,
)
from linqi_tune.model.key_set_recommendations import key_set_recommendations
from linqi_tune.model.lifetimes import LifetimeChoice
from linqi_tune.model.plans import PlanOutcome, SettingsPlan
from linqi_tune.model.predictor import Predictor
from linqi_tune.model.server_recommendations import (
    cache_recommendations,
    signing_recommendations,
    worker_recommendation,
)
from linqi_tune.model.sliding_recommendations import sliding_recommendations

__all__ = ["recommendations_of"]


def recommendations_of(
    predictor: Predictor, plan: SettingsPlan, outcome: PlanOutcome, choice: LifetimeChoice
) -> tuple[Recommendation, ...]:
    """Return a recommendation for every setting of `plan` that the measurements allow.

    Without a number of sessions there is none for the cache, the budget and the workers.
    """
    renewal = (
        sliding_recommendations(predictor, plan, outcome, choice)
        if predictor.measurements.current.slides
        else refresh_recommendations(predictor, plan, outcome, choice)
    )
    found = [*renewal, *signing_recommendations(predictor, plan, outcome)]
    if predictor.is_session_count_known:
        found += cache_recommendations(predictor, plan, outcome)
    found += store_recommendations(predictor, plan)
    found += key_set_recommendations(predictor.measurements)
    if predictor.is_session_count_known:
        found.append(worker_recommendation(predictor, plan, outcome))
    return tuple(found)

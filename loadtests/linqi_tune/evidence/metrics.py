"""Metrics in Prometheus' text format, as a scrape or a file of one."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.model.losses import LagCounts

__all__ = ["LAG", "MetricMeasurements", "read_metrics"]

LAG: Final = "linqi_renewal_lag_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMeasurements:
    """What the metrics of all instances say together."""

    lags: LagCounts
    series: int
    """How many histograms were added up: one for each instance or worker."""
    late: float | None
    """Expired tokens presented; None where they are not counted, and the lags are censored."""
    source: str

    @property
    def is_censored(self) -> bool:
        """Whether late ones are missing, so that the losses read too low."""
        return self.late is None


def read_metrics(path: Path) -> MetricMeasurements:
    """Read the renewal lags of a file; `ConfigurationError` where it has none.

    Histograms of several instances are added up by their bounds, which must be the same.
    """
    try:
        from prometheus_client.parser import text_fd_to_metric_families
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["prometheus-client is not installed; pip install 'linqi[prometheus]'"]
        ) from None
    buckets: defaultdict[float, float] = defaultdict(float)
    series: defaultdict[frozenset[tuple[str, str]], set[float]] = defaultdict(set)
    late: float | None = None
    with path.open(encoding="utf-8") as file:
        try:
            for family in text_fd_to_metric_families(file):
                for sample in family.samples:
                    if sample.name == f"{LAG}_bucket":
                        bound = float(sample.labels["le"])
                        buckets[bound] += sample.value
                        rest = frozenset(sample.labels.items()) - {("le", sample.labels["le"])}
                        series[rest].add(bound)
                    elif sample.name == "linqi_expired_presented_total":
                        late = (late or 0.0) + sample.value
        except (ValueError, KeyError) as error:
            raise ConfigurationError([f"{path} is no Prometheus text: {error}"]) from error
    if not buckets.get(math.inf):
        raise ConfigurationError(
            [f"{path} has no {LAG}_bucket with anything in it; see docs/guides/events.md"]
        )
    if len(set(map(frozenset, series.values()))) > 1:
        raise ConfigurationError([f"{path}: the {LAG} of its instances have different buckets"])
    bounds = sorted(bound for bound in buckets if bound < math.inf)
    lags = LagCounts(
        bounds=tuple(bounds),
        counts=tuple(buckets[bound] for bound in bounds),
        total=buckets[math.inf],
    )
    return MetricMeasurements(lags=lags, series=len(series), late=late, source=path.name)

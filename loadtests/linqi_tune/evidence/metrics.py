"""The renewal lags in metrics, in the text format of Prometheus."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linqi.errors import ConfigurationError
from linqi_tune.model.lag_counts import LagCounts

__all__ = ["LAG", "MetricMeasurements", "read_metrics"]

LAG: Final = "linqi_renewal_lag_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMeasurements:
    """The renewal lags of all instances together.

    Attributes:
        series: The number of histograms that were added up, one for each instance or worker.
        late: Expired tokens that were presented; None where they are not counted, so that the lags
            end at the buffer.
        source: The name of the file.

    """

    lags: LagCounts
    series: int
    late: float | None
    source: str

    @property
    def is_censored(self) -> bool:
        """Whether expired tokens are missing, so that the losses read too low."""
        return self.late is None


def read_metrics(path: Path) -> MetricMeasurements:
    """Return the renewal lags in a file; histograms of several instances are added up.

    Raises:
        ConfigurationError: The file has no lags, is no Prometheus text, or its histograms have
            different bounds.

    """
    try:
        from prometheus_client.parser import text_fd_to_metric_families
    except ModuleNotFoundError:
        raise ConfigurationError(
            ["prometheus-client is not installed; pip install 'linqi[tune]'"]
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
            raise ConfigurationError(
                [f"{path} is not in the text format of Prometheus: {error}"]
            ) from error
    if not buckets.get(math.inf):
        raise ConfigurationError(
            [f"{path} has no {LAG}_bucket with a count; see docs/guides/events.md"]
        )
    if len(set(map(frozenset, series.values()))) > 1:
        raise ConfigurationError([f"{path}: its instances have different buckets of {LAG}"])
    bounds = sorted(bound for bound in buckets if bound < math.inf)
    lags = LagCounts(
        bounds=tuple(bounds),
        counts=tuple(buckets[bound] for bound in bounds),
        total=buckets[math.inf],
    )
    return MetricMeasurements(lags=lags, series=len(series), late=late, source=path.name)

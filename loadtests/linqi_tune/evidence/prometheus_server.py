"""The renewal lags that a Prometheus server has collected from all workers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from linqi._ranges import Range, Ranges, range_faults
from linqi.errors import ConfigurationError
from linqi_tune.evidence.metrics import LAG, MetricMeasurements
from linqi_tune.model.lag_counts import LagCounts

__all__ = ["TOKEN_VARIABLE", "PrometheusSource", "read_prometheus"]

TOKEN_VARIABLE: Final = "LINQI_PROMETHEUS_TOKEN"
"""The environment variable with the bearer token of a server that wants one."""
_DAY: Final = 86_400
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSource:
    """Where the lags of the last days are.

    Raises:
        ConfigurationError: The URL is none of http or https, or `days` is out of its range.

    """

    RANGES: ClassVar[Ranges] = {"days": Range(0, 400, "days", is_above=True)}

    url: str
    """The server, as in ``http://localhost:9090``."""
    days: float = 7.0
    """How far back, above 0 to 400; default 7, so that each day of the week counts once."""
    match: str = ""
    """Further matchers of labels, as in ``job="shop"``."""

    def __post_init__(self) -> None:
        faults = range_faults(self.RANGES, self)
        if not self.url.startswith(("http://", "https://")):
            faults.append(
                f"{self.url!r} is no URL of a Prometheus server, such as http://host:9090"
            )
        if "{" in self.match or "}" in self.match:
            faults.append('--prometheus-match takes matchers without braces, such as job="shop"')
        if faults:
            raise ConfigurationError(faults)


def read_prometheus(
    source: PrometheusSource, environ: Mapping[str, str] = os.environ
) -> MetricMeasurements:
    """Return the renewal lags of the last days, those of all workers added up.

    A worker that was started again counts on: ``increase`` sees a counter that fell.

    Raises:
        ConfigurationError: The server does not answer, or has no lags of that time, or the workers
            have different buckets.

    """
    span, labels = f"[{round(source.days * _DAY)}s]", source.match
    matched = f"{{{labels}}}" if labels else ""
    with _Server(source.url, environ) as server:
        found = server.query(f"sum by (le) (increase({LAG}_bucket{matched}{span}))")
        counted = server.query(f"count by (le) (last_over_time({LAG}_bucket{matched}{span}))")
        late = server.query(f"sum(increase(linqi_expired_presented_total{matched}{span}))")
    buckets = {float(metric.get("le", "nan")): value for metric, value in found}
    if not buckets.get(math.inf):
        raise ConfigurationError(
            [
                f"{source.url} has no {LAG}_bucket{matched} that rose in {source.days:g} days; is"
                " PrometheusHook among the hooks, and is the application scraped?"
            ]
        )
    if len({value for _, value in counted}) > 1:
        raise ConfigurationError([f"{source.url}: its workers have different buckets of {LAG}"])
    bounds = sorted(bound for bound in buckets if bound < math.inf)
    return MetricMeasurements(
        lags=LagCounts(
            bounds=tuple(bounds),
            counts=tuple(buckets[bound] for bound in bounds),
            total=buckets[math.inf],
        ),
        series=int(counted[0][1]) if counted else 0,
        late=late[0][1] if late else None,
        source=f"{source.url}, {source.days:g} days",
    )


class _Server:
    """Asks a Prometheus server by its HTTP API."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        import httpx2

        token = environ.get(TOKEN_VARIABLE, "")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._errors = httpx2.HTTPError
        self._client = httpx2.Client(headers=headers, timeout=_TIMEOUT)

    def __enter__(self) -> _Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Return the labels and the value of each series of an instant query."""
        try:
            answer = self._client.post(f"{self._url}/api/v1/query", data={"query": expr})
            document: Any = answer.json()
            if document["status"] != "success":
                raise ConfigurationError([f"{self._url}: {str(document.get('error'))[:300]}"])
            return [(one["metric"], float(one["value"][1])) for one in document["data"]["result"]]
        except (self._errors, ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigurationError(
                [f"{self._url} does not answer as a Prometheus server: {type(error).__name__}"]
            ) from error

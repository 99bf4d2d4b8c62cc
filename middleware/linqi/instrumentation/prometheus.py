"""The Prometheus sink: events as metrics, and the door to prometheus-client."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "linqi.instrumentation.prometheus needs prometheus-client: pip install 'linqi[prometheus]'",
        name=error.name,
    ) from error

from linqi.events import Event
from linqi.instrumentation.event_reader import CountedCache, EventReader
from linqi.instrumentation.metric import Metric
from linqi.instrumentation.metrics import METRICS

__all__ = ["PrometheusHook", "prometheus_name"]


class PrometheusHook:
    """Counts events in Prometheus metrics; pass it in ``hooks``, and expose `registry` as usual.

    No label holds a token, a user, a session, a path or a key id: each label has a few values,
    fixed by the code or, for issuers, by the settings.

    ``linqi tune`` reads the histogram ``linqi_renewal_lag_seconds``. It holds, once for each
    signature, the time from when a token was due to the request that renewed it, and once for each
    token first presented after its expiry, the time from due to that request. The share above B is
    what a buffer of B seconds loses.

    Args:
        registry: Where the metrics are registered.

    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._read = EventReader(self._record)
        # Several processes are read through their files, and no registry of theirs ever is.
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        registry.register(_CacheCounter(self._read))  # before the metrics, so that it is read first
        self._collectors = {metric.name: _collector(metric, registry) for metric in METRICS}

    def __call__(self, event: Event) -> None:
        """Count `event`."""
        self._read(event)
        if self._is_shared:
            self._read.count_caches()

    def watch_cache(self, cache: CountedCache) -> None:
        """Count the hits and misses of `cache` at each scrape; `Verifier.listen` calls this."""
        self._read.watch_cache(cache)

    def _record(self, metric: Metric, value: float, labels: tuple[str, ...]) -> None:
        collector = self._collectors[metric.name]
        child = collector.labels(*labels) if labels else collector
        if metric.kind == "counter":
            child.inc(value)
        elif metric.kind == "gauge":
            child.set(value)
        else:
            child.observe(value)


class _CacheCounter:
    """Counts what the caches did when the registry is read; it has no metric of its own."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader

    def describe(self) -> Iterable[Any]:
        """Return no metrics."""
        return ()

    def collect(self) -> Iterable[Any]:
        """Count the caches, and return no metrics."""
        self._reader.count_caches()
        return ()


def prometheus_name(metric: Metric) -> str:
    """Return the name of `metric` as it is exposed, with its unit."""
    name = "linqi_" + metric.name.replace(".", "_")
    if metric.unit == "s":
        name += "_seconds"
    return name + "_total" if metric.kind == "counter" else name


def _collector(metric: Metric, registry: CollectorRegistry) -> Any:
    name = prometheus_name(metric)
    if metric.kind == "counter":
        counter = Counter(name, metric.meaning, metric.labels, registry=registry)
        for labels in metric.known:
            counter.labels(*labels)
        return counter
    if metric.kind == "histogram":
        return Histogram(
            name, metric.meaning, metric.labels, buckets=metric.buckets, registry=registry
        )
    gauge = Gauge(
        name, metric.meaning, metric.labels, registry=registry, multiprocess_mode="liveall"
    )
    if metric.at_start is not None:
        gauge.set(metric.at_start)
    return gauge

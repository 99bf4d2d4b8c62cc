"""The OpenTelemetry sink: events as metrics and span events, and the door to its API."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

try:
    from opentelemetry import metrics, trace
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "linqi.instrumentation.otel needs the OpenTelemetry API: pip install 'linqi[otel]'",
        name=error.name,
    ) from error

from linqi import events
from linqi.events import Event
from linqi.instrumentation.event_name import event_name
from linqi.instrumentation.event_reader import CountedCache, EventReader
from linqi.instrumentation.metric import Metric
from linqi.instrumentation.metrics import METRICS

__all__ = [
    "ATTRIBUTES",
    "SPAN_EVENTS",
    "OpenTelemetryHook",
    "otel_name",
    "span_event_name",
    "trace_ids",
]

ATTRIBUTES: Final[Mapping[str, str]] = {
    "status": "http.response.status_code",
    "code": "error.type",
    "reason": "linqi.reason",
    "outcome": "linqi.outcome",
    "cause": "linqi.cause",
    "limit": "linqi.limit",
    "step": "linqi.step",
    "issuer": "linqi.issuer",
}
"""The attributes of labels and of span events: those that OpenTelemetry registered for the status
and for what went wrong, as in its metrics of authentication, and none of a user."""
_STATUS: Final = "http.response.status_code"

SPAN_EVENTS: Final[Mapping[type[Any], tuple[str, ...]]] = {
    events.TokenRefused: ("status", "code"),
    events.TokenRenewed: ("lag", "signed"),
    events.RenewalDeferred: ("reason", "seconds_left"),
    events.RenewalDenied: ("reason",),
    events.RenewalFailed: (),
    events.SessionCapReached: (),
    events.ClaimsUpdated: ("signed",),
    events.SessionRefreshed: ("outcome",),
    events.RefreshShared: (),
    events.RefreshDenied: ("reason",),
    events.RefreshTokenReused: (),
    events.SessionRouteFailed: ("status", "code"),
    events.LoginThrottled: ("limits",),
}
"""The events of a request that its span gets, with the fields that are kept. No field names a
user, a session, a token or a path, which the span has as its route."""


_SHARED: Final[Mapping[type[Any], Callable[[Any], tuple[str, float]]]] = {
    events.TokenRenewed: lambda e: (e.session, e.new_expires_at),
    events.SessionRefreshed: lambda e: (e.session, e.sequence),
    events.RefreshShared: lambda e: (e.session, e.sequence),
}
"""What one request makes and others wait for: the successor of a token, a rotation."""
_REMEMBERED: Final = 1_024


class OpenTelemetryHook:
    """Records events as OpenTelemetry metrics and as events of the current span.

    Pass it in ``hooks``. It uses the API alone: the application sets up the SDK and its exporters,
    and without an SDK nothing is recorded. The span is that of the server, as the instrumentation
    of ASGI or of a framework makes it, where that is around `JWTMiddleware`. The span of a request
    that waited for the refresh or the signature of another is linked to the other's span.

    Args:
        meter_provider: Makes the instruments; None for the global one.

    """

    def __init__(self, meter_provider: metrics.MeterProvider | None = None) -> None:
        meter = metrics.get_meter("linqi", meter_provider=meter_provider)
        self._instruments = {metric.name: _instrument(metric, meter) for metric in METRICS}
        self._read = EventReader(self._record)
        self._made: OrderedDict[tuple[str, float], trace.SpanContext] = OrderedDict()
        for metric in METRICS:
            for labels in metric.known:
                self._record(metric, 0, labels)
        # An export calls it before it reads what was recorded; it has no value of its own.
        meter.create_observable_gauge("linqi.cache", callbacks=[self._count_caches])

    def __call__(self, event: Event) -> None:
        """Record `event`, and add it to the current span if that is recorded."""
        self._read(event)
        fields = SPAN_EVENTS.get(type(event))
        if fields is None:
            return
        span = trace.get_current_span()
        if span.is_recording():
            kept = {_attribute(name): getattr(event, name) for name in fields}
            span.add_event(span_event_name(type(event)), kept)
            self._link(span, event)

    def _link(self, span: trace.Span, event: Event) -> None:
        """Link the span of a request that waited for another's refresh or signature to its span."""
        key = _SHARED.get(type(event), lambda _: None)(event)
        if key is None:
            return
        if isinstance(event, events.SessionRefreshed) or getattr(event, "signed", False):
            self._made[key] = span.get_span_context()
            if len(self._made) > _REMEMBERED:
                self._made.popitem(last=False)
        elif (made := self._made.get(key)) is not None:
            span.add_link(made, {"linqi.relation": "waited_for"})

    def watch_cache(self, cache: CountedCache) -> None:
        """Count the hits and misses of `cache` at each export; `Verifier.listen` calls this."""
        self._read.watch_cache(cache)

    def _count_caches(self, _: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        self._read.count_caches()
        return ()

    def _record(self, metric: Metric, value: float, labels: tuple[str, ...]) -> None:
        attributes: dict[str, str | int] = {}
        for label, text in zip(metric.labels, labels, strict=True):
            name = ATTRIBUTES[label]
            attributes[name] = int(text) if name == _STATUS else text
        instrument = self._instruments[metric.name]
        if metric.kind == "counter":
            instrument.add(value, attributes)
        elif metric.kind == "gauge":
            instrument.set(value, attributes)
        else:
            instrument.record(value, attributes)


def otel_name(metric: Metric) -> str:
    """Return the name of `metric` in OpenTelemetry."""
    return f"linqi.{metric.name}"


def span_event_name(event: type[Any]) -> str:
    """Return the name of a span event, such as ``linqi.token_refused``."""
    return f"linqi.{event_name(event)}"


def trace_ids() -> dict[str, str]:
    """Return ``trace_id`` and ``span_id`` of the current span in hex; empty without one."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _attribute(field: str) -> str:
    return ATTRIBUTES.get(field, f"linqi.{field}")


def _instrument(metric: Metric, meter: metrics.Meter) -> Any:
    name = otel_name(metric)
    if metric.kind == "counter":
        return meter.create_counter(name, metric.unit, metric.meaning)
    if metric.kind == "histogram":
        return meter.create_histogram(
            name,
            metric.unit,
            metric.meaning,
            explicit_bucket_boundaries_advisory=[float(bound) for bound in metric.buckets],
        )
    gauge = meter.create_gauge(name, metric.unit, metric.meaning)
    if metric.at_start is not None:
        gauge.set(metric.at_start)
    return gauge

"""Events as OpenTelemetry metrics and span events, exported by its own SDK."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from asgi import App, call, http
from linqi import (
    JWTMiddleware,
    Key,
    KeySet,
    MemoryStore,
    Sessions,
    Signer,
    SlidingRenewal,
    VerifiedCache,
    Verifier,
)
from linqi.events import Event, KeysNotFetched, TokenRefused, TokenRenewed
from linqi.instrumentation.metrics import METRICS
from linqi.instrumentation.otel import OpenTelemetryHook, otel_name
from linqi.instrumentation.prometheus import PrometheusHook, prometheus_name
from linqi.jose.cache import CacheInfo


def samples_of(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the data points that the SDK has, by the name of their metric."""
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: list(metric.data.data_points) for metric in metrics}


def every_event() -> Iterator[Event]:
    """Yield an event of each type, whose secret fields hold SECRET."""
    fixed = {"reason", "code", "cause", "outcome", "issuer", "step"}
    for kind in typing.get_args(Event):
        values: dict[str, Any] = {
            name: {"int": 1, "float": 1.0, "bool": True, "float | None": 1.0}.get(
                str(declared), "SECRET"
            )
            for name, declared in kind.__annotations__.items()
        }
        values |= dict.fromkeys(fixed & set(values), "fixed")
        if "limits" in values:
            values["limits"] = ("pair",)
        if "quiet" in values:
            values |= {"quiet": False, "expired_for": 0.5}
        yield kind(**values)


class Counted(VerifiedCache):
    """A cache that was used."""

    def info(self) -> CacheInfo:
        """Return counters that differ from each other."""
        return replace(super().info(), hits=7, misses=5, evictions=3, entries=2)


@pytest.fixture
def reader() -> InMemoryMetricReader:
    """Return a reader of what the SDK aggregated."""
    return InMemoryMetricReader()


def test_refusals_have_the_registered_attributes_and_no_others(
    reader: InMemoryMetricReader,
) -> None:
    """``error.type`` and the status, as OpenTelemetry registers them."""
    hook = OpenTelemetryHook(MeterProvider([reader]))
    hook(TokenRefused(status=401, code="token_expired", detail="d", path="/p", token_digest="aa"))
    (point,) = samples_of(reader)["linqi.refusals"]
    assert point.value == 1
    assert dict(point.attributes) == {
        "http.response.status_code": 401,
        "error.type": "token_expired",
    }


def test_lags_are_a_histogram_with_the_buckets_of_the_tuner(reader: InMemoryMetricReader) -> None:
    """The share above a buffer can be read from either sink."""
    hook = OpenTelemetryHook(MeterProvider([reader]))
    for lag in (12.0, 400.0):
        hook(
            TokenRenewed(
                user="alice",
                session="s",
                old_expires_at=0,
                new_expires_at=0,
                buffer=300,
                lag=lag,
                signed=True,
            )
        )
    (point,) = samples_of(reader)["linqi.renewal.lag"]
    above = point.explicit_bounds.index(300.0) + 1
    assert point.count == 2
    assert sum(point.bucket_counts[above:]) == 1


def test_no_attribute_holds_a_user_a_session_a_path_or_a_token(
    reader: InMemoryMetricReader,
) -> None:
    """Such attributes would leak, and make a time series for each user."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    hook = OpenTelemetryHook(MeterProvider([reader]))
    with provider.get_tracer("test").start_as_current_span("request"):
        for event in every_event():
            hook(event)
    (span,) = exporter.get_finished_spans()
    told = repr(samples_of(reader)) + "".join(repr(dict(e.attributes or {})) for e in span.events)
    assert "SECRET" not in told
    assert len(span.events) > 10


def test_both_sinks_count_the_same_facts_under_the_same_names() -> None:
    """OpenTelemetry's own exporter to Prometheus makes the names of the Prometheus hook."""
    ours = CollectorRegistry()
    exporter = PrometheusMetricReader()
    provider = MeterProvider([exporter])
    hooks = (PrometheusHook(ours), OpenTelemetryHook(provider))
    cache = Counted()
    try:
        for hook in hooks:
            hook.watch_cache(cache)
            for event in every_event():
                hook(event)
        theirs = generate_latest(REGISTRY).decode()
    finally:
        provider.shutdown()
    mine = generate_latest(ours).decode()
    for metric in METRICS:
        name = prometheus_name(metric)
        shown = [line.split(" ")[-1] for line in mine.splitlines() if _is_value(line, name)]
        other = [line.split(" ")[-1] for line in theirs.splitlines() if _is_value(line, name)]
        assert shown, otel_name(metric)
        assert shown == other, otel_name(metric)


def _is_value(line: str, name: str) -> bool:
    return line.startswith((f"{name} ", f"{name}{{", f"{name}_sum", f"{name}_count"))


async def test_refusals_and_renewals_are_events_of_the_servers_span() -> None:
    """The span that OpenTelemetry's ASGI middleware makes around the guarded application."""
    now = [1_000_000.0]
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a", clock=lambda: now[0])
    renewal = SlidingRenewal(signer, clock=lambda: now[0])
    verifier = Verifier.trusting(signer, clock=lambda: now[0])
    guarded = JWTMiddleware(
        App(), verifier, renewal=renewal, hooks=[OpenTelemetryHook()], clock=lambda: now[0]
    )
    app = OpenTelemetryMiddleware(guarded, tracer_provider=provider)
    token = renewal.start("alice").token
    now[0] += 700
    assert (await call(app, http("/", token=token))).status == 200
    assert (await call(app, http("/", token="x.y.z"))).status == 401
    told = [
        (event.name, event.attributes and event.attributes.get("error.type"))
        for span in exporter.get_finished_spans()
        for event in span.events
    ]
    assert told == [("linqi.token_renewed", None), ("linqi.token_refused", "malformed_token")]


async def test_requests_that_waited_are_linked_to_the_one_that_refreshed() -> None:
    """Of ten tabs that refresh together, nine link to the span that redeemed the token."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a")
    secrets = KeySet([Key.generate("HS256")])
    sessions = Sessions(MemoryStore(), signer, secrets, hooks=[OpenTelemetryHook()])
    token = (await sessions.sign_in("alice")).refresh_token

    async def refresh(number: int) -> None:
        with tracer.start_as_current_span(str(number)):
            await sessions.refresh(token)

    await asyncio.gather(*(refresh(number) for number in range(10)))
    await sessions.close()
    spans = exporter.get_finished_spans()
    (made,) = (s for s in spans if any(e.name == "linqi.session_refreshed" for e in s.events))
    waited = [span for span in spans if span is not made]
    assert [[link.context.span_id for link in span.links] for span in waited] == [
        [made.get_span_context().span_id]
    ] * 9


async def test_the_hits_of_the_cache_are_in_each_export(reader: InMemoryMetricReader) -> None:
    """They are counted as the export begins, so it has those of a moment ago."""
    signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a")
    token = SlidingRenewal(signer).start("alice").token
    hook = OpenTelemetryHook(MeterProvider([reader]))
    guarded = JWTMiddleware(App(), Verifier.trusting(signer), hooks=[hook])
    for _ in range(3):
        await call(guarded, http("/", token=token))
    points = samples_of(reader)["linqi.cache.lookups"]
    assert {dict(p.attributes)["linqi.outcome"]: p.value for p in points} == {"hit": 2, "miss": 1}


def test_without_an_sdk_nothing_is_recorded_and_nothing_fails() -> None:
    """The API alone is what the hook needs."""
    OpenTelemetryHook()(
        KeysNotFetched(issuer="https://i", detail="x", failures=1, retry_in=1.0, trusted_for=1.0)
    )

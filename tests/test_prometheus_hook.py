"""Events as Prometheus metrics."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from asgi import App, call, http
from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, Verifier
from linqi.events import (
    Event,
    KeysNotFetched,
    KeysRefreshed,
    RenewalDeferred,
    RevocationFeedLost,
    RevocationFeedRestored,
    SessionRefreshed,
    TokenRefused,
    TokenRenewed,
)
from linqi.instrumentation.prometheus import PrometheusHook


def renewed(lag: float, *, signed: bool = True) -> TokenRenewed:
    """Return a renewal."""
    return TokenRenewed(
        user="alice@example.com",
        session="SESSION-ID",
        old_expires_at=0,
        new_expires_at=0,
        buffer=300,
        lag=lag,
        signed=signed,
    )


def refused(
    digest: str,
    expired_for: float | None = None,
    lag: float | None = None,
    buffer: float | None = None,
) -> TokenRefused:
    """Return a refusal."""
    return TokenRefused(
        status=401,
        code="invalid_token" if expired_for is None else "token_expired",
        detail="detail of a token",
        path="/secret/path",
        token_digest=digest,
        expired_for=expired_for,
        lag=lag,
        buffer=buffer,
    )


def test_lags_are_counted_once_for_a_signature() -> None:
    """Parallel requests share a successor, and its lag."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    for signed in (True, False, False):
        hook(renewed(12.0, signed=signed))
    assert registry.get_sample_value("linqi_renewals_total") == 3
    assert registry.get_sample_value("linqi_renewal_signatures_total") == 1
    assert registry.get_sample_value("linqi_renewal_lag_seconds_count") == 1
    assert registry.get_sample_value("linqi_renewal_lag_seconds_bucket", {"le": "10.0"}) == 0
    assert registry.get_sample_value("linqi_renewal_lag_seconds_bucket", {"le": "20.0"}) == 1


def test_an_expired_token_is_a_lag_beyond_the_buffer_and_counts_once() -> None:
    """It counts from when it was due; presented again it does not count again."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    hook(renewed(1.0))
    for _ in range(3):
        hook(refused("aaaaaaaa", expired_for=100.0, lag=400.0))
    hook(refused("bbbbbbbb"))
    assert registry.get_sample_value("linqi_expired_presented_total") == 1
    assert registry.get_sample_value("linqi_renewal_lag_seconds_sum") == pytest.approx(401.0)
    labels = {"status": "401", "code": "token_expired"}
    assert registry.get_sample_value("linqi_refusals_total", labels) == 3


def test_an_expired_token_that_is_never_renewed_has_no_lag() -> None:
    """A foreign token, or one at a middleware without renewal, was never due."""
    registry = CollectorRegistry()
    PrometheusHook(registry)(refused("aaaaaaaa", expired_for=100.0))
    assert registry.get_sample_value("linqi_expired_presented_total") == 1
    assert registry.get_sample_value("linqi_renewal_lag_seconds_count") == 0


def test_no_label_holds_a_user_a_session_a_path_or_a_token() -> None:
    """Such labels would leak, and make a time series for each user."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    for event_type in typing.get_args(Event):
        values = {
            name: {"int": 1, "float": 1.0, "bool": True}.get(str(kind), "SECRET")
            for name, kind in event_type.__annotations__.items()
        }
        fixed = {"reason", "code", "cause", "outcome", "issuer", "step", "limits"} & set(values)
        hook(event_type(**values | dict.fromkeys(fixed, "fixed")))
    hook(refused("cafebabe", expired_for=1.0))
    hook(renewed(1.0))
    text = generate_latest(registry).decode()
    for secret in ("SECRET", "alice", "SESSION", "secret/path", "cafebabe", "detail"):
        assert secret not in text


def test_refreshes_fetches_and_the_feed_are_counted() -> None:
    """Each by its outcome."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    hook(SessionRefreshed(user="a", session="s", outcome="replayed", sequence=1))
    hook(RenewalDeferred(user="a", session="s", reason="budget", seconds_left=1))
    hook(KeysNotFetched(issuer="https://i", detail="x", failures=1, retry_in=1.0, trusted_for=1.0))
    hook(RevocationFeedLost(detail="x", served_for=1.0))
    value = registry.get_sample_value
    assert value("linqi_refreshes_total", {"outcome": "replayed"}) == 1
    assert value("linqi_renewals_deferred_total", {"reason": "budget"}) == 1
    assert value("linqi_key_fetches_total", {"issuer": "https://i", "outcome": "failed"}) == 1
    assert value("linqi_revocation_feed_up") == 0
    hook(RevocationFeedRestored())
    assert value("linqi_revocation_feed_up") == 1


async def test_the_middleware_tells_how_long_a_token_had_been_expired() -> None:
    """An expired token with a right signature; a forged one says nothing."""
    now = [1_000_000.0]
    signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a", clock=lambda: now[0])
    renewal = SlidingRenewal(signer, clock=lambda: now[0])
    token = renewal.start("alice").token
    events: list[Event] = []

    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no request reaches the application")

    verifier = Verifier.trusting(signer, clock=lambda: now[0])
    guarded = JWTMiddleware(
        app, verifier, renewal=renewal, hooks=[events.append], clock=lambda: now[0]
    )

    async def ask(presented: str) -> None:
        await call(guarded, http("/", token=presented))

    now[0] += 2_000
    await ask(token)
    await ask(token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB"))
    expired, forged = (event for event in events if isinstance(event, TokenRefused))
    assert expired.expired_for == 1_100
    assert expired.lag is not None
    assert 1_400 <= expired.lag < 2_000
    assert (forged.expired_for, forged.lag) == (None, None)


async def test_the_hits_of_the_cache_are_counted_when_the_registry_is_read() -> None:
    """A hit itself records nothing; the middleware passes its verifier's cache to the hook."""
    registry = CollectorRegistry()
    signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a")
    token = SlidingRenewal(signer).start("alice").token
    hook = PrometheusHook(registry)
    guarded = JWTMiddleware(App(), Verifier.trusting(signer), hooks=[hook])
    for _ in range(4):
        await call(guarded, http("/", token=token))
    read = generate_latest(registry).decode()
    assert 'linqi_cache_lookups_total{outcome="hit"} 3.0' in read
    assert 'linqi_cache_lookups_total{outcome="miss"} 1.0' in read
    assert "linqi_cache_entries 1.0" in read
    assert 'linqi_cache_lookups_total{outcome="hit"} 3.0' in generate_latest(registry).decode()


def test_several_processes_count_their_caches_too(tmp_path: Path) -> None:
    """They are read through the files of prometheus-client, and no registry of theirs ever is."""
    worker = """
import asyncio
from asgi import App, call, http
from linqi import JWTMiddleware, Key, Signer, SlidingRenewal, Verifier
from linqi.instrumentation.prometheus import PrometheusHook

signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a")
token = SlidingRenewal(signer).start("alice").token
guarded = JWTMiddleware(App(), Verifier.trusting(signer), hooks=[PrometheusHook()])

async def ask():
    for presented in (token, token, token, None):
        await call(guarded, http("/", token=presented))

asyncio.run(ask())
"""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        command = [sys.executable, "-c", worker]
        subprocess.run(command, env=environ, cwd=Path(__file__).parent, check=True, timeout=60)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))
    read = generate_latest(registry).decode()
    assert 'linqi_cache_lookups_total{outcome="hit"} 4.0' in read
    assert 'linqi_refusals_total{code="no_token",status="401"} 2.0' in read


def test_a_session_is_lost_that_expired_less_than_its_buffer_ago() -> None:
    """A user who comes back hours later lost nothing that a longer buffer would have kept."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    hook(refused("aaaaaaaa", expired_for=299.0, lag=599.0, buffer=300.0))
    hook(refused("bbbbbbbb", expired_for=300.0, lag=600.0, buffer=300.0))
    hook(refused("cccccccc", expired_for=1.0))
    assert registry.get_sample_value("linqi_expired_presented_total") == 3
    assert registry.get_sample_value("linqi_sessions_lost_total") == 1


def test_a_key_set_is_stale_from_the_failure_after_its_lifetime() -> None:
    """Until then a failed fetch costs nothing; a fetch ends it."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)

    def stale() -> float | None:
        return registry.get_sample_value("linqi_key_set_stale", {"issuer": "https://i"})

    failed = KeysNotFetched(
        issuer="https://i", detail="x", failures=1, retry_in=1, trusted_for=9, fresh_for=1.0
    )
    hook(failed)
    assert stale() == 0
    hook(replace(failed, fresh_for=0.0))
    assert stale() == 1
    hook(KeysRefreshed(issuer="https://i", keys=1, added=(), removed=(), lifetime=60))
    assert stale() == 0

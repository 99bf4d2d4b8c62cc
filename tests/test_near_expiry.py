"""The one definition of near expiry: `Verified.due_at`, computed once when a token is verified."""

import math
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    RenewalSettings,
    Signer,
    SlidingRenewal,
    Threshold,
    TrustedIssuer,
    Verifier,
)
from linqi.events import RenewalNotDue, RenewalSkipped, TokenRenewed
from linqi.jose.issuers import own_issuer
from linqi.jose.verified import Verified

PLAIN = RenewalSettings(policy=Threshold())


class Heard(list[Any]):
    """A verbose hook that keeps every event."""

    def __call__(self, event: object) -> None:
        """Keep `event`."""
        self.append(event)

    def is_verbose(self) -> bool:
        """Receive `RenewalNotDue` too."""
        return True


class Site:
    """A middleware with sliding sessions."""

    def __init__(self, clock: FakeClock, settings: RenewalSettings | None = None) -> None:
        self.clock = clock
        self.heard = Heard()
        self.signer = Signer(Key.generate("ES256"), issuer="https://i", audience="a", clock=clock)
        self.foreign = Signer(Key.generate("ES256"), issuer="https://f", audience="a", clock=clock)
        trusted = TrustedIssuer(
            issuer="https://f", audience="a", keys=self.foreign.keys, algorithms=["ES256"]
        )
        self.verifier = Verifier([own_issuer(self.signer), trusted], clock=clock)
        self.renewal = SlidingRenewal(self.signer, settings, clock=clock)
        self.middleware = self.wrap(self.renewal)

    def wrap(self, renewal: SlidingRenewal) -> JWTMiddleware:
        """Return a middleware around the same verifier."""
        return JWTMiddleware(
            App(), self.verifier, renewal=renewal, hooks=[self.heard], clock=self.clock
        )

    def start(self) -> Verified:
        """Return the first token of a session, verified."""
        self.token = self.renewal.start("alice").token
        return self.verifier.verify(self.token)


async def test_a_first_token_lives_the_whole_lifetime_and_is_due_at_its_grid_point(
    clock: FakeClock,
) -> None:
    """At the grid point there is no successor; just after it there is, due one period later."""
    site = Site(clock)
    first = site.start()
    assert first.issued_at is not None
    assert first.expires_at == first.issued_at + 900
    assert first.issued_at < first.due_at <= first.issued_at + 600
    clock.now = first.due_at
    assert (await call(site.middleware, http(token=site.token))).successor is None
    clock.now = first.due_at + 0.5
    answer = await call(site.middleware, http(token=site.token))
    assert answer.successor is not None
    second = site.verifier.verify(answer.successor)
    assert second.issued_at == first.due_at
    assert second.expires_at == first.due_at + 900
    assert second.due_at == first.due_at + 600
    renewed = next(event for event in site.heard if isinstance(event, TokenRenewed))
    assert renewed.lag == 0.5


async def test_all_that_speaks_of_near_expiry_reads_the_same_instant(clock: FakeClock) -> None:
    """``refresh_in``, events, sockets and `SlidingRenewal.renew` agree with `Verified.due_at`."""
    site = Site(clock)
    issued = site.renewal.start("alice")
    first = site.verifier.verify(issued.token)
    assert issued.refresh_in == first.due_at - clock.now
    assert await site.renewal.renew(first) is None
    clock.now = first.due_at + 1
    await call(site.middleware, http(token=issued.token, method="HEAD"))
    assert [event.reason for event in site.heard if isinstance(event, RenewalSkipped)] == ["method"]
    assert await site.renewal.renew(first) is not None


async def test_the_event_of_a_token_that_is_not_due_tells_how_long(clock: FakeClock) -> None:
    """It counts down to the grid point, not to one buffer before ``exp``."""
    site = Site(clock)
    first = site.start()
    clock.now = first.due_at - 2
    await call(site.middleware, http(token=site.token))
    told = [event.due_in for event in site.heard if isinstance(event, RenewalNotDue)]
    assert told == [2]


async def test_tokens_that_were_cached_before_the_middleware_was_made_are_renewed(
    clock: FakeClock,
) -> None:
    """The cache is emptied: what it held had no due instant."""
    site = Site(clock)
    verifier = Verifier.trusting(site.signer, clock=clock)
    token = site.renewal.start("alice").token
    assert verifier.verify(token).due_at == math.inf
    middleware = JWTMiddleware(App(), verifier, renewal=site.renewal, hooks=[], clock=clock)
    clock.now = verifier.verify(token).due_at + 1
    assert (await call(middleware, http(token=token))).successor is not None


async def test_without_a_middleware_a_renewal_still_knows_when_a_token_is_due(
    clock: FakeClock,
) -> None:
    """A verifier that serves no middleware has no schedule, and `renew` decides by its own."""
    site = Site(clock)
    due_at = site.start().due_at
    verifier = Verifier.trusting(site.signer, clock=clock)
    clock.now = due_at
    assert await site.renewal.renew(verifier.verify(site.token)) is None
    clock.now = due_at + 1
    assert await site.renewal.renew(verifier.verify(site.token)) is not None


def test_a_token_of_another_issuer_is_near_expiry_one_buffer_before_its_end(
    clock: FakeClock,
) -> None:
    """Its session, if it names one, has no grid here."""
    site = Site(clock)
    now = int(clock.now)
    claims = {"sub": "bob", "sid": "s", "jti": "t", "iat": now, "exp": now + 900}
    assert site.verifier.verify(site.foreign.sign(claims)).due_at == now + 600
    own = site.signer.sign(claims | {"sid": "another"})
    assert now < site.verifier.verify(own).due_at < now + 600
    del claims["sid"]
    assert site.verifier.verify(site.signer.sign(claims)).due_at == now + 600


def test_two_middlewares_share_a_verifier_only_with_equal_renewal_settings(
    clock: FakeClock,
) -> None:
    """A verified token has one due instant; with two it would depend on the order of requests."""
    site = Site(clock)
    site.wrap(SlidingRenewal(site.signer, RenewalSettings(), clock=clock))
    with pytest.raises(ConfigurationError, match="other settings"):
        site.wrap(SlidingRenewal(site.signer, PLAIN, clock=clock))


def test_the_plain_policy_is_due_one_buffer_before_the_end(clock: FakeClock) -> None:
    """Only the grid is due at other instants."""
    first = Site(clock, PLAIN).start()
    assert first.due_at == first.expires_at - 300

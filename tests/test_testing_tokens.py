"""Tokens for tests: what is right about them, and what a test makes wrong."""

from typing import Any

import pytest
from starlette.applications import Starlette

from linqi import (
    Jitter,
    JWTMiddleware,
    Key,
    MemoryStore,
    RenewalSettings,
    Sessions,
    Signer,
    SlidingRenewal,
    Threshold,
    Verifier,
)
from linqi.errors import (
    ConfigurationError,
    InvalidClaim,
    MissingClaim,
    TokenExpired,
    UnsupportedToken,
)
from linqi.testing import Clock, FakeIssuer, encode_token, make_token

KEY = Key.generate("ES256")
SIGNER = Signer(KEY, issuer="https://shop.example", audience="shop")


def app_of(**settings: Any) -> JWTMiddleware:
    """Return an application that renews by `settings`."""
    renewal = SlidingRenewal(SIGNER, RenewalSettings(**settings))
    return JWTMiddleware(Starlette(), Verifier.trusting(SIGNER), renewal=renewal)


@pytest.mark.parametrize("policy", [None, Threshold(), Jitter(0.25)])
@pytest.mark.parametrize(("lifetime", "buffer"), [(900, 300), (60, 20), (28_800, 3_600)])
def test_a_token_near_expiry_is_due_and_valid(lifetime: float, buffer: float, policy: Any) -> None:
    """By the settings and the policy of the application, whichever they are."""
    chosen = {} if policy is None else {"policy": policy}
    app = app_of(lifetime=lifetime, buffer=buffer, **chosen)
    clock = Clock()
    for _ in range(20):
        verified = app.verifier.verify(make_token(app, near_expiry=True))
        assert verified.due_at < clock() < verified.expires_at
        assert app.verifier.verify(make_token(app)).due_at > clock()
    with pytest.raises(TokenExpired):
        app.verifier.verify(make_token(app, expired=True))


def test_claims_are_added_replaced_and_left_out() -> None:
    """A test can make each claim wrong, and the verification finds it."""
    verifier = Verifier.trusting(SIGNER)
    verified = verifier.verify(make_token(SIGNER, "bob", scopes=["a", "b"], claims={"role": "x"}))
    assert (verified.subject, verified.scopes) == ("bob", ("a", "b"))
    assert verified.claims["role"] == "x"
    assert "sub" not in verifier.verify(make_token(SIGNER, claims={"sub": ...})).claims
    with pytest.raises(InvalidClaim):
        verifier.verify(make_token(SIGNER, claims={"aud": "other"}))
    with pytest.raises(MissingClaim):
        verifier.verify(make_token(SIGNER, claims={"exp": ...}))
    with pytest.raises(ConfigurationError, match="pass one of them"):
        make_token(SIGNER, near_expiry=True, expired=True)


def test_the_maker_may_be_an_issuer_a_signer_or_an_application() -> None:
    """Each signs with its own keys, in its own name."""
    sessions = Sessions(MemoryStore(), SIGNER, Key.generate("HS256"), hooks=[])
    dual = JWTMiddleware(Starlette(), Verifier.trusting(SIGNER), services=[sessions])
    for maker in (SIGNER, app_of(), dual, dual.verifier):
        assert Verifier.trusting(SIGNER).verify(make_token(maker)).issuer == "https://shop.example"
    issuer = FakeIssuer("https://login.example")
    assert make_token(issuer, near_expiry=True).count(".") == 2


def test_a_clock_of_its_own_may_be_given() -> None:
    """Explicit injection, where the application has a clock that stands."""
    clock = Clock(1_800_000_000)
    verifier = Verifier.trusting(SIGNER, clock=clock)
    assert verifier.verify(make_token(SIGNER, clock=clock)).expires_at == 1_800_000_900


def test_exactly_what_is_given_is_signed() -> None:
    """Bytes and headers of any kind, for tests of what verifies."""
    token = encode_token(KEY, b'{"a":1}', {"alg": "ES256", "kid": KEY.kid, "crit": ["x"]})
    with pytest.raises(UnsupportedToken):
        Verifier.trusting(SIGNER).verify(token)

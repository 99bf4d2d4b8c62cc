"""When a session slides, and how far: the pure decisions (R1 to R4)."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError, Grid, Jitter, RenewalSettings, Threshold, Verified
from linqi.jose._compact import parse_object  # noqa: F401 - the payload below is read by it
from linqi.jose.verified import Origin
from linqi.sessions.decision import Due, NotRenewed, decide
from linqi.sessions.renewal import first_span, share_of

NOW = 1_800_000_000
POLICIES = st.sampled_from([Grid(), Threshold(), Jitter(0.1), Jitter(1.0)])
SESSION = st.text("abcdef0123456789", min_size=1, max_size=22)
INSTANT = st.floats(NOW, NOW + 10**6)


@st.composite
def some_settings(draw: Any, policy: Any = POLICIES) -> RenewalSettings:
    """Draw settings in their ranges."""
    lifetime = draw(st.integers(10, 3600))
    buffer = draw(st.integers(1, math.ceil(lifetime / 2) - 1))
    return RenewalSettings(
        lifetime=lifetime,
        buffer=buffer,
        policy=draw(policy),
        max_session=draw(st.integers(lifetime, 86_400)),
        whole_seconds=draw(st.booleans()),
    )


def verified(expires_at: float, own: bool = True, **claims: Any) -> Verified:
    """Return a verified token with a session, as `decide` reads it."""
    import json

    session = {"sid": "s", "auth_time": NOW, "session_end": NOW + 28_800}
    payload = {"iss": "i", "exp": expires_at, "jti": "t"} | session | claims
    kept = {name: value for name, value in payload.items() if value is not ...}
    encoded = json.dumps(kept, separators=(",", ":")).encode()
    return Verified(Origin("i", "ES256", "k", own), expires_at, NOW, NOW, (), encoded, b"")


@given(some_settings(), SESSION, INSTANT)
def test_r1_no_token_outlives_its_session(
    settings: RenewalSettings, session: str, now: float
) -> None:
    """Exp <= auth_time + max_session at login, and the end lies within the spread."""
    end = settings.session_end(session, now)
    assert first_span(session, now, settings).expires_at <= end <= now + settings.max_session
    assert end >= now + settings.max_session * (1 - settings.cap_spread) - 1


@given(some_settings(), SESSION, INSTANT)
def test_whole_seconds_are_whole(settings: RenewalSettings, session: str, now: float) -> None:
    """Where they are asked for, iat and exp are integers, which every library reads."""
    span = first_span(session, now, settings)
    if settings.whole_seconds:
        assert type(span.issued_at) is int
        assert type(span.expires_at) is int


def test_r2_an_expired_token_is_never_renewed() -> None:
    """At ``now == exp`` it is too late, whatever leeway its verification was granted."""
    token = verified(NOW + 100)
    assert isinstance(decide(token, NOW + 99.999, RenewalSettings()), Due)
    assert decide(token, NOW + 100, RenewalSettings()) == NotRenewed("expired")


@pytest.mark.parametrize(
    ("own", "claims", "reason"),
    [
        (False, {}, "not_ours"),
        (True, {"sid": ...}, "no_session"),
        (True, {"auth_time": ...}, "no_session"),
        (True, {"session_end": ...}, "no_session"),
        (True, {"jti": ...}, "no_session"),
        (True, {"cnf": {"jkt": "x"}}, "bound"),
    ],
)
def test_r4_only_our_own_unbound_session_tokens_are_renewed(
    own: bool, claims: dict[str, Any], reason: Any
) -> None:
    """Foreign tokens, service tokens and tokens bound to a key (D11) stay as they are."""
    token = verified(NOW + 100, own, **claims)
    assert decide(token, NOW + 50, RenewalSettings()) == NotRenewed(reason)


def test_r1_at_the_cap_there_is_no_successor() -> None:
    """The last token ends with the session, and the stricter of two ends holds."""
    settings = RenewalSettings(max_session=7200, cap_spread=0)
    near = decide(verified(NOW + 7000, session_end=NOW + 7200), NOW + 6900, settings)
    assert isinstance(near, Due)
    assert near.span.expires_at <= NOW + 7200
    for claimed in (NOW + 7200, NOW + 90_000):
        last = decide(verified(NOW + 7200, session_end=claimed), NOW + 7100, settings)
        assert last == NotRenewed("at_end", NOW + 7200)
    early = decide(verified(NOW + 500, session_end=NOW + 500), NOW + 400, settings)
    assert early == NotRenewed("at_end", NOW + 500)


@pytest.mark.parametrize(
    "settings",
    [
        *({"lifetime": value} for value in (0, 90_000, float("nan"), True)),
        *({"buffer": value} for value in (450, 0, -1, "300", math.inf)),
        *({"hard_margin": value} for value in (300, -1)),
        {"max_session": 899},
        {"cap_spread": 0.6},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """R8: the buffer stays under half the lifetime; nothing infinite, nothing that is no number."""
    with pytest.raises(ConfigurationError):
        RenewalSettings(**settings)


def test_all_faults_of_the_settings_come_together() -> None:
    """One error names each setting that is out of its range."""
    with pytest.raises(ConfigurationError) as caught:
        RenewalSettings(lifetime=100, buffer=90, max_session=50, cap_spread=1)
    assert len(caught.value.faults) == 3
    with pytest.raises(ConfigurationError):
        Jitter(0)


def test_whole_floats_and_integers_give_the_same_tokens() -> None:
    """900.0 from a command line is 900: two workers must not differ by a decimal point."""
    assert RenewalSettings(lifetime=900.0, buffer=300.0) == RenewalSettings()
    assert type(RenewalSettings(lifetime=900.0).lifetime) is int
    assert RenewalSettings(lifetime=20, buffer=8).margin == 2


@given(st.lists(SESSION, min_size=200, max_size=200, unique=True))
def test_phases_are_spread_evenly(sessions: list[str]) -> None:
    """Shares lie in [0, 1), about half of them in either half."""
    shares = [share_of(session) for session in sessions]
    assert all(0 <= share < 1 for share in shares)
    assert 55 <= sum(share < 0.5 for share in shares) <= 145

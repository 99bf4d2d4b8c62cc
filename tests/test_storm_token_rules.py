"""What clients of a storm check in each new token: identity, life, and the instant it is due."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import Grid, RenewalSettings
from linqi_storm.clients.due_rule import DueRule
from linqi_storm.clients.identity import Identity
from linqi_storm.clients.token_lives import TokenLives, refresh_faults
from linqi_storm.schema.expectations import Expectations
from linqi_storm.schema.identity import echo_of, identity_claims
from linqi_storm.schema.violations import LONG_LIVES, LONG_REFRESH, OUTLIVED_SESSIONS, SHORT_LIVES

FIRST: dict[str, Any] = {
    **identity_claims("run", 7),
    "iss": "https://a.example",
    "aud": "a",
    "sid": "s",
    "auth_time": 1_000,
    "session_end": 30_000,
    "roles": ["editor"],
    "iat": 1_000,
    "exp": 1_900,
    "jti": "j",
}
NEXT = {**FIRST, "iat": 1_600, "exp": 2_500, "jti": "k"}


@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize(
    "name", ["iss", "sub", "aud", "sid", "auth_time", "session_end", "storm", "scope", "roles"]
)
def test_a_dropped_claim_is_found(name: str, is_exact: bool) -> None:
    """Every claim of the session is in every token of it."""
    identity = Identity(FIRST, is_exact=is_exact)
    assert identity.fault(NEXT) == ""
    assert identity.fault({key: value for key, value in NEXT.items() if key != name})


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "sid", "auth_time", "session_end", "storm"])
def test_an_altered_identity_is_found_in_every_application(name: str) -> None:
    """No application may change who the session is."""
    for is_exact in (True, False):
        assert name in Identity(FIRST, is_exact=is_exact).fault({**NEXT, name: "user-0"})


def test_an_application_may_replace_its_own_claims_and_narrow_scopes() -> None:
    """As `authorize` can; an embedded application has none, so there it is a fault."""
    for change in ({"roles": []}, {"scope": "storm"}, {"added": 1}):
        assert Identity(FIRST, is_exact=False).fault({**NEXT, **change}) == ""
        assert Identity(FIRST, is_exact=True).fault({**NEXT, **change})


def test_more_scopes_are_a_fault_everywhere() -> None:
    """A renewal never widens what a session may do."""
    wider = {**NEXT, "scope": f"{FIRST['scope']} admin"}
    assert Identity(FIRST, is_exact=False).fault(wider) == "with more scopes"


def test_the_echo_names_subject_session_claim_and_scopes() -> None:
    """An answer for another user differs in its bytes."""
    scopes = FIRST["scope"].split()
    mine = echo_of("user-7", "s", "user-7@run", scopes)
    identity = Identity(FIRST, is_exact=True)
    assert identity.is_echo(mine)
    assert not identity.is_echo(echo_of("user-7", "s", "user-0@run", scopes))


def test_a_new_token_has_an_id_of_its_own() -> None:
    """The same successor may be signed twice; another ``exp`` is another token."""
    identity = Identity(FIRST, is_exact=True)
    assert not identity.repeats_id(NEXT)
    assert not identity.repeats_id({**NEXT, "iat": 1_601})
    assert identity.repeats_id({**NEXT, "exp": 3_100})
    assert identity.repeats_id({**NEXT, "jti": FIRST["jti"]})
    assert not identity.repeats_id({"exp": 3_100})
    for number in range(20):  # only the newest ids are remembered
        identity.repeats_id({"jti": str(number), "exp": number})
    assert identity.repeats_id({"jti": "19", "exp": 3_100})


@pytest.mark.parametrize(
    ("stated", "is_right"),
    [
        ({"refresh_token_timeout": 600, "authorization_expires_in": 3_600}, True),
        ({"refresh_token_timeout": 602}, False),
        ({"authorization_expires_in": 3_602}, False),
        ({"refresh_token_timeout": 500, "authorization_expires_in": 300}, False),
        ({}, True),
        ({"refresh_token_timeout": None}, True),
        ({"refresh_token_timeout": "soon"}, True),
    ],
)
def test_a_refresh_token_lives_no_longer_than_the_settings(
    stated: dict[str, Any], is_right: bool
) -> None:
    """Its life is ``idle_seconds``, that of its session ``absolute_seconds``."""
    expected = Expectations(idle=600, absolute=3_600)
    found = [rule for rule, _ in refresh_faults(json.dumps(stated).encode(), expected)]
    assert found == ([] if is_right else [LONG_REFRESH])


def lives(
    issued_at: float, expires_at: float, sent_at: float, received_at: float, **claims: float
) -> list[str]:
    """Return the rules that a token breaks, of a lifetime of 900 s and a buffer of 300 s."""
    checked = TokenLives(900, 300, Expectations(has_grid=True))
    token = {"iat": issued_at, "exp": expires_at, **claims}
    return [rule for rule, _ in checked.faults(token, sent_at=sent_at, received_at=received_at)]


def test_a_token_may_live_one_lifetime_and_no_more() -> None:
    """Counted from ``iat``, and from the response where ``iat`` is false."""
    assert lives(1_000, 1_900, 1_000, 1_000) == []
    assert lives(1_000, 1_901, 1_000, 1_001) == [LONG_LIVES]
    assert lives(1_500, 2_400, 1_000, 1_000.5) == [LONG_LIVES]


def test_a_token_lives_one_buffer_at_least() -> None:
    """Counted from ``iat``, and from the request."""
    assert lives(1_000, 1_300, 1_000, 1_000) == []
    assert lives(1_000, 1_299, 1_000, 1_000) == [SHORT_LIVES]
    assert lives(500, 1_299, 1_000, 1_000) == [SHORT_LIVES]


def test_a_late_response_makes_no_correct_token_look_short() -> None:
    """The request was sent before the token was signed."""
    assert lives(1_000, 1_900, 1_000, 1_850) == []


def test_no_token_outlives_its_session() -> None:
    """At its end a token may be shorter than the buffer."""
    assert lives(1_000, 1_100, 1_000, 1_000, session_end=1_100) == []
    assert lives(1_000, 1_900, 1_000, 1_000, session_end=1_899) == [OUTLIVED_SESSIONS]


@given(
    session=st.text("abcdefghij0123456789", min_size=1, max_size=30),
    now=st.integers(1_700_000_000, 1_900_000_000),
    periods=st.integers(0, 5),
)
def test_a_token_on_the_grid_is_due_at_the_next_grid_point(
    session: str, now: int, periods: int
) -> None:
    """Never later than a buffer before expiry, and the same point for the next token."""
    rule = DueRule(900, 300, is_grid=True)
    first = rule.due_at({"sid": session, "iat": now, "exp": now + 900})
    assert now < first <= now + 600
    later = first + 600 * periods
    successor = {"sid": session, "iat": later, "exp": later + 900}
    assert rule.due_at(successor) == pytest.approx(later + 600)


def test_the_rule_agrees_with_the_settings_of_the_middleware() -> None:
    """The second implementation is of the same rule: what the grid issues is due at its points."""
    settings = RenewalSettings(lifetime=900, buffer=300, policy=Grid())
    rule = DueRule(900, 300, is_grid=True)
    for number in range(200):
        session, now = f"session-{number}", 1_800_000_000 + 7 * number
        span = settings.policy.access(session, now, settings)
        claims = {"sid": session, "iat": span.issued_at, "exp": span.expires_at}
        assert rule.due_at(claims) == span.expires_at - 300


def test_off_the_grid_expiry_decides() -> None:
    """Tokens without a session have no grid either."""
    token = {"sid": "s", "iat": 1_000, "exp": 1_900}
    assert DueRule(900, 300, is_grid=False).due_at(token) == 1_600
    assert DueRule(900, 300, is_grid=True).due_at({"iat": 1_000, "exp": 1_900}) == 1_600
    assert math.isfinite(DueRule(900, 300, is_grid=True).due_at({}))

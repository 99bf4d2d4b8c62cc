"""The replay of the tuner forces the sign-ins that the middleware's own decisions force."""

from __future__ import annotations

import json
import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linqi import Grid, Jitter, RenewalSettings, Threshold
from linqi.jose.verified import Origin, Verified
from linqi.sessions.decision import Due, decide
from linqi.sessions.renewal import Policy, TokenSpan, first_span, share_of
from linqi_tune.model.replay import replay_tokens
from linqi_tune.model.session_rule import SessionRule
from simulated import clicks_and_reads

ORIGIN = Origin("i", "ES256", "k", True)
POLICIES: dict[str, Policy] = {"grid": Grid(), "plain": Threshold(), "jitter": Jitter(0.5)}


def decided(pages: array[float], renewal: RenewalSettings, session: str) -> list[float]:
    """Return the instants at which the decisions of the middleware leave no live token.

    Instants are counted from a grid point of a session with the phase 0.
    """
    period = renewal.lifetime - renewal.buffer
    base = period * (1_800_000_000 // period)
    forced: list[float] = []
    token: Verified | None = None
    for page in pages:
        now = base + page
        if token is None or now >= token.expires_at:
            if token is not None:
                forced.append(page)
            auth_time = now
            token = _token(first_span(session, now, renewal), renewal, session, auth_time)
        elif isinstance(found := decide(token, now, renewal), Due):
            token = _token(found.span, renewal, session, auth_time)
    return forced


def _token(span: TokenSpan, renewal: RenewalSettings, session: str, auth_time: float) -> Verified:
    end = renewal.session_end(session, auth_time)
    claims = {"sid": session, "jti": "t", "auth_time": auth_time, "session_end": end}
    payload = json.dumps({"iss": "i", "exp": span.expires_at, **claims}).encode()
    due_at = renewal.due_at(session, span.issued_at, span.expires_at)
    return Verified(
        ORIGIN, span.expires_at, span.issued_at, span.issued_at, (), payload, b"", due_at
    )


def both(policy: str, lifetime: int, buffer: int, cap: int) -> tuple[RenewalSettings, SessionRule]:
    """Return the same settings for the middleware and for the replay."""
    renewal = RenewalSettings(
        lifetime=lifetime,
        buffer=buffer,
        policy=POLICIES[policy],
        max_session=cap,
        cap_spread=0,
        whole_seconds=False,
    )
    rule = SessionRule(
        lifetime=lifetime,
        buffer=buffer,
        policy=policy,  # type: ignore[arg-type]
        jitter_width=0.5,
        max_session=cap,
        cap_spread=0,
    )
    return renewal, rule


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 2_500), max_size=60),
    st.integers(60, 1_800),
    st.floats(0.02, 0.49),
    st.sampled_from(["grid", "plain"]),
    st.sampled_from([5_000, 86_400]),
    st.text("abcdef", min_size=4, max_size=8),
)
def test_the_replay_forces_what_the_decisions_force(
    pauses: list[int], lifetime: int, share: float, policy: str, cap: int, session: str
) -> None:
    """Each sign-in is the same, with the session cap and without."""
    buffer = max(1, int(lifetime * share))
    renewal, rule = both(policy, lifetime, buffer, cap)
    at, pages = 0.0, array("d", [0.0])
    for n, pause in enumerate(pauses):
        at += pause + 0.37 + n * 0.013  # away from the very instants, where rounding decides
        pages.append(at)
    found, _ = replay_tokens([pages], rule, share_of(session))
    expected = decided(pages, renewal, session)
    assert [one.at for one in found] == pytest.approx(expected)


def test_jitter_forces_as_many_as_the_decisions() -> None:
    """The shares are a hash there and drawn here, so the counts agree within 4 %."""
    renewal, rule = both("jitter", 900, 120, 28_800)
    rng = random.Random(1)
    persons = []
    for _ in range(250):
        at, pages = 0.0, array("d")
        while at < 20_000:
            pages.append(at)
            at += 0.5 + clicks_and_reads(rng)
        persons.append(pages)
    expected = sum(len(decided(pages, renewal, f"s{n}")) for n, pages in enumerate(persons))
    found, _ = replay_tokens(persons, rule)
    assert expected > 500
    assert len(found) == pytest.approx(expected, rel=0.04)
